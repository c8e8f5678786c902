"""Stored vectors are found by their keys, whatever part they are in."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data.similarity import vector_store
from seas_data.similarity.vector_store import _KeyIndex
from seas_data.store import file_array
from tests.conftest import examples

KEYS = st.lists(st.sampled_from([f"{number:x}" for number in range(40)]), unique=True, max_size=30)


@examples(50)
@given(KEYS, KEYS)
def test_the_index_finds_the_keys_of_a_part(keys: list[str], part: list[str]) -> None:
    row, position = _KeyIndex(pl.Series(keys, dtype=pl.String))(pl.Series(part, dtype=pl.String))
    assert [part[each] for each in row] == [keys[each] for each in position]
    assert {part[each] for each in row} == {*keys} & {*part}
    assert sorted(position) == position.tolist()


def test_keys_must_be_distinct() -> None:
    with pytest.raises(ValueError, match="keys are not distinct"):
        _KeyIndex(pl.Series(["a", "b", "a"]))


def test_a_text_is_read_from_whichever_part_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = np.random.default_rng(0).normal(size=(90, 5)).astype(np.float32)
    keys = [f"key {number}" for number in range(90)]
    for start in range(0, 90, 30):
        vector_store.write_vectors(tmp_path, pl.Series(keys[start : start + 30]), vectors[start : start + 30])
    wanted = [80, 3, 41, 2, 66]
    asked = pl.Series([*(keys[each] for each in wanted), "another"])
    stored, matrix = vector_store.read_vectors(tmp_path, asked, 2)
    assert stored.tolist() == [True] * 5 + [False] and matrix is None
    stored, matrix = vector_store.read_vectors(tmp_path, asked.head(5), 2)
    assert stored.all() and matrix is not None
    assert matrix.shape == (7, 5) and matrix[:5].tobytes() == vectors[wanted].tobytes()
    for limit in (140, 139):  # seven rows of five numbers
        monkeypatch.setattr(file_array, "IN_MEMORY_BYTES", limit)
        _, matrix = vector_store.read_vectors(tmp_path, asked.head(5), 2)
        assert matrix is not None and file_array.is_in_file(matrix) == (limit < 140)
    for rows in (1, 2, 3, 100):
        monkeypatch.setattr(vector_store, "BLOCK_BYTES", rows * 20)
        stored, in_file = vector_store.read_vectors(tmp_path, asked.head(5), 2)
        assert stored.all() and in_file is not None and file_array.is_in_file(in_file)
        assert in_file.shape == (7, 5) and in_file[:5].tobytes() == vectors[wanted].tobytes()
        assert vector_store.read_vectors(tmp_path, asked, 2)[1] is None
    nothing, empty = vector_store.read_vectors(tmp_path, asked.clear(), 0)
    assert len(nothing) == 0 and empty is not None and len(empty) == 0


def test_token_counts_are_read_from_whichever_part_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_store, "_TEXTS_PER_SLICE", 2)
    texts = pl.Series(["a lamp", "a long story", "a river", "not counted", "A lamp"])
    keys = vector_store.compute_text_keys(texts)
    assert keys.n_unique() == 5
    assert keys.to_list() == [vector_store.compute_text_keys(pl.Series([text]))[0] for text in texts]
    counts = pl.DataFrame({"tokens": [4, 900, 5, 7], "unknown": [0.0, 0.25, 0.5, 0.1], "longest": 256})
    counts = counts.with_columns(windows=pl.Series([1, 5, 1, 1]))
    parts = [[4, 1, 0], [4, 2, 1]]  # the first is not asked for, the second is in both
    for number, part in enumerate(parts):
        part_counts = counts[[3, *part[1:]]].with_columns(keys[part], unknown=pl.col("unknown") / (1 + number))
        vector_store.write_token_counts(tmp_path, part_counts)
    first = next(pl.read_parquet(path)["key"].to_list() for path in sorted(tmp_path.iterdir()))
    worst = 0.25 if keys[0] in first else 0.125
    read = vector_store.read_token_counts(tmp_path, keys[[2, 3, 1, 0]])
    assert read.rows() == [(5, 0.25, 256, 1), (None,) * 4, (900, worst, 256, 5), (4, 0.0, 256, 1)]
    assert vector_store.read_token_counts(tmp_path, keys.clear()).height == 0
    assert vector_store.read_token_counts(tmp_path / "none", keys)["windows"].null_count() == 5
