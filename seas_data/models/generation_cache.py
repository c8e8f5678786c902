"""Generation cache: batches of answers stored as they finish, so that a killed run resumes where it stopped.

Batches are planned from the complete list of requests, the same way each time. Each batch is computed whole, with its
own seed, and stored atomically under a key of everything that determines it. A resumed run therefore computes only the
missing batches and ends with the rows of an undisturbed run. Each file carries a digest of its name and content.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.models.protocol import ANSWER_SCHEMA, PromptFormat, Sampling
from seas_data.store.files import read_verified, write_with_digest


def plan_batches(
    lengths: NDArray[np.int64], answer_tokens: int, batch_tokens: int, batch_rows: int
) -> list[NDArray[np.int64]]:
    """Return batches as arrays of row numbers: rows of similar length, the longest first, ties by row number.

    A batch has at most ``batch_rows`` rows, and at most ``batch_tokens`` tokens: its rows times its longest request in
    ``lengths`` plus ``answer_tokens``. A row that exceeds the limit alone is a batch of its own. The longest batches
    come first, so that a shortage of memory shows at once.
    """
    order = np.lexsort((np.arange(len(lengths)), -lengths))
    batches, start = [], 0
    while start < len(order):
        width = int(lengths[order[start]]) + answer_tokens
        rows = max(1, min(batch_rows, batch_tokens // width))
        batches.append(np.sort(order[start : start + rows]))
        start += rows
    return batches


def batch_key(digest: str, sampling: Sampling, prompt_format: PromptFormat, rows: Sequence[str]) -> str:
    """Return a batch's name in the cache: a hash of the model's ``digest``, the settings and the keys of its rows."""
    return _hash(["part", digest, sampling.model_dump(), asdict(prompt_format), list(rows)])[:32]


def row_key(request_id: str, sample: int, content: str) -> str:
    """Return a key of one row of a batch: its request, its sample number and a hash of the text sent."""
    return f"{request_id} {sample} {hashlib.sha256(content.encode()).hexdigest()}"


def batch_seed(sampling: Sampling, row_keys: Sequence[str]) -> int:
    """Return the seed of the rows with ``row_keys``: 31 bits of a hash of the keys and the sampling's seed."""
    return int(_hash(["seed", sampling.seed, list(row_keys)])[:16], 16) & 0x7FFFFFFF


def read_batch(folder: Path, key: str) -> pl.DataFrame | None:
    """Return the rows stored under ``key``, or None if there are none or their file is damaged.

    A damaged file is named on standard error; its rows are generated again and replace it.
    """
    content = read_verified(folder / f"{key}.part", "its answers are generated again")
    return None if content is None else pl.read_ipc(io.BytesIO(content)).match_to_schema(ANSWER_SCHEMA)


def write_batch(folder: Path, key: str, rows: pl.DataFrame) -> pl.DataFrame:
    """Store ``rows`` (the columns of ``ANSWER_SCHEMA``) atomically under ``key`` with their digest; return ``rows``."""
    buffer = io.BytesIO()
    rows.write_ipc(buffer, compression="zstd")
    write_with_digest(folder / f"{key}.part", buffer.getvalue())
    return rows


def concat_batches(batches: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of all batches, sorted by request and sample."""
    return pl.concat([ANSWER_SCHEMA.to_frame(), *batches]).sort("request_id", "sample")


def _hash(content: object) -> str:
    plain = json.dumps(content, ensure_ascii=True, separators=(",", ":"), default=list)
    return hashlib.sha256(plain.encode()).hexdigest()
