"""What was generated, kept part by part, so that a killed run goes on where it was.

The batches are planned from the whole list of requests, the same each time. Each is computed whole, from a seed of its
own, and stored whole or not at all under a key of everything that made it. So a resumed run computes the batches that
are missing and ends with the rows of an undisturbed one.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.models.protocol import ANSWERS, Asking, Sampling
from seas_data.store.files import write_parquet


def plan(lengths: NDArray[np.int64], room: int, batch_tokens: int, batch_rows: int) -> list[NDArray[np.int64]]:
    """Return batches as arrays of row numbers: alike in length, the longest first, ties by row.

    A batch has at most ``batch_rows`` rows, and its longest row, ``lengths`` and the ``room`` for an answer, times its
    rows stays within ``batch_tokens`` (a row that alone is longer is a batch). The longest come first, so that memory
    that does not suffice shows at once.
    """
    order = np.lexsort((np.arange(len(lengths)), -lengths))
    batches, start = [], 0
    while start < len(order):
        width = int(lengths[order[start]]) + room
        rows = max(1, min(batch_rows, batch_tokens // width))
        batches.append(np.sort(order[start : start + rows]))
        start += rows
    return batches


def key(digest: str, sampling: Sampling, asking: Asking, rows: Sequence[str]) -> str:
    """Return the name of a batch: a hash of the model, the settings and each of its rows (as ``row_key`` has them)."""
    return _hash(["part", digest, sampling.model_dump(), asdict(asking), list(rows)])[:32]


def row_key(request_id: str, sample: int, content: str) -> str:
    """Return what tells a row of a batch from any other: its id, sample and the text that is asked."""
    return f"{request_id} {sample} {hashlib.sha256(content.encode()).hexdigest()}"


def seed(sampling: Sampling, names: Sequence[str]) -> int:
    """Return the seed of the rows called ``names``: 31 bits of a hash of them and of the sampling's seed."""
    return int(_hash(["seed", sampling.seed, list(names)])[:16], 16) & 0x7FFFFFFF


def read(folder: Path, name: str) -> pl.DataFrame | None:
    """Return the part called ``name``, or None. One that does not read back is put aside and computed again."""
    path = folder / f"{name}.parquet"
    if not path.exists():
        return None
    try:
        return pl.read_parquet(path).match_to_schema(ANSWERS)
    except (pl.exceptions.PolarsError, OSError):
        path.replace(path.with_suffix(".damaged"))
        return None


def write(folder: Path, name: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Store ``rows`` (columns of ``ANSWERS``) as the part called ``name``, whole or not at all, and return them."""
    write_parquet(folder / f"{name}.parquet", rows)
    return rows


def together(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of all parts, sorted by request and sample."""
    return pl.concat([ANSWERS.to_frame(), *parts]).sort("request_id", "sample")


def _hash(content: object) -> str:
    plain = json.dumps(content, ensure_ascii=True, separators=(",", ":"), default=list)
    return hashlib.sha256(plain.encode()).hexdigest()
