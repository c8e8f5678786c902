"""What people decided about prompts, in a CSV: they may overrule anything, and say who they are and why.

The file is a review sheet filled in, or one written by hand with the columns prompt_id, decision, label, who and
because. Rows in which neither a decision nor a label is filled in are not decided yet and are passed over.
"""

import re
from pathlib import Path

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.sources import sheets
from seas_data.sources.delimited import Record
from seas_data.sources.raw import decodable
from seas_data.tables.taxonomy import KINDS, TYPES, canonical

COLUMNS = ("prompt_id", "decision", "label", "who", "because")
SCHEMA = dict.fromkeys(COLUMNS, pl.String())


def read(path: Path) -> pl.DataFrame:
    """Return prompt_id, decision (keep, drop or null), label (a type, a kind or null), who and because.

    One row a prompt. Raises SeasDataError that lists the wrong rows with their lines: nothing is overruled by half.
    """
    if not path.is_file():
        raise SeasDataError(f"there are no overrides at {path}; set overrides to the file, or leave it out")
    names, records = sheets.read(path, "overrides")
    if missing := [name for name in COLUMNS if name not in names]:
        raise SeasDataError(
            f"overrides {path} lacks the columns {', '.join(missing)}; it should have {', '.join(COLUMNS)}"
        )
    places = [names.index(name) for name in COLUMNS]
    rows: list[tuple[str | None, ...]] = []
    wrong: list[str] = []
    lines: dict[str, int] = {}
    for record in records:
        cells = [] if record.fields is None else [record.fields[place] for place in places]
        if cells and not cells[1] and not cells[2]:
            continue
        if fault := _fault(record, cells, lines):
            wrong.append(f"{path.name}:{record.line}: {fault}")
            continue
        prompt_id, decision, label, who, because = cells
        lines[prompt_id] = record.line
        rows.append((prompt_id, decision.casefold() or None, _label(label), who, because))
    if wrong:
        raise SeasDataError(f"overrides {path} cannot be followed: {sheets.listed(wrong)}")
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def none() -> pl.DataFrame:
    """Return the overrides of a recipe that has none."""
    return pl.DataFrame(schema=SCHEMA)


def _fault(record: Record, cells: list[str], lines: dict[str, int]) -> str:
    """Say what is wrong with a row and what would be right; nothing if it is well."""
    if not cells or not decodable(record.text):
        return record.fault or "bytes that are not UTF-8; save the file as UTF-8"
    prompt_id, decision, label, who, because = cells
    if not re.fullmatch("[0-9a-f]{24}", prompt_id):
        return "prompt_id should be 24 of the characters 0-9 and a-f (did a spreadsheet take it for a number?)"
    if prompt_id in lines:
        return f"the prompt is decided in line {lines[prompt_id]} already"
    if decision.casefold() not in ("", "keep", "drop"):
        return "decision should be keep, drop or empty"
    if label and _label(label) is None:
        return f"label should be empty or one of {', '.join((*TYPES, *KINDS))}"
    if not who or not because:
        return "who decided it, and because of what, should be filled in"
    return ""


def _label(label: str) -> str | None:
    return label.casefold() if label.casefold() in KINDS else canonical(label)
