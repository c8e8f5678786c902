"""Parquet files. The file as a whole can be read or not, so no single row is set aside as unreadable.

Only the columns that the source names are read, through Arrow: Polars would look at the types of all columns and stop
at one that it does not know, such as an unusual time zone.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from seas_data.errors import SeasDataError
from seas_data.recipe import Source
from seas_data.sources.arrow_rows import raw_from_arrow
from seas_data.sources.formats import SourceFormat
from seas_data.sources.parquet_size import require_bounded_parquet
from seas_data.sources.raw_rows import RawRows, check_columns, columns_by_field, more_columns


def read_parquet(path: Path, source: Source) -> RawRows:
    """Read the columns that the source names. Raise SeasDataError if one is missing or the file is damaged."""
    columns = source.columns
    try:
        file = pq.ParquetFile(path)
        more = more_columns(source)
        check_columns(columns, file.schema_arrow.names, more)
        names = list(dict.fromkeys([*columns_by_field(columns).values(), *more]))
        require_bounded_parquet(path, names)
        rows = raw_from_arrow(file.read(columns=names), source, path.name, more)
        pa.default_memory_pool().release_unused()  # what decoding used: twice as much as the texts
        return rows
    except (pa.ArrowException, OSError, UnicodeDecodeError) as problem:  # the last: a damaged name of a column
        reason = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise SeasDataError(f"{path} cannot be read as Parquet: {reason}") from problem


PARQUET = SourceFormat(inputs=(".parquet",), read=read_parquet)
