"""Checks ``personal-data`` and ``secrets``: released text gives nobody away."""

import polars as pl

from seas_data.release.checks.check import Candidate, Check, Finding, finding
from seas_data.release.privacy import pii


def find_personal_data(candidate: Candidate) -> Finding:
    """Find released rows with personal data."""
    return _select_findings(candidate, pl.col("kind").is_in(pii.PERSONAL_KINDS), "personal data")


def find_secrets(candidate: Candidate) -> Finding:
    """Find released rows, and parts of the recipe, with keys, tokens or passwords."""
    return _select_findings(candidate, ~pl.col("kind").is_in(pii.PERSONAL_KINDS), "secrets")


def _select_findings(candidate: Candidate, condition: pl.Expr, what: str) -> Finding:
    found = candidate.findings.filter(condition)
    counts = found.group_by("kind", "table").len().sort("kind", "table").iter_rows()
    failed = (
        f"the release contains {what} ({', '.join(f'{kind} in {table}: {count}' for kind, table, count in counts)}); "
        "remove the rows with seas-data forget, or waive the check if they are harmless"
    )
    return finding(found["id"], passed=f"no {what} found", failed=failed)


PERSONAL_DATA = Check(
    "Released text contains no e-mail address, telephone number, IP address or postal address.",
    find_personal_data,
    position=90,
)
SECRETS = Check("Released text and the recipe contain no key, token or password.", find_secrets, position=100)
