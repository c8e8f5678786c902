"""The size that the rows of a Parquet file have in memory, bounded before they are read.

A file of a few kilobytes can hold 100 rows that share one text of 100 MB, or 20 million equal rows: dictionary and
run-length encoding store equal values once, and delta encoding stores equal beginnings once. The metadata counts them
as they are stored.
"""

from collections.abc import Collection, Iterator
from itertools import chain
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from seas_data.errors import SeasDataError
from seas_data.sources.compression import MAX_BYTES, MAX_RATIO, RATIO_FROM

_BYTES_PER_VALUE: Final = 8
_BATCH_BYTES: Final = 64 << 20


def require_bounded_parquet(path: Path, columns: Collection[str] | None = None) -> None:
    """Raise SeasDataError if the rows of the file at ``path`` need too much memory; see ``files``.

    ``columns``: the columns that are read; all of them by default. Texts are counted as often as they occur.
    """
    with pq.ParquetFile(path) as file:
        _require_whole_metadata(path, file, columns)
        _require_bounded(path, file, columns)


def is_parquet_bomb(path: Path) -> bool:
    """Return whether ``require_bounded_parquet`` refuses the file at ``path``."""
    try:
        require_bounded_parquet(path)
    except SeasDataError:
        return True
    return False


def _require_whole_metadata(path: Path, file: pq.ParquetFile, columns: Collection[str] | None) -> None:
    """Read one row of each row group: that raises OSError if its metadata are damaged; looking at them would abort.

    Texts are read with their dictionary, so that they are not expanded.
    """
    stored = [file.schema.column(at) for at in range(file.metadata.num_columns)]
    texts = [column.path for column in stored if column.physical_type == "BYTE_ARRAY"]
    try:
        _read_first_rows(path, columns, texts)
    except OSError:  # also of delta encoding, which has no dictionary
        _read_first_rows(path, columns, [])


def _read_first_rows(path: Path, columns: Collection[str] | None, texts: list[str]) -> None:
    names = None if columns is None else list(columns)
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        for group in range(file.metadata.num_row_groups):
            next(file.iter_batches(1, row_groups=[group], columns=names, use_threads=False), None)


def _require_bounded(path: Path, file: pq.ParquetFile, columns: Collection[str] | None) -> None:
    metadata, total, most, measured = file.metadata, 0, 0, 0
    lengths: list[Iterator[int]] = []
    for at in range(metadata.num_columns):
        column = file.schema.column(at)
        if columns is not None and column.path.partition(".")[0] not in {each.partition(".")[0] for each in columns}:
            continue
        chunks = [metadata.row_group(group).column(at) for group in range(metadata.num_row_groups)]
        width = max(_BYTES_PER_VALUE, column.length)
        stored = sum(each.total_uncompressed_size for each in chunks)
        total += stored + width * sum(each.num_values for each in chunks)
        if column.physical_type != "BYTE_ARRAY":
            continue
        # No text is longer than its chunk, so its texts together have at most this many bytes. Small files end here.
        bound = sum(each.total_uncompressed_size * each.num_values for each in chunks)
        if any("DELTA_BYTE_ARRAY" in each.encodings for each in chunks):
            longest = max(each.total_uncompressed_size for each in chunks)
            lengths.append(_prefixed_lengths(path, column.path, max(1, _BATCH_BYTES // longest)))
            total += bound if column.max_repetition_level else 0  # one row of a list may hold all of them
        elif any(each.has_dictionary_page for each in chunks):
            lengths.append(_dictionary_lengths(path, column.path))
            measured += stored  # the lengths below are those of all texts, also of those that are stored as they are
        else:
            continue
        most += bound
    _require(path, total, metadata.num_rows)
    total -= measured
    for length in chain(*lengths) if most > RATIO_FROM else ():
        total += length
        _require(path, total, metadata.num_rows)


def _dictionary_lengths(path: Path, name: str) -> Iterator[int]:
    """Yield the total length of the texts of a column in each row group, without expanding their dictionary."""
    with pq.ParquetFile(path, read_dictionary=[name]) as file:
        for group in range(file.metadata.num_row_groups):
            for chunk in file.read_row_group(group, columns=[name]).column(0).chunks:
                yield _length(chunk)


def _prefixed_lengths(path: Path, name: str, rows: int) -> Iterator[int]:
    """Yield the size of ``rows`` rows at a time of a column whose texts are stored without their common prefixes."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(rows, columns=[name], use_threads=False):
            yield batch.nbytes


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
