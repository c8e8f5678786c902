"""Sheets that people filled in, read back: whatever a spreadsheet made of them, and used whole or not at all.

What stands in a sheet's fields may be anything, a model's answer of a thousand lines among it, so the records are taken
by the grammar alone. What is wrong is told of all rows at once: nobody mends a sheet one fault at a time.
"""

import re
from pathlib import Path

from seas_data.errors import SeasDataError
from seas_data.sources import delimited
from seas_data.sources.delimited import Record
from seas_data.sources.raw import decoded

SHOWN = 10

# What a spreadsheet computes (`=`, `+`, `-`, `@`, also behind a tab or return) or takes for a number (ids of digits,
# with an `e` as an exponent); apostrophes that the text has itself are guarded too, so that the guard can come off.
_RISKY = re.compile(r"'*(?:[=+\-@\t\r].*|\d+(?:[.,]?\d+)?(?:[eE]\d+)?\Z)", re.DOTALL)


def read(path: Path, what: str) -> tuple[list[str], list[Record]]:
    """Return the names of the columns and the records of the sheet at ``path``, broken ones too.

    Cells and names are without the guards of ``review``. Raises SeasDataError, which calls the sheet ``what``, if it
    has no header.
    """
    try:
        header, records = delimited.parse(decoded(path, "utf-8"), anything=True)
    except SeasDataError as problem:
        raise SeasDataError(f"{what} {path}: {problem}") from problem
    return _bare(header), [
        each._replace(fields=None if each.fields is None else _bare(each.fields)) for each in records
    ]


def listed(faults: list[str]) -> str:
    """Return the first of ``faults`` as one phrase, and how many more there are."""
    more = f"; and {len(faults) - SHOWN} more" if len(faults) > SHOWN else ""
    return f"{'; '.join(faults[:SHOWN])}{more}"


def _bare(cells: list[str]) -> list[str]:
    return [unguarded(cell.strip()) for cell in cells]


def guarded(cell: str) -> str:
    """Return ``cell`` so that a spreadsheet shows it as it is and computes nothing."""
    return f"'{cell}" if _RISKY.match(cell) else cell


def unguarded(cell: str) -> str:
    """Take off the guard of ``guarded``, or the ``="..."`` in which some people put what should stay text."""
    if cell.startswith("'") and _RISKY.match(cell[1:]):
        return cell[1:]
    formula = re.fullmatch('="(.*)"', cell, re.DOTALL)
    return formula[1] if formula else cell
