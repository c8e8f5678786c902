"""Cells: one value of a frame as text for people, or as a value that CSV and JSON can hold."""

import json
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, TextIO

from seas_data.tables import TABLES, policy
from seas_data.text import escape_json, masked, printable

# Free-text columns whose content is shown: labels, reasons and other short texts that describe a row.
_SHOWN = {
    *("label_source", "source_risk", "source_style", "source_id", "language", "location", "detail", "because"),
    *("label", "finish_reason", "statement", "answer", "description"),
}
TEXT_COLUMNS = tuple(
    dict.fromkeys(
        [
            *(name for schema in TABLES.values() for name in policy.free_text(schema) if name not in _SHOWN),
            *("response", "content"),
        ]
    )
)
"""The columns that may hold the text of a prompt or a response; a new free-text column of a schema is one of them.

``response`` and ``content`` are in no schema: they are what configs and queries call the text of a response and of a
turn.
"""
_LONG = 80  # characters; ids, labels and reasons are shorter


def format_cell(column: str, value: Any, reveal: bool) -> str:
    """Return a cell as people read it: on one line, with control characters made visible.

    Unless ``reveal``, a text in one of ``TEXT_COLUMNS``, or of more than 80 characters, is masked: its first words and
    its length.
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float | Decimal):
        value = float(value)
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    if isinstance(value, list) and all(isinstance(part, str | int) for part in value):
        text = ", ".join(str(part) for part in value)
    else:
        text = str(to_scalar(value))
    if not reveal and (column in TEXT_COLUMNS or len(text) > _LONG):
        return masked(text)
    return printable(text)


def to_scalar(value: Any) -> Any:
    """Return a value that one field of a CSV file can hold: nested values as JSON, dates in ISO 8601."""
    if isinstance(value, list | dict):
        return to_json(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value if value is None or isinstance(value, str | int | float) else _convert(value)


def to_json(value: Any, *, ascii_only: bool = False) -> str:
    """Return a value as JSON: dates in ISO 8601, durations in seconds, decimals exact, NaN and infinities as null.

    Characters that could act on a terminal are escaped, which leaves the data the same.
    """
    try:
        return escape_json(json.dumps(value, ensure_ascii=ascii_only, default=_convert, allow_nan=False))
    except ValueError:  # NaN, an infinity or a decimal, which the encoder of Python cannot express
        return escape_json(_encode(value, ascii_only))


def is_unicode(stream: TextIO) -> bool:
    """Return whether every text can be written to ``stream``; in-memory streams have no encoding."""
    return (getattr(stream, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")


def _encode(value: Any, ascii_only: bool) -> str:
    if isinstance(value, float) and value - value != 0:
        return "null"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, dict):
        fields = (f"{_encode(str(name), ascii_only)}: {_encode(part, ascii_only)}" for name, part in value.items())
        return f"{{{', '.join(fields)}}}"
    if isinstance(value, list):
        return f"[{', '.join(_encode(part, ascii_only) for part in value)}]"
    return json.dumps(value, ensure_ascii=ascii_only, default=_convert)


def _convert(value: Any) -> str | float:
    if isinstance(value, Decimal):
        raise ValueError("a decimal")
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return value.hex()
    return str(value)
