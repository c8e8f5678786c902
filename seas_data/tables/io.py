"""Frames in and out of the tables: ``cast`` for rows that are written, ``read`` for shards."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Literal, overload

import dataframely as dy
import dataframely.exc
import polars as pl

from seas_data.errors import SeasDataError
from seas_data.tables import policy, schema
from seas_data.tables.schema import TABLES

ROWS_PER_PART = 50_000
"""Rows that are read at a time where a whole shard need not be in memory: those of a row group of its file."""


@overload
def cast(table: Literal["prompts"], frame: pl.DataFrame) -> dy.DataFrame[schema.Prompts]: ...
@overload
def cast(table: Literal["taxonomy"], frame: pl.DataFrame) -> dy.DataFrame[schema.Taxonomy]: ...
@overload
def cast(table: Literal["set_aside"], frame: pl.DataFrame) -> dy.DataFrame[schema.SetAside]: ...
@overload
def cast(table: Literal["decisions"], frame: pl.DataFrame) -> dy.DataFrame[schema.Decisions]: ...
@overload
def cast(table: Literal["relabels"], frame: pl.DataFrame) -> dy.DataFrame[schema.Relabels]: ...
@overload
def cast(table: Literal["templates"], frame: pl.DataFrame) -> dy.DataFrame[schema.Templates]: ...
@overload
def cast(table: Literal["wrappers"], frame: pl.DataFrame) -> dy.DataFrame[schema.Wrappers]: ...
@overload
def cast(table: Literal["splits"], frame: pl.DataFrame) -> dy.DataFrame[schema.Splits]: ...
@overload
def cast(table: Literal["clusters"], frame: pl.DataFrame) -> dy.DataFrame[schema.Clusters]: ...
@overload
def cast(table: Literal["embeddings"], frame: pl.DataFrame) -> dy.DataFrame[schema.Embeddings]: ...
@overload
def cast(table: Literal["metrics"], frame: pl.DataFrame) -> dy.DataFrame[schema.Metrics]: ...
@overload
def cast(table: Literal["seeds"], frame: pl.DataFrame) -> dy.DataFrame[schema.Seeds]: ...
@overload
def cast(table: Literal["attacks"], frame: pl.DataFrame) -> dy.DataFrame[schema.Attacks]: ...
@overload
def cast(table: Literal["responses"], frame: pl.DataFrame) -> dy.DataFrame[schema.Responses]: ...
@overload
def cast(table: Literal["settings"], frame: pl.DataFrame) -> dy.DataFrame[schema.Settings]: ...
@overload
def cast(table: Literal["checkpoints"], frame: pl.DataFrame) -> dy.DataFrame[schema.Checkpoints]: ...
@overload
def cast(table: Literal["expected"], frame: pl.DataFrame) -> dy.DataFrame[schema.Expected]: ...
@overload
def cast(table: Literal["verdicts"], frame: pl.DataFrame) -> dy.DataFrame[schema.Verdicts]: ...
@overload
def cast(table: Literal["pairs"], frame: pl.DataFrame) -> dy.DataFrame[schema.Pairs]: ...
@overload
def cast(table: Literal["demonstrations"], frame: pl.DataFrame) -> dy.DataFrame[schema.Demonstrations]: ...
@overload
def cast(table: Literal["unpaired"], frame: pl.DataFrame) -> dy.DataFrame[schema.Unpaired]: ...
@overload
def cast(table: Literal["tombstones"], frame: pl.DataFrame) -> dy.DataFrame[schema.Tombstones]: ...
@overload
def cast(table: str, frame: pl.DataFrame) -> pl.DataFrame: ...
def cast(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return ``frame`` with exactly the columns of ``table``, in order and typed.

    Columns that the schema declares ``may_be_missing`` are null if ``frame`` lacks them. Raises SeasDataError if
    another column is missing or the values do not fit the columns.
    """
    columns = TABLES[table]
    types = _empty(columns).schema
    frame = frame.with_columns(
        pl.lit(None, types[name]).alias(name)
        for name, each in policy.of_schema(columns).items()
        if each.may_be_missing and name not in frame.columns
    )
    missing = [name for name in columns.column_names() if name not in frame.columns]
    if missing:
        raise SeasDataError(f"table {table} lacks the columns {', '.join(missing)}")
    try:
        return columns.validate(frame.select(columns.column_names()), cast=True)
    except (dataframely.exc.ValidationError, pl.exceptions.PolarsError) as problem:
        raise SeasDataError(f"table {table} does not fit its schema: {problem}") from problem


def empty(table: str) -> pl.DataFrame:
    """Return ``table`` without rows: the columns and types of its schema."""
    return _empty(TABLES[table]).clone()


@cache
def _empty(table: type[dy.Schema]) -> pl.DataFrame:
    return table.create_empty()


def read(table: str, path: Path, columns: Sequence[str]) -> pl.DataFrame:
    """Return ``columns`` of a shard of ``table``. A column that was added after the shard was written is null."""
    stored = set(stored_schema(path))
    frame = pl.read_parquet(path, glob=False, columns=[name for name in columns if name in stored])
    return _add_missing(table, frame, columns)


def read_parts(table: str, path: Path, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Yield what ``read`` returns in parts of ``ROWS_PER_PART`` rows, in order; a shard without rows is one part."""
    stored = set(stored_schema(path))
    shard = pl.scan_parquet(path, glob=False)
    rows = int(shard.select(pl.len()).collect().item())
    wanted = shard.select(name for name in columns if name in stored)
    for start in range(0, max(1, rows), ROWS_PER_PART):
        yield _add_missing(table, wanted.slice(start, ROWS_PER_PART).collect(), columns)


def _add_missing(table: str, frame: pl.DataFrame, columns: Sequence[str]) -> pl.DataFrame:
    types = empty(table).schema
    missing = {name: pl.lit(None, dtype=types[name]) for name in columns if name not in frame.columns}
    return frame.with_columns(**missing).select(columns)


def stored_schema(path: Path) -> pl.Schema:
    """Return the columns and types of the Parquet file at ``path``, whose name is never a pattern."""
    return pl.scan_parquet(path, glob=False).collect_schema()


def check_shard(table: str, path: Path) -> None:
    """Raise SeasDataError unless the Parquet file at ``path`` has rows of ``table`` and no other columns."""
    if table not in TABLES:
        raise SeasDataError(f"there is no table {table}")
    types = empty(table).schema
    try:
        stored = stored_schema(path)
    except (OSError, pl.exceptions.PolarsError) as problem:
        raise SeasDataError(
            f"{path.name} of table {table} is not a Parquet file; restore it from a copy or a release"
        ) from problem
    if unknown := [name for name in stored if name not in types]:
        raise SeasDataError(f"table {table} has the unknown columns {', '.join(unknown)}; update seas-data")
    if other := [name for name, kind in stored.items() if kind != types[name]]:
        raise SeasDataError(f"table {table} has columns of the wrong type: {', '.join(other)}")
    parts = read_parts(table, path, types.names())
    cast(table, next(parts))
    for number, part in enumerate(parts):
        cast(table, part)
        if number == 0:
            _check_keys(table, path)


def _check_keys(table: str, path: Path) -> None:
    """Raise SeasDataError if several rows of a shard have the same key: in another part than the first."""
    keys = TABLES[table].primary_key()
    if keys and (repeated := int(read(table, path, keys).is_duplicated().sum())):
        raise SeasDataError(f"table {table} does not fit its schema: {repeated} rows share their {', '.join(keys)}")
