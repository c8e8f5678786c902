"""Parquet files. The file as a whole can be read or not, so no single row is set aside as unreadable."""

from pathlib import Path

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.recipe import Source
from seas_data.sources.formats import SourceFormat
from seas_data.sources.raw import RawRows, check_columns, columns_by_field, raw_from_frame


def read_parquet(path: Path, source: Source) -> RawRows:
    """Read the columns that the source names. Raise SeasDataError if one is missing or the file is damaged."""
    columns = source.columns
    try:
        check_columns(columns, pl.read_parquet_schema(path))
        names = list(dict.fromkeys(columns_by_field(columns).values()))
        return raw_from_frame(pl.read_parquet(path, columns=names), columns, path.name)
    except (pl.exceptions.PolarsError, OSError) as problem:
        reason = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise SeasDataError(f"{path} cannot be read as Parquet: {reason}") from problem


PARQUET = SourceFormat(inputs=(".parquet",), read=read_parquet)
