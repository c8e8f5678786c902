"""Raw rows of typed tables: Parquet files and `datasets`."""

import json
from collections.abc import Iterable
from typing import Final

import polars as pl
import pyarrow as pa

from seas_data.errors import SeasDataError
from seas_data.recipe import Source
from seas_data.sources.messages import Turn, choose_turn
from seas_data.sources.raw_rows import (
    FAULT_SCHEMA,
    FIELDS,
    ROW_SCHEMA,
    Fault,
    InvalidLineError,
    RawRows,
    columns_by_field,
    label_as_text,
    row_digest,
)

_NOT_UTF_8: Final = InvalidLineError("undecodable", "a text that is not UTF-8")
_NO_TEXT: Final = InvalidLineError(
    "unreadable", "a value of a column cannot be written as text, such as a date beyond the calendar"
)


def raw_from_arrow(table: pa.Table, source: Source, location: str, more: Iterable[str] = ()) -> RawRows:
    """Return the rows of a typed table. The text column must hold text or messages; other columns become text.

    Input columns: those that ``source.columns`` names, and ``more``. A row is a fault if its label cannot be converted,
    such as a date beyond the calendar, or its messages are not the one prompt that ``source.turn`` says. Raises
    SeasDataError if the text column holds another type.
    """
    names = columns_by_field(source.columns)
    kind = _value_type(table[names["text"]].type)
    errors: dict[int, InvalidLineError] = {}
    if _is_messages(kind) or (source.turn is not None and _is_text(kind)):
        table, errors = _choose_turns(table, names["text"], source.turn)
    elif not (_is_text(kind) or pa.types.is_null(kind)):
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
    rows = pl.DataFrame(fields).with_columns(number.alias("ordinal"), number.alias("line"), *missing)
    faults: list[Fault] = []
    valid = [True] * table.num_rows
    checked = rows.with_columns(invalid=invalid, undecodable=undecodable)
    for row in checked.iter_rows(named=True) if errors or invalid.any() else ():
        ordinal = row["ordinal"]
        error = _NOT_UTF_8 if row["undecodable"] else _NO_TEXT if row["invalid"] else errors.get(ordinal)
        if error is not None:
            digest = row_digest(json.dumps([ordinal, *(row[field] for field in FIELDS)]))
            faults.append((ordinal, ordinal, error.reason, error.detail, digest))
            valid[ordinal - 1] = False
    kept = pl.Series(valid, dtype=pl.Boolean)
    return RawRows(
        location,
        rows.filter(kept).select(*ROW_SCHEMA),
        pl.DataFrame(faults, schema=FAULT_SCHEMA, orient="row"),
        pl.DataFrame(others).filter(kept) if others else None,
    )


def _choose_turns(table: pa.Table, name: str, turn: Turn | None) -> tuple[pa.Table, dict[int, InvalidLineError]]:
    """Return the table with the prompt of each conversation as its text, and the errors by the number of the row."""
    texts: list[str | None] = []
    errors: dict[int, InvalidLineError] = {}
    for ordinal, value in enumerate(table[name], start=1):
        try:
            texts.append(choose_turn(value.as_py(), name, turn))
        except InvalidLineError as error:
            errors[ordinal] = error
            texts.append(None)
        except (ValueError, OverflowError, RecursionError, pa.ArrowException):
            errors[ordinal] = _NOT_UTF_8
            texts.append(None)
    return table.set_column(table.column_names.index(name), name, pa.array(texts, pa.large_string())), errors


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_messages(kind: pa.DataType) -> bool:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_list_view(kind)
    struct = kind.value_type if is_list else kind
    if not pa.types.is_struct(struct):
        return False
    names = {field.name for field in struct}
    return is_list or {"role", "content"} <= names or {"from", "value"} <= names


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
