"""Review sheets: CSV files that people fill in with a spreadsheet, and the guard that keeps their cells from computing.

Prompts are attacks on models, and a spreadsheet cell that starts with ``=`` is an attack on its reader. Such cells are
written with an apostrophe in front, which ``unguard_cell`` removes. A cell may contain anything, such as a response of
a thousand lines, so only the CSV grammar decides where a record ends.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from seas_data.errors import SeasDataError
from seas_data.sources.compression import decode_file
from seas_data.sources.csv import Record, parse_csv
from seas_data.sources.sheet_journal import ID_COLUMNS, journal_path, read_journal
from seas_data.store.files import atomic_write

# What a spreadsheet computes (`=`, `+`, `-`, `@` and their full-width forms, also after blanks or invisible characters,
# which some trim) or reads as a number (ids of digits, with an `e` as an exponent). Apostrophes of the text itself are
# guarded too, so that the guard can be removed again.
_RISKY = re.compile(
    r"""'*(?:
        [\t\r\n].*
        | [\s\x00-\x1f\u200b\u2060\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20].*
        | \d+(?:[.,]?\d+)?(?:[eE]\d+)?\Z
    )""",
    re.DOTALL | re.VERBOSE,
)


def read_sheet(path: Path, noun: str) -> tuple[list[str], list[Record]]:
    """Return the column names and the records of the sheet at ``path``, including broken records.

    Guards are removed from cells and names, and the decisions of the sheet's journal are in their cells. Raises
    SeasDataError, which calls the sheet ``noun``, if it has no header or its journal does not fit it.
    """
    header, records = _parse(path, noun)
    records = _apply_journal(path, header, records)
    return _unguard_cells(header), [
        each._replace(fields=None if each.fields is None else _unguard_cells(each.fields)) for each in records
    ]


def fold_journal(path: Path, noun: str) -> None:
    """Write the decisions of the journal into the cells of the sheet; all other cells stay as they are.

    The journal is not changed; without decisions the sheet is left as it is. Raises SeasDataError, and leaves the
    sheet, if a row of it is broken.
    """
    if not read_journal(path):
        return
    header, records = _parse(path, noun)
    rows = [record.fields for record in _apply_journal(path, header, records)]
    if broken := [record for record in records if record.fields is None]:
        raise SeasDataError(f"{noun} {path}: line {broken[0].line} is broken ({broken[0].fault}); fix it")
    write_cells(path, header, [row for row in rows if row is not None])


def write_cells(path: Path, header: list[str], rows: Iterable[Sequence[str]]) -> None:
    """Write guarded cells as a CSV with a byte-order mark that only its owner can read. It is replaced atomically."""
    with atomic_write(path) as temporary:
        temporary.touch(mode=0o600)
        with temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write("\ufeff")
            writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
            writer.writerow(header)
            writer.writerows(rows)


def _parse(path: Path, noun: str) -> tuple[list[str], list[Record]]:
    try:
        return parse_csv(decode_file(path, "utf-8"), grammar_only=True)
    except SeasDataError as problem:
        raise SeasDataError(f"{noun} {path}: {problem}") from problem


def _apply_journal(path: Path, header: list[str], records: list[Record]) -> list[Record]:
    """Return ``records`` with the newest decisions of the journal, guarded. A repeated row gets them the first time.

    Raises SeasDataError if the journal has rows that the sheet lacks, or a row of it was edited in the meantime.
    """
    decided = read_journal(path)
    if not decided:
        return records
    names = _unguard_cells(header)
    key = next((names.index(name) for name in ID_COLUMNS if name in names), None)
    applied = []
    for record in records:
        entry = None
        if record.fields is not None and key is not None:
            entry = decided.pop(unguard_cell(record.fields[key].strip()), None)
        if entry is None or record.fields is None:
            applied.append(record)
            continue
        cells, before = entry.cells, entry.before
        stored = dict(zip(names, _unguard_cells(record.fields), strict=True))
        if any(stored.get(name) not in (before[name], cells.get(name)) for name in before):
            raise SeasDataError(
                f"line {record.line} of {path} was edited after its row was decided on the page; make it what it was, "
                f"or take the lines of the row out of {journal_path(path)}"
            )
        fields = [
            guard_cell(cells[name]) if name in cells else cell for name, cell in zip(names, record.fields, strict=True)
        ]
        applied.append(record._replace(fields=fields))
    if decided:
        raise SeasDataError(
            f"{journal_path(path)} has decisions on {len(decided)} rows that {path} does not have, such as "
            f"{next(iter(decided))}; it belongs to another sheet, so restore that sheet or move the journal away"
        )
    return applied


def guard_cell(cell: str) -> str:
    """Return ``cell`` so that a spreadsheet shows it unchanged and computes nothing."""
    return f"'{cell}" if _RISKY.match(cell) else cell


def unguard_cell(cell: str) -> str:
    """Remove the guard of ``guard_cell``, or the ``="..."`` that some people put around text."""
    if cell.startswith("'") and _RISKY.match(cell[1:]):
        return cell[1:]
    return cell[2:-1] if len(cell) > 2 and cell.startswith('="') and cell.endswith('"') else cell


def _unguard_cells(cells: list[str]) -> list[str]:
    return [unguard_cell(cell.strip()) for cell in cells]
