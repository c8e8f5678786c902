"""Windows: the fixed-length pieces of text by which a passage that many texts share is found.

Every text is *folded* (NFC, case-folded character by character, white space collapsed to single spaces), and each of
its windows of ``WIDTH`` folded characters gets a 64-bit rolling hash. Keeping all of them would be one number a
character; *winnowing* (Schleimer, Wilkerson and Aiken, SIGMOD 2003) keeps, of every ``RUN`` windows in a row, the one
with the least hash. What is kept depends on the content alone, so two texts that share ``GUARANTEED`` characters keep a
window in common.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from seas_data import progress
from seas_data.similarity.shingles import mix_bits

WIDTH = 24
RUN = 8
GUARANTEED = WIDTH + RUN - 1
"""A passage of this many folded characters that two texts share is sure to be seen."""

_CHARACTERS_AT_ONCE = 2_000_000
_BASE = 0x9E3779B97F4A7C15  # odd, so that it has an inverse modulo 2**64
_INVERSE = pow(_BASE, -1, 1 << 64)


@dataclass(frozen=True)
class Folded:
    """Texts in folded form. ``positions[i][k]``: the index in text ``i`` of the folded character ``k``."""

    views: list[str]
    positions: list[NDArray[np.int64]]


@dataclass(frozen=True)
class Windows:
    """The winnowed windows of some texts, sorted by (hash, row), each named once a row."""

    hashes: NDArray[np.uint64]
    rows: NDArray[np.int32]


def fold(texts: Sequence[str]) -> Folded:
    """Return the folded form of ``texts`` (which must be NFC) and where each folded character came from.

    Characters whose case folding is longer than one character stay as they are, so that positions can be told.
    """
    # Each text is followed by a space of its own: then a kept space always ends it, whatever white space it ended with.
    lengths = np.fromiter((len(text) + 1 for text in texts), np.int64, len(texts))
    codes = np.frombuffer("".join(f"{text} " for text in texts).encode("utf-32-le"), np.uint32)
    present = np.flatnonzero(np.bincount(codes, minlength=1)) if codes.size else np.empty(0, np.int64)
    lower = np.zeros(int(present[-1]) + 1 if present.size else 1, np.uint32)
    lower[present] = [_fold_character(chr(code)) for code in present]
    codes = lower[codes]
    space = codes == ord(" ")
    kept = ~space
    kept[1:] |= ~space[:-1]
    where = np.flatnonzero(kept)
    ends = np.cumsum(lengths)
    bounds = np.searchsorted(where, np.concatenate([[0], ends])).tolist()
    starts = (ends - lengths).tolist()
    folded = codes[where].tobytes().decode("utf-32-le")
    spans = [(first, max(first, last - 1)) for first, last in pairwise(bounds)]
    return Folded(
        [folded[first:last] for first, last in spans],
        [where[first:last] - start for (first, last), start in zip(spans, starts, strict=True)],
    )


def hashes(views: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the hash, row and start of every window of every view, in reading order."""
    lengths = np.fromiter(map(len, views), np.int64, len(views))
    codes = np.frombuffer("".join(views).encode("utf-32-le"), np.uint32)
    if codes.size < WIDTH:
        return np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.int64)
    powers, inverses = (_powers(base, codes.size) for base in (_BASE, _INVERSE))
    sums = np.zeros(codes.size + 1, np.uint64)
    np.cumsum(codes * powers, out=sums[1:])
    polynomials = (sums[WIDTH:] - sums[:-WIDTH]) * inverses[: codes.size - WIDTH + 1]
    ends = np.cumsum(lengths)
    rows = np.repeat(np.arange(len(views)), lengths)[: polynomials.size]
    starts = np.arange(polynomials.size)
    inside = starts + WIDTH <= ends[rows]
    rows = rows[inside]
    return mix_bits(polynomials[inside]), rows, starts[inside] - (ends - lengths)[rows]


def winnow(views: Sequence[str]) -> Windows:
    """Return the winnowed windows of ``views``; a view shorter than ``GUARANTEED`` has none."""
    hashed, rows = [np.empty(0, np.uint64)], [np.empty(0, np.int32)]
    lengths = np.cumsum(np.fromiter(map(len, views), np.int64, len(views)))
    chunks = np.flatnonzero(np.diff(lengths // _CHARACTERS_AT_ONCE, prepend=0)).tolist()
    with progress.bar(len(views), "Looking for wrappers", "texts") as bar:
        for first, last in zip([0, *chunks], [*chunks, len(views)], strict=True):
            kept, row = _winnow_chunk(views[first:last])
            hashed.append(kept)
            rows.append(row + np.int32(first))
            bar.update(last - first)
    found, row = np.concatenate(hashed), np.concatenate(rows)
    order = np.argsort(found, kind="stable")
    return Windows(found[order], row[order])


def _winnow_chunk(views: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Return the winnowed windows, each named once a row, sorted by (row, hash)."""
    hashed, every, _ = hashes(views)
    rows = every.astype(np.int32)
    if hashed.size < RUN:
        return hashed[:0], rows[:0]
    # A run that would cross into the next text is none: its least hash is set to 0, which no window then equals.
    least = np.where(rows[RUN - 1 :] == rows[: 1 - RUN], _sliding(hashed, np.minimum), np.uint64(0))
    padded = np.concatenate([np.zeros(RUN - 1, np.uint64), least, np.zeros(RUN - 1, np.uint64)])
    chosen = _sliding(padded, np.maximum) == hashed
    hashed, rows = hashed[chosen], rows[chosen]
    order = np.lexsort((hashed, rows))
    hashed, rows = hashed[order], rows[order]
    new = np.ones(hashed.size, np.bool_)
    new[1:] = (hashed[1:] != hashed[:-1]) | (rows[1:] != rows[:-1])
    return hashed[new], rows[new]


def _sliding(values: NDArray[np.uint64], extreme: np.ufunc) -> NDArray[np.uint64]:
    """Return ``extreme`` of every ``RUN`` neighbours (a power of two), by doubling."""
    width = 1
    while width < RUN:
        values = extreme(values[:-width], values[width:])
        width *= 2
    return values


def _fold_character(character: str) -> int:
    if character.isspace():
        return ord(" ")
    return ord(folded) if len(folded := character.casefold()) == 1 else ord(character)


def _powers(base: int, count: int) -> NDArray[np.uint64]:
    factors = np.full(count, base, np.uint64)
    factors[0] = 1
    return np.cumprod(factors)
