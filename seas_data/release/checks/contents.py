"""Check ``contents``: the ids and digests of rows are those of their content."""

from seas_data.release.checks.check import Candidate, Check, Finding, finding
from seas_data.store.contents import find_mismatches


def find_damaged_rows(candidate: Candidate) -> Finding:
    """Find rows that changed after their id or digest was computed."""
    mismatches = find_mismatches(candidate.version.workspace, candidate.version.manifest)
    ids = [row for mismatch in mismatches for row in mismatch.ids]
    places = ", ".join(sorted({mismatch.table for mismatch in mismatches}))
    return finding(
        ids,
        passed="all ids and digests match their rows",
        failed=f"rows of {places} differ from their own ids or digests; build the version again in a new workspace",
    )


CHECK = Check(
    "The digests of texts, and the ids of prompts, attacks, responses, pairs and demonstrations, match their rows.",
    find_damaged_rows,
    position=25,
)
