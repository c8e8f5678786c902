"""Generation cache: answers stored as their batches finish, so that a killed run resumes where it stopped.

Batches are planned from the complete list of requests, the same way each time, and each one is stored atomically in a
file of its own, which carries a digest of its name and content. Answers are found by their own keys, not by their
batch: a run with other batches, more samples or more requests takes what is stored and generates the rest. A run that
is killed and resumed without a change finds whole batches, so it ends with the rows of an undisturbed run to the bit.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.models.protocol import ANSWER_SCHEMA, PromptFormat, Sampling
from seas_data.store.files import read_verified, write_with_digest

STORED_SCHEMA: Final = pl.Schema({"row_key": pl.String(), **ANSWER_SCHEMA})
"""The columns of a stored batch."""


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


def settings_key(digest: str, sampling: Sampling, prompt_format: PromptFormat) -> str:
    """Return a hash of what all answers of a call depend on: the model's ``digest`` and the settings."""
    return _hash(["settings", digest, sampling.model_dump(), asdict(prompt_format)])[:32]


def row_key(request_id: str, sample: int, content: str) -> str:
    """Return the key of one answer: its request, its sample number and a hash of the text sent."""
    return f"{request_id} {sample} {hashlib.sha256(content.encode()).hexdigest()}"


def answer_seed(sampling: Sampling, row_key: str) -> int:
    """Return the seed of one answer: 128 bits of a hash of its key and the sampling's seed."""
    return int(_hash(["seed", sampling.seed, row_key])[:32], 16)


def read_answers(folder: Path, settings: str, row_keys: Sequence[str]) -> pl.DataFrame:
    """Return the stored answers with ``row_keys``: the columns of ``STORED_SCHEMA``, one row for each key.

    A damaged file is named on standard error; its answers are generated again.
    """
    frames = [STORED_SCHEMA.to_frame()]
    for path in sorted(folder.glob(f"{settings}-*.part")):
        content = read_verified(path, "its answers are generated again")
        if content is not None:
            frames.append(pl.read_ipc(io.BytesIO(content)).match_to_schema(STORED_SCHEMA))
    wanted = pl.DataFrame({"row_key": row_keys}, {"row_key": pl.String()})
    return pl.concat(frames).unique("row_key", keep="first", maintain_order=True).join(wanted, on="row_key", how="semi")


def write_batch(folder: Path, settings: str, row_keys: Sequence[str], rows: pl.DataFrame) -> pl.DataFrame:
    """Store ``rows`` (the columns of ``ANSWER_SCHEMA``) atomically under their keys; return ``rows``."""
    buffer = io.BytesIO()
    rows.select(pl.Series("row_key", row_keys, pl.String), *ANSWER_SCHEMA).write_ipc(buffer, compression="zstd")
    write_with_digest(folder / f"{settings}-{_hash(list(row_keys))[:32]}.part", buffer.getvalue())
    return rows


def concat_batches(batches: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Return the rows of all batches with the columns of ``ANSWER_SCHEMA``, sorted by request and sample."""
    rows = pl.concat([ANSWER_SCHEMA.to_frame(), *(batch.select(ANSWER_SCHEMA.names()) for batch in batches)])
    return rows.sort("request_id", "sample")


def _hash(content: object) -> str:
    plain = json.dumps(content, ensure_ascii=True, separators=(",", ":"), default=list)
    return hashlib.sha256(plain.encode()).hexdigest()
