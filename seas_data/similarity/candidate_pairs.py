"""Long lists of candidate pairs: generated in slices, stored as one number per pair, limited in length."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from seas_data.errors import SeasDataError
from seas_data.similarity.shingles import starts_run

MAX_PAIRS = 50_000_000
PAIRS_PER_TEXT = 1_000
"""Of pairs that are only looked at, slice by slice. Those that agree by chance grow with the square of the texts: a
band of ten million generated texts has over 100 for each."""
_PAIRS_PER_SLICE = 1 << 22
_ALIKE = "texts look alike"

Int64s = NDArray[np.int64]


def require_pair_limit(count: int, what: str, advice: str, texts: int = 0) -> None:
    """Raise SeasDataError if ``count`` exceeds ``MAX_PAIRS``; ``what`` and ``advice`` complete the message.

    ``texts``: for pairs that are not kept, whose number may grow with that of the texts: ``PAIRS_PER_TEXT`` each.
    """
    limit = max(MAX_PAIRS, PAIRS_PER_TEXT * texts)
    if count > limit:
        raise SeasDataError(f"over {limit:,} pairs of {what}: {advice}")


def slice_by_pair_count(counts: Int64s, advice: str, texts: int = 0) -> Iterator[slice]:
    """Yield slices of ``counts`` (pairs per item) that each cover a few million pairs.

    Raises SeasDataError, with ``advice``, if the counts add up to more than ``require_pair_limit`` allows.
    """
    cumulative = np.cumsum(counts)
    total = int(cumulative[-1]) if len(cumulative) else 0
    require_pair_limit(total, _ALIKE, advice, texts)
    edges = np.searchsorted(cumulative, np.arange(_PAIRS_PER_SLICE, total, _PAIRS_PER_SLICE)) + 1
    bounds = np.unique(np.concatenate([[0], edges, [len(counts)]]))
    for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        yield slice(start, stop)


def merge_distinct(pairs: Iterable[tuple[Int64s, Int64s]], base: int, advice: str) -> tuple[Int64s, Int64s]:
    """Return (left, right) of all ``pairs``, without repeats and sorted; ``base`` must exceed every right index.

    Raises SeasDataError, with ``advice``, above ``MAX_PAIRS`` distinct pairs.
    """
    codes, pending, size = [np.empty(0, np.int64)], 0, 0
    for left, right in pairs:
        codes.append(left * base + right)
        pending += len(left)
        if pending > max(size, 4 * _PAIRS_PER_SLICE):
            codes, pending = [_sorted_set(codes)], 0
            size = len(codes[0])
            require_pair_limit(size, _ALIKE, advice)
    distinct = _sorted_set(codes)
    require_pair_limit(len(distinct), _ALIKE, advice)
    left, right = np.divmod(distinct, base)
    return left, right


def _sorted_set(codes: list[Int64s]) -> Int64s:
    ordered = np.sort(np.concatenate(codes))
    return ordered[starts_run(ordered)]
