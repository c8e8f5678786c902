"""Check ``references``: every id that a row refers to exists."""

from collections.abc import Iterable

import dataframely as dy
import polars as pl

from seas_data.release.checks.check import Candidate, Check, Finding, finding
from seas_data.tables import TABLES, policy


def find_broken_references(candidate: Candidate) -> Finding:
    """Find rows that refer to ids which do not exist."""
    broken = candidate.select(_BROKEN)
    places = ", ".join(sorted(set(broken["place"])))
    failed = f"rows refer to ids that do not exist (in {places}); build the version again, or restore the lost shard"
    return finding(broken["id"], passed="every id that a row refers to exists", failed=failed)


def _broken() -> str:
    """Return a query for the id and place of each row that refers to nothing, by the references of the schemas."""
    return " union all ".join(
        f"select id, '{table}.{column}' as place "
        f"from (select {_row_id(schema)} as id, {_values(column, schema)} as reference from {table} "
        f"where {reference.where}) "
        f"anti join ({_targets(reference.columns)}) target on reference = target.id where reference is not null"
        for table, schema in TABLES.items()
        for column, declared in policy.of_schema(schema).items()
        for reference in declared.references
    )


def _row_id(schema: type[dy.Schema]) -> str:
    return f"coalesce({', '.join(policy.row_id(schema))})"


def _values(column: str, schema: type[dy.Schema]) -> str:
    return f"unnest({column})" if isinstance(schema.columns()[column].dtype, pl.List) else column


def _targets(columns: Iterable[str]) -> str:
    places = (column.split(".") for column in columns)
    return " union all ".join(f"select {column} as id from {table}" for table, column in places)


_BROKEN = _broken()

CHECK = Check(
    "Every id that a row refers to exists: witnesses, seeds and examples, models, responses, both sides of pairs.",
    find_broken_references,
    (_BROKEN,),
    position=40,
)
