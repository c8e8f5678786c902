"""The passages that texts select stay up to date while windows lose texts."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data.curate.templates import find_wrappers
from tests.conftest import examples


@examples(30)
@given(st.integers(0, 10**6), st.integers(1, 4), st.integers(1, 30))
def test_groups_after_each_removal_are_those_of_the_pairs_that_are_left(
    seed: int, min_rows: int, pairs_per_part: int
) -> None:
    draw = np.random.default_rng(seed)
    texts, windows = 12, 9
    left = np.nonzero(draw.random((texts, windows)) < 0.5)
    selection = find_wrappers._Selection(left, texts, windows, min_rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(find_wrappers, "PAIRS_PER_PART", pairs_per_part)
        for _ in range(4):
            groups = selection.group(left)
            expected = find_wrappers._group_by_passage(left, min_rows)
            assert [group.tolist() for group in groups] == [group.tolist() for group in expected]
            rows, numbers = selection.pairs
            assert (np.bincount(numbers, minlength=windows)[numbers] >= min_rows).all()
            stays = draw.random(rows.size) < 0.7
            left = rows[stays], numbers[stays]
