"""On-disk store of embeddings: immutable Parquet parts that are written atomically.

Each model key has a folder with two kinds of parts, both by text key (a hash of the unchanged text): ``tokens-*`` has
each text's number of tokens, the proportion of unknown ones, the number the model reads and the number of windows (see
``windows``); ``vectors-*`` has the unit vectors as little-endian float32 bytes, those of windows by the text key, ``:``
and the start of the window. Parts are small, so a killed build loses seconds of work. The name of a
part contains the digest of its bytes: a damaged part is removed, with a line that says so, and its texts are embedded
again.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seas_data.progress import bar
from seas_data.store import file_array
from seas_data.store.files import atomic_write, warn_of_damage
from seas_data.text import content_id

_COUNTS = {"tokens": pl.Int32(), "unknown": pl.Float64(), "longest": pl.Int32(), "windows": pl.Int64()}
_TOKENS = pl.Schema({"key": pl.String(), **_COUNTS})
_TEXTS_PER_SLICE = 100_000  # so that few keys at a time are strings of Python
BLOCK_BYTES = 1 << 31
"""Memory for the part of a file of vectors that is written at once."""


def compute_text_keys(texts: pl.Series) -> pl.Series:
    """Return a key per text: a hash of its exact characters, because embedders may distinguish case and spaces."""
    slices = [texts[start : start + _TEXTS_PER_SLICE] for start in range(0, len(texts), _TEXTS_PER_SLICE)]
    keys = [pl.Series("key", [content_id("embedded text", text) for text in each]) for each in slices]
    return pl.concat([pl.Series("key", dtype=pl.String), *keys], rechunk=True)


def read_token_counts(folder: Path, keys: pl.Series) -> pl.DataFrame:
    """Return the stored token counts of ``keys`` (distinct), one row each, with nulls where none are stored.

    Older counts of long texts, which lack the number of windows, are left out.

    Output columns: ``tokens``, ``unknown`` (the proportion, of a long text that of its worst window), ``longest``
    (tokens that the model reads), ``windows`` (0 if there are too many).

    Raises ValueError if ``keys`` are not distinct.
    """
    find, is_stored = _KeyIndex(keys), np.zeros(len(keys), np.bool_)
    counts = {name: np.zeros(len(keys), np.float64 if kind.is_float() else np.int64) for name, kind in _COUNTS.items()}
    windows = pl.coalesce("windows", pl.when(pl.col("tokens") <= pl.col("longest")).then(1))
    for _, table in _read_parts(folder, "tokens"):
        part = pl.DataFrame(table).match_to_schema(_TOKENS, missing_columns="insert").with_columns(windows=windows)
        part = part.drop_nulls("windows")
        row, position = find(part["key"])
        new = ~is_stored[position]
        row, position = row[new], position[new]
        is_stored[position] = True
        for name, values in counts.items():
            values[position] = part[name].to_numpy()[row]
    stored = pl.Series(is_stored)
    return pl.DataFrame(counts).select(pl.when(stored).then(pl.col(name).cast(kind)) for name, kind in _COUNTS.items())


def write_token_counts(folder: Path, counts: pl.DataFrame) -> None:
    """Store ``counts`` (columns: ``key`` and those of ``read_token_counts``; other columns are ignored)."""
    counts = counts.select(pl.col(name).cast(dtype) for name, dtype in _TOKENS.items())
    if len(counts):
        _write_part(folder, "tokens", counts.to_arrow())


def read_vectors(folder: Path, keys: pl.Series, more: int = 0) -> tuple[NDArray[np.bool_], NDArray[np.float32] | None]:
    """Return which of ``keys`` (distinct) have a stored vector and, if all have, a matrix of them.

    It has one row per key, and ``more`` rows that are not initialised. Up to the size of ``file_array`` it is in
    memory, which holds one part too. A larger one is in a file, which is written from its beginning to its end, in
    blocks for which the parts are read again: parts have rows in any order, and writing each would read the disk.
    """
    find, stored, found = _KeyIndex(keys), np.zeros(len(keys), np.bool_), list[_Found]()
    matrix = np.empty((len(keys) + more, 0), np.float32)
    for path, table in _read_parts(folder, "vectors"):
        row, position = find(pl.Series(pl.from_arrow(table["key"])))
        if not len(row):
            continue
        stored[position] = True
        numbers = _numbers(table)
        if 4 * len(matrix) * numbers.shape[1] > file_array.IN_MEMORY_BYTES:
            found.append(_Found(path, row, position))
            continue
        if not matrix.shape[1]:
            matrix = np.empty((len(matrix), numbers.shape[1]), np.float32)
        matrix[position] = numbers[row]
    if not stored.all():
        return stored, None
    return stored, _write_file(folder, len(matrix), found) if found else matrix


@dataclass(frozen=True)
class _Found:
    """Rows of the part at ``path`` and their positions in a matrix, ascending."""

    path: Path
    row: NDArray[np.uint32]
    position: NDArray[np.uint32]


def _write_file(folder: Path, rows: int, found: list[_Found]) -> NDArray[np.float32]:
    """Return a matrix of so many ``rows``, in a file, with the rows ``found``."""
    width = _numbers(pq.read_table(found[0].path, columns=["vector"])).shape[1]
    matrix, block_rows = file_array.new_array(folder, (rows, width)), BLOCK_BYTES // (4 * width)
    with bar(rows, "reading vectors", "texts") as progress:
        for start in range(0, rows, block_rows):
            block = np.empty((min(block_rows, rows - start), width), np.float32)
            for each in found:
                inside = slice(*np.searchsorted(each.position, [start, start + len(block)]))
                if inside.start < inside.stop:
                    numbers = _numbers(pq.read_table(each.path, columns=["vector"]))
                    block[each.position[inside] - start] = numbers[each.row[inside]]
            matrix[start : start + len(block)] = block
            progress.update(len(block))
    return matrix


def _numbers(table: pa.Table) -> NDArray[np.float32]:
    values = table["vector"].combine_chunks()
    numbers = np.frombuffer(values.buffers()[1], dtype="<f4").reshape(-1, values.type.byte_width // 4)
    return numbers[values.offset : values.offset + len(values)]


class _KeyIndex:
    """Finds the positions of ``keys`` (distinct), made once for all parts: a join with each part would hash all keys
    again.
    """

    def __init__(self, keys: pl.Series) -> None:
        # Two keys of one hash are as good as impossible, and gone with another seed.
        for seed in range(9):
            hashes = keys.hash(seed)
            if hashes.n_unique() == len(keys):
                break
        else:
            raise ValueError("keys are not distinct")
        self.keys, self.seed = keys, seed
        order = hashes.arg_sort()
        self.order, self.hashes = order.to_numpy(), hashes.gather(order).to_numpy()

    def __call__(self, others: pl.Series) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """Return the rows of ``others`` that are among the keys, by ascending position, and their positions."""
        place = np.searchsorted(self.hashes, others.hash(self.seed).to_numpy())
        inside = np.flatnonzero(place < len(self.hashes)).astype(np.uint32)
        position = self.order[place[inside]]
        equal = (self.keys.gather(position) == others.gather(inside)).to_numpy()
        row, position = inside[equal], position[equal]
        ascending = np.argsort(position)
        return row[ascending], position[ascending]


def write_vectors(folder: Path, keys: pl.Series, rows: NDArray[np.float32]) -> None:
    """Store the vectors ``rows`` of the texts ``keys`` as one part."""
    write_part(folder, *encode_vectors(keys, rows))


def encode_vectors(keys: pl.Series, rows: NDArray[np.float32]) -> tuple[str, bytes]:
    """Return the name and the content of the part of the vectors ``rows`` of the texts ``keys``."""
    width = rows.shape[1] * 4
    content = pa.py_buffer(np.ascontiguousarray(rows, dtype="<f4").tobytes())
    column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(rows), [None, content])
    return _encode_part("vectors", pa.table({"key": keys.to_arrow(), "vector": column}))


def write_part(folder: Path, name: str, content: bytes) -> None:
    """Store an encoded part."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with atomic_write(folder / name) as temporary:
        temporary.write_bytes(content)


def remove_texts(folder: Path, keys: pl.Series) -> None:
    """Remove everything stored for the texts ``keys`` from the parts of all models below ``folder``.

    Whatever else is there is removed too, such as damaged parts, because its content is unknown.
    """
    for path in sorted(folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        kind = path.name.partition("-")[0]
        table = _read_part(path, kind, "it is removed") if path.suffix == ".parquet" else None
        if table is None:
            path.unlink(missing_ok=True)
            continue
        # The key of a window begins with that of its text.
        removed = pl.Series(pl.from_arrow(table["key"])).str.extract("^([^:]*)").is_in(keys.implode())
        if removed.any():
            if not removed.all():
                _write_part(path.parent, kind, table.filter((~removed).to_arrow()))
            path.unlink()


def _read_parts(folder: Path, kind: str) -> Iterator[tuple[Path, pa.Table]]:
    for path in sorted(folder.glob(f"{kind}-*.parquet")):
        table = _read_part(path, kind, "its texts are embedded again")
        if table is not None:
            yield path, table


def _read_part(path: Path, kind: str, consequence: str) -> pa.Table | None:
    """Return a part, or None if it is damaged; then it is removed and named on standard error."""
    try:
        content = path.read_bytes()
    except OSError as problem:
        warn_of_damage(path, consequence, f"cannot be read ({problem.strerror or problem})")
        return None
    if path.stem != f"{kind}-{_digest(content)}":
        warn_of_damage(path, consequence)
        path.unlink(missing_ok=True)
        return None
    return pq.read_table(pa.BufferReader(content))


def _write_part(folder: Path, kind: str, table: pa.Table) -> None:
    write_part(folder, *_encode_part(kind, table))


def _encode_part(kind: str, table: pa.Table) -> tuple[str, bytes]:
    output = pa.BufferOutputStream()
    pq.write_table(table, output, use_dictionary=False, compression="none")
    content = output.getvalue().to_pybytes()
    return f"{kind}-{_digest(content)}.parquet", content


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24]
