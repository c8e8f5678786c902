"""Cosine similarity of vectors: all pairs over a threshold, nearest and top neighbours.

All pairs of n vectors are one matrix product, which hardware computes faster than any index. It is computed tile by
tile, upper half only, and serves as a filter (``vector_products``); the remaining pairs, a few in a hundred thousand,
are rescored in float64. The result equals that of brute force.

Excluded pairs cost nothing: rows are ordered by (earlier, block), and a tile within one block, or of earlier rows
only, is never multiplied. A thousand texts in one long wrapper do not produce half a million pairs.

If more pairs are to be compared than ``exact_rows`` rows have, rows are compared within cells only (``vector_cells``).
No returned pair is wrong, but a pair may be missed; ``measure_recall`` compares a sample with all rows. Cells, and with
them the pairs found, depend on the set of vectors only.

Either way the work is a list of comparisons of rows with rows, which are independent of each other, so ``Parts`` cuts
it into units.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from seas_data.progress import bar
from seas_data.similarity.candidate_pairs import require_pair_limit
from seas_data.similarity.vector_cells import Cells, build_cells, content_keys
from seas_data.similarity.vector_products import (
    Compared,
    Rows,
    Vectors,
    compute_device,
    cut_tiles,
    error_margin,
    in_one_block,
    keep_coded,
    make_operand,
    reading_candidates,
    score_rows,
    select_at_least,
)
from seas_data.store.file_array import is_in_file
from seas_data.store.parts import LOCAL, Parts
from seas_data.store.shared_matrix import Matrix, as_matrix

MAX_EXACT_ROWS = {"cpu": 300_000, "cuda": 10_000_000}
"""Rows of which all pairs are compared by default: minutes on a CPU, about a minute on a GPU."""
GROUP_ROWS = {"cpu": 16_384, "cuda": 524_288}
"""Rows of a group, if all rows are compared: each pair of groups is one comparison."""
PRODUCTS_PER_UNIT = {"cpu": 1 << 27, "cuda": 1 << 37}
"""Products of a work unit, at least: some seconds, which is what a lost machine loses."""
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
    vectors: Vectors | Matrix,
    threshold: float,
    *,
    blocks: Rows | None = None,
    earlier: NDArray[np.bool_] | None = None,
    exact_rows: int | None = None,
    parts: Parts | None = None,
) -> Pairs:
    """Return every pair of the unit rows ``vectors`` (n, d) with a cosine of at least ``threshold``.

    Pairs within one block (equal ``blocks`` >= 0) and pairs of two ``earlier`` rows are excluded. Scores are float64
    products rounded to float32 (at most 1), and the rounded score is compared with the threshold. Unless
    ``is_exact``, a few pairs may be missed. ``parts`` stores and runs comparisons of many rows.

    Raises SeasDataError above ``candidate_pairs.MAX_PAIRS`` pairs, before they fill the memory, or if vectors are in a
    file and the disk has no room for their copy (``vector_products.keep_coded``).
    """
    count = len(vectors)
    search = _search(vectors, threshold, blocks, earlier, parts)
    if is_exact(search.earlier, exact_rows):
        comparisons = list(_compare_all(search))
        found = search.run(comparisons.__getitem__, len(comparisons), "comparing embeddings")
    else:
        cells = build_cells(search.vectors, threshold, search.parts)
        found = _without_repeats(search.run(_compare_in_cells(cells), cells.count, "comparing embeddings"), cells)
    if is_in_file(search.vectors.values) and search.parts.engine is LOCAL and not torch.cuda.is_available():
        folder = search.parts.folder
        keep_coded(search.vectors, folder if isinstance(folder, Path) else None)  # after cells, which take memory too
    lefts, rights, scores, pairs = [_NONE], [_NONE], [np.empty(0, np.float32)], 0
    for one, other, score in found:  # a generator: the comparisons begin here
        lefts.append(np.minimum(one, other))
        rights.append(np.maximum(one, other))
        scores.append(score)
        pairs += len(score)
        _require_pair_limit(pairs, count, threshold)
    left, right, score = np.concatenate(lefts), np.concatenate(rights), np.concatenate(scores)
    order = np.argsort(left * count + right)
    return Pairs(left[order], right[order], score[order])


def is_exact(earlier: NDArray[np.bool_], exact_rows: int | None = None) -> bool:
    """Return whether ``find_pairs`` compares all pairs: if they are no more than those of ``exact_rows`` rows.

    ``earlier``: as in ``find_pairs``. Without ``exact_rows``, ``MAX_EXACT_ROWS`` of the device is the limit.
    """
    limit = MAX_EXACT_ROWS[compute_device().type] if exact_rows is None else exact_rows
    new = int((~earlier).sum())
    return new * (2 * len(earlier) - new) <= limit**2


def measure_recall(
    vectors: Vectors | Matrix,
    pairs: Pairs,
    threshold: float,
    *,
    blocks: Rows | None = None,
    earlier: NDArray[np.bool_] | None = None,
    sample_rows: int | None = None,
    parts: Parts | None = None,
) -> Recall:
    """Compare a sample of rows with all rows, and return which of their pairs are among ``pairs``.

    The arguments are those of ``find_pairs``, and its result. Rows are chosen by their content, all copies of a vector
    or none.
    """
    count, size = len(vectors), RECALL_ROWS if sample_rows is None else sample_rows
    search = _search(vectors, threshold, blocks, earlier, parts)
    # Not the keys that choose the rows which the cells are learned from: cells suit these rows best.
    keys = content_keys(vectors, seed=2)
    least = np.partition(keys, -size)[-size] if count > size else np.uint64(0)
    sample = np.flatnonzero(keys >= least)
    comparisons = [_Comparison(rows, sample, within=False) for rows in search.groups()]
    codes = pairs.left * count + pairs.right
    row, scores, found = [_NONE], [np.empty(0, np.float32)], [np.empty(0, np.bool_)]
    for one, other, score in search.run(comparisons.__getitem__, len(comparisons), "measuring the recall"):
        real = one != other
        one, other = one[real], other[real]
        row.append(other)
        scores.append(score[real])
        found.append(np.isin(np.minimum(one, other) * count + np.maximum(one, other), codes))
    return Recall(len(sample), np.concatenate(row), np.concatenate(scores), np.concatenate(found))


def find_nearest(queries: Vectors | Matrix, corpus: Vectors, *, exclude: Rows | None = None) -> tuple[Rows, Vectors]:
    """Return, for each unit row of ``queries``, the row of ``corpus`` with the highest cosine, and that cosine.

    Ties go to the lower row. ``exclude`` gives one corpus row to ignore for each query (such as the query itself), or
    -1. If no row is left to compare with, the row is -1 and the cosine -1.
    """
    index = np.full(len(queries), -1, np.int64)
    best = np.full(len(queries), -1, np.float32)
    excluded = np.full(len(queries), -1, np.int64) if exclude is None else exclude
    margin = error_margin()
    corpus_operand, tiles = make_operand(corpus), cut_tiles(len(corpus))
    query_tiles = cut_tiles(len(queries))
    with bar(len(query_tiles) * len(tiles), "nearest neighbours", "tiles") as progress:
        for rows in query_tiles:
            query_operand = make_operand(queries[rows])  # all queries may be too many for memory
            for columns in tiles:
                cosines = query_operand @ corpus_operand[columns].T
                inside = np.flatnonzero((excluded[rows] >= columns.start) & (excluded[rows] < columns.stop))
                cosines[inside, excluded[rows][inside] - columns.start] = -2
                # The lowest product that may still be the best of its row, given the error margin of the product.
                rivals = torch.maximum(
                    cosines.amax(1).float() - margin, torch.from_numpy(best[rows]).to(cosines.device)
                )
                one, other = select_at_least(cosines, rivals - margin)
                one, other = one + rows.start, other + columns.start
                kept = other != excluded[one]
                one, other = one[kept], other[kept]
                score = score_rows(queries, one, corpus, other)
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
    margin, operand, tiles = error_margin(), make_operand(vectors), cut_tiles(len(vectors))
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
                score = score_rows(vectors, one + rows.start, vectors, other + columns.start)
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


def compare_rows(rows: pl.DataFrame, settings: Mapping[str, Any], vectors: Matrix) -> pl.DataFrame:
    """Return the pairs of the comparisons in ``rows`` with a cosine of at least ``threshold`` (of ``settings``).

    Input columns: ``comparison`` (equal for the rows of one, ascending), ``side`` (0 for rows that are compared with
    each other and with those of side 2, 1 for rows that are compared with those of side 2 only), ``row`` (of
    ``vectors``), ``block``, ``earlier`` (see ``find_pairs``).
    Output columns: ``one``, ``other`` (the row of side 2, if one is), ``score``.

    Raises SeasDataError above ``candidate_pairs.MAX_PAIRS`` pairs.
    """
    columns = [rows[name].to_numpy() for name in ("side", "row", "block", "earlier")]
    bounds = np.flatnonzero(np.diff(rows["comparison"].to_numpy())) + 1
    found, pairs = [(_NONE, _NONE, np.empty(0, np.float32))], 0
    for side, row, block, earlier in zip(*(np.split(column, bounds) for column in columns), strict=True):
        compared = Compared(vectors, settings["threshold"], row, block, earlier)
        for one, other in compared.candidates(np.flatnonzero(side < 2), np.flatnonzero(side == 2), within=0 in side):
            found.append(compared.verify(one, other))
            pairs += len(found[-1][0])
            # Two comparisons may have a pair in common, but no three.
            _require_pair_limit(pairs // 2, len(vectors), settings["threshold"])
    one, other, score = (np.concatenate(each) for each in zip(*found, strict=True))
    return pl.DataFrame({"one": one, "other": other, "score": score})


_NONE = np.empty(0, np.int64)
_Found = Iterator[tuple[Rows, Rows, Vectors]]


@dataclass(frozen=True)
class _Comparison:
    """Rows to compare: those of ``rows`` with each other, if ``within``, and with ``others``."""

    rows: Rows
    others: Rows
    within: bool = True

    @property
    def products(self) -> int:
        return len(self.rows) * (len(self.others) + (len(self.rows) // 2 if self.within else 0))


@dataclass(frozen=True)
class _Search:
    """What pairs are looked for: the arguments of ``find_pairs``."""

    vectors: Matrix
    threshold: float
    blocks: Rows
    earlier: NDArray[np.bool_]
    parts: Parts

    def groups(self) -> Iterator[Rows]:
        """Yield all rows in groups in the order of (earlier first, block); none has both earlier and other rows."""
        order, first = np.lexsort((self.blocks, ~self.earlier)), int(self.earlier.sum())
        for rows in (order[:first], order[first:]):
            for start in range(0, len(rows), GROUP_ROWS[compute_device().type]):
                yield rows[start : start + GROUP_ROWS[compute_device().type]]

    def run(self, comparison: Callable[[int], _Comparison], count: int, what: str) -> _Found:
        """Yield, unit by unit, the pairs that ``comparison(0)`` to ``comparison(count - 1)`` find."""
        units = list(_cut_into_units(comparison(number).products for number in range(count)))

        def cut(number: int) -> pl.DataFrame:
            return pl.concat(self._describe(place, comparison(place)) for place in units[number])

        gpus, settings = int(torch.cuda.is_available()), {"threshold": self.threshold}
        found = self.parts.map(compare_rows, cut, len(units), settings, what, matrix=self.vectors, gpus=gpus)
        with reading_candidates(self.vectors), bar(sum(map(len, units)), what, "comparisons") as progress:
            for unit, pairs in zip(units, found, strict=True):
                yield pairs["one"].to_numpy(), pairs["other"].to_numpy(), pairs["score"].to_numpy()
                progress.update(len(unit))

    def _describe(self, place: int, compared: _Comparison) -> pl.DataFrame:
        row = np.concatenate([compared.rows, compared.others])
        side = np.full(len(row), 2, np.int8)
        side[: len(compared.rows)] = 0 if compared.within else 1
        columns = {"comparison": np.full(len(row), place, np.int32), "side": side, "row": row}
        return pl.DataFrame({**columns, "block": self.blocks[row], "earlier": self.earlier[row]})


def _search(
    vectors: Vectors | Matrix,
    threshold: float,
    blocks: Rows | None,
    earlier: NDArray[np.bool_] | None,
    parts: Parts | None,
) -> _Search:
    blocks = np.full(len(vectors), -1, np.int64) if blocks is None else blocks
    earlier = np.zeros(len(vectors), np.bool_) if earlier is None else earlier
    return _Search(as_matrix(vectors), threshold, blocks, earlier, parts or Parts(None))


def _compare_all(search: _Search) -> Iterator[_Comparison]:
    """Yield the comparisons of all rows with all rows."""
    for rows, others in combinations_with_replacement(list(search.groups()), 2):
        if search.earlier[others[0]] or in_one_block(search.blocks[rows], search.blocks[others]):
            continue
        yield _Comparison(rows, _NONE) if rows is others else _Comparison(rows, others, within=False)


def _compare_in_cells(cells: Cells) -> Callable[[int], _Comparison]:
    """Return a function from cell to its comparison: the rows at home there with each other and with the visitors."""
    home = cells.home_rows()
    return lambda cell: _Comparison(home[cell], cells.visitors(cell))


def _without_repeats(found: _Found, cells: Cells) -> _Found:
    """Yield what was found, leaving a pair whose rows visit each other's cells to the lower cell."""
    for one, other, score in found:
        cell, at_home = cells.home[one], cells.home[other]
        first = (at_home >= cell) | ~cells.is_visit(one, at_home)
        yield one[first], other[first], score[first]


def _cut_into_units(products: Iterable[int]) -> Iterator[range]:
    """Yield ranges of comparisons that each compute about as many products."""
    start = stop = in_unit = 0
    for each in products:
        stop, in_unit = stop + 1, in_unit + each
        if in_unit >= PRODUCTS_PER_UNIT[compute_device().type]:
            yield range(start, stop)
            start, in_unit = stop, 0
    if start < stop:
        yield range(start, stop)


def _require_pair_limit(pairs: int, count: int, threshold: float) -> None:
    require_pair_limit(
        pairs,
        f"{count:,} texts have a cosine of at least {threshold}",
        "raise curation.semantic.group_threshold and curation.semantic.duplicate_threshold, or use an embedder "
        "that separates these texts",
    )
