"""Digest of the package's own source code, by which a build recognises stages that other code computed.

A room is a package or module directly below ``seas_data``. A digest covers the rooms that are asked for and all rooms
that they import, so a change of the release does not discard finished stages of curation. It also covers the names and
versions of other distributions that register judges, formats, checks or metrics. It is part of the keys of unfinished
stages only, never of a version's digest.
"""

import hashlib
import re
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

PACKAGE = Path(__file__).parent.parent
_IMPORT = re.compile(
    r"^\s*(?:import seas_data\.(?P<imported>\w+)"
    r"|from seas_data\.(?P<package>\w+)\S* import "
    r"|from seas_data import (?P<names>\([^)]*\)|[^\n]*))",
    re.MULTILINE,
)


@cache
def code_digest(*rooms: str, package: Path = PACKAGE) -> str:
    """Return the SHA-256 of the source of ``rooms`` of ``package`` and of all rooms that they import.

    Comments and docstrings count: to leave them out, every file would have to be parsed.
    """
    files: dict[str, bytes] = {}
    found: set[str] = set()
    waiting = list(rooms)
    while waiting:
        room = waiting.pop()
        if room in found:
            continue
        found.add(room)
        for path in _files(package, room):
            content = path.read_bytes()
            files[path.relative_to(package).as_posix()] = content
            if path.suffix == ".py":
                waiting += _imported_rooms(content.decode())
    lines = [f"{name} {hashlib.sha256(content).hexdigest()}" for name, content in sorted(files.items())]
    return hashlib.sha256("\n".join([*lines, *_plugins()]).encode()).hexdigest()


def _imported_rooms(source: str) -> set[str]:
    rooms: set[str] = set()
    for match in _IMPORT.finditer(source):
        if match["names"] is None:
            rooms.add(match["imported"] or match["package"])
        else:
            rooms |= {part.split()[0] for part in match["names"].strip("()").split(",") if part.strip()}
    return rooms


def _files(package: Path, room: str) -> list[Path]:
    """Return the files of a room, sorted; none for a name that is not a room, such as a public function."""
    module = package / f"{room}.py"
    if module.is_file():
        return [module]
    return sorted(path for path in (package / room).rglob("*") if path.is_file() and path.suffix != ".pyc")


@cache
def _plugins() -> tuple[str, ...]:
    """Return a line for each entry point by which another distribution extends this one."""
    lines = {
        f"{entry.group} {entry.name} {entry.value} {distribution.name} {distribution.version}"
        for distribution in distributions()
        for entry in distribution.entry_points
        if entry.group.startswith("seas_data.") and not entry.value.startswith("seas_data.")
    }
    return tuple(sorted(lines))
