"""CSV and TSV, read so that one broken quote costs one row and not the rest of the file.

`csv.reader` reads everything from an unclosed quote to the next one, or to the end of the file, as one field without an
error, and accepts a quote inside an unquoted field. Here a record must follow RFC 4180: a field with a quote, the
delimiter or a line break is quoted, and its quotes are doubled. So a line with an even number of quotes ends its
record, and a line with an odd number opens a field that the next odd line closes. Such a record of several lines counts
as broken if it does not parse, does not have as many fields as the header, contains a merge-conflict marker, spans
``MAX_LINES`` or more, or if every line inside it looks like a record of this file: as many fields as the header, and in
each ``SignatureColumn`` a value or shape that is common there. (Without such columns the grammar decides.) Of a broken
record only its first line is set aside. Reading continues on the next line; lines up to the presumed end of the broken
field must look like records to be accepted. No line is looked at more than a few times, however many quotes are broken.
"""

import re
import string
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from seas_data.errors import SeasDataError
from seas_data.recipe import Source
from seas_data.sources.compression import decode_file, file_name
from seas_data.sources.formats import SourceFormat
from seas_data.sources.messages import choose_turn
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
    more_columns,
    raw_rows,
    row_digest,
)
from seas_data.text import printable
from seas_data.unicode_tables import category, is_alphanumeric

MAX_LINES = 500
"""A field with more lines than this is taken for an unclosed quote."""
MAX_SHAPE_ROWS = 10_000
"""The shapes of a column are counted on about this many rows of a longer file."""
MIN_SIGNATURE_ROWS = 8
"""Fewer rows than this do not show what a record of the file looks like."""
_WHITE_SPACE_OR_MARK = string.whitespace + "\ufeff"
"""Around a header in the middle of a file: there, another file was appended, perhaps with its byte-order mark."""
DELIMITERS = ",;\t"


class Record(NamedTuple):
    """A row of the file: the line on which it starts, its text, and its fields or, if there are none, the fault."""

    line: int
    text: str
    fields: list[str] | None
    fault: str = ""


class SignatureColumn(NamedTuple):
    """A column that distinguishes a record from prose: the values (or shapes) that occur in it at least twice."""

    column: int
    by_shape: bool
    frequent: frozenset[str]


def read_csv(path: Path, source: Source) -> RawRows:
    """Read the file. Raise SeasDataError if it has no header or lacks a column that the source names."""
    delimiter = "\t" if file_name(path).endswith((".tsv", ".tab")) else None
    header, records = parse_csv(decode_file(path, source.encoding), delimiter)
    more = more_columns(source)
    check_columns(source.columns, header, more)
    positions = {field: header.index(name) for field, name in columns_by_field(source.columns).items()}
    at = [header.index(name) for name in more]
    rows: list[Row] = []
    others: list[tuple[str | None, ...]] = []
    faults: list[Fault] = []
    for ordinal, (line, text, fields, fault) in enumerate(records, start=1):
        if not is_valid_unicode(text):
            detail = "bytes that are invalid in the encoding of the file"
            faults.append((ordinal, line, "undecodable", detail, row_digest(text)))
        elif fields is None:
            if '\\"' in text and fault in ("a quote inside a field", "an unclosed quote"):
                fault += '; the file seems to escape quotes as \\", and CSV doubles them ("")'
            faults.append((ordinal, line, "unreadable", fault, row_digest(text)))
        else:
            values = [fields[positions[field]] if field in positions else None for field in FIELDS]
            prompt, row_id, risk, style, kind, language = values
            try:
                prompt = choose_turn(prompt, source.columns.text, source.turn)
            except InvalidLineError as error:
                faults.append((ordinal, line, error.reason, error.detail, row_digest(text)))
                continue
            rows.append((ordinal, line, prompt, row_id or None, risk or None, style or None, kind, language or None))
            others.append(tuple(fields[position] or None for position in at))
    return raw_rows(path.name, rows, faults, others, more)


def parse_csv(text: str, delimiter: str | None = None, *, grammar_only: bool = False) -> tuple[list[str], list[Record]]:
    """Return the header and the records of ``text``, including broken ones.

    Without ``delimiter`` it is the one most frequent in the header. ``grammar_only``: only the grammar decides what is
    broken; a quoted field may contain anything.

    Raises SeasDataError if there is no usable header.
    """
    lines = text.split("\n" if "\n" in text else "\r")
    records: list[Record] = []
    at = 0
    while at < len(lines) and (_is_blank(lines[at]) or CONFLICT_MARKER.fullmatch(_without_cr(lines[at]))):
        if not _is_blank(lines[at]):
            records.append(Record(at + 1, lines[at], None, "a merge-conflict marker"))
        at += 1
    if at == len(lines):
        raise SeasDataError("the file has no header; its first line should name the columns")
    first = _without_cr(lines[at])
    delimiter = delimiter or max(DELIMITERS, key=lambda mark: (first.count(mark), mark == ","))
    header = split_record(first, delimiter)
    if header is None:
        raise SeasDataError(
            f"the header in line {at + 1} has a quote inside a field: {printable(first[:80])!r}; put a whole name "
            "between quotes and close them"
        )
    if grammar_only and len(set(header)) < len(header):
        raise SeasDataError(f"the header in line {at + 1} should name each column once")
    if not grammar_only:
        header = [name.strip() for name in header]
    start = at + 1
    if grammar_only:
        return header, records + _parse_lines(lines, start, _quote_ends(lines, start), header, delimiter, None)
    return header, records + _parse_with_signature(lines, start, header, delimiter)


def split_record(record: str, delimiter: str) -> list[str] | None:
    """Return the fields of one record, or None if a quote is in a place where RFC 4180 allows none."""
    if '"' not in record:
        return record.split(delimiter)
    pattern = _FIELD[delimiter]
    fields: list[str] = []
    at = 0
    while match := pattern.match(record, at):
        quoted, plain, end = match.groups()
        fields.append(plain if quoted is None else quoted.replace('""', '"'))
        if not end:
            return fields
        at = match.end()
    return None


_FIELD = {mark: re.compile(rf'(?:"([^"]*(?:""[^"]*)*)"|([^"{mark}]*))({mark}|\Z)') for mark in DELIMITERS}


def _parse_with_signature(lines: list[str], start: int, header: list[str], delimiter: str) -> list[Record]:
    """Return the records from line ``start`` on: parse with the grammar only, then with the signature columns found."""
    quote_ends = _quote_ends(lines, start)
    records = _parse_lines(lines, start, quote_ends, header, delimiter, [])
    if not quote_ends:
        return records
    rows = [record.fields for record in records if record.fields is not None and "\n" not in record.text]
    return _parse_lines(lines, start, quote_ends, header, delimiter, _signature_columns(rows, len(header)))


def _quote_ends(lines: list[str], start: int) -> dict[int, int | None]:
    """Return for each line from ``start`` on with an odd number of quotes the next such line."""
    odd = [at for at in range(start, len(lines)) if lines[at].count('"') % 2]
    return dict(zip(odd, [*odd[1:], None], strict=False))


def _parse_lines(
    lines: list[str],
    start: int,
    quote_ends: dict[int, int | None],
    header: list[str],
    delimiter: str,
    signature: list[SignatureColumn] | None,
) -> list[Record]:
    """Return the records from line ``start`` on. If ``signature`` is None, a field may contain anything."""
    records: list[Record] = []
    suspect_end, broken_line = -1, -1
    at = start
    while at < len(lines):
        if at in quote_ends:
            end = quote_ends[at]
            record = None if end is None else _multi_line_record(lines, at, end, header, delimiter, signature)
            if record is not None and end is not None:
                records.append(record)
                at = end
            elif split_record(_without_cr(lines[at]) + '"', delimiter) is None:
                records.append(Record(at + 1, lines[at], None, "a quote inside a field"))
            else:
                broken_line = at if at > suspect_end else broken_line
                suspect_end = max(suspect_end, len(lines) if end is None else end)
                records.append(Record(at + 1, lines[at], None, "an unclosed quote"))
        elif not _is_blank(lines[at]):
            record = _single_line_record(at, _without_cr(lines[at]), header, delimiter, signature is None)
            if record.fields is not None and at <= suspect_end and not _has_signature(record.fields, signature or []):
                fault = f"possibly part of the field with the broken quote in line {broken_line + 1}"
                record = Record(at + 1, record.text, None, fault)
            records.append(record)
        at += 1
    return records


def _single_line_record(at: int, line: str, header: list[str], delimiter: str, grammar_only: bool) -> Record:
    fields = split_record(line, delimiter)
    if CONFLICT_MARKER.fullmatch(line):
        fault = "a merge-conflict marker"
    elif fields is None:
        fault = "a quote inside a field"
    elif len(fields) != len(header):
        fault = f"{len(fields)} fields, but the header has {len(header)}"
    elif "\0" in line and not grammar_only:
        fault = "a NUL byte"
    else:
        names = [each.strip(_WHITE_SPACE_OR_MARK) for each in fields]
        fault = "a repeated header" if names == header else ""
    return Record(at + 1, line, None if fault else fields, fault)


def _multi_line_record(
    lines: list[str], at: int, end: int, header: list[str], delimiter: str, signature: list[SignatureColumn] | None
) -> Record | None:
    """Return the record on the lines ``at`` to ``end``, or None if they are not one record."""
    if signature is not None and _is_broken(lines[at + 1 : end], delimiter, len(header), signature):
        return None
    text = _without_cr("\n".join(lines[at : end + 1]))
    fields = split_record(text, delimiter)
    if fields is None or len(fields) != len(header):
        return None
    nul = "\0" in text and signature is not None
    return Record(at + 1, text, None, "a NUL byte") if nul else Record(at + 1, text, fields)


def _is_broken(inside: list[str], delimiter: str, width: int, signature: list[SignatureColumn]) -> bool:
    """Return whether the lines inside a multi-line record are too many, or do not belong inside one field."""
    bare = [_without_cr(line) for line in inside]
    conflict = any(CONFLICT_MARKER.fullmatch(line) and not line.startswith("=") for line in bare)
    return len(inside) + 1 >= MAX_LINES or conflict or _are_all_records(bare, delimiter, width, signature)


def _are_all_records(inside: list[str], delimiter: str, width: int, signature: list[SignatureColumn]) -> bool:
    """Return whether each line inside a multi-line record looks like a record itself."""
    parsed = [split_record(line, delimiter) for line in inside] if signature else []
    return bool(parsed) and all(
        fields is not None and len(fields) == width and _has_signature(fields, signature) for fields in parsed
    )


def _has_signature(fields: list[str], signature: list[SignatureColumn]) -> bool:
    return all((_shape(fields[at]) if by_shape else fields[at]) in frequent for at, by_shape, frequent in signature)


def _signature_columns(rows: list[list[str]], width: int) -> list[SignatureColumn]:
    """Return the columns with few different values (labels), or with values of few shapes (numbers, ids)."""
    signature: list[SignatureColumn] = []
    for at in range(width if len(rows) >= MIN_SIGNATURE_ROWS else 0):
        values = Counter(fields[at] for fields in rows)
        if len(values) <= len(rows) // 4:
            signature.append(SignatureColumn(at, False, _frequent(values)))
            continue
        some = rows[:: len(rows) // MAX_SHAPE_ROWS + 1]
        shapes = Counter(_shape(fields[at]) for fields in some)
        if len(shapes) <= max(1, len(some) // 20):
            signature.append(SignatureColumn(at, True, _frequent(shapes)))
    return signature


def _frequent(counts: Counter[str]) -> frozenset[str]:
    return frozenset(value for value, count in counts.items() if count > 1)


def _shape(value: str) -> str:
    value = value[:40]
    if not value.isascii():
        value = "".join(
            each if each.isascii() else "0" if category(each) == "Nd" else "a" if is_alphanumeric(each) else each
            for each in value
        )
    return re.sub("[A-Za-z]+", "a", re.sub("[0-9]+", "0", value))


def _without_cr(line: str) -> str:
    return line.removesuffix("\r")


def _is_blank(line: str) -> bool:
    return not line.strip(" \t\r")


CSV = SourceFormat(inputs=(".csv", ".tsv", ".tab"), read=read_csv)
