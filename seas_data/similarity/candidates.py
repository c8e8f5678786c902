"""Long lists of candidate pairs: made in parts, kept as one number a pair, and refused before they fill the memory."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from seas_data.errors import SeasDataError
from seas_data.similarity.shingles import firsts

MOST_PAIRS = 50_000_000
_AT_A_TIME = 1 << 22

Int64s = NDArray[np.int64]


def parts(counts: Int64s) -> Iterator[slice]:
    """Yield slices of ``counts`` (pairs to be made) that sum to some millions.

    Raises SeasDataError if all of them are more than 50 million.
    """
    reach = np.cumsum(counts)
    total = int(reach[-1]) if len(reach) else 0
    if total > MOST_PAIRS:
        raise _too_many()
    edges = np.searchsorted(reach, np.arange(_AT_A_TIME, total, _AT_A_TIME)) + 1
    bounds = np.unique(np.concatenate([[0], edges, [len(counts)]]))
    for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        yield slice(start, stop)


def distinct(pairs: Iterable[tuple[Int64s, Int64s]], base: int) -> tuple[Int64s, Int64s]:
    """Return (left, right) of all ``pairs``, each pair once, sorted; ``base`` is above every right.

    Raises SeasDataError if they are more than 50 million.
    """
    codes, waiting, size = [np.empty(0, np.int64)], 0, 0
    for left, right in pairs:
        codes.append(left * base + right)
        waiting += len(left)
        if waiting > max(size, 4 * _AT_A_TIME):
            codes, waiting = [_sorted_set(codes)], 0
            size = len(codes[0])
            if size > MOST_PAIRS:
                raise _too_many()
    left, right = np.divmod(_sorted_set(codes), base)
    return left, right


def _sorted_set(codes: list[Int64s]) -> Int64s:
    together = np.sort(np.concatenate(codes))
    return together[firsts(together)]


def _too_many() -> SeasDataError:
    return SeasDataError(
        f"more than {MOST_PAIRS // 1_000_000} million pairs of texts look alike; remove exact copies first, let the "
        "build find templates (templates.find), or raise the threshold"
    )
