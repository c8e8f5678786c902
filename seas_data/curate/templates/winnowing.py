"""Winnowing: hashed windows of text that reveal passages shared by many texts.

Each text is *folded* (NFC, case-folded character by character, white space collapsed to single spaces), and each of its
windows of ``WINDOW_CHARACTERS`` folded characters gets a 64-bit rolling hash. *Winnowing* (Schleimer, Wilkerson and
Aiken, SIGMOD 2003) reduces these from one number per character: of every ``WINDOWS_PER_RUN`` consecutive windows it
keeps the one with the lowest hash. The choice depends on the content only, so two texts that share
``GUARANTEED_CHARACTERS`` characters keep a common window.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data import progress
from seas_data.similarity.shingles import mix_bits
from seas_data.unicode_tables import fold_case

WINDOW_CHARACTERS = 24
WINDOWS_PER_RUN = 8
GUARANTEED_CHARACTERS = WINDOW_CHARACTERS + WINDOWS_PER_RUN - 1
"""A passage of this many folded characters that two texts share is always detected."""

_CHARACTERS_PER_CHUNK = 500_000
Chunks = Iterator[tuple[NDArray[np.uint64], NDArray[np.int32]]]
"""Hashes and rows of windows, in parts."""
_BASE = 0x9E3779B97F4A7C15  # odd, so it has an inverse modulo 2**64
_INVERSE = pow(_BASE, -1, 1 << 64)


@dataclass(frozen=True)
class Folded:
    """Texts in folded form. ``positions[i][k]``: the index in text ``i`` of its folded character ``k``."""

    views: list[str]
    positions: list[NDArray[np.int64]]


@dataclass(frozen=True)
class Windows:
    """The winnowed windows of a list of texts, sorted by (hash, row), each window once per row."""

    hashes: NDArray[np.uint64]
    rows: NDArray[np.int32]


def fold(texts: Sequence[str]) -> Folded:
    """Return the folded form of ``texts`` (which must be NFC) and the origin of each folded character.

    Characters whose case folding is longer than one character stay unchanged, so positions remain well defined.
    """
    # A space after each text guarantees that its folded form ends with exactly one space, whatever its own ending.
    lengths = np.fromiter((len(text) + 1 for text in texts), np.int64, len(texts))
    codes = np.frombuffer("".join(f"{text} " for text in texts).encode("utf-32-le"), np.uint32)
    present = np.flatnonzero(np.bincount(codes, minlength=1)) if codes.size else np.empty(0, np.int64)
    lower = np.zeros(int(present[-1]) + 1 if present.size else 1, np.uint32)
    lower[present] = [_fold_character(chr(code)) for code in present]
    codes = lower[codes]
    space = codes == ord(" ")
    kept = ~space
    kept[1:] |= ~space[:-1]
    positions = np.flatnonzero(kept)
    ends = np.cumsum(lengths)
    bounds = np.searchsorted(positions, np.concatenate([[0], ends])).tolist()
    starts = (ends - lengths).tolist()
    folded = codes[positions].tobytes().decode("utf-32-le")
    spans = [(first, max(first, last - 1)) for first, last in pairwise(bounds)]
    return Folded(
        [folded[first:last] for first, last in spans],
        [positions[first:last] - start for (first, last), start in zip(spans, starts, strict=True)],
    )


def hash_windows(views: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the hash, row and start of every window of every view, in reading order."""
    lengths = np.fromiter(map(len, views), np.int64, len(views))
    codes = np.frombuffer("".join(views).encode("utf-32-le"), np.uint32)
    if codes.size < WINDOW_CHARACTERS:
        return np.empty(0, np.uint64), np.empty(0, np.int64), np.empty(0, np.int64)
    powers, inverses = (_powers(base, codes.size) for base in (_BASE, _INVERSE))
    sums = np.zeros(codes.size + 1, np.uint64)
    np.cumsum(codes * powers, out=sums[1:])
    polynomials = (sums[WINDOW_CHARACTERS:] - sums[:-WINDOW_CHARACTERS]) * inverses[
        : codes.size - WINDOW_CHARACTERS + 1
    ]
    ends = np.cumsum(lengths)
    rows = np.repeat(np.arange(len(views)), lengths)[: polynomials.size]
    starts = np.arange(polynomials.size)
    inside = starts + WINDOW_CHARACTERS <= ends[rows]
    rows = rows[inside]
    return mix_bits(polynomials[inside]), rows, starts[inside] - (ends - lengths)[rows]


def winnow(views: Sequence[str]) -> Windows:
    """Return the winnowed windows of ``views``; a view shorter than ``GUARANTEED_CHARACTERS`` has none."""
    return sort_windows(winnow_chunks(pl.Series(views, dtype=pl.String)))


def winnow_chunks(views: pl.Series) -> Chunks:
    """Yield the winnowed windows of ``views`` in parts, sorted by (row, hash)."""
    lengths = np.cumsum(views.str.len_chars().to_numpy().astype(np.int64))
    chunks = np.flatnonzero(np.diff(lengths // _CHARACTERS_PER_CHUNK, prepend=0)).tolist()
    with progress.bar(len(views), "hashing windows", "texts") as bar:
        for first, last in zip([0, *chunks], [*chunks, len(views)], strict=True):
            hashes, rows = _winnow_chunk(views[first:last].to_list())
            yield hashes, rows + np.int32(first)
            bar.update(last - first)


def sort_windows(chunks: Chunks) -> Windows:
    """Return the windows of all ``chunks``, which are in order of their rows, sorted by (hash, row)."""
    parts = [(np.empty(0, np.uint64), np.empty(0, np.int32)), *chunks]
    hashes, rows = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(hashes, kind="stable")
    return Windows(hashes[order], rows[order])


def _winnow_chunk(views: Sequence[str]) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    """Return the winnowed windows, each once per row, sorted by (row, hash)."""
    hashed, every, _ = hash_windows(views)
    rows = every.astype(np.int32)
    if hashed.size < WINDOWS_PER_RUN:
        return hashed[:0], rows[:0]
    # Runs that span two texts do not count: their least hash is set to 0, which no window equals.
    least = np.where(
        rows[WINDOWS_PER_RUN - 1 :] == rows[: 1 - WINDOWS_PER_RUN], _sliding(hashed, np.minimum), np.uint64(0)
    )
    padded = np.concatenate([np.zeros(WINDOWS_PER_RUN - 1, np.uint64), least, np.zeros(WINDOWS_PER_RUN - 1, np.uint64)])
    chosen = _sliding(padded, np.maximum) == hashed
    hashed, rows = hashed[chosen], rows[chosen]
    order = np.lexsort((hashed, rows))
    hashed, rows = hashed[order], rows[order]
    new = np.ones(hashed.size, np.bool_)
    new[1:] = (hashed[1:] != hashed[:-1]) | (rows[1:] != rows[:-1])
    return hashed[new], rows[new]


def _sliding(values: NDArray[np.uint64], extreme: np.ufunc) -> NDArray[np.uint64]:
    """Return ``extreme`` of every ``WINDOWS_PER_RUN`` neighbours (a power of two), by doubling."""
    width = 1
    while width < WINDOWS_PER_RUN:
        values = extreme(values[:-width], values[width:])
        width *= 2
    return values


def _fold_character(character: str) -> int:
    if character.isspace():
        return ord(" ")
    return ord(folded) if len(folded := fold_case(character)) == 1 else ord(character)


def _powers(base: int, count: int) -> NDArray[np.uint64]:
    factors = np.full(count, base, np.uint64)
    factors[0] = 1
    return np.cumprod(factors)
