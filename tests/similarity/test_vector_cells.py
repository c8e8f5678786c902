"""Pairs found in cells: the same for every order and number of threads, never wrong, and the recall as measured."""

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seas_data.metrics.intervals import effective_interval
from seas_data.similarity import cosine_neighbours, vector_cells, vector_products
from seas_data.store.shared_matrix import Matrix
from tests.conftest import examples


def plant(count: int, dimensions: int, seed: int, *, topics: int = 40, cosine: tuple[float, float] = (0.9, 1.0)):
    """Unit rows in topics; every fourth row has a cosine within ``cosine`` to the row before it."""
    random = np.random.default_rng(seed)

    def turned(rows: np.ndarray, cosines: np.ndarray) -> np.ndarray:
        aside = random.normal(size=rows.shape)
        aside -= (aside * rows).sum(1, keepdims=True) * rows
        aside /= np.linalg.norm(aside, axis=1, keepdims=True)
        return cosines[:, None] * rows + np.sqrt(1 - cosines[:, None] ** 2) * aside

    centres = random.normal(size=(topics, dimensions))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    vectors = turned(centres[random.integers(0, topics, count)], random.uniform(0.3, 0.9, count))
    close = np.arange(3, count, 4)
    vectors[close] = turned(vectors[close - 1], random.uniform(*cosine, len(close)))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def find(vectors, threshold, exact_rows=0, **exclusions) -> dict[tuple[int, int], float]:
    pairs = cosine_neighbours.find_pairs(vectors, threshold, exact_rows=exact_rows, **exclusions)
    codes = pairs.left * len(vectors) + pairs.right
    assert (pairs.left < pairs.right).all() and (np.diff(codes) > 0).all(), "each pair once, sorted"
    return dict(zip(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True), pairs.score.tolist(), strict=True))


@examples(8)
@given(st.integers(0, 400), st.sampled_from([3, 24, 96]), st.integers(0, 99), st.sampled_from([0.8, 0.92, 0.95]))
def test_no_pair_is_below_the_threshold_and_few_are_missed(count, dimensions, seed, threshold):
    vectors = plant(count, dimensions, seed)
    random = np.random.default_rng(seed)
    exclusions = {"blocks": random.integers(-1, 4, count), "earlier": random.random(count) < 0.3}
    for given_exclusions in ({}, exclusions):
        exact = find(vectors, threshold, count, **given_exclusions)
        found = find(vectors, threshold, **given_exclusions)
        assert found.items() <= exact.items()
        assert len(found) >= 0.98 * len(exact)


def test_clustered_rows_lose_no_pair_at_the_duplicate_threshold():
    vectors = plant(6_000, 128, 5, cosine=(0.95, 0.97))
    exact, found = find(vectors, 0.95, 6_000), find(vectors, 0.95)
    assert len(exact) > 1_400
    assert found == exact
    cells = vector_cells.build_cells(vectors, 0.95)
    compared = sum(
        len(home) * (len(home) / 2 + len(cells.visitors(cell))) for cell, home in enumerate(cells.home_rows())
    )
    assert compared < 0.25 * len(vectors) ** 2 / 2, "far fewer pairs are compared than there are"


@examples(3)
@given(st.integers(0, 99), st.integers(1, 2), st.sampled_from([48, 4_096]))
def test_pairs_do_not_depend_on_the_order_of_rows_threads_or_tiles(seed, threads, tile):
    vectors = np.repeat(plant(150, 24, seed), 2, axis=0)[:270]  # half of the rows twice
    expected = find(vectors, 0.92)
    order = np.random.default_rng(seed + 1).permutation(len(vectors))
    before = torch.get_num_threads()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vector_products, "TILE_ROWS", tile)
        patch.setattr(vector_cells, "_TILE_ROWS", tile)
        patch.setattr(vector_cells, "_ASSIGNED_ROWS", {"cpu": tile, "cuda": tile})
        torch.set_num_threads(threads)
        try:
            found = find(vectors[order], 0.92)
        finally:
            torch.set_num_threads(before)
    assert {(*sorted((order[one], order[other])), score) for (one, other), score in found.items()} == {
        (*pair, score) for pair, score in expected.items()
    }


@examples(100)
@given(
    st.one_of(st.integers(1, 40), st.sampled_from([255, 256, 257, 272, 273, 500])),
    st.integers(1, 3),
    st.sampled_from([3, 384]),
    st.sampled_from([0, 10**5, 10**8]),
    st.sampled_from([1, 2, vector_cells.MAX_CELLS]),
    st.integers(0, 99),
)
def test_rows_are_assigned_to_the_nearest_of_all_cells_sorted(count, values, dimensions, reach, max_cells, seed):
    """Few ``values`` make ties, within a group of cells and across groups."""
    random = np.random.default_rng(seed)
    centroids = random.integers(-values, values + 1, (count, dimensions)) * 150
    vectors = random.normal(size=(20, dimensions)).astype(np.float32)
    vectors[:10] = centroids[random.integers(0, count, 10)] * random.choice([-1, 0, 1], (10, 1))
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    rows = pl.DataFrame({"start": [0], "stop": [20], "centroids": [centroids.astype("<i2").tobytes()]})
    assigned = vector_cells.assign_rows(rows, {"reach": reach, "max_cells": max_cells}, Matrix(vectors))
    expected = set()
    for number, row in enumerate(vector_cells._as_integers(vectors).numpy()):
        products = centroids @ row.astype(np.int64)
        least = max(np.sort(products)[-max_cells:][0], products.max() - reach)
        expected |= {(number, cell, cell == products.argmax()) for cell in np.flatnonzero(products >= least)}
    assert len(assigned) == len(expected)
    assert {*assigned.iter_rows()} == expected


def test_the_rows_that_visit_a_cell_are_found_and_no_others():
    vectors = plant(400, 24, 2)
    cells = vector_cells.build_cells(vectors, 0.9)
    visits = {(row, cell) for cell in range(cells.count) for row in cells.visitors(cell).tolist()}
    assert 200 < len(visits) < 400 * cells.count and cells.count == 40
    every = [(row, cell) for row in range(400) for cell in range(cells.count)]
    row, cell = np.array(every).T
    assert {pair for pair, is_visit in zip(every, cells.is_visit(row, cell), strict=True) if is_visit} == visits
    assert not any(cells.home[row] == cell for row, cell in visits)
    alone = vector_cells.build_cells(vectors[:1], 0.9)
    assert not alone.is_visit(np.zeros(1, np.int64), np.zeros(1, np.int64)).any() and len(alone.visitors(0)) == 0


def test_products_of_integers_are_exact_in_float32():
    for dimensions in (3, 384, 4_096):
        vectors = plant(200, dimensions, 1)
        integers = vector_cells._as_integers(vectors)
        assert (integers == integers.round()).all()
        single, double = integers @ integers.T, integers.double() @ integers.double().T
        assert (single.double() == double).all() and double.max() < 2**24


def test_few_new_rows_are_compared_with_all_earlier_ones():
    earlier = np.arange(1_000) >= 10
    assert cosine_neighbours.is_exact(earlier, 150)
    assert not cosine_neighbours.is_exact(earlier, 100)
    assert not cosine_neighbours.is_exact(np.zeros(1_000, np.bool_), 999)
    assert cosine_neighbours.is_exact(np.zeros(1_000, np.bool_), 1_000)


@pytest.mark.parametrize("nearest", [1, vector_cells.MAX_CELLS])
def test_the_measured_recall_is_that_of_all_pairs_within_its_interval(monkeypatch, nearest):
    """Also where rows visit no other cell, so that pairs are missed."""
    monkeypatch.setattr(vector_cells, "MAX_CELLS", nearest)
    vectors = plant(3_000, 24, 3)
    exclusions = {"blocks": np.arange(3_000) // 4 % 5 - 1, "earlier": np.arange(3_000) % 3 == 0}
    exact, found = (cosine_neighbours.find_pairs(vectors, 0.9, exact_rows=rows, **exclusions) for rows in (3_000, 0))
    true = len(found.left) / len(exact.left)
    assert (true < 0.97) == (nearest == 1)
    sampled = cosine_neighbours.measure_recall(vectors, found, 0.9, sample_rows=1_000, **exclusions)
    low, high = effective_interval(sampled.found, sampled.row)
    assert sampled.rows == 1_000 and len(sampled.found) > 90
    assert low <= true <= high
    whole = cosine_neighbours.measure_recall(vectors, found, 0.9, **exclusions)
    assert whole.rows == 3_000
    assert whole.found.mean() == true, "each pair counts for both of its rows"
    assert sorted(set(whole.score)) == sorted(set(exact.score))


def test_the_sample_depends_on_the_vectors_and_not_on_their_order():
    vectors = plant(600, 16, 2)
    order = np.random.default_rng(0).permutation(600)
    samples = [
        cosine_neighbours.measure_recall(
            each, cosine_neighbours.find_pairs(each, 0.9, exact_rows=0), 0.9, sample_rows=99
        )
        for each in (vectors, vectors[order])
    ]
    assert {*samples[0].row} == {*order[samples[1].row]}
    assert samples[0].found.sum() == samples[1].found.sum()
