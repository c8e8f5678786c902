"""What every check is: a function of what is to be released, that says whether it may be and which rows forbid it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from seas_data.analysis import sql
from seas_data.release.profile import Profile
from seas_data.version import Version


@dataclass(frozen=True)
class Check:
    """One check's result.

    ``ids``: of all rows (or names of the parts) that fail it. ``sentence``: what was found, and what to do about it.
    """

    name: str
    passed: bool
    ids: tuple[str, ...]
    sentence: str


@dataclass(frozen=True)
class Candidate:
    """What is to be released: a version in a profile, its card if one is stored, and what a person overruled.

    ``questions``: the queries of all checks, by name.
    """

    version: Version
    profile: Profile
    questions: Mapping[str, str]
    card: str | None = None
    allowed: Mapping[str, str] = field(default_factory=dict)

    def answer(self, question: str) -> pl.DataFrame:
        """Return what the version says to one of the questions."""
        return self._answers[question]

    @cached_property
    def _answers(self) -> dict[str, pl.DataFrame]:
        """The answers to all questions, for which the version's files are opened once."""
        asked: list[tuple[str, dict[str, object]]] = [(query, {}) for query in self.questions.values()]
        return dict(zip(self.questions, sql.read_all(self.version.paths(), asked), strict=True))


def result(name: str, ids: Iterable[str], well: str, ill: str) -> Check:
    """Return the check: passed with the sentence ``well`` without ``ids``, else failed with ``ill``."""
    failing = tuple(sorted(set(ids)))
    return Check(name, not failing, failing, ill if failing else well)
