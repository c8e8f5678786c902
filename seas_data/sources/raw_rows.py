"""Raw rows: what a source format returns, the fields of each row as the source has them and the unreadable rows.

A format knows a file format and nothing of the taxonomy; ``prompts`` knows the taxonomy and nothing of file formats.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.recipe import Columns, Source
from seas_data.text import printable

FIELDS = ("text", "id", "risk", "style", "kind", "language")
ROW_SCHEMA: dict[str, pl.DataType] = {
    "ordinal": pl.Int64(),  # 1-based number of the row in its source, counting unreadable rows
    "line": pl.Int64(),  # 1-based line on which the row starts; the ordinal in formats without lines
    **{field: pl.String() for field in FIELDS},
}
FAULT_SCHEMA: dict[str, pl.DataType] = {
    "ordinal": pl.Int64(),
    "line": pl.Int64(),
    "reason": pl.String(),
    "detail": pl.String(),
    "row_digest": pl.String(),
}
CONFLICT_MARKER = re.compile(r"(?:<{7}|>{7}|\|{7})(?: .*)?|={7}")
"""A whole line that git leaves in a file with a merge conflict."""

MAX_LISTED = 10
"""More faults than this are counted and not listed."""

Row = tuple[int, int, str | None, str | None, str | None, str | None, str | None, str | None]
Fault = tuple[int, int, str, str, str]


class InvalidLineError(Exception):
    """A record that is not usable: ``reason`` (unreadable or undecodable) and ``detail``."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class RawRows:
    """The rows of a source: ``rows`` (``ROW_SCHEMA``) and the unreadable ``faults`` (``FAULT_SCHEMA``).

    ``location`` names the file or dataset in the locations of set-aside rows. ``more``: the columns of ``more_columns``
    as strings, for the rows of ``rows``; None if the source names none, or the format cannot read them.
    """

    location: str
    rows: pl.DataFrame
    faults: pl.DataFrame
    more: pl.DataFrame | None = None


def raw_rows(
    location: str,
    rows: list[Row],
    faults: list[Fault],
    more: list[tuple[str | None, ...]] | None = None,
    names: Iterable[str] = (),
) -> RawRows:
    """Return ``rows``, ``faults`` and ``more``, whose columns are ``names``, as frames."""
    names = tuple(names)
    return RawRows(
        location,
        pl.DataFrame(rows, schema=ROW_SCHEMA, orient="row"),
        pl.DataFrame(faults, schema=FAULT_SCHEMA, orient="row"),
        pl.DataFrame(more, schema=dict.fromkeys(names, pl.String()), orient="row") if more and names else None,
    )


def more_columns(source: Source) -> tuple[str, ...]:
    """Return the columns that a source names besides those of ``FIELDS``: of the goal, and of answers and verdicts."""
    goal = [source.columns.goal] if source.columns.goal is not None else []
    return tuple(dict.fromkeys([*goal, *(source.answers.columns() if source.answers is not None else [])]))


def columns_by_field(columns: Columns) -> dict[str, str]:
    """Return the source's column for each field that the recipe names a column for."""
    return {field: name for field in FIELDS if (name := getattr(columns, field)) is not None}


class MissingColumnError(SeasDataError):
    """The source lacks columns that the recipe names. ``keys``: the key within the source for each such column."""

    def __init__(self, keys: dict[str, str], available: Sequence[str]):
        super().__init__(_missing_columns(keys, available))
        self.keys = keys
        self.available = available

    def of_source(self, name: str) -> SeasDataError:
        """Return the error with the keys of the source called ``name``."""
        keys = {column: f"sources.{name}.{key}" for column, key in self.keys.items()}
        return SeasDataError(f"source {name}: {_missing_columns(keys, self.available)}")


def _missing_columns(keys: dict[str, str], available: Sequence[str]) -> str:
    close = {name: [each for each in available if each.strip().casefold() == name.strip().casefold()] for name in keys}
    hint = "".join(f"; did you mean {each[0]!r} instead of {name!r}?" for name, each in close.items() if each)
    shown = list_faults([repr(printable(each[:60])) for each in available]).replace("; ", ", ")
    named = ", ".join(f"{name} ({key})" for name, key in keys.items())
    return f"there is no column {named}; there are {shown}{hint}"


def check_columns(columns: Columns, available: Iterable[str], more: Iterable[str] = ()) -> None:
    """Raise SeasDataError if the source lacks a column that the recipe names, or has it twice.

    ``more``: the columns of ``more_columns``.
    """
    available = list(available)
    keys = dict.fromkeys(more, "answers")
    if columns.goal in keys:
        keys[columns.goal] = "columns.goal"
    keys |= {name: f"columns.{field}" for field, name in columns_by_field(columns).items()}
    named = sorted(keys)
    if missing := [name for name in named if name not in available]:
        raise MissingColumnError({name: keys[name] for name in missing}, available)
    if twice := [name for name in named if available.count(name) > 1]:
        raise SeasDataError(
            f"{available.count(twice[0])} columns are called {twice[0]!r}; rename them, so that columns can name one"
        )


def is_valid_unicode(text: str) -> bool:
    """Return whether ``text`` has no lone surrogates, from invalid bytes or from escapes such as ``\\ud800``."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def row_digest(row: str) -> str:
    """Return 24 hex digits of the SHA-256 of the row, which identify a set-aside row without storing it."""
    return hashlib.sha256(row.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def label_as_text(value: object) -> str | None:
    """Return a label, id or language as text: text and None unchanged, anything else as JSON."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def list_faults(faults: list[str]) -> str:
    """Return the first of ``faults`` as one phrase, and how many more there are."""
    more = f"; and {len(faults) - MAX_LISTED} more" if len(faults) > MAX_LISTED else ""
    return f"{'; '.join(faults[:MAX_LISTED])}{more}"
