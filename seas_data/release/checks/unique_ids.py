"""Check ``unique-ids``: an id identifies one row of its table."""

from seas_data import tables
from seas_data.release.checks.check import Candidate, Check, Finding, finding


def find_repeated_ids(candidate: Candidate) -> Finding:
    """Find ids that several rows of a table have."""
    ids = candidate.select(_REPEATED)["id"]
    failed = "several rows of a table have the same id; build the version again"
    return finding(ids, passed="all ids are unique", failed=failed)


def _repeated() -> str:
    queries = []
    for table, schema in tables.TABLES.items():
        if keys := schema.primary_key():
            columns = ", ".join(f'"{key}"' for key in keys)
            queries.append(f'select "{keys[0]}" as id from "{table}" group by {columns} having count(*) > 1')
    return " union all ".join(queries)


_REPEATED = _repeated()

CHECK = Check("Ids are unique within each table.", find_repeated_ids, (_REPEATED,), position=30)
