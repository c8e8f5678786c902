"""Long texts that differ in words: the same wrapper around different requests.

A few words hardly change the vector of a window of 256 tokens, or the 5-grams of a long text, so two requests in one
long wrapper are similar by both measures. Where enough prompts share a wrapper it is found as a template, and their
payloads are compared. Where few do, the texts themselves show it: most of their words are in runs that both have, and
other words are in one of them only. Words that are spelled alike do not count, so a copy with typing errors is one.
"""

import re
from collections import Counter
from difflib import get_close_matches
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.curate.dedup.word_pairs import compare_words
from seas_data.text import normalise

RUN_WORDS: Final = 8
"""Words of a run that counts as common if both texts have it."""
MIN_COMMON: Final = 0.5
"""Proportion of the words of each text that are in common runs, from which the texts share a wrapper."""
MIN_SPELLING: Final = 0.75
"""Similarity (difflib's ratio) from which two words are one, spelled in two ways."""
MAX_RESPELLED: Final = 100
"""Words of a text that the other may spell in another way. Each is compared with each, which would take seconds a pair
for texts that are made to have a thousand; texts with more are taken for different."""
# A character of a script without spaces counts as a word.
_NO_SPACES = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_WORD: Final = re.compile(rf"[{_NO_SPACES}]|[^\W{_NO_SPACES}]+")


def find_different_words(pairs: pl.DataFrame, texts: pl.Series) -> pl.Series:
    """Return for each pair of similar texts whether they share a wrapper, and one has words that the other lacks.

    Input columns: of ``pairs``: ``left`` and ``right``, rows of ``texts``.
    """
    return pl.Series("differ", compare_words(pairs, lambda row: _read(texts[row]), _differ), dtype=pl.Boolean)


_Read = tuple[list[str], list[int], frozenset[int]]


def _read(text: str) -> _Read:
    """Return the words of ``text``, a number for the run that begins at each, and the set of these numbers."""
    words = _WORD.findall(normalise(text))
    runs = [hash(tuple(words[at : at + RUN_WORDS])) for at in range(len(words) - RUN_WORDS + 1)]
    return words, runs, frozenset(runs)


def _differ(one: _Read, other: _Read) -> bool:
    is_common = _in_common_runs(one, other[2]), _in_common_runs(other, one[2])
    if not all(len(each) and each.mean() >= MIN_COMMON for each in is_common):
        return False
    first, second = (
        Counter(word for word, common in zip(read[0], each, strict=True) if not common)
        for read, each in zip((one, other), is_common, strict=True)
    )
    only = [*(first - second)], [*(second - first)]
    if max(map(len, only)) > MAX_RESPELLED:
        return True
    return any(not _is_spelled_in(word, others) for words, others in (only, only[::-1]) for word in words)


def _in_common_runs(read: _Read, others: frozenset[int]) -> NDArray[np.bool_]:
    words, runs, _ = read
    covered = np.zeros(len(words), np.bool_)
    for at, run in enumerate(runs):
        if run in others:
            covered[at : at + RUN_WORDS] = True
    return covered


def _is_spelled_in(word: str, others: list[str]) -> bool:
    return bool(get_close_matches(word, others, 1, MIN_SPELLING))
