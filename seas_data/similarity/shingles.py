"""Sets of character 5-grams as flat arrays of numbers, and what can be counted on them.

Two texts are near duplicates when they share most of their shingles: the runs of five characters of their normalised
form. (Words are too coarse for prompts, which are often shorter than ten of them.) All sets of all texts lie one after
the other in a single array, so that hashing, MinHash and counting run in numpy over blocks that fit a processor's cache
and never touch a Python object for a shingle.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seas_data.progress import bar
from seas_data.text import normalise

LENGTH = 5  # characters a shingle
SKETCH = 64  # bytes
_FILL = "\U0010ffff"  # a code point that no text holds: it fills up texts that are shorter than one shingle
_HASH_BITS = 56  # what is left of 64 bits beside the number of one of ...
_TEXTS_A_BLOCK = 256
_VALUES_A_BLOCK = 1 << 17  # half a megabyte of 32-bit values
_MARKS = 1 << 23  # bytes in the table of ``shared``
_VALUES_A_BATCH = 1 << 17


@dataclass(frozen=True)
class Shingles:
    """The set of text i is ``values[offsets[i]:offsets[i + 1]]``: distinct, ascending, at least one.

    ``values`` are 56-bit hashes (``shingles``) or small numbers (``number``); ``offsets`` is int64, one longer than
    the texts.
    """

    values: NDArray[Any]
    offsets: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many shingles each text has."""
        return np.diff(self.offsets)


def shingles(texts: Sequence[str]) -> Shingles:
    """Return the hashed shingles of the normalised ``texts``; a text shorter than a shingle is its own only one.

    Two different shingles get the same one of 2**56 hashes about once in ten thousand collections of a million texts,
    and then a similarity is off by one shingle.
    """
    # Under the number of its text within the block, each hash sorts to its own text and repeats fall together.
    return _gathered(texts, lambda keys: (keys := np.sort(keys))[firsts(keys)])


def in_order(texts: Sequence[str]) -> Shingles:
    """Return the hashed shingles of the normalised ``texts`` as they stand in them: unsorted and with repeats."""
    return _gathered(texts, lambda keys: keys)


def _gathered(texts: Sequence[str], change: Callable[[NDArray[np.uint64]], NDArray[np.uint64]]) -> Shingles:
    values, sizes = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    with bar(len(texts), "shingling", "texts") as progress:
        for start in range(0, len(texts), _TEXTS_A_BLOCK):
            block = [normalise(text).ljust(LENGTH, _FILL) for text in texts[start : start + _TEXTS_A_BLOCK]]
            keys = change(_keys(block))
            sizes.append(np.bincount((keys >> np.uint64(_HASH_BITS)).astype(np.int64), minlength=len(block)))
            values.append(keys & np.uint64((1 << _HASH_BITS) - 1))
            progress.update(len(block))
    return Shingles(np.concatenate(values), _sums(np.concatenate(sizes)))


def _keys(block: list[str]) -> NDArray[np.uint64]:
    codes = np.frombuffer("".join(block).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    lengths = np.fromiter(map(len, block), np.int64, len(block))
    count = len(codes) - LENGTH + 1
    hashes = np.zeros(count, np.uint64)
    for place, factor in enumerate(_odd_numbers(LENGTH)):
        hashes += codes[place : place + count] * factor
    owners = np.repeat(np.arange(len(block), dtype=np.uint64), lengths)[:count]
    keys = (owners << np.uint64(_HASH_BITS)) | (mixed(hashes) >> np.uint64(64 - _HASH_BITS))
    inside = np.ones(len(codes), bool)
    ends = np.cumsum(lengths)
    for before_end in range(1, LENGTH):
        inside[ends - before_end] = False  # a shingle that starts here would reach into the next text
    return keys[inside[:count]]


def take(sets: Shingles, rows: NDArray[np.int64]) -> Shingles:
    """Return the sets of ``rows`` alone, in that order."""
    sizes = sets.sizes[rows]
    return Shingles(sets.values[ranges(sets.offsets[rows], sizes)], _sums(sizes))


def paired(
    sets: Shingles, left: NDArray[np.int64], right: NDArray[np.int64]
) -> tuple[Shingles, NDArray[np.int64], NDArray[np.int64]]:
    """Return the sets that take part in a pair, and the pairs in terms of those."""
    there = np.zeros(len(sets.offsets) - 1, bool)
    there[left] = there[right] = True
    position = np.cumsum(there) - 1
    return take(sets, np.flatnonzero(there)), position[left], position[right]


def number(sets: Shingles) -> Shingles:
    """Return ``sets`` with each different value replaced by its rank, so that values can index a table (int32)."""
    order = np.argsort(sets.values)
    ranks = np.empty(len(order), np.int32)
    ranks[order] = np.cumsum(firsts(sets.values[order]), dtype=np.int32) - np.int32(1)
    return Shingles(ranks, sets.offsets)


def minhash(sets: Shingles, bands: int, rows: int) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    """Return keys (bands, texts) and sketches (texts, at most ``SKETCH``) that tell which sets may be alike.

    Under a random order of all shingles two sets have the same first shingle with the probability of their Jaccard
    similarity s (Broder 1997). A key stands for the first shingles under ``rows`` orders, so two sets have the same one
    with probability s**rows; a sketch holds eight bits of each first shingle (Li, Koenig 2010), so two sets agree in a
    share s of theirs or more on average. An order is multiplication by an odd number modulo 2**32. (Plain numpy takes
    a third of the time that rensa needs to hand its signatures to Python.)
    """
    texts = len(sets.offsets) - 1
    values = sets.values.astype(np.uint32)
    edges = np.searchsorted(sets.offsets, np.arange(0, len(values), _VALUES_A_BLOCK))
    edges = np.unique(np.append(edges.clip(max=texts), texts))
    factors = _odd_numbers(bands * rows).astype(np.uint32)
    keys = np.zeros((bands, texts), np.uint64)
    sketches = np.empty((texts, min(SKETCH, bands * rows)), np.uint8)
    with bar(texts, "minhash", "texts") as progress:
        for start, stop in pairwise(edges.tolist()):
            block = values[sets.offsets[start] : sets.offsets[stop]]
            starts = sets.offsets[start:stop] - sets.offsets[start]
            product = np.empty_like(block)
            for order, factor in enumerate(factors):
                np.multiply(block, factor, out=product)
                least = np.minimum.reduceat(product, starts)
                key = keys[order // rows, start:stop]
                key[:] = mixed(key ^ least)
                if order < sketches.shape[1]:
                    sketches[start:stop, order] = least.astype(np.uint8)
            progress.update(stop - start)
    return keys, sketches


def shared(sets: Shingles, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many shingles text ``left[k]`` shares with text ``right[k]``.

    ``sets`` must be numbered, and equal lefts should stand together. Each left text marks its shingles in a row of
    a table, and the marks are counted along its right texts: one look-up for each of their shingles.
    """
    width = int(sets.values.max(initial=0)) + 1
    room = max(1, _MARKS // width)  # left texts at a time
    changes = firsts(left)
    group, heads = np.cumsum(changes) - 1, left[changes]
    sizes = sets.sizes
    reach = _sums(sizes[right])
    marks = np.zeros(min(room, max(1, len(heads))) * width, np.uint8)
    counts = np.empty(len(left), np.int64)
    start = 0
    with bar(len(left), "comparing", "pairs") as progress:
        while start < len(left):
            first = group[start]
            stop = min(np.searchsorted(group, first + room), np.searchsorted(reach, reach[start] + _VALUES_A_BATCH))
            stop = max(int(stop), start + 1)
            marking = heads[first : group[stop - 1] + 1]
            marked = _values(sets, marking) + np.repeat(np.arange(len(marking)) * width, sizes[marking])
            marks[marked] = 1
            partners = right[start:stop]
            places = _values(sets, partners) + np.repeat((group[start:stop] - first) * width, sizes[partners])
            counts[start:stop] = np.add.reduceat(marks[places], reach[start:stop] - reach[start], dtype=np.int64)
            marks[marked] = 0
            progress.update(stop - start)
            start = stop
    return counts


def jaccard(sets: Shingles, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the Jaccard similarity of text ``left[k]`` and text ``right[k]``; ``sets`` as for ``shared``."""
    common = shared(sets, left, right)
    similarity: NDArray[np.float64] = common / (sets.sizes[left] + sets.sizes[right] - common)
    return similarity


def ranges(starts: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the numbers from ``starts[k]`` on, ``counts[k]`` of them, one range after the other."""
    before = np.cumsum(counts) - counts
    return np.repeat(starts - before, counts) + np.arange(counts.sum())


def firsts(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where a value differs from the one before it."""
    differs = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=differs[1:])
    return differs


def mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the finaliser of SplitMix64 (Steele, Lea, Flood 2014): every bit of a value reaches all 64."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _values(sets: Shingles, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    values: NDArray[np.int64] = sets.values[ranges(sets.offsets[rows], sets.sizes[rows])].astype(np.int64)
    return values


def _sums(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


def _odd_numbers(count: int) -> NDArray[np.uint64]:
    return mixed(np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(1)
