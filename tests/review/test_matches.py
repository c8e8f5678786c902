"""Filters and neighbours of the review page: what is remembered or computed ahead is what would be computed now."""

from collections.abc import Iterator

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data.review.page.matches import Matches
from seas_data.review.page.neighbours import SIMILAR, Neighbours


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.lists(st.integers(0, 29), max_size=30))
def test_remembered_matches_are_those_of_a_new_look(states: list[bool], changes: list[int]) -> None:
    rows = [str(at) for at in range(len(states))]
    found = Matches(rows, lambda row: states[int(row)])
    for at in (each for each in changes if each < len(states)):
        states[at] = not states[at]
        found.update(at)
    for at in range(len(states) + 1):
        assert found.first_from(at) == next((each for each in range(at, len(states)) if states[each]), None)
        assert found.last_before(at) == next((each for each in range(at - 1, -1, -1) if states[each]), None)


@pytest.fixture(scope="module")
def vectors() -> pl.DataFrame:
    numbers = np.random.default_rng(0).standard_normal((300, 8)).astype(np.float32)
    numbers /= np.linalg.norm(numbers, axis=1, keepdims=True)
    ids = [f"p{at:03}" for at in range(300)]
    models = ["a"] * 290 + ["b"] * 10
    return pl.DataFrame({"prompt_id": ids, "model": models, "vector": pl.Series(numbers).cast(pl.List(pl.Float32))})


@pytest.fixture
def neighbours(vectors: pl.DataFrame) -> Iterator[Neighbours]:
    kept = set(vectors["prompt_id"]) - {"p005", "p006"}
    order = [*vectors["prompt_id"], "without a vector"]
    made = Neighbours(vectors, kept, order)
    yield made
    made.close()


def test_neighbours_computed_ahead_are_the_nearest_kept_ones_of_the_same_model(
    vectors: pl.DataFrame, neighbours: Neighbours
) -> None:
    matrix = np.array(vectors["vector"].to_list())
    models, ids = vectors["model"].to_list(), vectors["prompt_id"].to_list()
    for at, row_id in enumerate(ids):
        cosines = matrix @ matrix[at]
        others = [
            each
            for each in np.argsort(-cosines)
            if each != at and models[each] == models[at] and ids[each] not in ("p005", "p006")
        ]
        found = neighbours.of(row_id)
        assert [other for other, _ in found] == [ids[each] for each in others[:SIMILAR]]
        assert [cosine for _, cosine in found] == pytest.approx(cosines[others[:SIMILAR]], abs=1e-6)
    assert neighbours.of("without a vector") == []


def test_items_that_follow_cost_no_product_of_their_own(
    neighbours: Neighbours, monkeypatch: pytest.MonkeyPatch
) -> None:
    neighbours.of("p000")
    assert neighbours._ahead is not None
    neighbours._ahead.result(60)
    monkeypatch.setattr(neighbours, "_worker", None)
    monkeypatch.setattr(neighbours, "_compute", None)
    assert [len(neighbours.of(f"p{at:03}")) for at in range(1, 60)] == [SIMILAR] * 59
