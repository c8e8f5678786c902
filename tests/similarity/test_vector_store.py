"""Stored vectors are found by their keys, whatever part they are in."""

from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from seas_data.similarity import vector_store
from seas_data.similarity.vector_store import _KeyIndex
from tests.conftest import examples

KEYS = st.lists(st.sampled_from([f"{number:x}" for number in range(40)]), unique=True, max_size=30)


@examples(50)
@given(KEYS, KEYS)
def test_the_index_finds_the_keys_of_a_part(keys: list[str], part: list[str]) -> None:
    row, position = _KeyIndex(pl.Series(keys, dtype=pl.String))(pl.Series(part, dtype=pl.String))
    assert [part[each] for each in row] == [keys[each] for each in position]
    assert {part[each] for each in row} == {*keys} & {*part}
    assert sorted(position) == position.tolist()


def test_a_text_is_read_from_whichever_part_has_it(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).normal(size=(90, 5)).astype(np.float32)
    keys = [f"key {number}" for number in range(90)]
    for start in range(0, 90, 30):
        vector_store.write_vectors(tmp_path, pl.Series(keys[start : start + 30]), vectors[start : start + 30])
    wanted = [80, 3, 41, 2, 66]
    asked = pl.Series([*(keys[each] for each in wanted), "another"])
    stored, matrix = vector_store.read_vectors(tmp_path, asked, 2)
    assert stored.tolist() == [True] * 5 + [False]
    assert matrix.shape == (8, 5) and matrix[:5].tobytes() == vectors[wanted].tobytes()
    stored, matrix = vector_store.read_vectors(tmp_path, pl.Series(["another"]), 2)
    assert not stored.any() and matrix.shape == (3, 0)
