"""The parts of a release check: its definition, the candidate that it examines, and its result.

A new check is a new file that defines a ``Check``, and an entry point in the group ``seas_data.checks``:

    [project.entry-points."seas_data.checks"]
    no-emoji = "my_package.checks:NO_EMOJI"

The name of the entry point is the name of the check.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property

import polars as pl

from seas_data.query import sql
from seas_data.query.version import Version
from seas_data.release.privacy import pii
from seas_data.release.visibility import Profile


class Phase(IntEnum):
    """When a check runs."""

    INTEGRITY = 0
    """First. If such a check fails the other checks cannot run, so it cannot be waived."""
    RELEASE = 1
    CARD = 2
    """Last, when it is known which failures are waived."""


@dataclass(frozen=True)
class Candidate:
    """A release to check: a version in a profile, its stored card if there is one, and the waivers.

    ``queries``: the queries of all checks. ``waivers``: the reason for each check that may fail.
    """

    version: Version
    profile: Profile
    queries: tuple[str, ...] = ()
    card: str | None = None
    waivers: Mapping[str, str] = field(default_factory=dict)

    def select(self, query: str) -> pl.DataFrame:
        """Return the result of a query on the full version; queries that checks declare run together, once."""
        return self._results[query] if query in self.queries else self.version.select(query)

    @cached_property
    def findings(self) -> pl.DataFrame:
        """The personal data and secrets in what the profile releases, as ``pii.find_in_release`` returns them."""
        return pii.find_in_release(self.version, self.profile)

    @cached_property
    def _results(self) -> dict[str, pl.DataFrame]:
        results = sql.run_all(self.version.paths(), [(query, {}) for query in self.queries])
        return dict(zip(self.queries, results, strict=True))


@dataclass(frozen=True)
class Finding:
    """What a check found: the ids of the rows (or names of the parts) that fail, and a message."""

    ids: tuple[str, ...]
    message: str


@dataclass(frozen=True)
class Check:
    """The definition of a release check.

    ``description``: one sentence that states what must hold. ``find``: return what is wrong with a candidate.
    ``queries``: the queries that ``find`` selects. ``position``: the order within the phase, ties by name.
    """

    description: str
    find: Callable[[Candidate], Finding]
    queries: tuple[str, ...] = ()
    position: int = 1000
    phase: Phase = Phase.RELEASE


@dataclass(frozen=True)
class CheckResult:
    """The result of one check. ``ids``: all rows (or names of parts) that fail. ``message``: what was found."""

    name: str
    passed: bool
    ids: tuple[str, ...]
    message: str


def finding(ids: Iterable[str], *, passed: str, failed: str) -> Finding:
    """Return a finding of the distinct ``ids``, sorted, with the message ``failed``, or ``passed`` without ids."""
    failing = tuple(sorted(set(ids)))
    return Finding(failing, failed if failing else passed)
