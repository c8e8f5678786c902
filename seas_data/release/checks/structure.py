"""Whether the version is whole: its files, its columns, its ids and what they refer to."""

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.release.checks.check import Candidate, Told, asked, told


def manifest(candidate: Candidate) -> Told:
    """Every shard has the content that the manifest names, and the manifest the digest that it states."""
    problems = candidate.version.workspace.verify(candidate.version.manifest)
    ill = f"files do not verify; restore them ({problems[0]})" if problems else ""
    return told((problem.partition(":")[0] for problem in problems), "every file is as it was written", ill)


def schemas(candidate: Candidate) -> Told:
    """Every table has its columns, in their types, with values that its schema allows."""
    wrong: dict[str, str] = {}
    for table, shards in candidate.version.manifest.tables.items():
        for shard in shards:
            try:
                tables.fits(table, candidate.version.workspace.shard_path(table, shard))
            except SeasDataError as problem:
                wrong[f"{table}/{shard.sha256[:12]}"] = str(problem)
    ill = f"tables do not fit their schemas ({' '.join(next(iter(wrong.values()), '').split())[:200]})"
    return told(wrong, "every table fits its schema", ill)


def unique_ids(candidate: Candidate) -> Told:
    """No id stands for two rows of a table."""
    ill = "ids stand for several rows; build the version again"
    return asked(candidate, "twice", "no id stands for two rows", ill)


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


def references(candidate: Candidate) -> Told:
    """Every id that a row names is there: witnesses, seeds and examples, models, responses, both sides of pairs."""
    places = ", ".join(sorted(set(candidate.answer("broken")["place"])))
    ill = f"rows name others that are not there (in {places}); build the version again, or restore the lost shard"
    return asked(candidate, "broken", "every row that another names is there", ill)


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
