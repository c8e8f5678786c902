"""The journal of a review sheet: what a person decides in the browser, flushed to disk as one JSON line each.

The journal of ``review.csv`` is ``review.csv.journal`` beside it. A line names a row, the cells that it sets and what
they were, so the last line about a row counts, and an edit of that row in the sheet is noticed. ``sheets.read_sheet``
applies the journal to the sheet, so that whoever reads the sheet has every decision, also when the server was killed;
the server writes them into the sheet when it starts and stops.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from seas_data.errors import SeasDataError

ID_COLUMNS: Final = ("prompt_id", "response_id")
"""The columns that identify a row of a sheet; a sheet has one of them."""


def journal_path(sheet: Path) -> Path:
    """Return the path of the journal of ``sheet``."""
    return sheet.with_name(f"{sheet.name}.journal")


@dataclass(frozen=True)
class Entry:
    """What a journal says of a row: its newest cells, and what they were in the sheet, if known."""

    cells: dict[str, str]
    before: dict[str, str]


def read_journal(sheet: Path) -> dict[str, Entry]:
    """Return what the journal of ``sheet`` says of each row that it names; empty without a journal.

    A last line that was not written to its end is ignored. Raises SeasDataError if another line cannot be read.
    """
    path = journal_path(sheet)
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return {}
    rows: dict[str, Entry] = {}
    for number, line in enumerate(lines, start=1):
        entry = _parse(line)
        if entry is None:
            raise SeasDataError(
                f"{path.name}:{number} is not a decision as review --serve writes it; remove the line, or restore the "
                f"journal of {sheet.name} from a copy"
            )
        rows.setdefault(entry["row"], Entry({}, entry.get("before", {}))).cells.update(entry["cells"])
    return rows


class Journal:
    """The journal of ``sheet``, open for one writer at a time. Raises SeasDataError if another process writes it."""

    def __init__(self, sheet: Path) -> None:
        self._path = journal_path(sheet)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            _lock(self._file)
        except OSError:
            os.close(self._file)
            raise SeasDataError(
                f"another review --serve has {sheet} open; stop it first, or pass another sheet with -o"
            ) from None
        content = self._path.read_bytes()
        os.ftruncate(self._file, content.rfind(b"\n") + 1)  # without the line that a killed process left unfinished

    def append(self, row: str, cells: dict[str, str], before: dict[str, str]) -> None:
        """Append a decision and flush it to disk; ``before``: what the cells were.

        Raises SeasDataError, and appends nothing, if that fails.
        """
        line = json.dumps({"row": row, "cells": cells, "before": before}, ensure_ascii=True).encode() + b"\n"
        size = os.fstat(self._file).st_size
        try:
            if os.write(self._file, line) != len(line):
                raise OSError(28, "No space left on device")
            os.fsync(self._file)
        except OSError as problem:
            os.ftruncate(self._file, size)
            raise SeasDataError(
                f"the decision could not be written to {self._path} ({problem.strerror}); free space and decide again"
            ) from problem

    def clear(self) -> None:
        """Remove all lines, because the sheet has them."""
        os.ftruncate(self._file, 0)
        os.fsync(self._file)

    def close(self) -> None:
        """Close the journal and, if it is empty, remove it."""
        if not os.fstat(self._file).st_size:
            self._path.unlink(missing_ok=True)
        os.close(self._file)


def _lock(file: int) -> None:
    """Lock an open file. Raises OSError if another process has it; systems without such locks have none here."""
    try:
        import fcntl
    except ImportError:
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    if not isinstance(entry, dict) or not isinstance(entry.get("row"), str) or "cells" not in entry:
        return None
    return entry if all(map(_is_cells, (entry["cells"], entry.get("before", {})))) else None


def _is_cells(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(cell, str) for cell in value.values())
