"""Cells: one value of a frame as text for people, or as a value that CSV and JSON can hold."""

import json
from datetime import date, datetime, time, timedelta
from typing import Any

from seas_data.tables import TABLES, policy
from seas_data.text import masked, printable

# Free-text columns whose content is shown: labels, reasons and other short texts that describe a row.
_SHOWN = {
    *("label_source", "source_risk", "source_style", "source_id", "language", "location", "detail", "because"),
    *("label", "finish_reason", "statement", "answer"),
}
TEXT_COLUMNS = tuple(
    dict.fromkeys(
        [*(name for schema in TABLES.values() for name in policy.free_text(schema) if name not in _SHOWN), "response"]
    )
)
"""The columns that may hold the text of a prompt or a response; a new free-text column of a schema is one of them.

``response`` is in no schema: it is what configs and queries call the text of a response.
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
    if isinstance(value, float):
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
    return value if value is None or isinstance(value, str | int | float) else _convert(value)


def to_json(value: Any, *, ascii_only: bool = False) -> str:
    """Return a value as JSON: dates in ISO 8601, durations in seconds, NaN and infinities as null."""
    try:
        return json.dumps(value, ensure_ascii=ascii_only, default=_convert, allow_nan=False)
    except ValueError:  # NaN or an infinity, which JSON cannot express
        return json.dumps(_replace_non_finite(value), ensure_ascii=ascii_only, default=_convert, allow_nan=False)


def _replace_non_finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {name: _replace_non_finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_replace_non_finite(part) for part in value]
    return value


def _convert(value: Any) -> str | float:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bytes):
        return value.hex()
    return str(value)
