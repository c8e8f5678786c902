"""JSON Lines: one object a line, where a line ends at a line feed and nowhere else.

Prompts hold U+2028, U+2029, U+0085 and lone carriage returns; `str.splitlines` would break a row at each of them. A
line that is not a JSON object, or whose prompt is not text, costs that line alone. Blank lines are no rows.
"""

import json
from pathlib import Path

from seas_data import progress
from seas_data.recipe import Columns
from seas_data.sources.raw import (
    CONFLICT_MARKER,
    FIELDS,
    Fault,
    Raw,
    Row,
    as_label,
    check_columns,
    decodable,
    decoded,
    raw,
    row_digest,
    wanted,
)


def read_jsonl(path: Path, columns: Columns, encoding: str = "utf-8") -> Raw:
    """Read the file; raise SeasDataError if no row of it has a column that ``columns`` names."""
    lines = decoded(path, encoding).split("\n")
    names = wanted(columns)
    rows: list[Row] = []
    faults: list[Fault] = []
    there: dict[str, None] = {}
    ordinal = 0
    with progress.bar(len(lines), f"reading {path.name}", "lines") as bar:
        for number, line in enumerate(lines, start=1):
            if number % 10_000 == 0:
                bar.update(10_000)
            if not line.strip(" \t\r"):
                continue
            ordinal += 1
            try:
                found = _object(line)
                there.update(dict.fromkeys(found))
                rows.append((ordinal, number, *_fields(found, names, line)))
            except _UnusableError as fault:
                faults.append((ordinal, number, fault.reason, fault.detail, row_digest(line)))
    if there:
        check_columns(columns, there)
    return raw(path.name, rows, faults)


class _UnusableError(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def _object(line: str) -> dict[str, object]:
    if not decodable(line):
        raise _UnusableError("undecodable", "bytes that are not of the file's encoding")
    if CONFLICT_MARKER.fullmatch(line.rstrip("\r")):
        raise _UnusableError("unreadable", "a merge-conflict marker")
    try:
        found = json.loads(line)
    except json.JSONDecodeError as problem:
        raise _UnusableError("unreadable", f"not JSON from column {problem.colno} on") from None
    except (ValueError, RecursionError):
        raise _UnusableError("unreadable", "JSON with a number too long or nested too deep") from None
    if not isinstance(found, dict):
        raise _UnusableError("unreadable", f"a JSON {_KINDS[type(found)]}, not an object")
    return found


def _fields(
    found: dict[str, object], names: dict[str, str], line: str
) -> tuple[str | None, str | None, str | None, str | None, str | None, str | None]:
    if names["text"] not in found:
        raise _UnusableError("unreadable", f"no {names['text']!r} in it")
    text = found[names["text"]]
    if text is not None and not isinstance(text, str):
        raise _UnusableError("unreadable", f"{names['text']!r} is a JSON {_KINDS[type(text)]}, not text")
    values = [as_label(found.get(names[field])) if field in names else None for field in FIELDS]
    if "\\u" in line and not all(value is None or decodable(value) for value in values):
        raise _UnusableError("undecodable", "half of a surrogate pair, which is no character")
    text, row_id, risk, style, kind, language = values
    return text, row_id, risk, style, kind, language


_KINDS = {dict: "object", list: "list", str: "string", bool: "truth value", int: "number", float: "number"} | {
    type(None): "null"
}
