"""What every reader hands over: the fields of each row as the source has them, and the rows that could not be read.

A reader knows a file format and nothing of the taxonomy; ``assemble`` knows the taxonomy and nothing of formats.
Between them stands ``Raw``.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.recipe import Columns

FIELDS = ("text", "id", "risk", "style", "kind", "language")
ROW_SCHEMA: dict[str, pl.DataType] = {
    "ordinal": pl.Int64(),  # 1-based number of the row in its source, unreadable rows counted
    "line": pl.Int64(),  # where it starts; in a table without lines the same as the ordinal
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
"""A whole line that git leaves behind where two versions of a file met."""

Row = tuple[int, int, str | None, str | None, str | None, str | None, str | None, str | None]
Fault = tuple[int, int, str, str, str]


@dataclass(frozen=True)
class Raw:
    """``rows`` (columns of ``ROW_SCHEMA``), ``faults`` (of ``FAULT_SCHEMA``), and the ``place`` that they are from."""

    place: str
    rows: pl.DataFrame
    faults: pl.DataFrame


def raw(place: str, rows: list[Row], faults: list[Fault]) -> Raw:
    """Return ``rows`` and ``faults`` as frames."""
    return Raw(
        place,
        pl.DataFrame(rows, schema=ROW_SCHEMA, orient="row"),
        pl.DataFrame(faults, schema=FAULT_SCHEMA, orient="row"),
    )


def wanted(columns: Columns) -> dict[str, str]:
    """Return which column of the source holds each field, for the fields that the recipe names a column for."""
    return {field: name for field in FIELDS if (name := getattr(columns, field)) is not None}


def check_columns(columns: Columns, there: Iterable[str]) -> None:
    """Raise SeasDataError if the source lacks a column that the recipe names."""
    there = list(there)
    missing = sorted(set(wanted(columns).values()) - set(there))
    if missing:
        raise SeasDataError(f"there is no column {', '.join(missing)}; there are {', '.join(map(repr, there))}")


def decoded(path: Path, encoding: str) -> str:
    """Return the text of the file without a byte-order mark; bytes that are not of ``encoding`` become surrogates.

    ``decodable`` finds those later, row by row, so that one bad byte costs one row.
    """
    try:
        return path.read_bytes().decode(encoding, errors="surrogateescape").removeprefix("\ufeff")
    except LookupError as problem:
        raise SeasDataError(f"{encoding!r} is not a text encoding; set encoding to one, such as utf-8") from problem
    except UnicodeError as problem:
        raise SeasDataError(f"{path} is not {encoding}: {problem}; set encoding to what it is") from problem


def decodable(text: str) -> bool:
    """Tell whether ``text`` is real Unicode, free of surrogates from bad bytes or from escapes such as ``\\ud800``."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def row_digest(row: str) -> str:
    """Return 24 hex digits of the SHA-256 of the row: how a row that is not kept can be recognised."""
    return hashlib.sha256(row.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def as_label(value: object) -> str | None:
    """Return a label, id or language as text: text as it is, nothing as None, anything else as JSON."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
