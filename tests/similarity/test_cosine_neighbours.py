"""Pairs and nearest neighbours against brute force, whatever the tiles, the filter and the exclusions."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seas_data.errors import SeasDataError
from seas_data.similarity import candidate_pairs, cosine_neighbours, vector_products
from seas_data.store import file_array
from seas_data.store.parts import Parts
from seas_data.store.shared_matrix import Matrix, choose_rows
from tests.conftest import examples


def unit(rows: int, dimensions: int, seed: int, spread: float = 0.3) -> np.ndarray:
    """Unit rows in a few families, so that cosines of every size occur; some rows are repeated bit by bit."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(max(1, rows // 6), dimensions))
    points = centres[random.integers(0, len(centres), rows)] + spread * random.normal(size=(rows, dimensions))
    points[random.random(rows) < 0.1] = points[:1]
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


def cosines(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """All cosines in float64, rounded to float32, one product at a time."""
    exact = [[(one.astype(np.float64) * other.astype(np.float64)).sum() for other in others] for one in ones]
    return np.minimum(np.array(exact).reshape(len(ones), len(others)), 1.0).astype(np.float32)


def brute_force(vectors, threshold, blocks=None, earlier=None):
    table = cosines(vectors, vectors).astype(np.float64)
    wanted = np.triu(table >= threshold, 1)
    if blocks is not None:
        wanted &= ~((blocks[:, None] == blocks) & (blocks >= 0))
    if earlier is not None:
        wanted &= ~(earlier[:, None] & earlier)
    left, right = np.nonzero(wanted)
    return left, right, table[left, right].astype(np.float32)


def assert_same(pairs: cosine_neighbours.Pairs, expected) -> None:
    np.testing.assert_array_equal(pairs.left, expected[0])
    np.testing.assert_array_equal(pairs.right, expected[1])
    np.testing.assert_array_equal(pairs.score, expected[2])
    assert (pairs.left.dtype, pairs.right.dtype, pairs.score.dtype) == (np.int64, np.int64, np.float32)


@pytest.fixture(params=[True, False], ids=["bf16", "fp32"])
def filtered(request, monkeypatch):
    """Both filters, on any machine: where bfloat16 is not native it is only slower."""
    monkeypatch.setattr(vector_products, "has_native_bf16", lambda: request.param)


@pytest.mark.usefixtures("filtered")
@examples(12)
@given(st.data())
def test_pairs_match_brute_force(data):
    rows = data.draw(st.integers(0, 60))
    vectors = unit(rows, data.draw(st.sampled_from([2, 17, 64])), data.draw(st.integers(0, 99)))
    threshold = data.draw(st.sampled_from([-1.0, 0.0, 0.5, 0.92, 0.95, 1.0]))
    blocks = np.array(data.draw(st.lists(st.integers(-1, 3), min_size=rows, max_size=rows)), dtype=np.int64)
    earlier = np.array(data.draw(st.lists(st.booleans(), min_size=rows, max_size=rows)), dtype=np.bool_)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vector_products, "TILE_ROWS", data.draw(st.sampled_from([1, 7, 16, 4096])))
        assert_same(cosine_neighbours.find_pairs(vectors, threshold), brute_force(vectors, threshold))
        limited = cosine_neighbours.find_pairs(vectors, threshold, blocks=blocks, earlier=earlier)
        assert_same(limited, brute_force(vectors, threshold, blocks, earlier))


@pytest.mark.usefixtures("filtered")
@examples(12)
@given(st.data())
def test_pairs_of_vectors_in_a_file_match_brute_force(data):
    rows, dimensions = data.draw(st.integers(1, 60)), data.draw(st.sampled_from([2, 17, 64]))
    vectors = unit(rows, dimensions, data.draw(st.integers(0, 99)))
    threshold = data.draw(st.sampled_from([-1.0, 0.0, 0.5, 0.92, 0.95, 1.0]))
    order = np.array(data.draw(st.permutations(range(rows))), dtype=np.int64)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_array, "IN_MEMORY_BYTES", 0)
        patch.setattr(vector_products, "TILE_ROWS", data.draw(st.sampled_from([1, 7, 16, 4096])))
        read = []
        any_order = file_array.read_in_any_order
        patch.setattr(vector_products, "read_in_any_order", lambda rows: any_order(read.append(rows) or rows))
        in_file = file_array.new_array(Path(folder), vectors.shape)
        in_file[order] = vectors
        chosen = choose_rows(in_file, order)
        parts = Parts(Path(folder))
        assert_same(cosine_neighbours.find_pairs(chosen, threshold, parts=parts), brute_force(vectors, threshold))
        assert [each.dtype for each in read] == [np.float32, np.int8] and read[0] is in_file
        assert file_array.is_in_file(read[1]), "the copy is not in memory either"


def test_all_vectors_in_a_file_are_read_in_order_before_candidates_are(tmp_path, monkeypatch):
    monkeypatch.setattr(file_array, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(cosine_neighbours, "GROUP_ROWS", {"cpu": 10, "cuda": 10})
    monkeypatch.setattr(cosine_neighbours, "PRODUCTS_PER_UNIT", {"cpu": 1, "cuda": 1})
    vectors = unit(40, 17, 0)
    in_file = file_array.new_array(tmp_path, vectors.shape)
    in_file[:] = vectors
    read, chunks, any_order = [], Matrix._chunks, file_array.read_in_any_order
    monkeypatch.setattr(Matrix, "_chunks", lambda matrix: read.append("all") or chunks(matrix))
    monkeypatch.setattr(vector_products, "read_in_any_order", lambda rows: any_order(read.append("candidates") or rows))
    assert_same(cosine_neighbours.find_pairs(in_file, 0.5, parts=Parts(tmp_path)), brute_force(vectors, 0.5))
    assert read == ["all", "candidates", "candidates"]


@pytest.mark.usefixtures("filtered")
@pytest.mark.parametrize("number", [1.49, 3.49, 20.49, 60.49])
@pytest.mark.parametrize("earlier", [[True, True, False, False], [False] * 4], ids=["alone", "beside exact rows"])
def test_rounding_all_numbers_one_way_loses_no_pair(number, earlier):
    """The largest number, of which there is one, sets the steps; all others are rounded down by nearly half a step."""
    row = np.full(384, number)
    row[7] = 127
    row /= np.linalg.norm(row)
    vectors = Matrix(np.array([np.eye(384)[0], np.zeros(384), row, row], np.float32))
    vector_products.keep_coded(vectors, None)
    found = cosine_neighbours.find_pairs(vectors, 1.0, earlier=np.array(earlier))
    assert_same(found, ([2], [3], [1.0]))


def test_products_are_computed_from_the_copy_alone(monkeypatch):
    vectors = Matrix(np.eye(8, 384, dtype=np.float32))
    vector_products.keep_coded(vectors, None)
    assert vectors.name  # this reads all of them, once
    monkeypatch.setattr(Matrix, "__getitem__", lambda matrix, rows: pytest.fail("rows that are no candidates are read"))
    assert_same(cosine_neighbours.find_pairs(vectors, 0.9), ([], [], []))


def test_the_copy_is_as_near_as_its_steps_allow():
    vectors = Matrix(unit(200, 384, 0))
    vector_products.keep_coded(vectors, None)
    assert 0.005 < vector_products._CODED[vectors].error.max() < 0.01


@pytest.mark.usefixtures("filtered")
def test_the_threshold_is_inclusive():
    vectors = unit(40, 384, 3)
    table = cosine_neighbours.find_pairs(vectors, 0.2)
    score = float(np.sort(table.score)[len(table.score) // 2])
    on, over = (
        cosine_neighbours.find_pairs(vectors, score),
        cosine_neighbours.find_pairs(vectors, np.nextafter(score, 2)),
    )
    assert score in on.score
    assert score not in over.score
    assert len(on.score) - len(over.score) == (table.score == np.float32(score)).sum()


def test_the_bfloat16_filter_loses_no_pair_at_the_threshold(monkeypatch):
    """Rows made to have the very cosine 0.95, whose bfloat16 products fall on both sides of it."""
    random = np.random.default_rng(5)
    base = random.normal(size=(400, 384))
    base /= np.linalg.norm(base, axis=1, keepdims=True)
    aside = random.normal(size=base.shape)
    aside -= (aside * base).sum(1, keepdims=True) * base
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    vectors = np.concatenate([base, 0.95 * base + np.sqrt(1 - 0.95**2) * aside]).astype(np.float32)
    rough = torch.from_numpy(vectors).bfloat16()
    products = (rough[:400] * rough[400:]).float().sum(1)
    assert (products < 0.9495).any(), "the case should be one that a filter without a margin gets wrong"
    monkeypatch.setattr(vector_products, "has_native_bf16", lambda: True)
    pairs = cosine_neighbours.find_pairs(vectors, 0.9499)
    assert {*zip(pairs.left.tolist(), pairs.right.tolist(), strict=True)} >= {(row, row + 400) for row in range(400)}


def test_the_bfloat16_filter_loses_no_pair_of_rows_whose_numbers_are_all_rounded_down(monkeypatch):
    """Each number is rounded by nearly the most that bfloat16 allows, 2^-8 of it."""
    vectors = np.full((2, 16_257), 16_257**-0.5, np.float32)
    rough = torch.from_numpy(vectors).bfloat16().double()
    assert (rough[0] * rough[1]).sum() < 1 - 0.99 * 2**-7
    monkeypatch.setattr(vector_products, "has_native_bf16", lambda: True)
    assert len(cosine_neighbours.find_pairs(vectors, 0.9999).left) == 1


def test_pairs_within_a_block_are_never_enumerated(monkeypatch):
    looked_at = []
    at_least = vector_products.select_at_least

    def spy(*arguments):
        found = at_least(*arguments)
        looked_at.append(len(found[0]))
        return found

    monkeypatch.setattr(vector_products, "select_at_least", spy)
    vectors = np.repeat(unit(1, 8, 0), 3_000, axis=0)
    vectors[[0, 1_500, 2_999]] = unit(3, 8, 1)
    blocks = np.full(3_000, 5)
    blocks[[0, 1_500]] = -1
    alone = cosine_neighbours.find_pairs(vectors, 0.999, blocks=blocks)
    assert sum(looked_at) < 3 * len(alone.left) + 100
    looked_at.clear()
    monkeypatch.setattr(vector_products, "TILE_ROWS", 500)
    cosine_neighbours.find_pairs(np.repeat(unit(1, 8, 0), 3_000, axis=0), 0.999, earlier=np.arange(3_000) >= 500)
    assert len(looked_at) == 6, "500 new rows against themselves and five tiles of earlier ones"


def test_a_tile_that_begins_and_ends_in_one_block_may_hold_another(monkeypatch):
    """Rows stand in the order of (earlier, block), so here as 1 (block 0), 2 (block 1), 0 (block 0), in one tile."""
    monkeypatch.setattr(vector_products, "TILE_ROWS", 3)
    vectors, blocks, earlier = unit(3, 8, 0), np.array([0, 0, 1]), np.array([False, True, True])
    assert_same(
        cosine_neighbours.find_pairs(vectors, -1, blocks=blocks, earlier=earlier),
        brute_force(vectors, -1, blocks, earlier),
    )


def test_more_pairs_than_the_limit_raise_an_error(monkeypatch):
    monkeypatch.setattr(candidate_pairs, "MAX_PAIRS", 1_000)
    with pytest.raises(SeasDataError, match=r"1,000 pairs of 100 texts.*curation\.semantic\.group_threshold"):
        cosine_neighbours.find_pairs(np.repeat(unit(1, 8, 0), 100, axis=0), 0.9)


@pytest.mark.usefixtures("filtered")
@examples(12)
@given(st.data())
def test_nearest_matches_brute_force_and_ties_go_to_the_lower_row(data):
    dimensions, seed = data.draw(st.sampled_from([2, 33])), data.draw(st.integers(0, 99))
    both = unit(data.draw(st.integers(2, 60)), dimensions, seed)
    cut = data.draw(st.integers(0, len(both)))
    queries, corpus = both[:cut], both[cut:]
    exclude = np.array([data.draw(st.integers(-1, max(-1, len(corpus) - 1))) for _ in queries], dtype=np.int64)
    table = cosines(queries, corpus).astype(np.float64)
    table[np.flatnonzero(exclude >= 0), exclude[exclude >= 0]] = -np.inf
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vector_products, "TILE_ROWS", data.draw(st.sampled_from([1, 7, 4096])))
        index, score = cosine_neighbours.find_nearest(queries, corpus, exclude=exclude)
    for row, found in enumerate(index):
        if found < 0:
            assert np.isneginf(table[row]).all() and score[row] == -1
        else:
            assert found == table[row].argmax() and score[row] == np.float32(table[row].max())


def test_empty_input_has_no_pairs_and_no_neighbours():
    none = np.empty((0, 4), np.float32)
    assert len(cosine_neighbours.find_pairs(none, 0.5).left) == 0
    assert cosine_neighbours.find_nearest(unit(2, 4, 0), none)[0].tolist() == [-1, -1]


@examples(12)
@given(st.integers(0, 60), st.integers(1, 6), st.integers(0, 9), st.sampled_from([4, 7, 64]))
def test_top_neighbours_match_brute_force(rows: int, count: int, seed: int, tile: int) -> None:
    vectors = unit(rows, 5, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vector_products, "TILE_ROWS", tile)
        index, best = cosine_neighbours.find_top(vectors, count)
    assert index.shape == best.shape == (rows, count)
    table = cosines(vectors, vectors)
    for row in range(rows):
        others = [other for other in range(rows) if other != row]
        wanted = sorted(others, key=lambda other: (-table[row, other], other))[:count]
        missing = count - len(wanted)
        assert index[row].tolist() == wanted + [-1] * missing
        np.testing.assert_array_equal(best[row], [*table[row, wanted], *[-1] * missing])
