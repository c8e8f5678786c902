"""Reader for files of the SEAS reference code: one row per response, read once for hashes and again for texts.

A row has ``prompt`` (the seed), ``atk_output`` (the attack), ``tgt_output`` (the response) and ``evaluation`` (the
classifier's output). Such a file is gigabytes of text of which pairs use a part, so the first pass keeps numbers only
(hashes of seed, attack and response, length, verdict), and the second pass reads the requested texts.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seas_data.errors import SeasDataError
from seas_data.pairs import jsonl_blocks
from seas_data.pairs.jsonl_blocks import prefetch
from seas_data.progress import bar

Role = Literal["red", "target"]

_ROWS = 1 << 14  # of Parquet at a time
_TEXTS = ("prompt", "atk_output", "tgt_output")
_EVALUATION = "evaluation"


@dataclass(frozen=True)
class Reference:
    """The content of a reference file.

    Attributes:
        rows: row (position in the file), line (1-based; the row number for Parquet), seed and prompt (hashes), verdict
            (safe, unsafe, unparsed), characters and text_key (of the attack for red, of the response for target), blank
            (whether that text or the one it answers is blank).
        ties: For red, prompt and tie: an order of the attacks that is independent of file order.
        set_aside: line and reason (unreadable, undecodable, no_text).
        texts: Function from row numbers to a frame with prompt, atk_output and, for target, tgt_output, in that order.
    """

    rows: pl.DataFrame
    ties: pl.DataFrame
    set_aside: pl.DataFrame
    texts: Callable[[pl.Series], pl.DataFrame]


def read(path: Path, role: Role) -> Reference:
    """Read the JSONL file at ``path``, or Parquet if the name ends in ``.parquet``.

    An attack is identified by its text: within its seed for red, in the whole file for target, because the target sees
    only the attack. Texts are compared without surrounding white space.

    Raises SeasDataError if the file does not exist or has no rows of the reference code.
    """
    needed = _TEXTS[:2] if role == "red" else _TEXTS
    parquet = path.suffix.lower() == ".parquet"
    ties: dict[int, int] = {}
    parts, aside, spans = [_hash_texts(_empty_frame(needed), [], role)[0]], [], [np.empty((0, 2), np.int64)]
    with bar(_file_size(path, parquet), "reading", "rows" if parquet else "bytes") as progress:
        for block in prefetch(
            _read_parquet_blocks(path, needed) if parquet else jsonl_blocks.read_blocks(path, needed, _EVALUATION)
        ):
            measured, texts = _hash_texts(block.frame, block.lines, role)
            parts.append(measured)
            if role == "red":
                ties |= {key: zlib.crc32(text.encode()) for key, text in texts.unique("prompt").iter_rows()}
            aside.extend(block.set_aside)
            spans.append(block.spans)
            progress.update(block.size)
    rows = pl.concat(parts).with_columns(row=pl.int_range(pl.len()))
    if aside and rows.is_empty():
        raise SeasDataError(
            f"{path}: none of its {len(aside)} lines has the texts {', '.join(needed)} (the first is {aside[0][1]}); "
            "pass a file of the reference code, as JSONL or Parquet"
        )
    at = rows["line"].to_numpy() - 1 if parquet else np.concatenate(spans)
    fetch = _from_parquet if parquet else _from_jsonl
    set_aside = pl.DataFrame(aside, {"line": pl.Int64, "reason": pl.String}, orient="row")
    order = pl.DataFrame({"prompt": list(ties), "tie": list(ties.values())}, {"prompt": pl.UInt64, "tie": pl.Int64})
    return Reference(rows, order, set_aside, lambda rows: fetch(path, needed, at, rows.to_numpy()))


def parse_verdict(evaluation: pl.Expr) -> pl.Expr:
    """Return the first non-blank line if it is exactly ``safe`` or ``unsafe``, and ``unparsed`` otherwise."""
    return evaluation.str.extract(r"^\s*(safe|unsafe)[^\S\r\n]*(?:[\r\n]|$)", 1).fill_null("unparsed")


def _hash_texts(
    frame: pl.DataFrame, numbers: Sequence[int] | NDArray[np.int64], role: Role
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return hashes and lengths of the texts of ``frame``, and the texts by ``prompt``.

    The probability that any two of a million texts share a 64-bit hash is 3e-8.
    """
    given, own = ("prompt", "atk_output") if role == "red" else ("atk_output", "tgt_output")
    frame = frame.with_columns(pl.col(name).str.strip_chars() for name in _TEXTS if name in frame.columns)
    seed, attack = pl.col("prompt").hash(), pl.col("atk_output").hash(1)
    frame = frame.with_columns(
        seed=seed,
        prompt=seed.xor(attack) if role == "red" else attack,
        text=own,
        blank=(pl.col(given) == "") | (pl.col(own) == ""),
    )
    measured = frame.select(
        "seed",
        "prompt",
        "blank",
        line=pl.Series(numbers, dtype=pl.Int64),
        verdict=parse_verdict(pl.col(_EVALUATION)),
        characters=pl.col("text").str.len_chars().cast(pl.Int64),
        text_key=pl.col("text").hash(),
    )
    return measured, frame.select("prompt", "text")


def _file_size(path: Path, parquet: bool) -> int:
    if not path.is_file():
        raise SeasDataError(f"{path} does not exist; pass a JSONL or Parquet file of the reference code")
    return int(_open_parquet(path).metadata.num_rows) if parquet else path.stat().st_size


def _empty_frame(needed: tuple[str, ...]) -> pl.DataFrame:
    return pl.DataFrame(schema=dict.fromkeys((*needed, _EVALUATION), pl.String))


def _read_parquet_blocks(path: Path, needed: tuple[str, ...]) -> Iterator[jsonl_blocks.Block]:
    file, columns = _open_parquet(path), [*needed, _EVALUATION]
    names = file.schema_arrow.names
    if missing := [name for name in columns if name not in names]:
        raise SeasDataError(f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(names)}")
    row = 0
    for batch in file.iter_batches(_ROWS, columns=columns):
        frame = _as_text_frame(path, batch)
        numbers = np.arange(row + 1, row + 1 + frame.height)
        right = frame.select(pl.all_horizontal(pl.col(*needed).is_not_null())).to_series().to_numpy()
        aside = [(number, "no_text") for number in numbers[~right].tolist()]
        yield jsonl_blocks.Block(frame.filter(right), numbers[right], np.empty((0, 2), np.int64), aside, frame.height)
        row += frame.height


def _open_parquet(path: Path) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path)
        _ = file.schema_arrow  # decodes the names of the columns
        return file
    except (pa.ArrowException, OSError, UnicodeDecodeError) as problem:
        raise SeasDataError(f"{path} is not a Parquet file: {problem}") from problem


def _as_text_frame(path: Path, batch: pa.RecordBatch) -> pl.DataFrame:
    frame = pl.from_arrow(batch)
    assert isinstance(frame, pl.DataFrame)
    for name, kind in frame.schema.items():
        if kind not in (pl.String, pl.Categorical, pl.Null):
            raise SeasDataError(f"{path}: column {name} has type {kind}, not text; convert it to text")
    return frame.cast(pl.String)


def _from_jsonl(path: Path, needed: tuple[str, ...], spans: NDArray[np.int64], rows: NDArray[np.int64]) -> pl.DataFrame:
    rows, back = np.unique(rows, return_inverse=True)
    return jsonl_blocks.read_spans(path, spans[rows], needed, _EVALUATION).select(needed)[back]


def _from_parquet(path: Path, needed: tuple[str, ...], at: NDArray[np.int64], rows: NDArray[np.int64]) -> pl.DataFrame:
    places, back = np.unique(at[rows], return_inverse=True)
    parts, row = [_empty_frame(needed)], 0
    for batch in _open_parquet(path).iter_batches(_ROWS, columns=[*needed, _EVALUATION]):
        first, last = np.searchsorted(places, [row, row + batch.num_rows])
        if last > first:
            parts.append(_as_text_frame(path, batch.take(pa.array(places[first:last] - row))))
        row += batch.num_rows
    return pl.concat(parts).select(needed)[back]
