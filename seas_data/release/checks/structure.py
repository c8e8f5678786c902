"""Whether the version is whole: its files, its columns, its ids and what they refer to."""

from pathlib import Path

import polars as pl

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.release.checks.check import Candidate, Check, result


def manifest(candidate: Candidate) -> Check:
    """Every shard has the content that the manifest names, and the manifest the digest that it states."""
    problems = candidate.version.workspace.verify(candidate.version.manifest)
    return Check(
        "manifest",
        not problems,
        tuple(problem.partition(":")[0] for problem in problems),
        f"files do not verify; restore them ({problems[0]})" if problems else "every file is as it was written",
    )


def schemas(candidate: Candidate) -> Check:
    """Every table has its columns, in their types, with values that its schema allows."""
    wrong: dict[str, str] = {}
    for table, shards in candidate.version.manifest.tables.items():
        for shard in shards:
            try:
                _fits(table, candidate.version.workspace.shard_path(table, shard))
            except SeasDataError as problem:
                wrong[f"{table}/{shard.sha256[:12]}"] = str(problem)
    ill = f"tables do not fit their schemas ({' '.join(next(iter(wrong.values()), '').split())[:200]})"
    return result("schemas", wrong, "every table fits its schema", ill)


def _fits(table: str, path: Path) -> None:
    if table not in tables.TABLES:
        raise SeasDataError(f"there is no table {table}")
    frame = pl.read_parquet(path)
    empty = tables.empty(table)
    # An older shard may lack a column that was added since: every reader takes it as null.
    missing = [name for name in empty.columns if name not in frame.columns]
    frame = frame.with_columns(pl.lit(None, dtype=empty.schema[name]).alias(name) for name in missing)
    if dict(frame.select(empty.columns).schema) != dict(empty.schema):
        other = [name for name in empty.columns if frame.schema[name] != empty.schema[name]]
        raise SeasDataError(f"table {table} has other types in {', '.join(other)}")
    tables.cast(table, frame)


def unique_ids(candidate: Candidate) -> Check:
    """No id stands for two rows of a table."""
    ids = candidate.answer("twice")["id"]
    return result("unique-ids", ids, "no id stands for two rows", "ids stand for several rows; build the version again")


def _twice() -> str:
    asked = []
    for table, schema in tables.TABLES.items():
        if keys := schema.primary_key():
            named = ", ".join(f'"{key}"' for key in keys)
            asked.append(f'select "{keys[0]}" as id from "{table}" group by {named} having count(*) > 1')
    return " union all ".join(asked)


_ASKED = "(select prompt_id as id from prompts union all select prompt_id from attacks)"
_PROMPTS = "(select prompt_id as id from prompts)"
_SEEDS = "(select seed_id as id from seeds)"
_MODELS = "(select model as id from checkpoints)"
_SETTINGS = "(select settings_id as id from settings)"
_RESPONSES = "(select response_id as id from responses)"
_WRAPPERS = "(select template_id as id from wrappers)"
_RED, _ANSWERED = "role = 'red'", "role in ('target', 'harmless')"

REFERENCES: tuple[tuple[str, str, str, str, str], ...] = (
    *(
        (table, "prompt_id", "prompt_id", "true", _PROMPTS)
        for table in ("decisions", "relabels", "templates", "splits")
    ),
    *((table, "prompt_id", "prompt_id", "true", _PROMPTS) for table in ("clusters", "embeddings", "expected")),
    ("decisions", "prompt_id", "witness_id", "true", _PROMPTS),
    ("templates", "prompt_id", "template_id", "true", _WRAPPERS),
    ("prompts", "prompt_id", "seed_id", "true", _SEEDS),
    ("prompts", "prompt_id", "model", "true", _MODELS),
    ("seeds", "seed_id", "unnest(example_ids)", "true", _PROMPTS),
    ("attacks", "prompt_id", "seed_id", "true", _SEEDS),
    *((table, "prompt_id", "model", "true", _MODELS) for table in ("attacks", "responses")),
    *((table, "prompt_id", "settings_id", "true", _SETTINGS) for table in ("attacks", "responses")),
    ("settings", "settings_id", "model", "true", _MODELS),
    ("checkpoints", "model", "parent", "true", _MODELS),
    ("responses", "response_id", "prompt_id", "true", _ASKED),
    ("verdicts", "response_id", "response_id", "true", _RESPONSES),
    *(("pairs", "pair_id", side, _RED, _ASKED) for side in ("chosen_id", "rejected_id")),
    *(("pairs", "pair_id", side, _ANSWERED, _RESPONSES) for side in ("chosen_id", "rejected_id")),
    ("demonstrations", "demonstration_id", "completion_id", _RED, _ASKED),
    ("demonstrations", "demonstration_id", "completion_id", _ANSWERED, _RESPONSES),
    *((table, key, "prompt_id", _ANSWERED, _ASKED) for table, key in (("pairs", "pair_id"),)),
    ("demonstrations", "demonstration_id", "prompt_id", _ANSWERED, _ASKED),
    ("pairs", "pair_id", "seed_id", "true", _SEEDS),
    ("demonstrations", "demonstration_id", "seed_id", "true", _SEEDS),
    ("unpaired", "candidate_id", "candidate_id", _RED, _ASKED),
    ("unpaired", "candidate_id", "candidate_id", _ANSWERED, _RESPONSES),
)
"""Table, the id of its row, the column that refers, in which rows, and to what."""


def references(candidate: Candidate) -> Check:
    """Every id that a row names is there: witnesses, seeds and examples, models, responses, both sides of pairs."""
    broken = candidate.answer("broken")
    places = ", ".join(sorted(set(broken["place"])))
    ill = f"rows name others that are not there (in {places}); build the version again, or restore the lost shard"
    return result("references", broken["id"], "every row that another names is there", ill)


def _broken() -> str:
    return " union all ".join(
        f"select id, '{table}.{column}' as place "
        f"from (select {row} as id, {column} as named from {table} where {where}) "
        f"anti join {_known(column, target)} target on named = target.id where named is not null"
        for table, row, column, where, target in REFERENCES
    )


def _known(column: str, target: str) -> str:
    """Return the ids that ``column`` may name. The witness of a decision may have been taken out since."""
    return f"(from {target} union all select prompt_id from tombstones)" if column == "witness_id" else target


QUESTIONS = {"twice": _twice(), "broken": _broken()}
