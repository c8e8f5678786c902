"""Comparisons of vectors as work units: the pairs of this process bit by bit, and parts for the other engine."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seas_data.errors import SeasDataError
from seas_data.similarity import candidate_pairs, cosine_neighbours, vector_cells
from seas_data.store import file_array
from seas_data.store.parts import Parts
from tests.similarity.test_vector_cells import plant

VECTORS = plant(900, 24, 3)
EXCLUSIONS = {"blocks": np.arange(900) // 4 % 5 - 1, "earlier": np.arange(900) % 3 == 0}


@pytest.fixture(autouse=True)
def small_units(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cosine_neighbours, "GROUP_ROWS", {"cpu": 130, "cuda": 130})
    monkeypatch.setattr(cosine_neighbours, "PRODUCTS_PER_UNIT", {"cpu": 9_000, "cuda": 9_000})
    monkeypatch.setattr(vector_cells, "_TILE_ROWS", 50)
    monkeypatch.setattr(vector_cells, "_ASSIGNED_ROWS", {"cpu": 50, "cuda": 50})
    monkeypatch.setattr(vector_cells, "PRODUCTS_PER_UNIT", {"cpu": 9_000, "cuda": 9_000})


class Backwards:
    """An engine that runs the last unit first."""

    def run(self, function: Any, units: Iterable[Any], count: int, what: str, *, gpus: int = 0) -> None:
        self.count = count
        for unit in reversed(list(units)):
            function(unit)


def find(exact_rows: int, parts: Parts | None, **exclusions: Any) -> list[np.ndarray]:
    found = cosine_neighbours.find_pairs(VECTORS, 0.9, exact_rows=exact_rows, parts=parts, **exclusions)
    recall = cosine_neighbours.measure_recall(VECTORS, found, 0.9, sample_rows=99, parts=parts, **exclusions)
    return [found.left, found.right, found.score, recall.row, recall.score, recall.found]


@pytest.mark.parametrize("exact_rows", [0, 900], ids=["cells", "all"])
@pytest.mark.parametrize("exclusions", [{}, EXCLUSIONS], ids=["", "exclusions"])
def test_units_find_the_same_pairs_and_the_other_engine_reads_them(
    exact_rows: int, exclusions: Any, tmp_path: Path
) -> None:
    expected, engine = find(exact_rows, None, **exclusions), Backwards()
    assert len(expected[0]) > 40
    for parts in (Parts(tmp_path, engine), Parts(tmp_path)):
        for one, other in zip(find(exact_rows, parts, **exclusions), expected, strict=True):
            np.testing.assert_array_equal(one, other)
    assert engine.count > 4
    names = [path.name.partition("-")[0] for path in tmp_path.iterdir()]
    assert set(names) == {"compare_rows", "matrix"} | ({"assign_rows"} if exact_rows == 0 else set())
    assert names.count("matrix") == 1
    assert exact_rows or names.count("assign_rows") > 4
    stored = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    find(exact_rows, Parts(tmp_path), **exclusions)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == stored


def test_this_process_stores_what_it_compared_and_no_vectors(tmp_path: Path) -> None:
    find(900, Parts(tmp_path))
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} == {"compare_rows"}


def test_no_copy_is_made_for_an_engine_that_compares_elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(file_array, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(cosine_neighbours, "keep_coded", lambda *arguments: pytest.fail("a copy was made"))
    in_file = file_array.new_array(tmp_path, VECTORS.shape)
    in_file[:] = VECTORS
    found = cosine_neighbours.find_pairs(in_file, 0.9, parts=Parts(tmp_path, Backwards()))
    np.testing.assert_array_equal(found.score, find(900, None)[2])


def test_a_unit_raises_an_error_above_the_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(candidate_pairs, "MAX_PAIRS", 1_000)
    alike = np.repeat(VECTORS[:1], 300, axis=0)
    with pytest.raises(SeasDataError, match=r"1,000 pairs of 300 texts.*curation\.semantic\.group_threshold"):
        cosine_neighbours.find_pairs(alike, 0.9, parts=Parts(tmp_path, Backwards()))
