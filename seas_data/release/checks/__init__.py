"""The release checks: a registry of checks, running them, and waivers for those that may fail.

A check is one file of this folder, or of another distribution, that defines a ``Check`` (``check.py``) and is named by
an entry point of the group ``seas_data.checks``. The names that ``--allow`` takes, the help and the table in
``docs/release.md`` derive from the registry.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.registry import Registry
from seas_data.release.checks.check import Candidate, Check, CheckResult, Finding, Phase, finding
from seas_data.release.visibility import parse_profile
from seas_data.text import printable

__all__ = [
    "CHECKS",
    "Candidate",
    "Check",
    "CheckResult",
    "Finding",
    "Phase",
    "finding",
    "markdown_table",
    "names",
    "require_names",
    "require_passed",
    "run",
    "select_waived",
]

CHECKS = Registry("seas_data.checks", "check", Check)


def run(
    version: Version, profile: str = "public", card: str | None = None, waivers: Mapping[str, str] | None = None
) -> list[CheckResult]:
    """Return the result of every check on a release of ``version`` in ``profile``, in the order of ``names``.

    ``card``: the text of a stored card, which must be current. ``waivers``: the reason for each check that may fail;
    the card must name those that do fail. If an integrity check fails its result is the last one, because the other
    checks cannot run. Raises SeasDataError for an unknown profile, or if a check cannot be loaded.
    """
    checks = _ordered()
    queries = tuple(dict.fromkeys(query for check in checks.values() for query in check.queries))
    candidate = Candidate(version, parse_profile(profile), queries, card, waivers or {})
    results: list[CheckResult] = []
    for name, check in checks.items():
        if check.phase is Phase.CARD:
            found = check.find(replace(candidate, waivers=select_waived(results, candidate.waivers)))
        else:
            found = check.find(candidate)
        results.append(CheckResult(name, not found.ids, found.ids, found.message))
        if found.ids and check.phase is Phase.INTEGRITY:
            break
    return results


def names() -> list[str]:
    """Return the names of all checks, in the order in which they run."""
    return list(_ordered())


def require_names(waivers: Mapping[str, str]) -> Mapping[str, str]:
    """Return ``waivers`` if each of its keys is a check. Raises SeasDataError otherwise."""
    if unknown := sorted({*waivers} - {*names()}):
        raise SeasDataError(f"there is no check {printable(unknown[0])}; choose one of: {', '.join(names())}")
    return waivers


def select_waived(results: Sequence[CheckResult], waivers: Mapping[str, str]) -> dict[str, str]:
    """Return the ``waivers`` (reason by name) of checks that failed and may be waived; blank reasons do not count."""
    failed = {each.name for each in results if not each.passed} - _integrity_names()
    return {name: reason for name, reason in waivers.items() if name in failed and reason.strip()}


def require_passed(results: Sequence[CheckResult], waivers: Mapping[str, str]) -> None:
    """Raise SeasDataError if a check failed and is not waived.

    Integrity checks cannot be waived: if one fails, most other checks have not run.
    """
    waived = select_waived(results, waivers)
    failed = [each for each in results if not each.passed and each.name not in waived]
    if not failed:
        return
    details = "; ".join(f"{each.name} ({len(each.ids)}): {each.message}" for each in failed)
    first = failed[0].name
    waive = f'waive a check with --allow {first} --because "REASON"'
    step = f"{first} cannot be waived" if first in _integrity_names() else f"or {waive}"
    count = "1 check fails" if len(failed) == 1 else f"{len(failed)} checks fail"
    raise SeasDataError(f"{count}: {details}. Fix this (seas-data check --json lists the ids); {step}")


def markdown_table() -> str:
    """Return the table of checks in ``docs/release.md``."""
    rows = "".join(f"| `{name}` | {check.description} |\n" for name, check in _ordered().items())
    return f"| check | what it requires |\n|---|---|\n{rows}"


def _ordered() -> dict[str, Check]:
    return dict(sorted(CHECKS.all().items(), key=lambda item: (item[1].phase, item[1].position, item[0])))


def _integrity_names() -> set[str]:
    return {name for name, check in _ordered().items() if check.phase is Phase.INTEGRITY}
