"""Check ``references``: every id that a row refers to exists."""

from seas_data.release.checks.check import Candidate, Check, Finding, finding

_REQUESTS = "(select prompt_id as id from prompts union all select prompt_id from attacks)"
_PROMPTS = "(select prompt_id as id from prompts)"
_SEEDS = "(select seed_id as id from seeds)"
_MODELS = "(select model as id from checkpoints)"
_SETTINGS = "(select settings_id as id from settings)"
_RESPONSES = "(select response_id as id from responses)"
_WRAPPERS = "(select template_id as id from wrappers)"
_RED, _ANSWERING = "role = 'red'", "role in ('target', 'harmless')"

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
    ("responses", "response_id", "prompt_id", "true", _REQUESTS),
    ("verdicts", "response_id", "response_id", "true", _RESPONSES),
    *(("pairs", "pair_id", side, _RED, _REQUESTS) for side in ("chosen_id", "rejected_id")),
    *(("pairs", "pair_id", side, _ANSWERING, _RESPONSES) for side in ("chosen_id", "rejected_id")),
    ("demonstrations", "demonstration_id", "completion_id", _RED, _REQUESTS),
    ("demonstrations", "demonstration_id", "completion_id", _ANSWERING, _RESPONSES),
    *((table, key, "prompt_id", _ANSWERING, _REQUESTS) for table, key in (("pairs", "pair_id"),)),
    ("demonstrations", "demonstration_id", "prompt_id", _ANSWERING, _REQUESTS),
    ("pairs", "pair_id", "seed_id", "true", _SEEDS),
    ("demonstrations", "demonstration_id", "seed_id", "true", _SEEDS),
    ("unpaired", "candidate_id", "candidate_id", _RED, _REQUESTS),
    ("unpaired", "candidate_id", "candidate_id", _ANSWERING, _RESPONSES),
)
"""Table, the id of its row, the column that refers, in which rows, and to which ids."""


def find_broken_references(candidate: Candidate) -> Finding:
    """Find rows that refer to ids which do not exist."""
    broken = candidate.select(_BROKEN)
    places = ", ".join(sorted(set(broken["place"])))
    failed = f"rows refer to ids that do not exist (in {places}); build the version again, or restore the lost shard"
    return finding(broken["id"], passed="every id that a row refers to exists", failed=failed)


def _broken() -> str:
    return " union all ".join(
        f"select id, '{table}.{column}' as place "
        f"from (select {row} as id, {column} as reference from {table} where {where}) "
        f"anti join {_targets(column, target)} target on reference = target.id where reference is not null"
        for table, row, column, where, target in REFERENCES
    )


def _targets(column: str, target: str) -> str:
    """Return the ids that ``column`` may refer to. The witness of a decision may have been taken down since."""
    return f"(from {target} union all select prompt_id from tombstones)" if column == "witness_id" else target


_BROKEN = _broken()

CHECK = Check(
    "Every id that a row refers to exists: witnesses, seeds and examples, models, responses, both sides of pairs.",
    find_broken_references,
    (_BROKEN,),
    position=40,
)
