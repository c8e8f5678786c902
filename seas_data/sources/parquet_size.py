"""The size that the rows of a Parquet file have in memory, bounded before they are read.

A file of a few kilobytes can hold 100 rows that share one text of 100 MB, or 20 million equal rows: dictionary and
run-length encoding store equal values once, and the metadata counts them once.
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seas_data.errors import SeasDataError
from seas_data.sources.compression import MAX_BYTES, MAX_RATIO, RATIO_FROM

_BYTES_PER_VALUE: Final = 8


def require_bounded_parquet(path: Path, columns: Collection[str] | None = None) -> None:
    """Raise SeasDataError if the rows of the file at ``path`` need too much memory; see ``files``.

    ``columns``: the columns that are read; all of them by default. Texts are counted as often as they occur.
    """
    with pq.ParquetFile(path) as file:
        _require_bounded(path, file, columns)


def is_parquet_bomb(path: Path) -> bool:
    """Return whether ``require_bounded_parquet`` refuses the file at ``path``."""
    try:
        require_bounded_parquet(path)
    except SeasDataError:
        return True
    return False


def _require_bounded(path: Path, file: pq.ParquetFile, columns: Collection[str] | None) -> None:
    metadata, total = file.metadata, 0
    texts: dict[str, int] = {}
    for at in range(metadata.num_columns):
        name = file.schema.column(at).path
        if columns is not None and name.partition(".")[0] not in {each.partition(".")[0] for each in columns}:
            continue
        chunks = [metadata.row_group(group).column(at) for group in range(metadata.num_row_groups)]
        total += sum(each.total_uncompressed_size + _BYTES_PER_VALUE * each.num_values for each in chunks)
        if chunks and chunks[0].physical_type == "BYTE_ARRAY" and any(each.has_dictionary_page for each in chunks):
            texts[name] = sum(each.total_uncompressed_size * each.num_values for each in chunks)
    _require(path, total, metadata.num_rows)
    # The product of a chunk's size and its values is more than its texts can have, so small files end here.
    if sum(texts.values()) > RATIO_FROM:
        for length in _text_lengths(path, list(texts)):
            total += length
            _require(path, total, metadata.num_rows)


def _text_lengths(path: Path, names: list[str]) -> Iterator[int]:
    """Yield the total length of the texts of each column in each row group, without expanding their dictionary."""
    with pq.ParquetFile(path, read_dictionary=names) as file:
        for group in range(file.metadata.num_row_groups):
            for name in names:
                for chunk in file.read_row_group(group, columns=[name]).column(0).chunks:
                    yield _length(chunk)


def _length(values: pa.Array) -> int:
    """Return the total length of the texts in an array, also if it is nested."""
    if isinstance(values, pa.DictionaryArray):
        lengths = pc.binary_length(values.dictionary).take(values.indices)
        return int(pc.sum(lengths).as_py() or 0)
    if pa.types.is_struct(values.type):
        return sum(_length(each) for each in values.flatten())
    if pa.types.is_map(values.type):
        return _length(values.keys) + _length(values.items)
    if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
        return _length(values.values)
    return 0  # counted by its uncompressed size


def _require(path: Path, total: int, rows: int) -> None:
    size = path.stat().st_size
    if total > MAX_BYTES:
        raise SeasDataError(
            f"{path} has {rows:,} rows of {total:,} bytes or more, and at most {MAX_BYTES:,} are read; split it"
        )
    if total > RATIO_FROM and total > MAX_RATIO * size:
        raise SeasDataError(
            f"{path} has {rows:,} rows of {total:,} bytes or more in a file of {size:,}, which looks like a "
            "decompression bomb; if it is none, save its rows as .jsonl"
        )
