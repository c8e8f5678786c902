"""Excel workbooks (.xlsx, .xlsm): the first row of a sheet names the columns. Formulas give the value last computed.

A workbook is a zip archive of XML, so its uncompressed size is checked before it is opened, and rows are read one by
one with a bound on the cells: a small file can name a cell in row 1,048,576.
"""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from seas_data.errors import SeasDataError
from seas_data.recipe import Source
from seas_data.sources.compression import MAX_RATIO
from seas_data.sources.formats import SourceFormat
from seas_data.sources.messages import choose_turn
from seas_data.sources.raw_rows import (
    FIELDS,
    Fault,
    InvalidLineError,
    RawRows,
    Row,
    check_columns,
    columns_by_field,
    is_valid_unicode,
    raw_rows,
    row_digest,
)

MAX_BYTES: Final = 1 << 30
"""A workbook whose parts have more bytes than this in total, uncompressed, is refused."""
MAX_CHARACTERS: Final = 1 << 30
"""A sheet whose texts have more characters than this is refused: cells can share one long text."""
MAX_CELLS: Final = 100_000_000
"""A sheet with more cells than this is refused: one cell in the last column makes a row of 16,384 cells."""
_RATIO_FROM: Final = 16 << 20


def read_xlsx(path: Path, source: Source) -> RawRows:
    """Read the sheet that ``split`` names, or the only sheet with rows.

    Raises SeasDataError if the file is no workbook, is too large or damaged, or lacks a column that the source names.
    """
    _check_archive(path)
    try:
        return _read_rows(path, source)
    except SeasDataError:
        raise
    except Exception as problem:  # a damaged workbook raises errors of zipfile, of the XML parser and of openpyxl
        reason = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise SeasDataError(f"{path} cannot be read as a workbook ({reason}); save it again, or as .csv") from problem


def _read_rows(path: Path, source: Source) -> RawRows:
    import openpyxl

    workbook = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
    try:
        sheet = _select_sheet({each.title: each for each in workbook.worksheets}, source.split)
        rows = _iterate_rows(sheet)
        first = next(rows, None)
        if first is None:
            raise SeasDataError("the sheet has no row; its first row should name the columns")
        header = ["" if name is None else str(name).strip() for name in first[1]]
        check_columns(source.columns, header)
        return _raw_rows(path.name, header, rows, source)
    finally:
        workbook.close()


def _raw_rows(name: str, header: list[str], cells: Iterator[tuple[int, tuple[Any, ...]]], source: Source) -> RawRows:
    positions = {field: header.index(column) for field, column in columns_by_field(source.columns).items()}
    rows: list[Row] = []
    faults: list[Fault] = []
    for ordinal, (number, values) in enumerate(cells, start=1):
        fields = [
            values[positions[field]] if positions.get(field, len(values)) < len(values) else None for field in FIELDS
        ]
        text, *others = fields
        labels = [None if each is None or each == "" else str(each) for each in others]
        digest = row_digest("\x1f".join("" if each is None else str(each) for each in values))
        if text is not None and not isinstance(text, str):
            detail = f"{source.columns.text!r} is a {type(text).__name__}, not text; format the column as text"
            faults.append((ordinal, number, "unreadable", detail, digest))
        elif not all(each is None or is_valid_unicode(each) for each in (text, *labels)):
            faults.append((ordinal, number, "undecodable", "an unpaired surrogate", digest))
        else:
            row_id, risk, style, kind, language = labels
            try:
                text = choose_turn(text, source.columns.text, source.turn)
            except InvalidLineError as error:
                faults.append((ordinal, number, error.reason, error.detail, digest))
                continue
            rows.append((ordinal, number, text, row_id, risk, style, kind, language))
    return raw_rows(name, rows, faults)


def _select_sheet(sheets: dict[str, Any], split: str | None) -> Any:
    for each in sheets.values():
        each.reset_dimensions()
    if split is not None:
        if split not in sheets:
            raise SeasDataError(f"there is no sheet {split!r}; set split to one of {', '.join(map(repr, sheets))}")
        return sheets[split]
    used = [name for name, each in sheets.items() if next(_iterate_rows(each), None) is not None]
    if len(used) != 1:
        raise SeasDataError(
            f"{len(used)} sheets have rows ({', '.join(map(repr, used or sheets))}); set split to the name of one"
        )
    return sheets[used[0]]


def _iterate_rows(sheet: Any) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """Yield the number and the cells of each row that is not blank."""
    characters = cells = 0
    for number, row in enumerate(sheet.iter_rows(values_only=True), start=1):
        cells += len(row)
        if all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in row):
            continue
        last = max(at for at, cell in enumerate(row) if cell is not None)
        characters += sum(len(cell) for cell in row if isinstance(cell, str))
        if characters > MAX_CHARACTERS or cells > MAX_CELLS:
            raise SeasDataError(
                f"a sheet has more than {MAX_CHARACTERS:,} characters or {MAX_CELLS:,} cells; save it as .csv in parts"
            )
        yield number, row[: last + 1]


def _check_archive(path: Path) -> None:
    """Raise SeasDataError unless ``path`` is a sound zip archive that unpacks to a bounded size.

    The parts are unpacked once, so that a part that is larger than the archive states is found (its checksum differs).
    """
    try:
        with zipfile.ZipFile(path) as archive:
            total = sum(each.file_size for each in archive.infolist())
            size = path.stat().st_size
            if total > MAX_BYTES or (total > _RATIO_FROM and total > MAX_RATIO * size):
                raise SeasDataError(
                    f"{path} unpacks to {total:,} bytes from {size:,}, which looks like a decompression bomb; if it is "
                    "none, save the sheet as .csv"
                )
            damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as problem:
        raise SeasDataError(f"{path} is not a workbook ({problem}); save it as .xlsx or .csv") from problem
    if damaged is not None:
        raise SeasDataError(f"{path} is damaged: its part {damaged!r} does not match its checksum; get it again")


XLSX = SourceFormat(inputs=(".xlsx", ".xlsm"), read=read_xlsx)
