"""CSV and TSV, read so that one broken quote costs one row and not the rest of the file.

`csv.reader` takes everything from an unclosed quote to the next one, or to the end of the file, for one field, says
nothing, and lets a quote inside an unquoted field pass. Here a record must be as RFC 4180 has it: a field that holds
a quote, the delimiter or a line break is quoted, and its quotes are doubled. So a line with an even number of quotes
ends where it ends, and one with an odd number opens a field that the next odd line closes. Such a record of several
lines is taken for broken when it does not parse, has not the header's number of fields, holds a merge-conflict marker,
runs over ``MOST_LINES``, or when every line inside it looks like a record of this file: the right number of fields,
and in each ``Telling`` column a value or shape that is at home there. (In a file without such columns the grammar
decides.) Of a broken record only the first line is set aside. Reading goes on from the next line, where lines up to the
presumed end must look like records to be taken. No line is looked at more than a few times, however many quotes are
broken.
"""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from seas_data.errors import SeasDataError
from seas_data.recipe import Columns
from seas_data.sources.raw import (
    CONFLICT_MARKER,
    FIELDS,
    Fault,
    Raw,
    Row,
    check_columns,
    decodable,
    decoded,
    raw,
    row_digest,
    wanted,
)

MOST_LINES = 500
"""A field of more lines than this is taken for an unclosed quote."""
MOST_SHAPES = 10_000
"""Of more rows than this a part is enough to see what shapes a column has."""
FEWEST_ROWS = 8
"""Fewer rows than this say nothing about what a record of the file looks like."""
DELIMITERS = ",;\t"


class Record(NamedTuple):
    """A row of the file: the line it starts at, its text, and its fields or, if there are none, what is wrong."""

    line: int
    text: str
    fields: list[str] | None
    fault: str = ""


class Telling(NamedTuple):
    """A column that tells a record from a line of prose: the values, or shapes, that occur in it at least twice."""

    column: int
    shaped: bool
    seen: frozenset[str]


def read_delimited(path: Path, columns: Columns, encoding: str = "utf-8") -> Raw:
    """Read the file; raise SeasDataError if it has no header or lacks a column that ``columns`` names."""
    header, records = parse(decoded(path, encoding), "\t" if path.suffix.casefold() == ".tsv" else None)
    check_columns(columns, header)
    place = {field: header.index(name) for field, name in wanted(columns).items()}
    rows: list[Row] = []
    faults: list[Fault] = []
    for ordinal, (line, text, fields, fault) in enumerate(records, start=1):
        if not decodable(text):
            detail = "bytes that are not of the file's encoding"
            faults.append((ordinal, line, "undecodable", detail, row_digest(text)))
        elif fields is None:
            faults.append((ordinal, line, "unreadable", fault, row_digest(text)))
        else:
            values = [fields[place[field]] if field in place else None for field in FIELDS]
            prompt, row_id, risk, style, kind, language = values
            rows.append((ordinal, line, prompt, row_id or None, risk or None, style or None, kind, language or None))
    return raw(path.name, rows, faults)


def parse(text: str, delimiter: str | None = None, *, anything: bool = False) -> tuple[list[str], list[Record]]:
    """Return the header and the records of ``text``, broken ones too; the delimiter is else the header's commonest.

    ``anything``: whatever stands in a quoted field was meant to, so the grammar alone says what is broken.

    Raises SeasDataError if there is no header to go by.
    """
    lines = text.split("\n")
    records: list[Record] = []
    at = 0
    while at < len(lines) and (_blank(lines[at]) or CONFLICT_MARKER.fullmatch(_bare(lines[at]))):
        if not _blank(lines[at]):
            records.append(Record(at + 1, lines[at], None, "a merge-conflict marker"))
        at += 1
    if at == len(lines):
        raise SeasDataError("the file has no header: its first line should name the columns")
    first = _bare(lines[at])
    delimiter = delimiter or max(DELIMITERS, key=lambda mark: (first.count(mark), mark == ","))
    header = split(first, delimiter)
    if header is None or len(set(header)) < len(header):
        raise SeasDataError(f"line {at + 1} should name each column once, and its quotes should be closed")
    if anything:
        return header, records + _pass(lines, at + 1, _closes(lines, at + 1), header, delimiter, None)
    return header, records + _records(lines, at + 1, header, delimiter)


def split(record: str, delimiter: str) -> list[str] | None:
    """Return the fields of one record, or None if a quote stands where RFC 4180 allows none."""
    if '"' not in record:
        return record.split(delimiter)
    pattern = _FIELD[delimiter]
    fields: list[str] = []
    at = 0
    while found := pattern.match(record, at):
        quoted, plain, end = found.groups()
        fields.append(plain if quoted is None else quoted.replace('""', '"'))
        if not end:
            return fields
        at = found.end()
    return None


_FIELD = {mark: re.compile(rf'(?:"([^"]*(?:""[^"]*)*)"|([^"{mark}]*))({mark}|\Z)') for mark in DELIMITERS}


def _records(lines: list[str], start: int, header: list[str], delimiter: str) -> list[Record]:
    """Return the records from line ``start`` on: read by the grammar alone, then with what that shows of the file."""
    closes = _closes(lines, start)
    records = _pass(lines, start, closes, header, delimiter, [])
    if not closes:
        return records
    rows = [record.fields for record in records if record.fields is not None and "\n" not in record.text]
    return _pass(lines, start, closes, header, delimiter, _telling(rows, len(header)))


def _closes(lines: list[str], start: int) -> dict[int, int | None]:
    """Return for each line from ``start`` on with an odd number of quotes the next such line."""
    odd = [at for at in range(start, len(lines)) if lines[at].count('"') % 2]
    return dict(zip(odd, [*odd[1:], None], strict=False))


def _pass(
    lines: list[str],
    start: int,
    closes: dict[int, int | None],
    header: list[str],
    delimiter: str,
    telling: list[Telling] | None,
) -> list[Record]:
    """Return the records from line ``start`` on; without a list of ``telling`` columns a field may hold anything."""
    records: list[Record] = []
    suspect, culprit = -1, -1
    at = start
    while at < len(lines):
        if at in closes:
            end = closes[at]
            record = None if end is None else _joined(lines, at, end, header, delimiter, telling)
            if record is not None and end is not None:
                records.append(record)
                at = end
            elif split(_bare(lines[at]) + '"', delimiter) is None:
                records.append(Record(at + 1, lines[at], None, "a quote stands inside a field"))
            else:
                culprit = at if at > suspect else culprit
                suspect = max(suspect, len(lines) if end is None else end)
                records.append(Record(at + 1, lines[at], None, "a quote that is not closed"))
        elif not _blank(lines[at]):
            record = _alone(at, _bare(lines[at]), header, delimiter, telling is None)
            if record.fields is not None and at <= suspect and not _familiar(record.fields, telling or []):
                fault = f"inside what the broken quote of line {culprit + 1} may have been meant to hold"
                record = Record(at + 1, record.text, None, fault)
            records.append(record)
        at += 1
    return records


def _alone(at: int, line: str, header: list[str], delimiter: str, anything: bool) -> Record:
    """Return the record on one line, with what is wrong with it."""
    fields = split(line, delimiter)
    if CONFLICT_MARKER.fullmatch(line):
        fault = "a merge-conflict marker"
    elif fields is None:
        fault = "a quote stands inside a field"
    elif len(fields) != len(header):
        fault = f"{len(fields)} fields where the header has {len(header)}"
    elif "\0" in line and not anything:
        fault = "a NUL byte"
    else:
        fault = "the header again" if fields == header else ""
    return Record(at + 1, line, None if fault else fields, fault)


def _joined(
    lines: list[str], at: int, end: int, header: list[str], delimiter: str, telling: list[Telling] | None
) -> Record | None:
    """Return the record over the lines ``at`` to ``end``, or None if they are no one record."""
    if telling is not None and _broken(lines[at + 1 : end], delimiter, len(header), telling):
        return None
    text = _bare("\n".join(lines[at : end + 1]))
    fields = split(text, delimiter)
    if fields is None or len(fields) != len(header):
        return None
    nul = "\0" in text and telling is not None
    return Record(at + 1, text, None, "a NUL byte") if nul else Record(at + 1, text, fields)


def _broken(inside: list[str], delimiter: str, width: int, telling: list[Telling]) -> bool:
    """Tell whether the lines inside a record of several lines are too many, or were never meant to be inside one."""
    bare = [_bare(line) for line in inside]
    conflict = any(CONFLICT_MARKER.fullmatch(line) and not line.startswith("=") for line in bare)
    return len(inside) + 1 >= MOST_LINES or conflict or _swallowed(bare, delimiter, width, telling)


def _swallowed(inside: list[str], delimiter: str, width: int, telling: list[Telling]) -> bool:
    """Tell whether all the lines inside a record of several lines look like records by themselves."""
    parsed = [split(line, delimiter) for line in inside] if telling else []
    return bool(parsed) and all(
        fields is not None and len(fields) == width and _familiar(fields, telling) for fields in parsed
    )


def _familiar(fields: list[str], telling: list[Telling]) -> bool:
    return all((_shape(fields[at]) if shaped else fields[at]) in seen for at, shaped, seen in telling)


def _telling(rows: list[list[str]], width: int) -> list[Telling]:
    """Return the columns that have few different values (a label), or values of few shapes (a number, an id)."""
    telling: list[Telling] = []
    for at in range(width if len(rows) >= FEWEST_ROWS else 0):
        values = Counter(fields[at] for fields in rows)
        if len(values) <= len(rows) // 4:
            telling.append(Telling(at, False, _repeated(values)))
            continue
        some = rows[:: len(rows) // MOST_SHAPES + 1]
        shapes = Counter(_shape(fields[at]) for fields in some)
        if len(shapes) <= max(1, len(some) // 20):
            telling.append(Telling(at, True, _repeated(shapes)))
    return telling


def _repeated(counts: Counter[str]) -> frozenset[str]:
    return frozenset(value for value, count in counts.items() if count > 1)


def _shape(value: str) -> str:
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", value[:40]))


def _bare(line: str) -> str:
    return line.removesuffix("\r")


def _blank(line: str) -> bool:
    return not line.strip(" \t\r")
