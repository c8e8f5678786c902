"""Input files of the loop: reading their rows and hashing their contents."""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.sources.jsonl import read_jsonl_frame


def read_rows(path: str, columns: tuple[str, ...]) -> pl.DataFrame:
    """Return the rows of a JSONL or Parquet file.

    Raises SeasDataError if the file cannot be read or lacks one of ``columns``.
    """
    readers: dict[str, Callable[[Path], pl.DataFrame]] = {
        ".jsonl": read_jsonl_frame,
        ".parquet": partial(pl.read_parquet, glob=False),
    }
    file = Path(path)
    if file.suffix not in readers:
        raise SeasDataError(f"{file} has an unknown format; its name must end in {' or '.join(readers)}")
    try:
        rows = readers[file.suffix](file)
    except (OSError, pl.exceptions.PolarsError) as problem:
        raise SeasDataError(f"{file} could not be read: {problem}") from problem
    if missing := [name for name in columns if name not in rows.columns]:
        raise SeasDataError(f"{file} lacks the columns {', '.join(missing)}; it has {', '.join(rows.columns)}")
    return rows


def hash_files(paths: list[str]) -> list[str]:
    """Return the SHA-256 of the contents of each file."""
    return [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths]
