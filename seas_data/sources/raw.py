"""Raw rows: what a source format returns, the fields of each row as the source has them and the unreadable rows.

A format knows a file format and nothing of the taxonomy; ``prompts`` knows the taxonomy and nothing of file formats.
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


@dataclass(frozen=True)
class RawRows:
    """The rows of a source: ``rows`` (``ROW_SCHEMA``) and the unreadable ``faults`` (``FAULT_SCHEMA``).

    ``location`` names the file or dataset in the locations of set-aside rows.
    """

    location: str
    rows: pl.DataFrame
    faults: pl.DataFrame


def raw_rows(location: str, rows: list[Row], faults: list[Fault]) -> RawRows:
    """Return ``rows`` and ``faults`` as frames."""
    return RawRows(
        location,
        pl.DataFrame(rows, schema=ROW_SCHEMA, orient="row"),
        pl.DataFrame(faults, schema=FAULT_SCHEMA, orient="row"),
    )


def raw_from_frame(frame: pl.DataFrame, columns: Columns, location: str) -> RawRows:
    """Return the rows of a typed table. The text column must hold text; other columns are converted to text.

    Input columns: those that ``columns`` names. Raises SeasDataError if the text column holds another type.
    """
    names = columns_by_field(columns)
    texts = frame[names["text"]]
    if texts.dtype not in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        raise SeasDataError(f"column {names['text']!r} holds {texts.dtype}, not text; set columns.text to another")
    number = pl.int_range(1, pl.len() + 1, dtype=pl.Int64)
    fields = [_as_text(frame[names[field]]).alias(field) for field in names]
    missing = [pl.lit(None, pl.String).alias(field) for field in FIELDS if field not in names]
    rows = pl.DataFrame(fields).with_columns(number.alias("ordinal"), number.alias("line"), *missing)
    return RawRows(location, rows.select(*ROW_SCHEMA), pl.DataFrame(schema=FAULT_SCHEMA))


def columns_by_field(columns: Columns) -> dict[str, str]:
    """Return the source's column for each field that the recipe names a column for."""
    return {field: name for field in FIELDS if (name := getattr(columns, field)) is not None}


def check_columns(columns: Columns, available: Iterable[str]) -> None:
    """Raise SeasDataError if the source lacks a column that the recipe names."""
    available = list(available)
    missing = sorted(set(columns_by_field(columns).values()) - set(available))
    if missing:
        raise SeasDataError(f"there is no column {', '.join(missing)}; there are {', '.join(map(repr, available))}")


def decode_file(path: Path, encoding: str) -> str:
    """Return the text of the file without a byte-order mark. Bytes invalid in ``encoding`` become lone surrogates.

    ``is_valid_unicode`` finds those later, row by row, so that one bad byte costs one row. Raises SeasDataError if
    ``encoding`` does not exist or the file as a whole cannot be decoded with it.
    """
    try:
        return path.read_bytes().decode(encoding, errors="surrogateescape").removeprefix("\ufeff")
    except LookupError as problem:
        raise SeasDataError(f"{encoding!r} is not a text encoding; set encoding to one, such as utf-8") from problem
    except UnicodeError as problem:
        raise SeasDataError(f"{path} is not {encoding}: {problem}; set encoding to that of the file") from problem


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


def _as_text(column: pl.Series) -> pl.Series:
    if column.dtype.is_nested():
        return pl.Series([label_as_text(value) for value in column.to_list()], dtype=pl.String)
    return column.cast(pl.String)
