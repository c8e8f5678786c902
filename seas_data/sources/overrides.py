"""Overrides: a CSV file of decisions and labels that people gave to prompts, with reviewer and reason.

The file is a review sheet filled in, or a file with the columns prompt_id, decision, label, who and because. Rows with
neither a decision nor a label are not decided yet and are skipped.
"""

import re
from pathlib import Path

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.recipe import Taxonomy
from seas_data.sources.csv import Record
from seas_data.sources.raw_rows import is_valid_unicode, list_faults
from seas_data.sources.sheets import read_sheet
from seas_data.tables.values import KINDS

COLUMNS = ("prompt_id", "decision", "label", "who", "because")
SCHEMA = dict.fromkeys(COLUMNS, pl.String())


def read_overrides(path: Path, taxonomy: Taxonomy) -> pl.DataFrame:
    """Read the overrides at ``path``, one row per prompt.

    Output columns: prompt_id, decision (keep, drop or null), label (a category, a kind or null), who, because.
    Raises SeasDataError that lists the faulty rows with their lines; a file with a faulty row is not used at all.
    """
    if not path.is_file():
        raise SeasDataError(f"there is no overrides file at {path}; set overrides to the file, or remove the key")
    names, records = read_sheet(path, "overrides")
    if missing := [name for name in COLUMNS if name not in names]:
        raise SeasDataError(f"overrides {path} lacks the columns {', '.join(missing)}; add them to the header")
    positions = [names.index(name) for name in COLUMNS]
    rows: list[tuple[str | None, ...]] = []
    faults: list[str] = []
    lines: dict[str, int] = {}
    for record in records:
        cells = [] if record.fields is None else [record.fields[position] for position in positions]
        if cells and not cells[1] and not cells[2]:
            continue
        if fault := _fault(record, cells, lines, taxonomy):
            faults.append(f"{path.name}:{record.line}: {fault}")
            continue
        prompt_id, decision, label, who, because = cells
        lines[prompt_id] = record.line
        rows.append((prompt_id, decision.casefold() or None, _canonical_label(label, taxonomy), who, because))
    if faults:
        raise SeasDataError(f"overrides {path} has rows to fix: {list_faults(faults)}")
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def empty_overrides() -> pl.DataFrame:
    """Return a frame of overrides without rows, for a recipe without overrides."""
    return pl.DataFrame(schema=SCHEMA)


def _fault(record: Record, cells: list[str], lines: dict[str, int], taxonomy: Taxonomy) -> str:
    """Return what is wrong with a row and how to fix it, or an empty string."""
    if not cells or not is_valid_unicode(record.text):
        return record.fault or "bytes that are not UTF-8; save the file as UTF-8"
    prompt_id, decision, label, who, because = cells
    if not re.fullmatch("[0-9a-f]{24}", prompt_id):
        return "prompt_id should be 24 characters of 0-9 and a-f (did a spreadsheet convert it to a number?)"
    if prompt_id in lines:
        return f"prompt_id was already decided in line {lines[prompt_id]}; keep one of the rows"
    if decision.casefold() not in ("", "keep", "drop"):
        return "decision should be keep, drop or empty"
    if label and _canonical_label(label, taxonomy) is None:
        return f"label should be empty or one of {', '.join((*taxonomy.types, *KINDS))}"
    if not who or not because:
        return "who (the reviewer) and because (the reason) should be filled in"
    return ""


def _canonical_label(label: str, taxonomy: Taxonomy) -> str | None:
    return label.casefold() if label.casefold() in KINDS else taxonomy.canonical(label)
