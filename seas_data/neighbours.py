"""Pairs of vectors that are alike, and the nearest neighbour of each: exact up to a million rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Pairs:
    """Pairs of rows and how alike they are: ``left < right``, each pair once, sorted by (left, right)."""

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    score: NDArray[np.float32]


def pairs(
    vectors: NDArray[np.float32],
    threshold: float,
    *,
    blocks: NDArray[np.int64] | None = None,
    earlier: NDArray[np.bool_] | None = None,
) -> Pairs:
    """Return every pair of the unit rows ``vectors`` (n, d) with a cosine of at least ``threshold``.

    Pairs of one block (equal ``blocks`` >= 0) and pairs of two ``earlier`` rows are left out.
    """
    raise NotImplementedError


def nearest(
    queries: NDArray[np.float32], corpus: NDArray[np.float32], *, exclude: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return for each unit row of ``queries`` the row of ``corpus`` with the highest cosine, and that cosine.

    ``exclude`` gives for each query one corpus row that does not count (itself), or -1.
    """
    raise NotImplementedError
