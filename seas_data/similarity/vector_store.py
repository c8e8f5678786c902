"""What embedders made of texts, kept: Parquet parts that are written whole or not at all, and never changed.

A folder for each model key holds two kinds of parts, both by text key (a hash of the text as it is): ``tokens-*`` with
how many tokens a text has, the share of them that are unknown, and how many the model reads; ``vectors-*`` with the
unit vectors, as little-endian float32 bytes. Parts are small, so that a killed build loses seconds. A part's name holds
the digest of its bytes: one that is damaged is put aside, and its texts are computed again.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seas_data.errors import SeasDataError
from seas_data.store.files import replacing
from seas_data.text import content_id

_TOKENS = pl.Schema({"key": pl.String, "tokens": pl.Int32, "unknown": pl.Float64, "longest": pl.Int32})


def text_keys(texts: pl.Series) -> pl.Series:
    """Return the key of each text: of the very characters, since an embedder may tell case and spaces apart."""
    return pl.Series("key", [content_id("embedded text", text) for text in texts], dtype=pl.String)


def token_counts(folder: Path) -> pl.DataFrame:
    """Return what is known of texts' tokens: ``key``, ``tokens``, ``unknown`` (a share), ``longest``; a key once."""
    parts = [pl.DataFrame(table).match_to_schema(_TOKENS) for table in _parts(folder, "tokens")]
    return pl.concat([_TOKENS.to_frame(), *parts]).unique("key", keep="first", maintain_order=True)


def add_token_counts(folder: Path, counted: pl.DataFrame) -> pl.DataFrame:
    """Store ``counted`` and return it (columns as in ``token_counts``, others are left out)."""
    counted = counted.select(pl.col(name).cast(dtype) for name, dtype in _TOKENS.items())
    if len(counted):
        _write(folder, "tokens", counted.to_arrow())
    return counted


def vectors(folder: Path, keys: pl.Series) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Return which of ``keys`` (each once) have a stored vector, and a matrix with a row for each key.

    Rows of keys without a vector hold anything, and where none has one the matrix has no columns. Reads part by part,
    so that no more than what is asked for, and one part, is in memory.
    """
    asked = pl.DataFrame({"key": keys}).with_row_index("place")
    stored, matrix = np.zeros(len(keys), np.bool_), np.empty((len(keys), 0), np.float32)
    for table in _parts(folder, "vectors"):
        here = pl.DataFrame({"key": pl.from_arrow(table["key"])}).with_row_index("row").join(asked, on="key")
        places = here["place"].to_numpy()
        values = table["vector"].combine_chunks()
        part = np.frombuffer(values.buffers()[1], dtype="<f4").reshape(-1, values.type.byte_width // 4)
        part = part[values.offset : values.offset + len(values)]
        if not stored.any():
            matrix = np.empty((len(keys), part.shape[1]), np.float32)
        matrix[places], stored[places] = part[here["row"].to_numpy()], True
    return stored, matrix


def add_vectors(folder: Path, keys: pl.Series, rows: NDArray[np.float32]) -> None:
    """Store the vectors ``rows`` of the texts ``keys`` as one part."""
    width = rows.shape[1] * 4
    content = pa.py_buffer(np.ascontiguousarray(rows, dtype="<f4").tobytes())
    column = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(rows), [None, content])
    _write(folder, "vectors", pa.table({"key": keys.to_arrow(), "vector": column}))


def forget(folder: Path, keys: pl.Series) -> None:
    """Remove all that is stored of the texts ``keys`` from every model's parts below ``folder``, damaged ones too."""
    for path in sorted(folder.rglob("*.parquet")):
        table = pq.read_table(path)
        gone = pl.Series(pl.from_arrow(table["key"])).is_in(keys.implode())
        if gone.any():
            if not gone.all():
                _write(path.parent, path.name.partition("-")[0], table.filter((~gone).to_arrow()))
            path.unlink()
    for path in folder.rglob("*.damaged"):
        path.unlink()


def _parts(folder: Path, kind: str) -> Iterator[pa.Table]:
    for path in sorted(folder.glob(f"{kind}-*.parquet")):
        content = path.read_bytes()
        if path.stem == f"{kind}-{_digest(content)}":
            yield pq.read_table(pa.BufferReader(content))
        else:
            path.replace(path.with_suffix(".damaged"))


def _write(folder: Path, kind: str, table: pa.Table) -> None:
    output = pa.BufferOutputStream()
    pq.write_table(table, output, use_dictionary=False, compression="none")
    content = output.getvalue().to_pybytes()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with replacing(folder / f"{kind}-{_digest(content)}.parquet") as temporary:
            temporary.write_bytes(content)
    except OSError as problem:
        raise SeasDataError(
            f"embeddings cannot be stored in {folder} ({problem.strerror or problem}); "
            "mend that and run again: what was embedded before is kept"
        ) from problem


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:24]
