"""Checks ``manifest`` and ``schemas``: the files are intact and hold the tables that the other checks rely on."""

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.release.checks.check import Candidate, Check, Finding, Phase, finding


def find_changed_files(candidate: Candidate) -> Finding:
    """Find files whose content differs from the manifest."""
    problems = candidate.version.workspace.verify(candidate.version.manifest)
    failed = f"files do not match the manifest ({problems[0]}); restore them from a copy" if problems else ""
    return finding(
        (problem.partition(":")[0] for problem in problems), passed="all files match the manifest", failed=failed
    )


def find_schema_violations(candidate: Candidate) -> Finding:
    """Find shards with other columns, types or values than the schema of their table allows."""
    wrong: dict[str, str] = {}
    for table, shards in candidate.version.manifest.tables.items():
        for shard in shards:
            try:
                tables.check_shard(table, candidate.version.workspace.shard_path(table, shard))
            except SeasDataError as problem:
                wrong[f"{table}/{shard.sha256[:12]}"] = str(problem)
    first = " ".join(next(iter(wrong.values()), "").split())[:200]
    failed = f"tables do not match their schemas ({first}); build the version again"
    return finding(wrong, passed="all tables match their schemas", failed=failed)


MANIFEST = Check(
    "Every shard has the SHA-256 that the manifest states, and the manifest has its own digest.",
    find_changed_files,
    position=10,
    phase=Phase.INTEGRITY,
)
SCHEMAS = Check(
    "Every table has the columns, types and values of its schema.",
    find_schema_violations,
    position=20,
    phase=Phase.INTEGRITY,
)
