"""Pairs of similar texts compared by their words, of which those of few texts are in memory."""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeVar

import polars as pl

TEXTS_AT_ONCE: Final = 1_000
"""Texts whose words are kept for the next pairs; those of a text of 20,000 characters take up to a megabyte."""
Read = TypeVar("Read")


def compare_words(pairs: pl.DataFrame, read: Callable[[int], Read], differ: Callable[[Read, Read], bool]) -> list[bool]:
    """Return ``differ`` of what ``read`` returns for the two rows of each pair.

    Few rows are read twice if the pairs of a row are near each other, as in a sorted list.

    Input columns: ``left``, ``right``.
    """
    words = lru_cache(TEXTS_AT_ONCE)(read)
    return [differ(words(left), words(right)) for left, right in pairs.select("left", "right").iter_rows()]
