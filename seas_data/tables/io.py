"""Frames in and out of the tables: ``cast`` for rows that are written, ``read`` for shards."""

from collections.abc import Sequence
from pathlib import Path

import dataframely.exc
import polars as pl

from seas_data.errors import SeasDataError
from seas_data.tables.schema import TABLES


def cast(table: str, frame: pl.DataFrame) -> pl.DataFrame:
    """Return ``frame`` with exactly the columns of ``table``, in order and typed; raise SeasDataError if it cannot."""
    schema = TABLES[table]
    missing = [name for name in schema.column_names() if name not in frame.columns]
    if missing:
        raise SeasDataError(f"table {table} lacks the columns {', '.join(missing)}")
    try:
        return schema.validate(frame.select(schema.column_names()), cast=True)
    except (dataframely.exc.ValidationError, pl.exceptions.PolarsError) as problem:
        raise SeasDataError(f"table {table} does not fit its schema: {problem}") from problem


def empty(table: str) -> pl.DataFrame:
    """Return ``table`` without rows."""
    return TABLES[table].create_empty()


def read(table: str, path: Path, columns: Sequence[str]) -> pl.DataFrame:
    """Return those ``columns`` of a shard of ``table``. One that was added after it was written is null in it."""
    there = set(pl.read_parquet_schema(path))
    frame = pl.read_parquet(path, columns=[name for name in columns if name in there])
    schema = empty(table).schema
    missing = {name: pl.lit(None, dtype=schema[name]) for name in columns if name not in there}
    return frame.with_columns(**missing).select(columns)


def fits(table: str, path: Path) -> None:
    """Raise SeasDataError unless the Parquet file at ``path`` holds rows of ``table``, and no column of another."""
    if table not in TABLES:
        raise SeasDataError(f"there is no table {table}")
    schema = empty(table).schema
    try:
        there = pl.read_parquet_schema(path)
    except (OSError, pl.exceptions.PolarsError) as problem:
        raise SeasDataError(f"a file of table {table} is no Parquet file") from problem
    if unknown := [name for name in there if name not in schema]:
        raise SeasDataError(f"table {table} has no columns {', '.join(unknown)}; a newer seas-data may know them")
    if other := [name for name, kind in there.items() if kind != schema[name]]:
        raise SeasDataError(f"table {table} has other types in {', '.join(other)}")
    cast(table, read(table, path, schema.names()))
