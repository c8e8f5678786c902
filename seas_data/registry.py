"""Registries: judges, source formats, release checks and metrics, found by entry point and loaded on first use.

Each entry is an entry point of an installed distribution, this one included (`pyproject.toml`,
`[project.entry-points."seas_data.GROUP"]`), so another distribution adds one without a fork. Listing names imports
nothing; loading an entry imports its module.
"""

from collections import Counter
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Generic, TypeVar, cast

from seas_data.errors import SeasDataError
from seas_data.text import printable

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """The entries of one entry point group.

    ``group`` is the entry point group, such as ``seas_data.guards``; ``noun`` names one entry in messages; ``kind`` is
    the class that every entry is an instance of.
    """

    def __init__(self, group: str, noun: str, kind: type[Entry]):
        self.group = group
        self.noun = noun
        self.kind = kind

    def names(self) -> tuple[str, ...]:
        """Return the names of all entries, sorted. No entry is loaded."""
        return names(self.group)

    def load(self, name: str) -> Entry:
        """Return the entry called ``name``.

        Raises SeasDataError when there is no such entry, when two distributions define it, when its module cannot be
        imported, or when it is not a ``kind``.
        """
        return cast(Entry, _load(self.group, name, self.noun, cast(Any, self.kind)))

    def all(self) -> dict[str, Entry]:
        """Return all entries by name. Raises SeasDataError as ``load`` does."""
        return {name: self.load(name) for name in self.names()}


def names(group: str) -> tuple[str, ...]:
    """Return the names of the entries of an entry point group, sorted. No entry is loaded."""
    return tuple(sorted({entry.name for entry in _entries(group)}))


def require_name(group: str, noun: str, name: str) -> str:
    """Return ``name`` if the group has an entry of that name. Raises SeasDataError, listing the names, if not."""
    if name not in names(group):
        raise SeasDataError(f"there is no {noun} {printable(name)!r}; choose one of: {', '.join(names(group))}")
    return name


def refresh() -> None:
    """Look up installed entries again on next use: a package may have been installed since."""
    _entries.cache_clear()
    _load.cache_clear()


@cache
def _entries(group: str) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=group))


@cache
def _load(group: str, name: str, noun: str, kind: type[Any]) -> Any:
    require_name(group, noun, name)
    found = [entry for entry in _entries(group) if entry.name == name]
    values = Counter(entry.value for entry in found)
    if len(values) > 1:
        places = " and ".join(sorted(values))
        raise SeasDataError(f"{noun} {name!r} is defined more than once ({places}); uninstall one of the packages")
    try:
        entry = found[0].load()
    except (ImportError, AttributeError) as problem:
        raise SeasDataError(f"{noun} {name!r} could not be loaded from {found[0].value}: {problem}") from problem
    if not isinstance(entry, kind):
        raise SeasDataError(f"{noun} {name!r}: {found[0].value} is not a {kind.__name__}; fix its entry point")
    return entry
