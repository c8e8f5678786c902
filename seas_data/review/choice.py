"""Which prompts to review: a cluster, the result of a query, a selection of prompts, or what the steps were unsure of.

Responses are drawn at random only, because a gold set stands for all of them.
"""

import json
from pathlib import Path
from typing import Final

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.sources.sheets import read_sheet
from seas_data.store.files import read_text

NEAR_THRESHOLD: Final = 0.02
"""A score this close to its threshold is uncertain."""
LOW_PROBABILITY: Final = 0.6
"""A label of the classifier with a lower probability than this is uncertain."""
_LARGEST: Final = 200_000_000  # bytes of a selection

_UNCERTAIN = """
select prompt_id, any_value(why) as why from (
    select prompt_id, 'score near the threshold' as why from decisions
    where abs(score - threshold) <= $near and reason <> 'manual'
    union all
    select prompt_id, 'label' as why from kept where label_probability < $low
    union all
    select responses.prompt_id, 'judges disagree' as why
    from verdicts join responses using (response_id)
    where verdict in ('safe', 'unsafe')
    group by responses.prompt_id, response_id
    having count(distinct verdict) > 1
)
group by prompt_id order by prompt_id
"""


def choose_cluster(version: Version, cluster: int) -> pl.DataFrame:
    """Return the kept prompts of a cluster. Raises SeasDataError if it has none."""
    rows = version.select("select prompt_id from clusters where cluster = $cluster", {"cluster": cluster})
    return _prompts(version, rows["prompt_id"], f"cluster {cluster} of {version.name}", table="kept")


def choose_query(version: Version, path: Path) -> pl.DataFrame:
    """Return the prompts that the query at ``path`` returns in its column prompt_id. The query may be untrusted."""
    if not path.is_file():
        raise SeasDataError(f"there is no query at {path}; write a SELECT with a column prompt_id to a file")
    result = version.sql(read_text(path))
    if "prompt_id" not in result.columns:
        raise SeasDataError(f"the result of {path} has no column prompt_id; select it")
    return _prompts(version, result["prompt_id"].cast(pl.String), f"the result of {path}")


def choose_selection(version: Version, path: Path) -> pl.DataFrame:
    """Return the prompts of a selection: a file .csv, .parquet, .json or .jsonl with a column prompt_id.

    The report's map and embedding-atlas save such files.
    """
    if not path.is_file():
        raise SeasDataError(
            f"there is no selection at {path}; save one from the map of the report or from embedding-atlas"
        )
    if path.stat().st_size > _LARGEST:
        raise SeasDataError(f"{path} is larger than {_LARGEST:,} bytes, so it is no selection; check its name")
    return _prompts(version, _read_ids(path), f"the selection {path}")


def choose_uncertain(version: Version) -> pl.DataFrame:
    """Return the prompts about which the steps were unsure, with the column ``why``, a stratum of its own.

    ``score near the threshold``: of a decision, within ``NEAR_THRESHOLD``; ``label``: of the classifier, with a
    probability below ``LOW_PROBABILITY``; ``judges disagree``: whether a response is safe.
    """
    rows = version.select(_UNCERTAIN, {"near": NEAR_THRESHOLD, "low": LOW_PROBABILITY})
    known = version.table("prompts", ["prompt_id"])  # attacks that did not join the prompts have no row to decide
    ids = rows.join(known, on="prompt_id", how="semi")["prompt_id"]
    return _prompts(version, ids, f"what {version.name} is unsure of").join(rows, on="prompt_id")


def _prompts(version: Version, ids: pl.Series, what: str, table: str = "prompts") -> pl.DataFrame:
    """Return the rows of ``table`` with these ids, sorted. Raises SeasDataError if there are none, or unknown ids."""
    ids = ids.drop_nulls().unique().sort()
    prompts = version.table(table)
    rows = prompts.filter(pl.col("prompt_id").is_in(ids.implode()))
    if table == "prompts" and rows.height < len(ids):
        unknown = ids.filter(~ids.is_in(rows["prompt_id"].implode()))
        raise SeasDataError(
            f"{what} has {len(unknown)} ids that no prompt of {version.name} has, such as {unknown[0]!r}; name the "
            "version that it was made from"
        )
    if rows.is_empty():
        raise SeasDataError(f"{what} has no prompts to review")
    return rows


def _read_ids(path: Path) -> pl.Series:
    ids: list[object]
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(path, columns=["prompt_id"])["prompt_id"].cast(pl.String)
        if path.suffix in (".json", ".jsonl"):
            text = read_text(path)
            lines = [line for line in text.split("\n") if line.strip()]  # U+2028 in a text ends no line
            rows = json.loads(text) if path.suffix == ".json" else [json.loads(line) for line in lines]
            ids = [row["prompt_id"] for row in rows]
        elif path.suffix == ".csv":
            header, records = read_sheet(path, "selection")
            ids = [(record.fields or [])[header.index("prompt_id")] for record in records]
        else:
            raise SeasDataError(f"{path} should end in .csv, .parquet, .json or .jsonl")
    except (ValueError, KeyError, TypeError, IndexError, RecursionError, pl.exceptions.PolarsError):
        raise SeasDataError(f"the selection {path} cannot be read, or has no column prompt_id; save it again") from None
    if not all(isinstance(each, str) for each in ids):
        raise SeasDataError(f"the selection {path} has ids that are no texts; save it again")
    return pl.Series("prompt_id", ids, pl.String)
