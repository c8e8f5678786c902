"""Which vectors are alike: every pair over a threshold, and the nearest of each row. Exact up to a million rows.

All pairs of n vectors are a matrix product, which a processor does faster than anything clever. It is taken tile by
tile, upper half only, in bfloat16 where the processor multiplies it natively (and on a GPU), and serves as a filter:
its rounding is bounded, so what lies under the threshold by more than the bound is no pair. What is left, a few pairs
in a hundred thousand, is scored again row by row in float64. A score therefore depends on its two rows alone, not on
tiles, threads or the filter's precision, and the result is that of brute force.

Pairs that nobody asks for cost nothing: rows are put in the order of (earlier, block), and a tile inside one block, or
of earlier rows alone, is never multiplied. So a thousand texts in one long wrapper do not become half a million pairs.

Beyond a million rows the product takes too long, and an approximate index (HNSW in float16) proposes the candidates.
They are scored in the same way, so no pair is wrong; but one may be missed, and of a row with more than
``MOST_NEIGHBOURS`` rows over the threshold only that many are looked at.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import torch
from numpy.typing import NDArray

from seas_data.progress import bar
from seas_data.similarity.candidates import require_few
from seas_data.similarity.precision import has_native_bf16

Rows = NDArray[np.int64]
Vectors = NDArray[np.float32]

TILE = 2_048
EXACT_ROWS = 1_000_000
MOST_NEIGHBOURS = 4_096


@dataclass(frozen=True)
class Pairs:
    """Pairs of rows and how alike they are: ``left < right``, each pair once, sorted by (left, right)."""

    left: Rows
    right: Rows
    score: Vectors


def pairs(
    vectors: Vectors, threshold: float, *, blocks: Rows | None = None, earlier: NDArray[np.bool_] | None = None
) -> Pairs:
    """Return every pair of the unit rows ``vectors`` (n, d) with a cosine of at least ``threshold``.

    Pairs of one block (equal ``blocks`` >= 0) and pairs of two ``earlier`` rows are left out. Scores are float64
    products rounded to float32 (at most 1), and it is the rounded score that reaches the threshold. Raises
    SeasDataError when there are over ``candidates.MOST_PAIRS``, rather than run out of memory.
    """
    count = len(vectors)
    blocks = np.full(count, -1, np.int64) if blocks is None else blocks
    earlier = np.zeros(count, np.bool_) if earlier is None else earlier
    exact = count <= EXACT_ROWS
    proposed = _by_product(vectors, threshold, blocks, earlier) if exact else _by_index(vectors, threshold, ~earlier)
    lefts, rights, scores, found = [_NONE], [_NONE], [np.empty(0, np.float32)], 0
    for one, other in proposed:
        wanted = ~(earlier[one] & earlier[other]) & ~((blocks[one] == blocks[other]) & (blocks[one] >= 0))
        one, other = one[wanted], other[wanted]
        score = _score(vectors, one, vectors, other)
        over = score.astype(np.float64) >= threshold
        lefts.append(np.minimum(one, other)[over])
        rights.append(np.maximum(one, other)[over])
        scores.append(score[over])
        found += int(over.sum())
        require_few(
            found,
            f"{count:,} texts have a cosine of at least {threshold}",
            "raise curation.semantic.group and curation.semantic.duplicate, or name an embedder that tells these texts "
            "apart",
        )
    left, right, score = np.concatenate(lefts), np.concatenate(rights), np.concatenate(scores)
    _, first = np.unique(left * count + right, return_index=True)
    return Pairs(left[first], right[first], score[first])


def nearest(queries: Vectors, corpus: Vectors, *, exclude: Rows | None = None) -> tuple[Rows, Vectors]:
    """Return for each unit row of ``queries`` the row of ``corpus`` with the highest cosine, and that cosine.

    Of equal cosines the first row counts. ``exclude`` gives for each query one corpus row that does not count (itself,
    say), or -1. Where nothing is left to compare with, the row is -1 and the cosine -1.
    """
    index = np.full(len(queries), -1, np.int64)
    best = np.full(len(queries), -1, np.float32)
    excluded = np.full(len(queries), -1, np.int64) if exclude is None else exclude
    margin = _margin()
    asked, told = _operand(queries), _operand(corpus)
    tiles = [(rows, columns) for rows in _tiles(len(queries)) for columns in _tiles(len(corpus))]
    with bar(len(tiles), "nearest neighbours", "tiles") as progress:
        for rows, columns in tiles:
            product = asked[rows] @ told[columns].T
            inside = np.flatnonzero((excluded[rows] >= columns.start) & (excluded[rows] < columns.stop))
            product[inside, excluded[rows][inside] - columns.start] = -2
            # What may yet be the best of its row, here or so far, given that the product may be off by the margin.
            rivals = torch.maximum(product.amax(1).float() - margin, torch.from_numpy(best[rows]).to(product.device))
            one, other = _at_least(product, rivals - margin)
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


def ranked(vectors: Vectors, count: int) -> tuple[Rows, Vectors]:
    """Return for each unit row the ``count`` other rows with the highest cosines, best first, and those cosines.

    Of equal cosines the earlier row comes first. Where there are fewer rows, the rest is row -1 with cosine -1.
    """
    index = np.full((len(vectors), count), -1, np.int64)
    best = np.full((len(vectors), count), -1, np.float32)
    margin, operand, tiles = _margin(), _operand(vectors), _tiles(len(vectors))
    with bar(len(tiles) ** 2, "nearest neighbours", "tiles") as progress:
        for rows in tiles:
            held = rows.stop - rows.start
            for columns in tiles:
                product = operand[rows] @ operand[columns].T
                if rows == columns:
                    product.fill_diagonal_(-2)
                if columns.start == 0 and columns.stop > count:  # something to beat, before there is a best
                    rivals = product.topk(count).values[:, -1].float() - margin
                else:
                    rivals = torch.from_numpy(best[rows][:, -1]).to(product.device)
                # The product may be off by the margin.
                one, other = _at_least(product, rivals - margin)
                score = _score(vectors, one + rows.start, vectors, other + columns.start)
                one = np.concatenate([np.repeat(np.arange(held), count), one])
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


def _by_product(vectors: Vectors, threshold: float, blocks: Rows, earlier: NDArray[np.bool_]) -> _Candidates:
    """Yield, tile by tile, the rows whose product may reach the threshold."""
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
            one, other = _at_least(product, least)
            one, other = one + rows.start, other + columns.start
            upper = one < other
            yield order[one[upper]], order[other[upper]]


def _by_index(vectors: Vectors, threshold: float, new: NDArray[np.bool_]) -> _Candidates:
    """Yield the neighbours of ``new`` rows in an index, asking for more until the last one is under the threshold."""
    from usearch.index import Index

    count = len(vectors)
    index = Index(ndim=vectors.shape[1], metric="ip", dtype="f16", connectivity=32, expansion_add=128)
    with bar(count, "indexing embeddings", "texts") as progress:
        for rows in _tiles(count):
            # One thread: the graph, and so what is found in it, depends on the order in which rows are put in.
            index.add(np.arange(rows.start, rows.stop), vectors[rows], threads=1)
            progress.update(rows.stop - rows.start)
    searched = np.flatnonzero(new)
    with bar(len(searched), "searching embeddings", "texts") as progress:
        for part in _tiles(len(searched)):
            asked, wanted = searched[part], 32
            while asked.size:
                wanted = min(wanted, count)
                asked = np.resize(asked, max(2, len(asked)))  # to one query usearch gives a result of another shape
                found = index.search(vectors[asked], wanted)
                one = np.repeat(asked, wanted)
                other = np.asarray(found.keys, dtype=np.int64).reshape(-1)
                near = 1 - np.asarray(found.distances, dtype=np.float64) >= threshold - _F16_MARGIN
                near &= np.arange(wanted) < np.asarray(found.counts)[:, None]
                chosen = near.reshape(-1) & (one != other)
                yield one[chosen], other[chosen]
                more = wanted < min(count, MOST_NEIGHBOURS)
                asked, wanted = asked[near[:, -1]] if more else _NONE, wanted * 4
            progress.update(part.stop - part.start)


# By how much a product of unit rows may be off. A factor in bfloat16 is off by 2^-9 of itself at most, so the product
# by 2^-8 (Cauchy-Schwarz), its own rounding adds 2^-9, that of the threshold another: 0.0078 and something to spare.
_BF16_MARGIN = 0.01
_F16_MARGIN = 0.004
_F32_MARGIN = 1e-4


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _margin() -> float:
    return _BF16_MARGIN if has_native_bf16() else _F32_MARGIN


def _operand(vectors: Vectors, order: Rows | None = None) -> torch.Tensor:
    """Return ``vectors``, in ``order``, as the product takes them, never holding a second float32 copy of them all."""
    dtype = torch.bfloat16 if has_native_bf16() else torch.float32
    operand = torch.empty(vectors.shape, dtype=dtype, device=_device())
    for rows in _tiles(len(vectors)):
        tile = vectors[rows] if order is None else vectors[order[rows]]
        operand[rows] = torch.from_numpy(np.ascontiguousarray(tile)).to(operand.device)
    return operand


def _tiles(count: int) -> list[slice]:
    # A tile of products that stays in the processor's cache; a GPU wants fewer and larger ones.
    size = TILE * 8 if torch.cuda.is_available() else TILE
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def _one_block(rows: Rows, columns: Rows) -> bool:
    return bool(rows[0] >= 0 and (rows == rows[0]).all() and (columns == rows[0]).all())


def _at_least(product: torch.Tensor, least: torch.Tensor) -> tuple[Rows, Rows]:
    """Return rows and columns of the values of ``product`` that reach ``least`` (one value, or one a row)."""
    # Most rows of a tile hold nothing: to look at their maxima first halves the time.
    hits = (product.amax(1) >= least).nonzero().squeeze(1)
    found = (product[hits] >= (least[hits, None] if least.ndim else least)).nonzero()
    return hits[found[:, 0]].cpu().numpy(), found[:, 1].cpu().numpy()


def _score(ones: Vectors, one: Rows, others: Vectors, other: Rows) -> Vectors:
    """Return the cosines of given rows: each a float64 sum over one row, in an order that only its length sets."""
    score = np.empty(len(one), np.float32)
    for start in range(0, len(one), 8_192):
        part = slice(start, start + 8_192)
        products = ones[one[part]].astype(np.float64) * others[other[part]]
        score[part] = np.minimum(products.sum(axis=1), 1.0)
    return score
