"""What every check is: a function of what is to be released, that says whether it may be and which rows forbid it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

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
    """What is to be released: a version in a profile, its card if one is stored, and what a person overruled."""

    version: Version
    profile: Profile
    card: str | None = None
    allowed: Mapping[str, str] = field(default_factory=dict)


def result(name: str, ids: Iterable[str], well: str, ill: str) -> Check:
    """Return the check: passed with the sentence ``well`` without ``ids``, else failed with ``ill``."""
    failing = tuple(sorted(set(ids)))
    return Check(name, not failing, failing, ill if failing else well)
