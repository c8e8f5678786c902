"""Pairs of similar texts compared by their words, part by part."""

from collections.abc import Callable
from typing import Final, TypeVar

import polars as pl

PAIRS_AT_ONCE: Final = 10_000
"""Pairs whose words are in memory together; at ten million texts those of all pairs take gigabytes."""
Read = TypeVar("Read")


def compare_words(pairs: pl.DataFrame, read: Callable[[int], Read], differ: Callable[[Read, Read], bool]) -> list[bool]:
    """Return ``differ`` of what ``read`` returns for the two rows of each pair; a row is read once per part.

    Input columns: ``left``, ``right``.
    """
    found: list[bool] = []
    for part in pairs.select("left", "right").iter_slices(PAIRS_AT_ONCE):
        rows = pl.concat([part["left"], part["right"]]).unique().to_list()
        words = {row: read(row) for row in rows}
        found += [differ(words[left], words[right]) for left, right in part.iter_rows()]
    return found
