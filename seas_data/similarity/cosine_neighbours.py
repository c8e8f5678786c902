"""Cosine similarity of vectors: all pairs over a threshold, nearest and top neighbours; exact up to a million rows.

All pairs of n vectors are one matrix product, which hardware computes faster than any index. It is computed tile by
tile, upper half only, in bfloat16 where that is native (and on a GPU), and serves as a filter: its rounding error is
bounded, so a product below the threshold by more than the bound is not a pair. The remaining pairs, a few in a
hundred thousand, are rescored in float64. A score therefore depends on its two rows only, not on tiles, threads or
the precision of the filter, and the result equals that of brute force.

Excluded pairs cost nothing: rows are ordered by (earlier, block), and a tile within one block, or of earlier rows
only, is never multiplied. A thousand texts in one long wrapper do not produce half a million pairs.

Above a million rows the product takes too long, and an approximate index (HNSW in float16) proposes the candidates.
They are rescored in the same way, so no returned pair is wrong. The index may miss a pair, and for a row with more
than ``MAX_NEIGHBOURS`` rows over the threshold only that many are examined.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import torch
from numpy.typing import NDArray

from seas_data.progress import bar
from seas_data.similarity.bfloat16 import has_native_bf16
from seas_data.similarity.candidate_pairs import require_pair_limit

Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]

TILE_ROWS = 2_048
MAX_EXACT_ROWS = 1_000_000
MAX_NEIGHBOURS = 4_096


@dataclass(frozen=True)
class Pairs:
    """Pairs of rows and their similarity: ``left < right``, each pair once, sorted by (left, right)."""

    left: Rows
    right: Rows
    score: Vectors


def find_pairs(
    vectors: Vectors, threshold: float, *, blocks: Rows | None = None, earlier: NDArray[np.bool_] | None = None
) -> Pairs:
    """Return every pair of the unit rows ``vectors`` (n, d) with a cosine of at least ``threshold``.

    Pairs within one block (equal ``blocks`` >= 0) and pairs of two ``earlier`` rows are excluded. Scores are float64
    products rounded to float32 (at most 1), and the rounded score is compared with the threshold. Raises SeasDataError
    above ``candidate_pairs.MAX_PAIRS`` pairs, before they fill the memory.
    """
    count = len(vectors)
    blocks = np.full(count, -1, np.int64) if blocks is None else blocks
    earlier = np.zeros(count, np.bool_) if earlier is None else earlier
    exact = count <= MAX_EXACT_ROWS
    candidates = (
        _candidates_by_product(vectors, threshold, blocks, earlier)
        if exact
        else _candidates_by_index(vectors, threshold, ~earlier)
    )
    lefts, rights, scores, found = [_NONE], [_NONE], [np.empty(0, np.float32)], 0
    for one, other in candidates:
        included = ~(earlier[one] & earlier[other]) & ~((blocks[one] == blocks[other]) & (blocks[one] >= 0))
        one, other = one[included], other[included]
        score = _score(vectors, one, vectors, other)
        reaches = score.astype(np.float64) >= threshold
        lefts.append(np.minimum(one, other)[reaches])
        rights.append(np.maximum(one, other)[reaches])
        scores.append(score[reaches])
        found += int(reaches.sum())
        require_pair_limit(
            found,
            f"{count:,} texts have a cosine of at least {threshold}",
            "raise curation.semantic.group_threshold and curation.semantic.duplicate_threshold, or use an embedder "
            "that separates these texts",
        )
    left, right, score = np.concatenate(lefts), np.concatenate(rights), np.concatenate(scores)
    _, first = np.unique(left * count + right, return_index=True)
    return Pairs(left[first], right[first], score[first])


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
            product = query_operand[rows] @ corpus_operand[columns].T
            inside = np.flatnonzero((excluded[rows] >= columns.start) & (excluded[rows] < columns.stop))
            product[inside, excluded[rows][inside] - columns.start] = -2
            # The lowest product that may still be the best of its row, given the error margin of the product.
            rivals = torch.maximum(product.amax(1).float() - margin, torch.from_numpy(best[rows]).to(product.device))
            one, other = select_at_least(product, rivals - margin)
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
                product = operand[rows] @ operand[columns].T
                if rows == columns:
                    product.fill_diagonal_(-2)
                if columns.start == 0 and columns.stop > count:  # a first bound, before any best value exists
                    rivals = product.topk(count).values[:, -1].float() - margin
                else:
                    rivals = torch.from_numpy(best[rows][:, -1]).to(product.device)
                one, other = select_at_least(product, rivals - margin)
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


def _candidates_by_product(vectors: Vectors, threshold: float, blocks: Rows, earlier: NDArray[np.bool_]) -> _Candidates:
    """Yield, tile by tile, the pairs of rows whose product may reach the threshold."""
    order = np.lexsort((np.arange(len(vectors)), blocks, ~earlier))
    operand = _operand(vectors, order)
    blocks, earlier = blocks[order], earlier[order]
    least = torch.tensor(threshold - _margin(), device=operand.device)
    tiles = list(combinations_with_replacement(_tiles(len(vectors)), 2))
    with bar(len(tiles), "comparing embeddings", "tiles") as progress:
        for rows, columns in tiles:
            progress.update(1)
            if (earlier[rows].all() and earlier[columns].all()) or _one_block(blocks[rows], blocks[columns]):
                continue
            product = operand[rows] @ operand[columns].T
            common = np.intersect1d(blocks[rows], blocks[columns])
            if common.size and common[-1] >= 0:
                down, across = (torch.from_numpy(blocks[tile]).to(operand.device) for tile in (rows, columns))
                product.masked_fill_((down[:, None] == across) & (across >= 0), -2)
            if rows == columns:
                product.fill_diagonal_(-2)
            one, other = select_at_least(product, least)
            one, other = one + rows.start, other + columns.start
            upper = one < other
            yield order[one[upper]], order[other[upper]]


def _candidates_by_index(vectors: Vectors, threshold: float, new: NDArray[np.bool_]) -> _Candidates:
    """Yield the neighbours of ``new`` rows in an index, widening the search until it passes the threshold."""
    from usearch.index import Index

    count = len(vectors)
    index = Index(ndim=vectors.shape[1], metric="ip", dtype="f16", connectivity=32, expansion_add=128)
    with bar(count, "indexing embeddings", "texts") as progress:
        for rows in _tiles(count):
            # One thread, because the graph, and with it the result, depends on the insertion order.
            index.add(np.arange(rows.start, rows.stop), vectors[rows], threads=1)
            progress.update(rows.stop - rows.start)
    searched = np.flatnonzero(new)
    with bar(len(searched), "searching embeddings", "texts") as progress:
        for part in _tiles(len(searched)):
            remaining, limit = searched[part], 32
            while remaining.size:
                limit = min(limit, count)
                # At least two queries, because usearch returns another shape for a single one.
                remaining = np.resize(remaining, max(2, len(remaining)))
                found = index.search(vectors[remaining], limit)
                one = np.repeat(remaining, limit)
                other = np.asarray(found.keys, dtype=np.int64).reshape(-1)
                near = 1 - np.asarray(found.distances, dtype=np.float64) >= threshold - _F16_MARGIN
                near &= np.arange(limit) < np.asarray(found.counts)[:, None]
                chosen = near.reshape(-1) & (one != other)
                yield one[chosen], other[chosen]
                more = limit < min(count, MAX_NEIGHBOURS)
                remaining, limit = remaining[near[:, -1]] if more else _NONE, limit * 4
            progress.update(part.stop - part.start)


# Error margins of a product of unit rows. In bfloat16 each factor has a relative error of at most 2^-9, so the product
# has one of 2^-8 (Cauchy-Schwarz); rounding the product and the threshold adds 2^-9 each: 0.0078, rounded up.
_BF16_MARGIN = 0.01
_F16_MARGIN = 0.004
_F32_MARGIN = 1e-4


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _margin() -> float:
    return _BF16_MARGIN if has_native_bf16() else _F32_MARGIN


def _operand(vectors: Vectors, order: Rows | None = None) -> torch.Tensor:
    """Return ``vectors``, in ``order``, in the product's precision, without a second float32 copy of all."""
    dtype = torch.bfloat16 if has_native_bf16() else torch.float32
    operand = torch.empty(vectors.shape, dtype=dtype, device=_device())
    for rows in _tiles(len(vectors)):
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
