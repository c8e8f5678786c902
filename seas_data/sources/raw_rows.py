"""Raw rows: what a source format returns, the fields of each row as the source has them and the unreadable rows.

A format knows a file format and nothing of the taxonomy; ``prompts`` knows the taxonomy and nothing of file formats.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

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


def raw_from_arrow(table: pa.Table, columns: Columns, location: str, more: Iterable[str] = ()) -> RawRows:
    """Return the rows of a typed table. The text column must hold text; other columns are converted to text.

    Input columns: those that ``columns`` names, and ``more``. A row whose label cannot be converted, such as a date
    beyond the calendar, is a fault. Raises SeasDataError if the text column holds another type.
    """
    names = columns_by_field(columns)
    texts = table[names["text"]]
    kind = _value_type(texts.type)
    if not (_is_text(kind) or pa.types.is_null(kind)):
        raise SeasDataError(f"column {names['text']!r} holds {kind}, not text; set columns.text to another")
    number = pl.int_range(1, pl.len() + 1, dtype=pl.Int64)
    fields, invalid = [], pl.repeat(False, table.num_rows, dtype=pl.Boolean, eager=True)
    undecodable = invalid
    for field, name in names.items():
        values, faulty = _as_text(table[name])
        fields.append(values.alias(field))
        invalid = invalid | faulty
        undecodable = undecodable | faulty if _is_text(_value_type(table[name].type)) else undecodable
    others: list[pl.Series] = []
    for name in more:
        values, faulty = _as_text(table[name])
        others.append(values.alias(name))
        invalid = invalid | faulty
        undecodable = undecodable | faulty if _is_text(_value_type(table[name].type)) else undecodable
    missing = [pl.lit(None, pl.String).alias(field) for field in FIELDS if field not in names]
    rows = pl.DataFrame(fields).with_columns(
        number.alias("ordinal"), number.alias("line"), undecodable.alias("undecodable"), *missing
    )
    bad = rows.filter(invalid)
    digests = [row_digest(json.dumps(row)) for row in bad.select("ordinal", *FIELDS).rows()]
    detail = "a value of a column cannot be written as text, such as a date beyond the calendar"
    faults = bad.select(
        "ordinal",
        "line",
        pl.when("undecodable").then(pl.lit("undecodable")).otherwise(pl.lit("unreadable")).alias("reason"),
        pl.when("undecodable").then(pl.lit("a text that is not UTF-8")).otherwise(pl.lit(detail)).alias("detail"),
    ).with_columns(
        pl.Series("row_digest", digests, dtype=pl.String),
    )
    rest = pl.DataFrame(others).filter(~invalid) if others else None
    return RawRows(location, rows.filter(~invalid).select(*ROW_SCHEMA), faults, rest)


def columns_by_field(columns: Columns) -> dict[str, str]:
    """Return the source's column for each field that the recipe names a column for."""
    return {field: name for field in FIELDS if (name := getattr(columns, field)) is not None}


def check_columns(columns: Columns, available: Iterable[str], more: Iterable[str] = ()) -> None:
    """Raise SeasDataError if the source lacks a column that the recipe names, or has it twice."""
    available = list(available)
    named = sorted({*columns_by_field(columns).values(), *more})
    if missing := [name for name in named if name not in available]:
        close = {
            name: [each for each in available if each.strip().casefold() == name.strip().casefold()] for name in missing
        }
        hint = "".join(f"; did you mean {each[0]!r} instead of {name!r}?" for name, each in close.items() if each)
        shown = list_faults([repr(printable(each[:60])) for each in available]).replace("; ", ", ")
        raise SeasDataError(f"there is no column {', '.join(missing)}; there are {shown}{hint}")
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


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _as_text(column: pa.ChunkedArray) -> tuple[pl.Series, pl.Series]:
    """Return the values as text, and which of them could not be converted."""
    kind = column.type
    valid = pl.repeat(False, len(column), dtype=pl.Boolean, eager=True)
    if pa.types.is_dictionary(kind):
        return _as_text(column.cast(kind.value_type))
    if _is_text(kind) and not _is_utf_8(column):  # Arrow reads it without checking, and Polars panics
        return _each_as_text(column)
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_duration(kind):
        return _each_as_text(column)
    if pa.types.is_decimal256(kind):  # Polars panics
        return pl.Series(column.cast(pa.string()).to_pylist(), dtype=pl.String), valid
    if pa.types.is_temporal(kind):
        # Polars panics at a date beyond the calendar, where Arrow writes that it is out of range.
        plain = column.cast(pa.timestamp(kind.unit)) if pa.types.is_timestamp(kind) else column
        texts = pl.Series(plain.cast(pa.string()).to_pylist(), dtype=pl.String)
        faulty = texts.str.starts_with("<value out of range").fill_null(False)
        if faulty.any():
            return texts.zip_with(~faulty, pl.Series([None], dtype=pl.String)), faulty
        try:
            return pl.Series(pl.from_arrow(column)).cast(pl.String), valid
        except pl.exceptions.PolarsError:  # a time zone that Polars does not know: the time in UTC
            return texts, valid
    try:
        return pl.Series(pl.from_arrow(column)).cast(pl.String), valid
    except pl.exceptions.PolarsError:  # bytes that are not UTF-8, or an extension type
        return _each_as_text(column)


def _is_utf_8(column: pa.ChunkedArray) -> bool:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _each_as_text(column: pa.ChunkedArray) -> tuple[pl.Series, pl.Series]:
    texts: list[str | None] = []
    faulty: list[bool] = []
    for value in column:
        try:
            texts.append(label_as_text(value.as_py()))
            faulty.append(False)
        except (ValueError, OverflowError, RecursionError, pa.ArrowException):
            texts.append(None)
            faulty.append(True)
    return pl.Series(texts, dtype=pl.String), pl.Series(faulty, dtype=pl.Boolean)
