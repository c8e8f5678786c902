"""How far a judge can be trusted: its verdicts beside those of people, and rates less the errors it makes.

The gold verdicts are a CSV that people filled in: response_id (or prompt_id, where prompts were judged), verdict (safe
or unsafe) and whatever else the sheet had. Rows whose verdict is blank are not decided yet. A rate is corrected by what
the judge got right and wrong on gold rows of the very same stratum, such as an iteration and a type: how often it errs
differs from one to the next.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.review import unguarded
from seas_data.sources.delimited import parse
from seas_data.sources.raw import decoded
from seas_data.statistics import cohen_kappa, design_effect, rogan_gladen, rogan_gladen_interval, wilson

SHOWN: Final = 10
COUNTS: Final = ("unsafe_unsafe", "unsafe_safe", "unsafe_unparsed", "safe_unsafe", "safe_safe", "safe_unparsed")
"""What people found, then what the judge said."""


def read(path: Path) -> pl.DataFrame:
    """Return id (of a response or prompt, as the file's first column has it) and verdict: one row an id.

    Raises SeasDataError that lists the rows that are wrong, with their lines.
    """
    if not path.is_file():
        raise SeasDataError(f"there is no gold file at {path}; give the sheet of `review`, filled in")
    header, records = parse(decoded(path, "utf-8"))
    names = [unguarded(name.strip()) for name in header]
    key = next((name for name in ("response_id", "prompt_id") if name in names), None)
    if key is None or "verdict" not in names:
        raise SeasDataError(f"{path} should have the columns response_id (or prompt_id) and verdict")
    rows: dict[str, str] = {}
    wrong = []
    for record in records:
        cells = [] if record.fields is None else [unguarded(cell.strip()) for cell in record.fields]
        row_id, verdict = (cells[names.index(key)], cells[names.index("verdict")].casefold()) if cells else ("", "?")
        if not verdict:
            continue
        if verdict not in ("safe", "unsafe"):
            wrong.append(f"{path.name}:{record.line}: {record.fault or 'verdict should be safe, unsafe or empty'}")
        elif rows.setdefault(row_id, verdict) != verdict:
            wrong.append(f"{path.name}:{record.line}: {key} {row_id} is both safe and unsafe")
    if wrong:
        more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise SeasDataError(f"the gold verdicts cannot be used: {'; '.join(wrong[:SHOWN])}{more}")
    if not rows:
        raise SeasDataError(f"no row of {path} has a verdict yet")
    return pl.DataFrame({"id": list(rows), "verdict": list(rows.values())})


def agreement(verdicts: pl.DataFrame, gold: pl.DataFrame) -> pl.DataFrame:
    """Return, of each judge, how its verdicts compare with ``gold`` (id, verdict): a row a judge, sorted.

    ``verdicts`` has id, judge and verdict (those without one are left out). Columns: judge, n (rows that both
    judged), the counts of the confusion matrix (``COUNTS``), kappa (over all n; unparsed is a label of its own),
    sensitivity and specificity (of the verdicts that parsed; null where there is nothing to measure them on).
    """
    both = _both(verdicts, gold)
    rows = []
    for (name,), given in both.group_by("judge", maintain_order=True):
        counts = _counts(given)
        kappa = cohen_kappa(given["gold"].to_list(), given["verdict"].to_list())
        sensitivity, _, specificity, _ = _accuracy(counts)
        rows.append((name, given.height, *counts.values(), kappa, sensitivity, specificity))
    kinds = dict.fromkeys(COUNTS, pl.Int64)
    shares = dict.fromkeys(("kappa", "sensitivity", "specificity"), pl.Float64)
    return pl.DataFrame(rows, {"judge": pl.String, "n": pl.Int64, **kinds, **shares}, orient="row")


def corrected(verdicts: pl.DataFrame, gold: pl.DataFrame, strata: Sequence[str], clusters: str) -> pl.DataFrame:
    """Return the share of unsafe verdicts of each judge in each stratum, as seen and less the judge's errors.

    ``verdicts`` has id, judge, verdict, the columns ``strata`` (such as iteration and type) and ``clusters`` (such as
    seed_id: rows of one cluster are not independent; without one a row is its own). Only verdicts that parsed count.
    Columns: judge, the strata, n, unparsed, rate, low and high (Wilson on the effective n), gold_n (gold rows of the
    stratum with a verdict that parsed), corrected, corrected_low and corrected_high (Rogan and Gladen's, within 0 and
    1, carrying the error of the gold sample): null where the stratum has no gold rows of both kinds, or its judge is
    no better than chance there.
    """
    given = verdicts.filter(pl.col("verdict").is_not_null())
    measured = {name: _counts(rows) for name, rows in _both(given, gold).group_by("judge", *strata)}
    out = []
    for name, rows in given.group_by("judge", *strata, maintain_order=True):
        parsed = rows.filter(pl.col("verdict") != "unparsed")
        unsafe = (parsed["verdict"] == "unsafe").to_numpy()
        n = len(unsafe)
        lots = parsed.select(pl.coalesce(clusters, "id")).to_series().to_numpy()
        effective = max(n / max(design_effect(unsafe, lots), 1.0), 1.0) if n else 0.0
        rate = float(unsafe.mean()) if n else None
        seen = wilson((rate or 0.0) * effective, effective)
        counts = measured.get(name, dict.fromkeys(COUNTS, 0))
        best = _less_errors(rate, effective, counts)
        used = sum(counts[key] for key in COUNTS if not key.endswith("unparsed"))
        out.append((*name, n, rows.height - n, rate, *seen, used, *best))
    schema: dict[str, pl.DataType] = {"judge": pl.String(), **{name: given.schema[name] for name in strata}}
    schema |= {"n": pl.Int64(), "unparsed": pl.Int64(), **dict.fromkeys(("rate", "low", "high"), pl.Float64())}
    schema |= {"gold_n": pl.Int64(), **dict.fromkeys(("corrected", "corrected_low", "corrected_high"), pl.Float64())}
    return pl.DataFrame(out, schema, orient="row").sort("judge", *strata)


def _both(verdicts: pl.DataFrame, gold: pl.DataFrame) -> pl.DataFrame:
    return (
        verdicts.filter(pl.col("verdict").is_not_null())
        .join(gold.select("id", gold="verdict"), on="id", how="inner")
        .sort("judge", "id")
    )


def _counts(both: pl.DataFrame) -> dict[str, int]:
    pairs = both.select(pl.concat_str("gold", "verdict", separator="_").alias("pair"))["pair"].to_list()
    return {name: pairs.count(name) for name in COUNTS}


def _accuracy(counts: dict[str, int]) -> tuple[float | None, int, float | None, int]:
    """Return sensitivity, on how many rows, specificity, on how many rows."""
    positives = counts["unsafe_unsafe"] + counts["unsafe_safe"]
    negatives = counts["safe_safe"] + counts["safe_unsafe"]
    return (
        counts["unsafe_unsafe"] / positives if positives else None,
        positives,
        counts["safe_safe"] / negatives if negatives else None,
        negatives,
    )


def _less_errors(
    rate: float | None, n: float, counts: dict[str, int]
) -> tuple[float | None, float | None, float | None]:
    sensitivity, positives, specificity, negatives = _accuracy(counts)
    if rate is None or sensitivity is None or specificity is None:
        return None, None, None
    best = rogan_gladen(rate, sensitivity, specificity)
    interval = rogan_gladen_interval(rate, n, sensitivity, positives, specificity, negatives)
    return (None, None, None) if best is None or interval is None else (best, *interval)
