"""Long lists of pairs: made in parts, kept as one number a pair, and refused before they fill the memory."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from seas_data.errors import SeasDataError
from seas_data.similarity.shingles import firsts

MOST_PAIRS = 50_000_000
_AT_A_TIME = 1 << 22
_ALIKE = "texts look alike"

Int64s = NDArray[np.int64]


def require_few(count: int, what: str, cure: str) -> None:
    """Raise SeasDataError if ``count`` pairs are over ``MOST_PAIRS``: it says of ``what``, and what to do."""
    if count > MOST_PAIRS:
        raise SeasDataError(f"over {MOST_PAIRS:,} pairs of {what}: {cure}")


def parts(counts: Int64s, cure: str) -> Iterator[slice]:
    """Yield slices of ``counts`` (pairs to be made) that sum to some millions.

    Raises SeasDataError, with the ``cure``, if all of them are over ``MOST_PAIRS``.
    """
    reach = np.cumsum(counts)
    total = int(reach[-1]) if len(reach) else 0
    require_few(total, _ALIKE, cure)
    edges = np.searchsorted(reach, np.arange(_AT_A_TIME, total, _AT_A_TIME)) + 1
    bounds = np.unique(np.concatenate([[0], edges, [len(counts)]]))
    for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        yield slice(start, stop)


def distinct(pairs: Iterable[tuple[Int64s, Int64s]], base: int, cure: str) -> tuple[Int64s, Int64s]:
    """Return (left, right) of all ``pairs``, each pair once, sorted; ``base`` is above every right.

    Raises SeasDataError, with the ``cure``, if they are over ``MOST_PAIRS``.
    """
    codes, waiting, size = [np.empty(0, np.int64)], 0, 0
    for left, right in pairs:
        codes.append(left * base + right)
        waiting += len(left)
        if waiting > max(size, 4 * _AT_A_TIME):
            codes, waiting = [_sorted_set(codes)], 0
            size = len(codes[0])
            require_few(size, _ALIKE, cure)
    left, right = np.divmod(_sorted_set(codes), base)
    return left, right


def _sorted_set(codes: list[Int64s]) -> Int64s:
    together = np.sort(np.concatenate(codes))
    return together[firsts(together)]
