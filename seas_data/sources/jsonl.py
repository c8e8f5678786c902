"""JSON Lines and JSON arrays: the one strict reader of the package, and the source format.

A line ends at a line feed only: texts contain U+2028, U+2029, U+0085 and lone carriage returns, at which
`str.splitlines` would break a row. A line that is not a JSON object costs that line only. Blank lines are not rows.

A file that is one JSON array is read element by element, on one line or pretty-printed, and so is a file of
pretty-printed objects one after the other. If such a file breaks off, no row after the break could be counted, so the
file as a whole is refused.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from seas_data import progress
from seas_data.errors import SeasDataError
from seas_data.recipe import Source
from seas_data.sources.compression import decode_file
from seas_data.sources.formats import SourceFormat
from seas_data.sources.messages import Turn, choose_turn
from seas_data.sources.raw_rows import (
    CONFLICT_MARKER,
    FIELDS,
    Fault,
    InvalidLineError,
    RawRows,
    Row,
    check_columns,
    columns_by_field,
    is_valid_unicode,
    label_as_text,
    list_faults,
    more_columns,
    raw_rows,
    row_digest,
)


class Line(NamedTuple):
    """A record: the line on which it starts, from 1, its text, and its object or, if it has none, the error."""

    number: int
    text: str
    content: dict[str, Any] | None
    error: InvalidLineError | None = None


def iterate_records(text: str, title: str, key: str | None = None) -> Iterable[Line]:
    """Return the records of ``text``: the elements of its JSON array, or its lines that are not blank.

    ``title`` labels the progress bar. If the whole text is one object without ``key`` that holds one list of objects,
    as in ``{"data": [...]}``, those are the records. Raises SeasDataError if the array or the objects break off.
    """
    start = len(text) - len(text.lstrip(_WHITE_SPACE))
    if text.startswith("[", start):
        try:
            return list(_iterate_values(text, start + 1, closing="]"))
        except InvalidLineError as error:
            if not any(_is_object(line) for line in text.split("\n")):
                raise SeasDataError(f"{title} is a JSON array that cannot be read: {error}; correct the file") from None
    elif text.startswith("{", start) and not _is_object(text[start:].partition("\n")[0]):
        try:
            records = list(_iterate_values(text, start))
        except InvalidLineError:
            return iterate_lines(text, title)
        return _unwrap(records, key)
    elif key is not None and _is_object(text):
        return _unwrap(list(iterate_lines(text, title)), key)
    return iterate_lines(text, title)


def iterate_lines(text: str, title: str) -> Iterator[Line]:
    """Yield the lines of ``text`` that are not blank. ``title`` labels the progress bar.

    Bytes that could not be decoded must be lone surrogates in ``text``, as ``decode_file`` returns them.
    """
    lines = text.split("\n")
    with progress.bar(len(lines), f"reading {title}", "lines") as bar:
        for number, line in enumerate(lines, start=1):
            if number % 10_000 == 0:
                bar.update(10_000)
            line = line.removeprefix("\ufeff")  # where files were put one after the other
            if not line.strip(" \t\r"):
                continue
            try:
                yield Line(number, line, parse_object(line))
            except InvalidLineError as error:
                yield Line(number, line, None, error)


def parse_object(line: str) -> dict[str, Any]:
    """Return the JSON object on ``line``. Raise InvalidLineError if it is not one."""
    if not is_valid_unicode(line):
        raise InvalidLineError("undecodable", "bytes that are invalid in the encoding of the file")
    if CONFLICT_MARKER.fullmatch(line.rstrip("\r")):
        raise InvalidLineError("unreadable", "a merge-conflict marker")
    try:
        content = STRICT_DECODER.decode(line)
    except json.JSONDecodeError as problem:
        raise InvalidLineError("unreadable", f"invalid JSON at column {problem.colno}") from None
    except (ValueError, RecursionError):
        raise InvalidLineError("unreadable", _TOO_LONG_OR_DEEP) from None
    return _require_object(content)


def _require_object(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise InvalidLineError("unreadable", f"a JSON {_JSON_TYPES[type(content)]}, not an object")
    return content


def _require_one_value(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the object of ``pairs``. Raise InvalidLineError if a key has two values: Python takes the last."""
    content = dict(pairs)
    if len(content) < len(pairs) and (twice := [key for key, value in pairs if content[key] != value]):
        raise InvalidLineError("unreadable", f"the key {twice[0][:40]!r} has two values")
    return content


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _iterate_values(text: str, at: int, closing: str = "") -> Iterator[Line]:
    """Yield the JSON values from ``at`` on: separated by commas and ended by ``closing``, or by white space only.

    Raises InvalidLineError if the text is anything else.
    """
    number, counted, first = 1, 0, True
    while True:
        at = _skip_white_space(text, at)
        if closing and text.startswith(closing, at):
            if _skip_white_space(text, at + 1) < len(text):
                raise InvalidLineError("unreadable", "there is more text after its end")
            return
        if not closing and at == len(text):
            return
        if closing and not first:
            if not text.startswith(",", at):
                raise InvalidLineError("unreadable", f"a comma or ] is missing in {_position(text, at)}")
            at = _skip_white_space(text, at + 1)
        ambiguous = None
        try:
            try:
                content, end = STRICT_DECODER.raw_decode(text, at)
            except InvalidLineError as error:
                ambiguous = error
                content, end = _DECODER.raw_decode(text, at)
        except json.JSONDecodeError as problem:
            raise InvalidLineError("unreadable", f"invalid JSON in {_position(text, problem.pos)}") from None
        except (ValueError, RecursionError):
            raise InvalidLineError("unreadable", f"{_TOO_LONG_OR_DEEP} in {_position(text, at)}") from None
        number += text.count("\n", counted, at)
        counted, raw, first = at, text[at:end], False
        try:
            if not is_valid_unicode(raw):
                raise InvalidLineError("undecodable", "bytes that are invalid in the encoding of the file")
            if ambiguous is not None:
                raise ambiguous
            yield Line(number, raw, _require_object(content))
        except InvalidLineError as error:
            yield Line(number, raw, None, error)
        at = end


def _unwrap(records: list[Line], key: str | None) -> list[Line]:
    """Return the objects of the one list in the only record, if it has no ``key`` itself; else ``records``."""
    content = records[0].content if len(records) == 1 else None
    if content is None or key is None or key in content:
        return records
    lists = [value for value in content.values() if isinstance(value, list) and any(isinstance(x, dict) for x in value)]
    if len(lists) != 1:
        return records
    found = []
    for number, value in enumerate(lists[0], start=1):
        text = json.dumps(value, ensure_ascii=False)
        try:
            found.append(Line(number, text, _require_object(value)))
        except InvalidLineError as error:
            found.append(Line(number, text, None, error))
    return found


def _skip_white_space(text: str, at: int) -> int:
    match = _WHITE_SPACE_RUN.match(text, at)
    return match.end() if match else at


def _position(text: str, at: int) -> str:
    return f"line {text.count(chr(10), 0, at) + 1}, column {at - text.rfind(chr(10), 0, at)}"


def read_jsonl(path: Path, source: Source) -> RawRows:
    """Read the file. Raise SeasDataError if no row of it has a column that the source names."""
    names = columns_by_field(source.columns)
    more = more_columns(source)
    rows: list[Row] = []
    others: list[tuple[str | None, ...]] = []
    faults: list[Fault] = []
    keys: dict[str, None] = {}
    for ordinal, (number, text, content, error) in enumerate(
        iterate_records(decode_file(path, source.encoding), path.name, names["text"]), start=1
    ):
        if content is not None:
            keys.update(dict.fromkeys(content))
            try:
                fields, other = _fields(content, names, text, source.turn), _values(content, more, text)
                rows.append((ordinal, number, *fields))
                others.append(other)
            except InvalidLineError as field_error:
                error = field_error
        if error is not None:
            faults.append((ordinal, number, error.reason, error.detail, row_digest(text)))
    if keys:
        check_columns(source.columns, keys, more)
    return raw_rows(path.name, rows, faults, others, more)


def read_jsonl_frame(path: Path) -> pl.DataFrame:
    """Return the objects of the file as a frame with one column for each key. A key that a row lacks is null.

    Raises SeasDataError that lists the lines that are not JSON objects, or if the file has no rows or the values of a
    key have no common type.
    """
    objects: list[dict[str, Any]] = []
    faults: list[str] = []
    for number, text, content, error in iterate_records(decode_file(path, "utf-8"), path.name):
        if content is None:
            faults.append(f"line {number}: {error}")
        elif "\\u" in text and not is_valid_unicode(json.dumps(content, ensure_ascii=False)):
            faults.append(f"line {number}: an unpaired surrogate")
        else:
            objects.append(content)
    if faults:
        raise SeasDataError(f"{path} has lines to fix: {list_faults(faults)}")
    if not objects:
        raise SeasDataError(f"{path} has no rows; give one JSON object per line")
    try:
        return pl.DataFrame(objects, infer_schema_length=None, strict=False)
    except (pl.exceptions.PolarsError, TypeError, OverflowError) as problem:
        reason = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise SeasDataError(f"{path} has a key whose values differ in type ({reason}); give them one type") from problem


def _fields(
    content: dict[str, Any], names: dict[str, str], line: str, turn: Turn | None
) -> tuple[str | None, str | None, str | None, str | None, str | None, str | None]:
    if names["text"] not in content:
        raise InvalidLineError("unreadable", f"no key {names['text']!r}")
    value = content[names["text"]]
    if value is not None and not isinstance(value, (str, list, dict)):
        raise InvalidLineError("unreadable", f"{names['text']!r} is a JSON {_JSON_TYPES[type(value)]}, not text")
    text = choose_turn(value, names["text"], turn)
    if text is not None and not is_valid_unicode(text):
        raise InvalidLineError("undecodable", "an unpaired surrogate")
    others = [None if field == "text" else names.get(field) for field in FIELDS]
    _, row_id, risk, style, kind, language = _values(content, others, line)
    return text, row_id, risk, style, kind, language


def _values(content: dict[str, Any], names: Iterable[str | None], line: str) -> tuple[str | None, ...]:
    """Return the values of the keys ``names`` as text. Raise InvalidLineError if one cannot be."""
    try:
        values = tuple(None if name is None else label_as_text(content.get(name)) for name in names)
    except RecursionError:
        raise InvalidLineError("unreadable", _TOO_LONG_OR_DEEP) from None
    if ("\\u" in line or not line.isascii()) and not all(value is None or is_valid_unicode(value) for value in values):
        raise InvalidLineError("undecodable", "an unpaired surrogate")
    return values


_DECODER = json.JSONDecoder()
STRICT_DECODER = json.JSONDecoder(object_pairs_hook=_require_one_value)
"""Raises InvalidLineError where a key has two values."""
_WHITE_SPACE = " \t\r\n"
_WHITE_SPACE_RUN = re.compile(f"[{_WHITE_SPACE}]*")
_TOO_LONG_OR_DEEP = "JSON with a number too long or nested too deep"
_JSON_TYPES = {
    dict: "object",
    list: "list",
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    type(None): "null",
}

JSONL = SourceFormat(inputs=(".jsonl", ".ndjson", ".json"), read=read_jsonl)
