"""Sets of character 5-grams (shingles) as flat numpy arrays: hashing, MinHash and exact set intersections.

Two texts are near duplicates if they share most of their shingles: the runs of five characters of their normalised
form, where full-width forms in East Asian texts are ASCII. Word shingles are too coarse for prompts, which often have
fewer than ten words. The sets of all texts are concatenated in one array, so hashing, MinHash and counting run in numpy
over blocks that fit into the CPU cache and never create a Python object per shingle.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.folding import fold_width
from seas_data.progress import bar
from seas_data.text import normalise

SHINGLE_CHARACTERS = 5  # the 5 of 5-gram
SKETCH_BYTES = 64
_PADDING = "\U0010ffff"  # a noncharacter that no text contains: pads texts shorter than a shingle
_HASH_BITS = 56  # the other eight bits hold the number of a text in its block
_TEXTS_PER_BLOCK = 256
_VALUES_PER_BLOCK = 1 << 17  # half a megabyte of 32-bit values
_TABLE_BYTES = 1 << 23  # table of ``count_shared``
_VALUES_PER_BATCH = 1 << 17

Texts = Sequence[str] | pl.Series
"""Texts, as a column where there are many: Python strings take twice the memory."""


@dataclass(frozen=True)
class Shingles:
    """Sets of shingles: text i has ``values[offsets[i]:offsets[i + 1]]``, distinct, ascending, at least one.

    ``values`` are 56-bit hashes (``build_shingles``) or ranks (``number_values``). ``offsets`` is int64 and one longer
    than the list of texts.
    """

    values: NDArray[Any]
    offsets: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Number of shingles of each text."""
        return np.diff(self.offsets)


def build_shingles(texts: Texts) -> Shingles:
    """Return the hashed shingles of the normalised ``texts``; a text shorter than a shingle is its own single shingle.

    Two different shingles share one of the 2**56 hashes in about one of ten thousand collections of a million texts; a
    similarity is then off by one shingle.
    """
    # The high bits hold the text's number in its block, so sorting groups hashes by text and makes repeats adjacent.
    return _hash_texts(texts, lambda keys: (keys := np.sort(keys))[starts_run(keys)])


def build_shingle_sequences(texts: Texts) -> Shingles:
    """Return the hashed shingles of the normalised ``texts`` in reading order, repeats included."""
    return _hash_texts(texts, lambda keys: keys)


def _hash_texts(texts: Texts, change: Callable[[NDArray[np.uint64]], NDArray[np.uint64]]) -> Shingles:
    values, sizes = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    with bar(len(texts), "shingling", "texts") as progress:
        for start in range(0, len(texts), _TEXTS_PER_BLOCK):
            block = [
                normalise(fold_width(text)).ljust(SHINGLE_CHARACTERS, _PADDING)
                for text in texts[start : start + _TEXTS_PER_BLOCK]
            ]
            keys = change(_keys(block))
            sizes.append(np.bincount((keys >> np.uint64(_HASH_BITS)).astype(np.int64), minlength=len(block)))
            values.append(keys & np.uint64((1 << _HASH_BITS) - 1))
            progress.update(len(block))
    return Shingles(np.concatenate(values), _offsets(np.concatenate(sizes)))


def _keys(block: list[str]) -> NDArray[np.uint64]:
    codes = np.frombuffer("".join(block).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    lengths = np.fromiter(map(len, block), np.int64, len(block))
    count = len(codes) - SHINGLE_CHARACTERS + 1
    hashes = np.zeros(count, np.uint64)
    for place, factor in enumerate(_odd_numbers(SHINGLE_CHARACTERS)):
        hashes += codes[place : place + count] * factor
    owners = np.repeat(np.arange(len(block), dtype=np.uint64), lengths)[:count]
    keys = (owners << np.uint64(_HASH_BITS)) | (mix_bits(hashes) >> np.uint64(64 - _HASH_BITS))
    inside = np.ones(len(codes), bool)
    ends = np.cumsum(lengths)
    for before_end in range(1, SHINGLE_CHARACTERS):
        inside[ends - before_end] = False  # a shingle starting here would span two texts
    return keys[inside[:count]]


def select_sets(sets: Shingles, rows: NDArray[np.int64]) -> Shingles:
    """Return the sets of ``rows``, in that order."""
    sizes = sets.sizes[rows]
    return Shingles(sets.values[concatenate_ranges(sets.offsets[rows], sizes)], _offsets(sizes))


def restrict_to_pairs(
    sets: Shingles, left: NDArray[np.int64], right: NDArray[np.int64]
) -> tuple[Shingles, NDArray[np.int64], NDArray[np.int64]]:
    """Return the sets that occur in a pair, and ``left`` and ``right`` as indices into them."""
    used = np.zeros(len(sets.offsets) - 1, bool)
    used[left] = used[right] = True
    position = np.cumsum(used) - 1
    return select_sets(sets, np.flatnonzero(used)), position[left], position[right]


def number_values(sets: Shingles) -> Shingles:
    """Return ``sets`` with each distinct value replaced by its rank (int32), so that values can index a table."""
    order = np.argsort(sets.values)
    ranks = np.empty(len(order), np.int32)
    ranks[order] = np.cumsum(starts_run(sets.values[order]), dtype=np.int32) - np.int32(1)
    return Shingles(ranks, sets.offsets)


def compute_minhash(sets: Shingles, bands: int, rows: int) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """Return MinHash keys (bands, texts) and sketches (texts, at most ``SKETCH_BYTES``) of ``sets``.

    Under a random order of all shingles, two sets have the same first shingle with a probability equal to their Jaccard
    similarity s (Broder 1997). A key combines the first shingles under ``rows`` orders, so two sets share it with
    probability s**rows. A sketch holds eight bits of each first shingle (Li, Koenig 2010), so two sets agree on average
    in a proportion s or more of their sketches. An order is a multiplication by an odd number modulo 2**32. Plain numpy
    takes a third of the time that rensa needs to hand its signatures to Python.
    """
    texts = len(sets.offsets) - 1
    values = sets.values.astype(np.uint32)
    edges = np.searchsorted(sets.offsets, np.arange(0, len(values), _VALUES_PER_BLOCK))
    edges = np.unique(np.append(edges.clip(max=texts), texts))
    factors = _odd_numbers(bands * rows).astype(np.uint32)
    keys = np.zeros((bands, texts), np.uint64)
    sketches = np.empty((texts, min(SKETCH_BYTES, bands * rows)), np.uint8)
    with bar(texts, "minhash", "texts") as progress:
        for start, stop in pairwise(edges.tolist()):
            block = values[sets.offsets[start] : sets.offsets[stop]]
            starts = sets.offsets[start:stop] - sets.offsets[start]
            product = np.empty_like(block)
            for order, factor in enumerate(factors):
                np.multiply(block, factor, out=product)
                least = np.minimum.reduceat(product, starts)
                key = keys[order // rows, start:stop]
                key[:] = mix_bits(key ^ least)
                if order < sketches.shape[1]:
                    sketches[start:stop, order] = least.astype(np.uint8)
            progress.update(stop - start)
    return keys, sketches


def count_shared(sets: Shingles, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many shingles text ``left[k]`` shares with text ``right[k]``.

    ``sets`` must be numbered (``number_values``) and equal values of ``left`` should be adjacent. Each left text marks
    its shingles in a row of a table; the marks are then counted along its right texts, one lookup per shingle.
    """
    width = int(sets.values.max(initial=0)) + 1
    rows_per_table = max(1, _TABLE_BYTES // width)  # left texts per table
    changes = starts_run(left)
    group, heads = np.cumsum(changes) - 1, left[changes]
    sizes = sets.sizes
    cumulative = _offsets(sizes[right])
    marks = np.zeros(min(rows_per_table, max(1, len(heads))) * width, np.uint8)
    counts = np.empty(len(left), np.int64)
    start = 0
    with bar(len(left), "comparing", "pairs") as progress:
        while start < len(left):
            first = group[start]
            stop = min(
                np.searchsorted(group, first + rows_per_table),
                np.searchsorted(cumulative, cumulative[start] + _VALUES_PER_BATCH),
            )
            stop = max(int(stop), start + 1)
            marked_rows = heads[first : group[stop - 1] + 1]
            marked = _values(sets, marked_rows) + np.repeat(np.arange(len(marked_rows)) * width, sizes[marked_rows])
            marks[marked] = 1
            partners = right[start:stop]
            places = _values(sets, partners) + np.repeat((group[start:stop] - first) * width, sizes[partners])
            counts[start:stop] = np.add.reduceat(
                marks[places], cumulative[start:stop] - cumulative[start], dtype=np.int64
            )
            marks[marked] = 0
            progress.update(stop - start)
            start = stop
    return counts


def compute_jaccard(sets: Shingles, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the Jaccard similarity of text ``left[k]`` and text ``right[k]``; ``sets`` as for ``count_shared``."""
    common = count_shared(sets, left, right)
    similarity: NDArray[np.float64] = common / (sets.sizes[left] + sets.sizes[right] - common)
    return similarity


def concatenate_ranges(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the concatenated integer ranges that start at ``starts[k]`` and hold ``counts[k]`` numbers."""
    before = np.cumsum(counts) - counts
    return np.repeat(starts - before, counts) + np.arange(counts.sum())


def starts_run(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return a mask that is true where a value differs from its predecessor."""
    differs = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=differs[1:])
    return differs


def mix_bits(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the finaliser of SplitMix64 (Steele, Lea, Flood 2014): every input bit affects all 64 output bits."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _values(sets: Shingles, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    values: NDArray[np.int64] = sets.values[concatenate_ranges(sets.offsets[rows], sets.sizes[rows])].astype(np.int64)
    return values


def _offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


def _odd_numbers(count: int) -> NDArray[np.uint64]:
    return mix_bits(np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(1)
