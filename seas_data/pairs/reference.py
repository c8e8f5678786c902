"""The files of the SEAS reference code: one row a response, read once for what is compared and again for texts.

A row has ``prompt`` (the seed), ``atk_output`` (the attack), ``tgt_output`` (the response) and ``evaluation`` (what the
classifier wrote). Such a file is gigabytes of text, and pairs use a part of it: the first reading keeps numbers only
(which rows share a seed, an attack, a response; how long it is; the verdict), the second fetches the rows asked for.
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
from seas_data.pairs import lines
from seas_data.pairs.lines import ahead
from seas_data.progress import bar

Role = Literal["red", "target"]

_ROWS = 1 << 14  # of Parquet at a time
_TEXTS = ("prompt", "atk_output", "tgt_output")
_EVALUATION = "evaluation"


@dataclass(frozen=True)
class Reference:
    """What a file holds.

    ``rows``: row (numbered in the order of the file), line (from 1; of Parquet the number of the row), seed and prompt
    (numbers, equal for equal ones), verdict (safe, unsafe, unparsed), characters and text_key (of the text that the
    role compares: the attack for red, the response for target) and blank (whether it or what it answers is). ``ties``:
    of red a tie for each prompt, an order of the attacks that does not depend on the file's. ``set_aside``: line,
    reason (unreadable, undecodable, no_text). ``texts`` returns prompt, atk_output and, for target, tgt_output of the
    rows asked for, in that order.
    """

    rows: pl.DataFrame
    ties: pl.DataFrame
    set_aside: pl.DataFrame
    texts: Callable[[pl.Series], pl.DataFrame]


def read(path: Path, role: Role) -> Reference:
    """Read the JSONL or, if its name ends so, Parquet file at ``path``; raise SeasDataError if it is no such file.

    An attack is known by its text: for red within its seed, for target in the whole file, since the target answers the
    attack alone. Texts are compared without the white space around them.
    """
    needed = _TEXTS[:2] if role == "red" else _TEXTS
    parquet = path.suffix.lower() == ".parquet"
    ties: dict[int, int] = {}
    parts, aside, spans = [_measured(_no_texts(needed), [], role)[0]], [], [np.empty((0, 2), np.int64)]
    with bar(_size(path, parquet), "reading", "rows" if parquet else "bytes") as progress:
        for block in ahead(_parquet(path, needed) if parquet else lines.blocks(path, needed, _EVALUATION)):
            measured, texts = _measured(block.frame, block.lines, role)
            parts.append(measured)
            if role == "red":
                ties |= {key: zlib.crc32(text.encode()) for key, text in texts.unique("prompt").iter_rows()}
            aside.extend(block.aside)
            spans.append(block.spans)
            progress.update(block.size)
    rows = pl.concat(parts).with_columns(row=pl.int_range(pl.len()))
    if aside and rows.is_empty():
        raise SeasDataError(
            f"{path}: none of its {len(aside)} lines holds the texts {', '.join(needed)} (the first is {aside[0][1]}); "
            "give a file of the reference code, one JSON object a line or Parquet"
        )
    at = rows["line"].to_numpy() - 1 if parquet else np.concatenate(spans)
    fetch = _from_parquet if parquet else _from_jsonl
    set_aside = pl.DataFrame(aside, {"line": pl.Int64, "reason": pl.String}, orient="row")
    order = pl.DataFrame({"prompt": list(ties), "tie": list(ties.values())}, {"prompt": pl.UInt64, "tie": pl.Int64})
    return Reference(rows, order, set_aside, lambda wanted: fetch(path, needed, at, wanted.to_numpy()))


def verdict(evaluation: pl.Expr) -> pl.Expr:
    """Return safe or unsafe where that and nothing else is the first line that is not blank, and unparsed elsewhere."""
    return evaluation.str.extract(r"^\s*(safe|unsafe)[^\S\r\n]*(?:[\r\n]|$)", 1).fill_null("unparsed")


def _measured(
    frame: pl.DataFrame, numbers: Sequence[int] | NDArray[np.int64], role: Role
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return what is compared of the texts of ``frame``, which would fill the memory, and the texts by ``prompt``.

    Two of a million texts share a 64-bit hash with a probability of 3e-8.
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
        verdict=verdict(pl.col(_EVALUATION)),
        characters=pl.col("text").str.len_chars().cast(pl.Int64),
        text_key=pl.col("text").hash(),
    )
    return measured, frame.select("prompt", "text")


def _size(path: Path, parquet: bool) -> int:
    if not path.is_file():
        raise SeasDataError(f"there is no file {path}; give a JSONL or Parquet file of the reference code's rows")
    return int(_opened(path).metadata.num_rows) if parquet else path.stat().st_size


def _no_texts(needed: tuple[str, ...]) -> pl.DataFrame:
    return pl.DataFrame(schema=dict.fromkeys((*needed, _EVALUATION), pl.String))


def _parquet(path: Path, needed: tuple[str, ...]) -> Iterator[lines.Block]:
    file, columns = _opened(path), [*needed, _EVALUATION]
    names = file.schema_arrow.names
    if missing := [name for name in columns if name not in names]:
        raise SeasDataError(f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(names)}")
    row = 0
    for batch in file.iter_batches(_ROWS, columns=columns):
        frame = _as_texts(path, batch)
        numbers = np.arange(row + 1, row + 1 + frame.height)
        right = frame.select(pl.all_horizontal(pl.col(*needed).is_not_null())).to_series().to_numpy()
        aside = [(number, "no_text") for number in numbers[~right].tolist()]
        yield lines.Block(frame.filter(right), numbers[right], np.empty((0, 2), np.int64), aside, frame.height)
        row += frame.height


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except pa.ArrowInvalid as problem:
        raise SeasDataError(f"{path} is not a Parquet file: {problem}") from problem


def _as_texts(path: Path, batch: pa.RecordBatch) -> pl.DataFrame:
    frame = pl.from_arrow(batch)
    assert isinstance(frame, pl.DataFrame)
    for name, kind in frame.schema.items():
        if kind not in (pl.String, pl.Categorical, pl.Null):
            raise SeasDataError(f"{path}: the column {name} holds {kind}, not text")
    return frame.cast(pl.String)


def _from_jsonl(
    path: Path, needed: tuple[str, ...], spans: NDArray[np.int64], wanted: NDArray[np.int64]
) -> pl.DataFrame:
    rows, back = np.unique(wanted, return_inverse=True)
    return lines.fetch(path, spans[rows], needed, _EVALUATION).select(needed)[back]


def _from_parquet(
    path: Path, needed: tuple[str, ...], at: NDArray[np.int64], wanted: NDArray[np.int64]
) -> pl.DataFrame:
    places, back = np.unique(at[wanted], return_inverse=True)
    parts, row = [_no_texts(needed)], 0
    for batch in _opened(path).iter_batches(_ROWS, columns=[*needed, _EVALUATION]):
        first, last = np.searchsorted(places, [row, row + batch.num_rows])
        if last > first:
            parts.append(_as_texts(path, batch.take(pa.array(places[first:last] - row))))
        row += batch.num_rows
    return pl.concat(parts).select(needed)[back]
