"""Review sheets: CSV files that people fill in with a spreadsheet, and the guard that keeps their cells from computing.

Prompts are attacks on models, and a spreadsheet cell that starts with ``=`` is an attack on its reader. Such cells are
written with an apostrophe in front, which ``unguard_cell`` removes. A cell may contain anything, such as a response of
a thousand lines, so only the CSV grammar decides where a record ends.
"""

import re
from pathlib import Path

from seas_data.errors import SeasDataError
from seas_data.sources.compression import decode_file
from seas_data.sources.csv import Record, parse_csv

# What a spreadsheet computes (`=`, `+`, `-`, `@`, also after a tab or return) or reads as a number (ids of digits, with
# an `e` as an exponent). Apostrophes of the text itself are guarded too, so that the guard can be removed again.
_RISKY = re.compile(r"'*(?:[=+\-@\t\r].*|\d+(?:[.,]?\d+)?(?:[eE]\d+)?\Z)", re.DOTALL)


def read_sheet(path: Path, noun: str) -> tuple[list[str], list[Record]]:
    """Return the column names and the records of the sheet at ``path``, including broken records.

    Guards are removed from cells and names. Raises SeasDataError, which calls the sheet ``noun``, if it has no header.
    """
    try:
        header, records = parse_csv(decode_file(path, "utf-8"), grammar_only=True)
    except SeasDataError as problem:
        raise SeasDataError(f"{noun} {path}: {problem}") from problem
    return _unguard_cells(header), [
        each._replace(fields=None if each.fields is None else _unguard_cells(each.fields)) for each in records
    ]


def guard_cell(cell: str) -> str:
    """Return ``cell`` so that a spreadsheet shows it unchanged and computes nothing."""
    return f"'{cell}" if _RISKY.match(cell) else cell


def unguard_cell(cell: str) -> str:
    """Remove the guard of ``guard_cell``, or the ``="..."`` that some people put around text."""
    if cell.startswith("'") and _RISKY.match(cell[1:]):
        return cell[1:]
    formula = re.fullmatch('="(.*)"', cell, re.DOTALL)
    return formula[1] if formula else cell


def _unguard_cells(cells: list[str]) -> list[str]:
    return [unguard_cell(cell.strip()) for cell in cells]
