"""Cells of unit vectors: candidates for pairs over a threshold when all pairs are too many to multiply.

A row is *at home* in the cell whose centroid is nearest to it, and *visits* the next nearest ones. Each cell compares
its home rows with each other and with its visitors, so a pair is compared if one row is at home where the other visits.

Two rows with a cosine of t are sqrt(2 - 2 t) apart, so their products with the difference of two centroids differ by at
most that times the distance of the centroids, and typically by a small part of it, because the direction from one row
to the other has little to do with the centroids. A row visits the cells whose centroids are nearly as near as its own:
within ``REACH`` of that bound, which at 1 would miss no pair, but at most about ``MAX_CELLS``.

The cells depend on the set of vectors only: neither on the order of the rows nor on threads, tiles or the processor.
The rows that the centroids are learned from are chosen by their content, and all arithmetic is exact: vectors and
centroids are rounded to integers so small that float32 represents every sum of their products.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt, sqrt
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from seas_data.progress import bar
from seas_data.similarity.vector_products import compute_device, cut_tiles
from seas_data.store.parts import Parts
from seas_data.store.shared_matrix import Matrix, as_matrix

Rows = NDArray[np.int64]
Keys = NDArray[np.uint64]
Vectors = NDArray[np.float32]

REACH = 0.25
MAX_CELLS = 16
ROWS_PER_CENTROID = 16
"""Rows that the centroids are learned from, per centroid."""
ITERATIONS = 5
PRODUCTS_PER_UNIT = {"cpu": 1 << 27, "cuda": 1 << 33}
"""Products of a work unit that assigns rows to cells."""
_TILE_ROWS = 2_048
_ASSIGNED_ROWS = {"cpu": 512, "cuda": 8_192}
"""Rows that are multiplied with all centroids at once: 13 MB of products at ten million rows, near a CPU's cache."""
_GROUP_CELLS = 16
"""Cells of a group, of which only the highest product is looked at first. Cell c is in group c modulo their number."""


@dataclass(frozen=True)
class Cells:
    """The cells of ``len(home)`` rows.

    ``home``: the cell in which each row is at home. ``visiting``: the rows that visit each cell, ascending, one cell
    after the other; those of a cell begin at its place in ``starts``, which has one entry more than there are cells.
    """

    home: Rows
    visiting: NDArray[np.uint32]
    starts: Rows

    @property
    def count(self) -> int:
        """The number of cells."""
        return len(self.starts) - 1

    def home_rows(self) -> list[Rows]:
        """Return the rows that are at home in each cell, ascending."""
        order = np.argsort(self.home, kind="stable")
        return np.split(order, np.searchsorted(self.home[order], np.arange(1, self.count)))

    def visitors(self, cell: int) -> Rows:
        """Return the rows that visit ``cell``, ascending."""
        return self.visiting[self.starts[cell] : self.starts[cell + 1]].astype(np.int64)

    def is_visit(self, rows: Rows, cells: Rows) -> NDArray[np.bool_]:
        """Return whether each of ``rows`` visits the cell beside it in ``cells``."""
        first, last = self.starts[cells], self.starts[cells + 1]
        found = np.zeros(len(rows), np.bool_)
        while (searched := np.flatnonzero(first < last)).size:  # a binary search for each of them
            middle = (first[searched] + last[searched]) // 2
            row = self.visiting[middle]
            found[searched] |= row == rows[searched]
            first[searched[row <= rows[searched]]] = middle[row <= rows[searched]] + 1
            last[searched[row >= rows[searched]]] = middle[row >= rows[searched]]
        return found


def build_cells(vectors: Vectors | Matrix, threshold: float, parts: Parts | None = None) -> Cells:
    """Return the cells in which to look for pairs of the unit rows ``vectors`` with a cosine of at least ``threshold``.

    The number of cells grows with the square root of the number of rows, and so does the work per row. ``parts`` stores
    and runs the assignment of many rows.
    """
    matrix = as_matrix(vectors)
    count, dimensions = matrix.shape
    centroids = learn_centroids(matrix, max(1, 2 * isqrt(count)))
    reach = int(REACH * sqrt(max(0.0, 2 - 2 * threshold)) * sqrt(2) * _scale(dimensions) ** 2)
    tile_rows = _ASSIGNED_ROWS[centroids.device.type]
    starts = range(0, count, max(tile_rows, PRODUCTS_PER_UNIT[centroids.device.type] // max(1, len(centroids))))
    encoded = centroids.cpu().numpy().astype("<i2").tobytes()

    def cut(number: int) -> pl.DataFrame:
        stop = min(starts[number] + starts.step, count)
        return pl.DataFrame({"start": [starts[number]], "stop": [stop], "centroids": [encoded]})

    settings, gpus = {"reach": reach, "max_cells": MAX_CELLS}, int(torch.cuda.is_available())
    assigned = (parts or Parts(None)).map(
        assign_rows, cut, len(starts), settings, "assigning to cells", matrix=matrix, gpus=gpus
    )
    home, visits = np.zeros(count, np.int64), [np.empty(0, np.int64)]
    with bar(count, "assigning to cells", "texts") as progress:
        for start, part in zip(starts, assigned, strict=True):
            row, cell, at_home = (part[name].to_numpy() for name in ("row", "cell", "at_home"))
            home[start + row[at_home]] = cell[at_home]
            visits.append(cell[~at_home] * np.int64(count) + row[~at_home] + start)
            progress.update(starts.step)
    codes = np.concatenate(visits)
    del visits
    codes.sort()
    visiting = np.empty(len(codes), np.uint32)
    for tile in cut_tiles(len(codes)):
        visiting[tile] = codes[tile] % count
    return Cells(home, visiting, np.searchsorted(codes, np.arange(len(centroids) + 1) * count))


def assign_rows(rows: pl.DataFrame, settings: Mapping[str, Any], vectors: Matrix) -> pl.DataFrame:
    """Return the cells of a range of rows; ``settings``: ``reach`` and ``max_cells``, see the top of this module.

    Input columns: ``start`` and ``stop`` (of ``vectors``), ``centroids`` (integers of two bytes).
    Output columns: ``row`` (from ``start`` on), ``cell``, ``at_home`` (once per row; the others are visits).
    """
    start, stop, encoded = rows.row(0)
    values = vectors[start:stop]
    centroids = torch.from_numpy(np.frombuffer(encoded, "<i2").reshape(-1, values.shape[1]).astype(np.float32))
    padded = torch.nn.functional.pad(centroids, (0, 0, 0, -len(centroids) % _GROUP_CELLS)).to(compute_device())
    tile_rows = _ASSIGNED_ROWS[padded.device.type]
    found = [(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.bool_))]
    for tile in range(0, len(values), tile_rows):
        products = _as_integers(values[tile : tile + tile_rows]) @ padded.T
        products[:, len(centroids) :] = -torch.inf  # no row is near a cell that is padding
        row, cell, at_home = _find_nearest(products, min(settings["max_cells"], len(centroids)), settings["reach"])
        found.append((row + tile, cell, at_home))
    row, cell, at_home = (np.concatenate(each) for each in zip(*found, strict=True))
    return pl.DataFrame({"row": row.astype(np.int32), "cell": cell.astype(np.int32), "at_home": at_home})


def _find_nearest(products: torch.Tensor, max_cells: int, reach: int) -> tuple[Rows, Rows, NDArray[np.bool_]]:
    """Return row and cell of the highest ``products`` of each row, and whether the cell is the first with the highest.

    Returned are the cells whose product is at most ``reach`` below the row's highest, limited to the ``max_cells``
    highest. Ties are decided by value, so that their order among the cells plays no role: all cells whose product
    equals the last of these are returned too.
    """
    # The highest products are in the groups with the highest maxima, so few groups are looked at: one more than can be
    # needed, because only if its maximum reaches ``least`` too may a group that is not looked at have an equal product.
    groups = products.view(len(products), _GROUP_CELLS, -1)
    width = groups.shape[2]
    maxima, chosen = groups.amax(1).topk(min(max_cells + 1, width), dim=1)
    looked_at = groups.gather(2, chosen[:, None, :].expand(-1, _GROUP_CELLS, -1))
    top = looked_at.flatten(1).topk(max_cells, dim=1).values
    least = torch.maximum(top[:, -1], top[:, 0] - reach)
    if width > max_cells + 1 and bool((maxima[:, -1] >= least).any()):
        chosen, looked_at = torch.arange(width, device=products.device).expand(len(products), -1), groups
    row, member, place = (looked_at >= least[:, None, None]).nonzero().T
    cell = member * width + chosen[row, place]
    highest = looked_at[row, member, place] == top[row, 0]
    home = torch.full((len(products),), products.shape[1], device=products.device)
    home.scatter_reduce_(0, row[highest], cell[highest], "amin")
    return row.cpu().numpy(), cell.cpu().numpy(), (cell == home[row]).cpu().numpy()


def learn_centroids(vectors: Vectors | Matrix, count: int) -> torch.Tensor:
    """Return at most ``count`` centroids of the unit rows ``vectors``: k-means on a sample, rounded to integers."""
    # One row per key, in the order of the keys.
    _, first = np.unique(content_keys(vectors, seed=1), return_index=True)
    sample = _as_integers(vectors[first[: count * ROWS_PER_CENTROID]])
    centroids = sample[:count].clone()
    scale = _scale(vectors.shape[1])
    tiles = [slice(start, start + _TILE_ROWS) for start in range(0, len(sample), _TILE_ROWS)] or [slice(0)]
    for _ in range(ITERATIONS):
        home = torch.cat([(sample[tile] @ centroids.T).argmax(1) for tile in tiles])
        # Integer sums do not depend on their order. An empty cell keeps its centroid.
        sums = torch.zeros(centroids.shape, dtype=torch.int64, device=sample.device)
        sums.index_add_(0, home, sample.to(torch.int64))
        length = (sums * sums).sum(1).double().sqrt()
        moved = torch.round(sums / length.clamp(min=1)[:, None] * scale).float()
        centroids = torch.where((length > 0)[:, None], moved, centroids)
    return centroids


def content_keys(vectors: Vectors | Matrix, seed: int) -> Keys:
    """Return a number for each row that depends on its bits and ``seed`` only, so equal rows have equal keys."""
    random = np.random.default_rng(seed)
    # Odd factors, one for each number of a row and one for the sum.
    factors: Keys = np.asarray(random.integers(2**62, size=vectors.shape[1] + 1), np.uint64) * 2 + 1
    keys = np.empty(len(vectors), np.uint64)
    for start in range(0, len(vectors), _TILE_ROWS):
        bits = np.ascontiguousarray(vectors[start : start + _TILE_ROWS]).view(np.uint32)
        keys[start : start + len(bits)] = (bits * factors[:-1]).sum(axis=1, dtype=np.uint64)
    # The low bits of the sum depend on few bits of the row; the shift and the product spread the others over them.
    mixed: Keys = (keys ^ (keys >> np.uint64(32))) * factors[-1:]
    return mixed


def _scale(dimensions: int) -> int:
    """Return the length to which unit rows are scaled: two rounded rows have a product of less than 2**24."""
    return 4_095 - isqrt(dimensions)


def _as_integers(vectors: Vectors) -> torch.Tensor:
    return torch.from_numpy(np.rint(vectors * np.float32(_scale(vectors.shape[1])))).to(compute_device())
