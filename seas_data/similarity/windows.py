"""Windows of long texts, and the similarity of texts from that of their windows.

A text that is longer than the model reads is embedded in overlapping windows, each as long as the model reads. A window
starts three quarters of that length after the one before; the last one ends with the text. So a passage of up to a
quarter of that length (62 tokens of 256: longer than most requests) is whole in at least one window, and texts that
begin alike have equal first windows. A shorter text is its own single window.

The similarity of two texts is the lowest, over all windows of both, of the cosine to the nearest window of the other:
each window of either text must have a partner. Of two short texts that is their cosine.
"""

from typing import TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.similarity.cosine_neighbours import Pairs

MAX_WINDOWS = 64
"""A text with more windows is not embedded."""

Integers = NDArray[np.int64]
Number = TypeVar("Number", int, pl.Expr)


def count_windows(tokens: Integers, longest: int, reserved: int) -> Integers:
    """Return the number of windows of texts of so many ``tokens``, or 0 for a text that cannot be embedded.

    The model reads ``longest`` tokens, ``reserved`` of which (special tokens, the model's prompt) are in every window.
    """
    stride = _stride(longest)
    windows = np.where(tokens <= longest, 1, 1 - (longest - tokens) // stride)
    readable = (windows == 1) | ((windows <= MAX_WINDOWS) & (longest - reserved >= stride))
    return np.where(readable, windows, 0)


def list_windows(texts: pl.DataFrame) -> pl.DataFrame:
    """Return the windows of ``texts``, in order.

    Input columns: ``key``, ``tokens``, ``longest``, ``windows``.
    Output columns: ``text`` (the row of ``texts``), ``start`` (its first token, not counting reserved ones), ``key``
    (that of the text, for a window of a long text followed by ``:`` and the start).
    """
    rows = texts.select("key", "tokens", "longest", "windows").with_row_index("text")
    rows = rows.with_columns(pl.col("text", "tokens", "longest").cast(pl.Int64))
    short = rows.filter(pl.col("windows") == 1).select("text", "key", start=pl.lit(0, pl.Int64))
    start = pl.min_horizontal(pl.col("number") * _stride(pl.col("longest")), pl.col("tokens") - pl.col("longest"))
    long = (
        rows.filter(pl.col("windows") > 1)
        .with_columns(number=pl.int_ranges(pl.col("windows")))
        .explode("number")
        .with_columns(start=start)
        .select("text", "start", key=pl.format("{}:{}", "key", "start"))
    )
    return pl.concat([part.select("text", "start", "key") for part in (short, long)]).sort("text", "start")


def _stride(longest: Number) -> Number:
    return longest - longest // 4


def pair_texts(found: Pairs, owner: Integers) -> Pairs:
    """Return the pairs of texts of which every window has a partner in the other, from all such pairs of windows.

    ``found``: every pair of windows over a threshold; ``owner``: the text of each window, ascending. The score of a
    pair is the lowest of its windows' highest scores, so exactly the pairs of texts over the threshold are returned.
    """
    count = np.bincount(owner, minlength=1)
    long = count > 1
    if not long.any():
        return Pairs(owner[found.left], owner[found.right], found.score)
    pairs = pl.DataFrame(
        {
            "one": owner[found.left],
            "other": owner[found.right],
            "left": found.left,
            "right": found.right,
            "score": found.score,
        }
    ).filter(pl.col("one") != pl.col("other"))
    has_long = pl.Series(long[pairs["one"]] | long[pairs["other"]], dtype=pl.Boolean)
    single, several = pairs.filter(~has_long).select("one", "other", "score"), pairs.filter(has_long)
    counts = pl.DataFrame({"text": np.arange(len(count)), "windows": count}, schema_overrides={"windows": pl.UInt32})
    scores = [
        several.group_by("one", "other", window)
        .agg(pl.col("score").max())
        .group_by("one", "other")
        .agg(pl.col("score").min(), windows=pl.len())
        .join(counts.rename({"text": text}), on=[text, "windows"], how="semi")
        .drop("windows")
        for window, text in (("left", "one"), ("right", "other"))
    ]
    both = scores[0].join(scores[1], on=["one", "other"], suffix="_right")
    both = both.select("one", "other", score=pl.min_horizontal("score", "score_right"))
    texts = pl.concat([single, both]).sort("one", "other")
    return Pairs(texts["one"].to_numpy(), texts["other"].to_numpy(), texts["score"].to_numpy())


def write_means(vectors: NDArray[np.float32], first: Integers, windows: Integers) -> None:
    """Set the last rows of ``vectors``, one per long text, to the unit mean of ``windows`` rows from ``first`` on."""
    texts = zip(range(len(vectors) - len(first), len(vectors)), first.tolist(), windows.tolist(), strict=True)
    for row, start, count in texts:
        mean = vectors[start : start + count].mean(axis=0, dtype=np.float64)
        vectors[row] = mean / max(float(np.linalg.norm(mean)), 1e-12)
