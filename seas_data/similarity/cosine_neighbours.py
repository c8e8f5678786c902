"""Cosine similarity of vectors: all pairs over a threshold, nearest and top neighbours.

All pairs of n vectors are one matrix product, which hardware computes faster than any index. It is computed tile by
tile, upper half only, in bfloat16 where that is native (and on a GPU), and serves as a filter: its rounding error is
bounded, so a product below the threshold by more than the bound is not a pair. The remaining pairs, a few in a
hundred thousand, are rescored in float64. A score therefore depends on its two rows only, not on tiles, threads or
the precision of the filter, and the result equals that of brute force.

Excluded pairs cost nothing: rows are ordered by (earlier, block), and a tile within one block, or of earlier rows
only, is never multiplied. A thousand texts in one long wrapper do not produce half a million pairs.

If more pairs are to be compared than ``exact_rows`` rows have, rows are compared within cells only (``vector_cells``).
No returned pair is wrong, but a pair may be missed; ``measure_recall`` compares a sample with all rows. Cells, and with
them the pairs found, depend on the set of vectors only.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement, product

import numpy as np
import torch
from numpy.typing import NDArray

from seas_data.progress import bar
from seas_data.similarity.bfloat16 import has_native_bf16
from seas_data.similarity.candidate_pairs import require_pair_limit
from seas_data.similarity.vector_cells import Cells, build_cells, content_keys

Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]

TILE_ROWS = 2_048
MAX_EXACT_ROWS = {"cpu": 300_000, "cuda": 10_000_000}
"""Rows of which all pairs are compared by default: minutes on a CPU, about a minute on a GPU."""
RECALL_ROWS = 4_096
"""Rows of the sample on which the recall is measured."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of rows and their similarity: ``left < right``, each pair once, sorted by (left, right)."""

    left: Rows
    right: Rows
    score: Vectors


@dataclass(frozen=True)
class Recall:
    """Result of comparing a sample of ``rows`` rows with all rows: one entry per pair that has a row of the sample.

    ``row``: the row of the sample; ``score``: the cosine; ``found``: whether the pair was found. A pair of two rows of
    the sample counts for each of them.
    """

    rows: int
    row: Rows
    score: Vectors
    found: NDArray[np.bool_]


def find_pairs(
    vectors: Vectors,
    threshold: float,
    *,
    blocks: Rows | None = None,
    earlier: NDArray[np.bool_] | None = None,
    exact_rows: int | None = None,
) -> Pairs:
    """Return every pair of the unit rows ``vectors`` (n, d) with a cosine of at least ``threshold``.

    Pairs within one block (equal ``blocks`` >= 0) and pairs of two ``earlier`` rows are excluded. Scores are float64
    products rounded to float32 (at most 1), and the rounded score is compared with the threshold. Unless
    ``is_exact``, a few pairs may be missed. Raises SeasDataError above ``candidate_pairs.MAX_PAIRS`` pairs, before they
    fill the memory.
    """
    count = len(vectors)
    search = _search(vectors, threshold, blocks, earlier)
    candidates = _candidates_by_product(search) if is_exact(search.earlier, exact_rows) else _candidates_by_cell(search)
    lefts, rights, scores, found = [_NONE], [_NONE], [np.empty(0, np.float32)], 0
    for candidate in candidates:
        one, other, score = search.verify(*candidate)
        lefts.append(np.minimum(one, other))
        rights.append(np.maximum(one, other))
        scores.append(score)
        found += len(score)
        require_pair_limit(
            found,
            f"{count:,} texts have a cosine of at least {threshold}",
            "raise curation.semantic.group_threshold and curation.semantic.duplicate_threshold, or use an embedder "
            "that separates these texts",
        )
    left, right, score = np.concatenate(lefts), np.concatenate(rights), np.concatenate(scores)
    order = np.argsort(left * count + right)
    return Pairs(left[order], right[order], score[order])


def is_exact(earlier: NDArray[np.bool_], exact_rows: int | None = None) -> bool:
    """Return whether ``find_pairs`` compares all pairs: if they are no more than those of ``exact_rows`` rows.

    ``earlier``: as in ``find_pairs``. Without ``exact_rows``, ``MAX_EXACT_ROWS`` of the device is the limit.
    """
    limit = MAX_EXACT_ROWS[_device().type] if exact_rows is None else exact_rows
    new = int((~earlier).sum())
    return new * (2 * len(earlier) - new) <= limit**2


def measure_recall(
    vectors: Vectors,
    pairs: Pairs,
    threshold: float,
    *,
    blocks: Rows | None = None,
    earlier: NDArray[np.bool_] | None = None,
    sample_rows: int | None = None,
) -> Recall:
    """Compare a sample of rows with all rows, and return which of their pairs are among ``pairs``.

    The arguments are those of ``find_pairs``, and its result. Rows are chosen by their content, all copies of a vector
    or none.
    """
    count, size = len(vectors), RECALL_ROWS if sample_rows is None else sample_rows
    search = _search(vectors, threshold, blocks, earlier)
    # Not the keys that choose the rows which the cells are learned from: cells suit these rows best.
    keys = content_keys(vectors, seed=2)
    least = np.partition(keys, -size)[-size] if count > size else np.uint64(0)
    sample = np.flatnonzero(keys >= least)
    rows, others = search.side(sample), search.side(np.arange(count))
    codes = pairs.left * count + pairs.right
    row, scores, found = [_NONE], [np.empty(0, np.float32)], [np.empty(0, np.bool_)]
    with bar(count, "measuring the recall", "texts") as progress:
        for columns in others.tiles():
            for part in rows.tiles():
                one, other = _compare(rows, part, others, columns, threshold)
                real = one != other
                one, other, score = search.verify(one[real], other[real])
                row.append(one)
                scores.append(score)
                found.append(np.isin(np.minimum(one, other) * count + np.maximum(one, other), codes))
            progress.update(columns.stop - columns.start)
    return Recall(len(sample), np.concatenate(row), np.concatenate(scores), np.concatenate(found))


def find_nearest(queries: Vectors, corpus: Vectors, *, exclude: Rows | None = None) -> tuple[Rows, Vectors]:
    """Return, for each unit row of ``queries``, the row of ``corpus`` with the highest cosine, and that cosine.

    Ties go to the lower row. ``exclude`` gives one corpus row to ignore for each query (such as the query itself), or
    -1. If no row is left to compare with, the row is -1 and the cosine -1.
    """
    index = np.full(len(queries), -1, np.int64)
    best = np.full(len(queries), -1, np.float32)
    excluded = np.full(len(queries), -1, np.int64) if exclude is None else exclude
    margin = _margin()
    query_operand, corpus_operand = _operand(queries), _operand(corpus)
    tiles = [(rows, columns) for rows in _tiles(len(queries)) for columns in _tiles(len(corpus))]
    with bar(len(tiles), "nearest neighbours", "tiles") as progress:
        for rows, columns in tiles:
            cosines = query_operand[rows] @ corpus_operand[columns].T
            inside = np.flatnonzero((excluded[rows] >= columns.start) & (excluded[rows] < columns.stop))
            cosines[inside, excluded[rows][inside] - columns.start] = -2
            # The lowest product that may still be the best of its row, given the error margin of the product.
            rivals = torch.maximum(cosines.amax(1).float() - margin, torch.from_numpy(best[rows]).to(cosines.device))
            one, other = select_at_least(cosines, rivals - margin)
            one, other = one + rows.start, other + columns.start
            kept = other != excluded[one]
            one, other = one[kept], other[kept]
            score = _score(queries, one, corpus, other)
            order = np.lexsort((other, -score, one))
            one, other, score = one[order], other[order], score[order]
            top = np.flatnonzero(np.diff(one, prepend=-1))
            better = top[(score[top] > best[one[top]]) | (index[one[top]] < 0)]
            index[one[better]], best[one[better]] = other[better], score[better]
            progress.update(1)
    return index, best


def find_top(vectors: Vectors, count: int) -> tuple[Rows, Vectors]:
    """Return, for each unit row, the ``count`` other rows with the highest cosines, best first, and those cosines.

    Ties go to the lower row. If there are fewer rows, the remaining entries are row -1 with cosine -1.
    """
    index = np.full((len(vectors), count), -1, np.int64)
    best = np.full((len(vectors), count), -1, np.float32)
    margin, operand, tiles = _margin(), _operand(vectors), _tiles(len(vectors))
    with bar(len(tiles) ** 2, "nearest neighbours", "tiles") as progress:
        for rows in tiles:
            row_count = rows.stop - rows.start
            for columns in tiles:
                cosines = operand[rows] @ operand[columns].T
                if rows == columns:
                    cosines.fill_diagonal_(-2)
                if columns.start == 0 and columns.stop > count:  # a first bound, before any best value exists
                    rivals = cosines.topk(count).values[:, -1].float() - margin
                else:
                    rivals = torch.from_numpy(best[rows][:, -1]).to(cosines.device)
                one, other = select_at_least(cosines, rivals - margin)
                score = _score(vectors, one + rows.start, vectors, other + columns.start)
                one = np.concatenate([np.repeat(np.arange(row_count), count), one])
                other = np.concatenate([index[rows].reshape(-1), other + columns.start])
                score = np.concatenate([best[rows].reshape(-1), score])
                real = other != one + rows.start
                one, other, score = one[real], other[real], score[real]
                order = np.lexsort((other, -score, other < 0, one))
                one, other, score = one[order], other[order], score[order]
                place = np.arange(len(one)) - np.searchsorted(one, one)
                top = place < count
                index[rows][one[top], place[top]], best[rows][one[top], place[top]] = other[top], score[top]
                progress.update(1)
    return index, best


_NONE = np.empty(0, np.int64)
_Candidates = Iterator[tuple[Rows, Rows]]


@dataclass(frozen=True)
class _Side:
    """Rows of one side of a comparison, earlier rows first, then by block, as an operand of a product."""

    rows: Rows
    blocks: Rows
    earlier: NDArray[np.bool_]
    operand: torch.Tensor

    def tiles(self) -> list[slice]:
        """Return slices of the rows; none has both earlier and other rows."""
        first = int(self.earlier.sum())
        return [
            *_tiles(first),
            *(slice(first + each.start, first + each.stop) for each in _tiles(len(self.rows) - first)),
        ]


@dataclass(frozen=True)
class _Search:
    """What pairs are looked for: the arguments of ``find_pairs``."""

    vectors: Vectors
    threshold: float
    blocks: Rows
    earlier: NDArray[np.bool_]

    def side(self, rows: Rows) -> _Side:
        """Return ``rows`` as one side of a comparison."""
        rows = rows[np.lexsort((rows, self.blocks[rows], ~self.earlier[rows]))]
        return _Side(rows, self.blocks[rows], self.earlier[rows], _operand(self.vectors, rows))

    def verify(self, one: Rows, other: Rows) -> tuple[Rows, Rows, Vectors]:
        """Return those of the pairs that reach the threshold and are not excluded, and their scores."""
        same_block = (self.blocks[one] == self.blocks[other]) & (self.blocks[one] >= 0)
        included = ~(self.earlier[one] & self.earlier[other]) & ~same_block
        one, other = one[included], other[included]
        score = _score(self.vectors, one, self.vectors, other)
        reaches = score.astype(np.float64) >= self.threshold
        return one[reaches], other[reaches], score[reaches]


def _search(vectors: Vectors, threshold: float, blocks: Rows | None, earlier: NDArray[np.bool_] | None) -> _Search:
    no_blocks, none_earlier = np.full(len(vectors), -1, np.int64), np.zeros(len(vectors), np.bool_)
    return _Search(
        vectors, threshold, no_blocks if blocks is None else blocks, none_earlier if earlier is None else earlier
    )


def _candidates_by_product(search: _Search) -> _Candidates:
    """Yield, tile by tile, the pairs of rows whose product may reach the threshold."""
    side = search.side(np.arange(len(search.vectors)))
    tiles = list(combinations_with_replacement(side.tiles(), 2))
    with bar(len(tiles), "comparing embeddings", "tiles") as progress:
        for rows, columns in tiles:
            yield _compare(side, rows, side, columns, search.threshold)
            progress.update(1)


def _candidates_by_cell(search: _Search) -> _Candidates:
    """Yield, cell by cell, the pairs of rows in one cell whose product may reach the threshold."""
    cells = build_cells(search.vectors, search.threshold)
    with bar(cells.count, "comparing embeddings", "cells") as progress:
        for cell, home in enumerate(cells.home_rows()):
            yield from _compare_in_cell(search, cells, cell, home)
            progress.update(1)


def _compare_in_cell(search: _Search, cells: Cells, cell: int, home: Rows) -> _Candidates:
    """Yield the pairs of ``home``, the rows at home in ``cell``, and those of a row at home and a visitor.

    A pair whose rows visit each other's cells is left to the lower cell.
    """
    residents = search.side(home)
    for rows, columns in combinations_with_replacement(residents.tiles(), 2):
        yield _compare(residents, rows, residents, columns, search.threshold)
    visitors = search.side(cells.visitors(cell))
    for rows, columns in product(residents.tiles(), visitors.tiles()):
        one, other = _compare(residents, rows, visitors, columns, search.threshold)
        at_home = cells.home[other]
        first = (at_home > cell) | ~cells.is_visit(one, at_home)
        yield one[first], other[first]


def _compare(one: _Side, rows: slice, other: _Side, columns: slice, threshold: float) -> tuple[Rows, Rows]:
    """Return the pairs of rows of two tiles, ``rows`` of ``one`` and ``columns`` of ``other``, that may be similar.

    If both are one side, each pair is returned once, and no row with itself. No pair of one block is returned.
    """
    ones, others = one.blocks[rows], other.blocks[columns]
    if (one.earlier[rows].all() and other.earlier[columns].all()) or _one_block(ones, others):
        return _NONE, _NONE
    cosines = one.operand[rows] @ other.operand[columns].T
    common = np.intersect1d(ones, others)
    if common.size and common[-1] >= 0:
        down, across = (torch.from_numpy(blocks).to(cosines.device) for blocks in (ones, others))
        cosines.masked_fill_((down[:, None] == across) & (across >= 0), -2)
    if one is other and rows == columns:
        cosines.fill_diagonal_(-2)
    left, right = select_at_least(cosines, torch.tensor(threshold - _margin(), device=cosines.device))
    if one is other:
        upper = left + rows.start < right + columns.start
        left, right = left[upper], right[upper]
    return one.rows[rows][left], other.rows[columns][right]


# Error margins of a product of unit rows. In bfloat16 each factor has a relative error of at most 2^-9, so the product
# has one of 2^-8 (Cauchy-Schwarz); rounding the product and the threshold adds 2^-9 each: 0.0078, rounded up.
_BF16_MARGIN = 0.01
_F32_MARGIN = 1e-4


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _margin() -> float:
    return _BF16_MARGIN if has_native_bf16() else _F32_MARGIN


def _operand(vectors: Vectors, order: Rows | None = None) -> torch.Tensor:
    """Return ``vectors``, or its rows ``order``, in the precision of the product, without a second float32 copy."""
    dtype = torch.bfloat16 if has_native_bf16() else torch.float32
    count = len(vectors) if order is None else len(order)
    operand = torch.empty((count, vectors.shape[1]), dtype=dtype, device=_device())
    for rows in _tiles(count):
        tile = vectors[rows] if order is None else vectors[order[rows]]
        operand[rows] = torch.from_numpy(np.ascontiguousarray(tile)).to(operand.device)
    return operand


def _tiles(count: int) -> list[slice]:
    # A tile of products fits into the CPU cache; a GPU works better with fewer, larger tiles.
    size = TILE_ROWS * 8 if torch.cuda.is_available() else TILE_ROWS
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _one_block(rows: Rows, columns: Rows) -> bool:
    return bool(rows[0] >= 0 and (rows == rows[0]).all() and (columns == rows[0]).all())


def select_at_least(product: torch.Tensor, least: torch.Tensor) -> tuple[Rows, Rows]:
    """Return rows and columns of the values of ``product`` that reach ``least`` (one value, or one per row)."""
    # Most rows of a tile have no hit: checking the row maxima first halves the time.
    hits = (product.amax(1) >= least).nonzero().squeeze(1)
    found = (product[hits] >= (least[hits, None] if least.ndim else least)).nonzero()
    return hits[found[:, 0]].cpu().numpy(), found[:, 1].cpu().numpy()


def _score(ones: Vectors, one: Rows, others: Vectors, other: Rows) -> Vectors:
    """Return the cosines of the given rows: float64 sums over one row each, in an order set by the row length only."""
    score = np.empty(len(one), np.float32)
    for start in range(0, len(one), 8_192):
        part = slice(start, start + 8_192)
        products = ones[one[part]].astype(np.float64) * others[other[part]]
        score[part] = np.minimum(products.sum(axis=1), 1.0)
    return score
