"""Writing a frame for people and for other programs: table, csv, json, parquet, markdown.

What people read is masked: a prompt is shown by its first words and its length, unless they ask for it. Columns that
hold texts are known by name, and a long text in any other column counts as one. What programs read (csv, json, parquet)
is what was asked for, untouched; only on a terminal, where a character could act, such characters are made visible.
"""

import csv
import html
import io
import json
import re
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any, TextIO

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.query import text_table as grid
from seas_data.text import masked, printable

# The columns of tables.py whose content a model or an attacker wrote.
TEXTS = ("text", "payload", "segments", "prompt", "chosen", "rejected", "completion", "response", "raw")
_LONG = 80  # characters; ids, labels and reasons are shorter
_ROWS = 200  # of a table: what people scroll through


def write(frame: pl.DataFrame, form: str, stream: TextIO, *, reveal: bool = False) -> None:
    """Write ``frame`` to ``stream`` as ``form``: table, csv, json, parquet or markdown.

    table: aligned, fitted to the terminal's width, plain where ``stream`` is none. markdown: a table in which no cell
    can be anything but text. json: one array of row objects; dates in ISO 8601, what is no number null. csv: nested
    values as JSON. Raises SeasDataError for another format, and for parquet on a terminal.
    """
    if form not in _FORMATS:
        raise SeasDataError(f"there is no format {form}; there are {', '.join(_FORMATS)}")
    _FORMATS[form](frame, stream, reveal)


def _table(frame: pl.DataFrame, stream: TextIO, reveal: bool) -> None:
    top = frame.head(_ROWS)
    cells = [[shown(name, value, reveal) for value in top[name].to_list()] for name in frame.columns]
    numeric = [kind.is_numeric() for kind in frame.dtypes]
    hidden = grid.write([printable(name) for name in frame.columns], cells, numeric, stream)
    more = [f"{hidden} columns more: a wider terminal or --format csv shows them"] if hidden else []
    if frame.height > _ROWS:
        more.append(f"{frame.height - _ROWS:,} rows more: --format csv writes them all")
    for note in more:
        stream.write(f"... and {note}\n")


def _csv(frame: pl.DataFrame, stream: TextIO, reveal: bool) -> None:
    safe: Callable[[Any], Any] = _visible if stream.isatty() else _same
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([safe(name) for name in frame.columns])
    for row in frame.iter_rows():
        writer.writerow([safe(_flat(value)) for value in row])


def _json(frame: pl.DataFrame, stream: TextIO, reveal: bool) -> None:
    stream.write("[")
    for number, row in enumerate(frame.iter_rows(named=True)):
        # On a terminal ASCII alone: JSON then spells out every character that could act on it.
        stream.write((",\n" if number else "\n") + _dumped(row, ascii_only=stream.isatty()))
    stream.write("\n]\n" if frame.height else "]\n")


def _parquet(frame: pl.DataFrame, stream: TextIO, reveal: bool) -> None:
    if stream.isatty():
        raise SeasDataError("parquet is no text for a terminal; send it to a file: ... --format parquet > FILE")
    stream.flush()
    content = io.BytesIO()
    frame.write_parquet(content)
    stream.buffer.write(content.getvalue())
    stream.buffer.flush()


def _markdown(frame: pl.DataFrame, stream: TextIO, reveal: bool) -> None:
    numeric = [kind.is_numeric() for kind in frame.dtypes]
    stream.write(f"| {' | '.join(_inert(name) for name in frame.columns)} |\n")
    stream.write(f"| {' | '.join('---:' if number else '---' for number in numeric)} |\n")
    for row in frame.iter_rows():
        cells = (_inert(shown(name, value, reveal)) for name, value in zip(frame.columns, row, strict=True))
        stream.write(f"| {' | '.join(cells)} |\n")


_FORMATS: dict[str, Callable[[pl.DataFrame, TextIO, bool], None]] = {
    "table": _table,
    "csv": _csv,
    "json": _json,
    "parquet": _parquet,
    "markdown": _markdown,
}


def shown(column: str, value: Any, reveal: bool) -> str:
    """Return a cell as people read it: on one line, nothing in it acts, texts masked unless ``reveal``."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    if isinstance(value, list) and all(isinstance(part, str | int) for part in value):
        text = ", ".join(str(part) for part in value)
    else:
        text = str(_flat(value))
    if not reveal and (column in TEXTS or len(text) > _LONG):
        return masked(text)
    return printable(text)


def _flat(value: Any) -> Any:
    """Return a value as one that a line of CSV holds."""
    if isinstance(value, list | dict):
        return _dumped(value)
    return value if value is None or isinstance(value, str | int | float) else _scalar(value)


def _same(value: Any) -> Any:
    return value


def _visible(value: Any) -> Any:
    return printable(value) if isinstance(value, str) else value


def _dumped(value: Any, *, ascii_only: bool = False) -> str:
    try:
        return json.dumps(value, ensure_ascii=ascii_only, default=_scalar, allow_nan=False)
    except ValueError:  # a float that JSON has no word for
        return json.dumps(_numbers(value), ensure_ascii=ascii_only, default=_scalar, allow_nan=False)


def _numbers(value: Any) -> Any:
    """Return ``value`` with null for infinities and what is no number."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {name: _numbers(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_numbers(part) for part in value]
    return value


def _scalar(value: Any) -> str | float:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def _inert(text: str) -> str:
    """Return ``text`` with everything that Markdown, HTML or a template would read as more than text made an entity."""
    escaped = html.escape(printable(text), quote=False)
    escaped = re.sub(r"[|`*\[\]\\~!@{}$#:^\"']|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", _entity, escaped)
    return re.sub(r"(?i)(?<=www)\.", "&#46;", escaped)


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};"
