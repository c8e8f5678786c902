"""Output formats of a frame: table, csv, json, parquet and markdown.

Table and Markdown are for people: texts of prompts and responses are masked unless ``reveal``. CSV, JSON and Parquet
are for programs and hold the values unchanged, except that on a terminal control characters are made visible.
"""

import csv
import io
from collections.abc import Callable
from typing import Any, TextIO, cast

import polars as pl

from seas_data import markdown
from seas_data.errors import SeasDataError
from seas_data.query.cells import format_cell, is_unicode, to_json, to_scalar
from seas_data.query.text_table import write_table
from seas_data.text import printable

_MAXIMUM_ROWS = 200  # of a table on the terminal


def write_frame(frame: pl.DataFrame, form: str, stream: TextIO, *, reveal: bool = False) -> None:
    """Write ``frame`` to ``stream`` as ``form``: table, csv, json, parquet or markdown.

    - table: aligned, fitted to the width of a terminal, at most 200 rows.
    - markdown: a GFM table in which no cell can be more than text.
    - json: one array of row objects; dates in ISO 8601, NaN and infinities as null.
    - csv: nested values as JSON.

    Raises SeasDataError for an unknown format, and for parquet on a terminal.
    """
    if form not in _FORMATS:
        raise SeasDataError(f"unknown format {form}; choose one of: {', '.join(_FORMATS)}")
    _FORMATS[form](frame, stream, reveal)


def _write_table(frame: pl.DataFrame, stream: TextIO, reveal: bool) -> None:
    numeric = [kind.is_numeric() for kind in frame.dtypes]
    rows = frame.head(_MAXIMUM_ROWS).iter_rows()
    write_table(frame.columns, rows, stream=stream, numeric=numeric, reveal=reveal, hint="--format csv")
    if frame.height > _MAXIMUM_ROWS:
        stream.write(f"... and {frame.height - _MAXIMUM_ROWS:,} more rows: use --format csv\n")


def _write_csv(frame: pl.DataFrame, stream: TextIO, reveal: bool) -> None:
    convert: Callable[[Any], Any] = _printable_text if stream.isatty() else lambda value: value
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([convert(name) for name in frame.columns])
    for row in frame.iter_rows():
        cells = [convert(to_scalar(value)) for value in row]
        if not is_unicode(stream) and not all(str(cell).isascii() for cell in cells):
            raise SeasDataError(
                f"standard output is {stream.encoding}, which lacks characters of the rows; set PYTHONIOENCODING=utf-8"
            )
        writer.writerow(cells)


def _write_json(frame: pl.DataFrame, stream: TextIO, reveal: bool) -> None:
    stream.write("[")
    for number, row in enumerate(frame.iter_rows(named=True)):
        # On a terminal only ASCII: JSON then escapes every character that could act on it.
        stream.write((",\n" if number else "\n") + to_json(row, ascii_only=stream.isatty() or not is_unicode(stream)))
    stream.write("\n]\n" if frame.height else "]\n")


def _write_parquet(frame: pl.DataFrame, stream: TextIO, reveal: bool) -> None:
    if stream.isatty():
        raise SeasDataError("parquet cannot be written to a terminal; redirect it to a file: --format parquet > FILE")
    stream.flush()
    content = io.BytesIO()
    empty = [name for name, kind in frame.schema.items() if _has_empty_struct(kind)]
    texts = (
        pl.Series(name, [None if each is None else to_json(each) for each in frame[name].to_list()], pl.String)
        for name in empty
    )
    frame.with_columns(texts).write_parquet(content)
    stream.buffer.write(content.getvalue())
    stream.buffer.flush()


def _has_empty_struct(kind: pl.DataType) -> bool:
    """Return whether a type has a struct without fields, which Parquet cannot store."""
    if isinstance(kind, pl.Struct):
        return not kind.fields or any(_has_empty_struct(cast(pl.DataType, field.dtype)) for field in kind.fields)
    return isinstance(kind, pl.List | pl.Array) and _has_empty_struct(cast(pl.DataType, kind.inner))


def _write_markdown(frame: pl.DataFrame, stream: TextIO, reveal: bool) -> None:
    header = [markdown.escape_entities(name) for name in frame.columns]
    rows = (
        [
            markdown.escape_entities(format_cell(name, value, reveal))
            for name, value in zip(frame.columns, row, strict=True)
        ]
        for row in frame.iter_rows()
    )
    stream.writelines(
        f"{line}\n" for line in markdown.table_lines(header, rows, [k.is_numeric() for k in frame.dtypes])
    )


_FORMATS: dict[str, Callable[[pl.DataFrame, TextIO, bool], None]] = {
    "table": _write_table,
    "csv": _write_csv,
    "json": _write_json,
    "parquet": _write_parquet,
    "markdown": _write_markdown,
}


def _printable_text(value: Any) -> Any:
    return printable(value) if isinstance(value, str) else value
