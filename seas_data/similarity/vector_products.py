"""Products of unit vectors, tile by tile: the pairs of two lists of rows whose cosine may reach a threshold.

A product is computed in bfloat16 where that is native, or on a GPU, and serves as a filter: its rounding error is
bounded, so a product below the threshold by more than the bound is not a pair. The others are rescored in float64. A
score depends on its two rows only, not on tiles, threads or the precision of the filter.

On a CPU, vectors in a file are too many to be read again and again in any order. Their filter is computed from a copy
of a byte per number, which fits into the memory that is free (``keep_coded``). Its rounding error adds to the bound,
and only candidates are read from the file of vectors.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import combinations_with_replacement, product
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray

from seas_data.similarity.bfloat16 import has_native_bf16
from seas_data.store.file_array import new_array, read_in_any_order
from seas_data.store.shared_matrix import Matrix

Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]

TILE_ROWS = 2_048
_FILLED_ROWS = 256
"""Tiles are filled up to a multiple of this number of rows, small ones to a multiple of a quarter of it."""
_NONE = np.empty(0, np.int64)
_Candidates = Iterator[tuple[Rows, Rows]]


@dataclass(frozen=True)
class _Side:
    """Rows of one side of a comparison, earlier rows first, then by block, as an operand of a product.

    The operand has ``_FILLED_ROWS`` more rows, so that tiles can be filled up. ``error``: how far its rows are at most
    from those that they stand for, before they were rounded to the precision of the product.
    """

    rows: Rows
    blocks: Rows
    earlier: NDArray[np.bool_]
    operand: torch.Tensor
    error: Vectors

    def tiles(self) -> list[slice]:
        """Return slices of the rows; none has both earlier and other rows."""
        first = int(self.earlier.sum())
        return [
            *cut_tiles(first),
            *(slice(first + each.start, first + each.stop) for each in cut_tiles(len(self.rows) - first)),
        ]


@dataclass(frozen=True)
class Compared:
    """The rows of one comparison: ``row`` of ``vectors``. Its methods number them from 0."""

    vectors: Matrix
    threshold: float
    row: Rows
    blocks: Rows
    earlier: NDArray[np.bool_]

    def candidates(self, rows: Rows, others: Rows, *, within: bool) -> _Candidates:
        """Yield, tile by tile, the pairs whose product may reach the threshold.

        ``rows`` are compared with each other, if ``within``, and with ``others``.
        """
        side = self._side(rows)
        if within:
            for one, other in combinations_with_replacement(side.tiles(), 2):
                yield _compare(side, one, side, other, self.threshold)
        if len(others):
            visiting = self._side(others)
            for one, other in product(side.tiles(), visiting.tiles()):
                yield _compare(side, one, visiting, other, self.threshold)

    def verify(self, one: Rows, other: Rows) -> tuple[Rows, Rows, Vectors]:
        """Return those of the pairs that reach the threshold and are not excluded, as rows, and their scores."""
        same_block = (self.blocks[one] == self.blocks[other]) & (self.blocks[one] >= 0)
        included = ~(self.earlier[one] & self.earlier[other]) & ~same_block
        one, other = self.row[one[included]], self.row[other[included]]
        score = score_rows(self.vectors, one, self.vectors, other)
        reaches = score.astype(np.float64) >= self.threshold
        return one[reaches], other[reaches], score[reaches]

    def _side(self, rows: Rows) -> _Side:
        rows = rows[np.lexsort((self.row[rows], self.blocks[rows], ~self.earlier[rows]))]
        coded = _CODED.get(self.vectors)
        error = np.zeros(len(rows), np.float32) if coded is None else coded.error[self.row[rows]]
        operand = _gather(self.vectors, self.row[rows], _FILLED_ROWS)
        return _Side(rows, self.blocks[rows], self.earlier[rows], operand, error)


def _compare(one: _Side, rows: slice, other: _Side, columns: slice, threshold: float) -> tuple[Rows, Rows]:
    """Return the pairs of rows of two tiles, ``rows`` of ``one`` and ``columns`` of ``other``, that may be similar.

    If both are one side, each pair is returned once, and no row with itself. No pair of one block is returned.
    """
    ones, others = one.blocks[rows], other.blocks[columns]
    if (one.earlier[rows].all() and other.earlier[columns].all()) or in_one_block(ones, others):
        return _NONE, _NONE
    # Few shapes of products: for each, a CPU makes a kernel, which takes longer than the product, and keeps it.
    filled = one.operand[_fill_up(rows)] @ other.operand[_fill_up(columns)].T
    cosines = filled[: rows.stop - rows.start, : columns.stop - columns.start]
    least = threshold - _product_margin(float(one.error[rows].max()), float(other.error[columns].max()))
    common = np.intersect1d(ones, others)
    if common.size and common[-1] >= 0:
        down, across = (torch.from_numpy(blocks).to(cosines.device) for blocks in (ones, others))
        cosines.masked_fill_((down[:, None] == across) & (across >= 0), -2)
    if one is other and rows == columns:
        cosines.fill_diagonal_(-2)
    left, right = select_at_least(cosines, torch.tensor(least, device=cosines.device))
    if one is other:
        upper = left + rows.start < right + columns.start
        left, right = left[upper], right[upper]
    return one.rows[rows][left], other.rows[columns][right]


# Error margins of a product of unit rows. In bfloat16 each factor has a relative error of at most 2^-8, so the product
# has one of 2^-7 (Cauchy-Schwarz): 0.0078, rounded up. Rounding the product and the threshold, by the same function,
# does not change their order.
_BF16_MARGIN = 0.01
_F32_MARGIN = 1e-4


def compute_device() -> torch.device:
    """Return the GPU, or the CPU if there is none."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def error_margin() -> float:
    """Return a bound of the error of a product."""
    return _BF16_MARGIN if has_native_bf16() else _F32_MARGIN


@dataclass(frozen=True)
class _Coded:
    """Rows as ``codes`` from -127 to 127, times the ``scale`` of the row. ``error``: length of the difference.

    Of unit rows of 384 numbers it is about 0.007.
    """

    codes: NDArray[np.int8]
    scale: Vectors
    error: Vectors

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, rows: slice | Rows) -> Vectors:
        return self.codes[rows] * self.scale[rows]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.codes), self.codes.shape[1]


_ON_GPU: WeakKeyDictionary[Matrix, torch.Tensor] = WeakKeyDictionary()
_CODED: WeakKeyDictionary[Matrix, _Coded] = WeakKeyDictionary()


def keep_coded(vectors: Matrix, folder: Path | None) -> None:
    """Compute products of ``vectors`` in this process from a copy that has a byte per number.

    A large copy is in a file of ``folder``, if there is one (see ``file_array``).

    Raises SeasDataError if the disk has no room for it.
    """
    codes, scale = new_array(folder, vectors.shape, np.int8), np.empty((len(vectors), 1), np.float32)
    error = np.empty(len(vectors), np.float32)
    for rows in cut_tiles(len(vectors)):
        values = vectors[rows]
        scale[rows] = np.maximum(np.abs(values).max(axis=1, keepdims=True), 1e-30) / 127
        rounded = np.rint(values / scale[rows])
        codes[rows] = rounded
        error[rows] = np.linalg.norm(values - rounded * scale[rows], axis=1) * 1.0001  # computed in float32
    _CODED[vectors] = _Coded(codes, scale, error)


@contextmanager
def reading_candidates(vectors: Matrix) -> Iterator[None]:
    """Read rows of ``vectors`` and of their copy as comparisons need them: in any order, if there is a copy.

    Without one, all rows are read.
    """
    with ExitStack() as stack:
        if vectors in _CODED:
            _ = vectors.name  # parts have it in their names; it is computed from all rows, in order
            stack.enter_context(read_in_any_order(vectors.values))
            stack.enter_context(read_in_any_order(_CODED[vectors].codes))
        yield


def _product_margin(one: float, other: float) -> float:
    """Return a bound of the error of a product of two rows that differ by ``one`` and ``other`` from unit rows."""
    # With x' = x + a and y' = y + b: x'.y' - x.y = a.y + x'.b, so at most |a| + (1 + |a|) |b| (Cauchy-Schwarz). The
    # margin of the product is relative to the lengths of its factors.
    return error_margin() * (1 + one) * (1 + other) + one + (1 + one) * other


def _gather(vectors: Matrix, rows: Rows, more: int) -> torch.Tensor:
    """Return ``rows`` of ``vectors`` as an operand, and ``more`` rows of zeros.

    A GPU gets all rows once and gathers by itself.
    """
    if not torch.cuda.is_available():
        return make_operand(_CODED.get(vectors, vectors), rows, more)
    if vectors not in _ON_GPU:
        _ON_GPU[vectors] = make_operand(vectors)
    gathered = _ON_GPU[vectors][torch.from_numpy(rows).to(compute_device())]
    return torch.cat([gathered, gathered.new_zeros((more, gathered.shape[1]))])


def make_operand(vectors: Vectors | Matrix | _Coded, order: Rows | None = None, more: int = 0) -> torch.Tensor:
    """Return ``vectors``, or its rows ``order``, in the precision of the product, without a second float32 copy.

    ``more`` rows of zeros follow.
    """
    dtype = torch.bfloat16 if has_native_bf16() else torch.float32
    count = len(vectors) if order is None else len(order)
    operand = torch.empty((count + more, vectors.shape[1]), dtype=dtype, device=compute_device())
    operand[count:] = 0
    for rows in cut_tiles(count):
        tile = vectors[rows] if order is None else vectors[order[rows]]
        operand[rows] = torch.from_numpy(np.ascontiguousarray(tile)).to(operand.device)
    return operand


def cut_tiles(count: int) -> list[slice]:
    """Return slices of ``count`` rows, one per tile."""
    # A tile of products fits into the CPU cache; a GPU works better with fewer, larger tiles.
    size = TILE_ROWS * 8 if torch.cuda.is_available() else TILE_ROWS
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _fill_up(rows: slice) -> slice:
    """Return ``rows`` with further ones, up to one of a few numbers of rows."""
    count = rows.stop - rows.start
    step = _FILLED_ROWS if count > 2 * _FILLED_ROWS else _FILLED_ROWS // 4
    return slice(rows.start, rows.start + -(-count // step) * step)


def in_one_block(rows: Rows, columns: Rows) -> bool:
    """Return whether the blocks of ``rows`` and ``columns`` are all the same one."""
    return bool(rows[0] >= 0 and (rows == rows[0]).all() and (columns == rows[0]).all())


def select_at_least(product: torch.Tensor, least: torch.Tensor) -> tuple[Rows, Rows]:
    """Return rows and columns of the values of ``product`` that reach ``least`` (one value, or one per row)."""
    # Most rows of a tile have no hit: checking the row maxima first halves the time.
    hits = (product.amax(1) >= least).nonzero().squeeze(1)
    found = (product[hits] >= (least[hits, None] if least.ndim else least)).nonzero()
    return hits[found[:, 0]].cpu().numpy(), found[:, 1].cpu().numpy()


def score_rows(ones: Vectors | Matrix, one: Rows, others: Vectors | Matrix, other: Rows) -> Vectors:
    """Return the cosines of the given rows: float64 sums over one row each, in an order set by the row length only."""
    score = np.empty(len(one), np.float32)
    for start in range(0, len(one), 8_192):
        part = slice(start, start + 8_192)
        products = ones[one[part]].astype(np.float64) * others[other[part]]
        score[part] = np.minimum(products.sum(axis=1), 1.0)
    return score
