"""Parquet files. The file as a whole can be read or not, so no single row is set aside as unreadable.

Only the columns that the source names are read, through Arrow: Polars would look at the types of all columns and stop
at one that it does not know, such as an unusual time zone.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from seas_data.errors import SeasDataError
from seas_data.recipe import Source
from seas_data.sources.files import MAX_BYTES
from seas_data.sources.formats import SourceFormat
from seas_data.sources.raw_rows import RawRows, check_columns, columns_by_field, raw_from_arrow


def read_parquet(path: Path, source: Source) -> RawRows:
    """Read the columns that the source names. Raise SeasDataError if one is missing or the file is damaged."""
    columns = source.columns
    try:
        file = pq.ParquetFile(path)
        check_columns(columns, file.schema_arrow.names)
        names = list(dict.fromkeys(columns_by_field(columns).values()))
        size = sum(
            file.metadata.row_group(group).column(at).total_uncompressed_size
            for group in range(file.metadata.num_row_groups)
            for at in range(file.metadata.num_columns)
            if file.schema.column(at).path.partition(".")[0] in {name.partition(".")[0] for name in names}
        )
        if size > MAX_BYTES:
            raise SeasDataError(f"{path} has {size:,} bytes of text, and at most {MAX_BYTES:,} are read; split it")
        return raw_from_arrow(file.read(columns=names), columns, path.name)
    except (pa.ArrowException, OSError) as problem:
        reason = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise SeasDataError(f"{path} cannot be read as Parquet: {reason}") from problem


PARQUET = SourceFormat(inputs=(".parquet",), read=read_parquet)
