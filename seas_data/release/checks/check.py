"""What every check is: a function of what is to be released, that says whether it may be and which rows forbid it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import polars as pl

from seas_data.query import sql
from seas_data.release.privacy import pii as personal
from seas_data.release.visibility import Profile
from seas_data.store.version import Version


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
    def findings(self) -> pl.DataFrame:
        """What ``personal.findings`` finds in what is to be released."""
        return personal.findings(self.version, self.profile)

    @cached_property
    def _answers(self) -> dict[str, pl.DataFrame]:
        """The answers to all questions, for which the version's files are opened once."""
        asked: list[tuple[str, dict[str, object]]] = [(query, {}) for query in self.questions.values()]
        return dict(zip(self.questions, sql.read_all(self.version.paths(), asked), strict=True))


Told = tuple[tuple[str, ...], str]
"""What a check's function returns: the ids that fail it, none if it passes, and a sentence."""


def told(ids: Iterable[str], well: str, ill: str) -> Told:
    """Return the failing ``ids``, sorted and each once, and ``ill``; the sentence ``well`` if there are none."""
    failing = tuple(sorted(set(ids)))
    return failing, ill if failing else well


def asked(candidate: Candidate, question: str, well: str, ill: str) -> Told:
    """Return ``told`` of the column ``id`` of what the version says to ``question``."""
    return told(candidate.answer(question)["id"], well, ill)
