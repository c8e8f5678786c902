"""Pairs compared part by part have the results of pairs compared at once, and each part reads a row once."""

import polars as pl
import pytest

from seas_data.curate.dedup import word_pairs
from seas_data.curate.dedup.word_pairs import compare_words

PAIRS = pl.DataFrame({"left": [0, 0, 0, 1, 2], "right": [1, 2, 3, 3, 3]})


@pytest.mark.parametrize(("at_once", "reads"), [(1, 10), (2, 8), (3, 7), (99, 4)])
def test_parts_do_not_change_the_results(at_once: int, reads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_pairs, "PAIRS_AT_ONCE", at_once)
    read: list[int] = []

    def letter(row: int) -> str:
        read.append(row)
        return "abba"[row]

    assert compare_words(PAIRS, letter, lambda one, other: one != other) == [True, True, False, True, True]
    assert len(read) == reads
    assert compare_words(PAIRS.clear(), letter, lambda one, other: one != other) == []
