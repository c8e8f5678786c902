"""Pairs compared by what is read of their rows, of which a limited number are held at once."""

import polars as pl
import pytest

from seas_data.curate.dedup import word_pairs
from seas_data.curate.dedup.word_pairs import compare_words

PAIRS = pl.DataFrame({"left": [0, 0, 0, 1, 2], "right": [1, 2, 3, 3, 3]})


class Letter(str):
    """A letter that counts how many of its kind exist."""

    held = 0
    most = 0

    def __new__(cls, letter: str) -> "Letter":
        cls.held += 1
        cls.most = max(cls.most, cls.held)
        return super().__new__(cls, letter)

    def __del__(self) -> None:
        Letter.held -= 1


@pytest.mark.parametrize(("at_once", "reads"), [(1, 10), (2, 6), (3, 6), (99, 4)])
def test_the_number_of_rows_held_does_not_change_the_results(
    at_once: int, reads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(word_pairs, "TEXTS_AT_ONCE", at_once)
    monkeypatch.setattr(Letter, "most", 0)
    read: list[int] = []

    def letter(row: int) -> Letter:
        read.append(row)
        return Letter("abba"[row])

    assert compare_words(PAIRS, letter, lambda one, other: one != other) == [True, True, False, True, True]
    assert len(read) == reads
    assert Letter.most <= at_once + 2, "those held, and the two that are compared"
    assert compare_words(PAIRS.clear(), letter, lambda one, other: one != other) == []
