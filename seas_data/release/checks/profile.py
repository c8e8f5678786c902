"""Check ``profile``: the public profile contains no text that it withholds."""

import polars as pl

from seas_data import tables
from seas_data.release.checks.check import Candidate, Check, Finding, finding
from seas_data.release.visibility import redact
from seas_data.tables import TABLES, policy

# Stated here again, apart from ``visibility``, so that this check finds a mistake made there.
_NO_TEXT = (
    ("responses", "response_id", "text"),
    ("responses", "response_id", "thinking"),
    ("verdicts", "response_id", "raw"),
)
_RED_ONLY = {"pairs": ("pair_id", ("chosen", "rejected")), "demonstrations": ("demonstration_id", ("completion",))}


def find_withheld_text(candidate: Candidate) -> Finding:
    """Find rows whose released text the public profile must withhold."""
    ids: list[str] = []
    if candidate.profile == "public":
        for table, key, column in _NO_TEXT:
            ids.extend(_redacted(candidate, table, [key, column], pl.col(column).is_not_null())[key])
        words = ["text", "messages", "goal"]
        shown = pl.any_horizontal(pl.col(words).is_not_null()) & (pl.col("role") == "holdout")
        ids.extend(_redacted(candidate, "prompts", ["prompt_id", "role", *words], shown)["prompt_id"])
        for table, (key, sides) in _RED_ONLY.items():
            ids.extend(_not_prompts(candidate, table, key, sides))
        ids.extend(_reviewers(candidate))
        for table in TABLES:
            ids.extend(_undeclared_text(candidate, table))
    failed = (
        "the public profile would contain text that it must withhold (of models, judges, reviewers or holdout sets, or "
        "in a column that the schema does not call public); do not push it, report a bug"
    )
    return finding(ids, passed=f"the {candidate.profile} profile contains nothing that it withholds", failed=failed)


def _redacted(candidate: Candidate, table: str, columns: list[str], condition: pl.Expr) -> pl.DataFrame:
    """Return ``columns`` of the released rows for which ``condition`` holds."""
    shards = candidate.version.paths().get(table, [])
    parts = (part for path in shards for part in tables.read_parts(table, path, columns))
    found = [redact(table, part, candidate.profile).filter(condition) for part in parts]
    return pl.concat(found) if found else pl.DataFrame(schema=dict.fromkeys(columns, pl.String))


def _reviewers(candidate: Candidate) -> list[str]:
    """Return the ids of released rows with the name or the note of a reviewer."""
    label = pl.col("label_source")
    is_name = label.str.starts_with("manual:") & ~label.str.contains("^manual:reviewer(-[0-9a-f]{8})?$")
    is_note = (pl.col("reason") == "manual") & pl.col("detail").is_not_null()
    prompts = _redacted(candidate, "prompts", ["prompt_id", "role", "label_source"], is_name)
    relabels = _redacted(
        candidate, "relabels", ["prompt_id", "label_source", "because"], is_name | pl.col("because").is_not_null()
    )
    notes = _redacted(candidate, "decisions", ["prompt_id", "reason", "detail"], is_note)
    return [prompt_id for rows in (prompts, relabels, notes) for prompt_id in rows["prompt_id"]]


def _undeclared_text(candidate: Candidate, table: str) -> list[str]:
    """Return the ids of released rows with free text that the schema does not call public, or not in that row."""
    schema = TABLES[table]
    withheld = {
        name: _is_withheld(each)
        for name, each in policy.of_schema(schema).items()
        if each.free_text and (each.visibility != "public" or each.where)
    }
    if not withheld:
        return []
    columns = dict.fromkeys([*policy.row_id(schema), *sorted(policy.condition_columns(schema)), *withheld])
    shown = pl.any_horizontal(pl.col(name).is_not_null() & hidden for name, hidden in withheld.items())
    rows = _redacted(candidate, table, list(columns), shown)
    return rows.select(policy.row_id_expr(schema)).to_series().to_list()


def _is_withheld(column: policy.Policy) -> pl.Expr:
    return ~policy.condition(column.where or "true") if column.visibility == "public" else pl.lit(True)


def _not_prompts(candidate: Candidate, table: str, key: str, sides: tuple[str, ...]) -> pl.Series:
    """Return the ids of released pairs whose prompt is not their seed's text, or with a side that is not a prompt."""
    ids = [f"{side}_id" for side in sides]
    rows = _redacted(candidate, table, [key, "role", "seed_id", "prompt", *ids, *sides], pl.lit(True))
    if rows.is_empty():
        return rows[key]
    sides_of_red = " union ".join(f"select {side} as prompt_id from {table} where role = 'red'" for side in ids)
    prompts = candidate.version.select(
        f"with sides as ({sides_of_red}) "
        "select prompt_id as id, text from prompts semi join sides using (prompt_id) "
        "union all select prompt_id, text from attacks semi join sides using (prompt_id)"
    )
    seeds = candidate.version.select("select seed_id as id, text from seeds")
    wrong = [rows.filter(pl.col("role") != "red")[key], _select_other_text(rows, key, "prompt", "seed_id", seeds)]
    wrong += [
        _select_other_text(rows, key, side, id_column, prompts) for side, id_column in zip(sides, ids, strict=True)
    ]
    return pl.concat(wrong)


def _select_other_text(rows: pl.DataFrame, key: str, side: str, id_column: str, texts: pl.DataFrame) -> pl.Series:
    """Return the ids (``key``) of ``rows`` whose ``side`` is not the text (of ``texts``: id, text) of ``id_column``."""
    content = pl.col(side).list.eval(pl.element().struct.field("content")).list.join("\n")
    return rows.select(key, id=id_column, text=content).join(texts, on=["id", "text"], how="anti")[key]


CHECK = Check(
    "The public profile contains no response, no raw judge output, no holdout text, no name or note of a reviewer, no "
    "text in a column that the schema does not call public, and only pairs made of prompts.",
    find_withheld_text,
    position=120,
)
