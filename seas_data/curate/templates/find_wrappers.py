"""Detection of wrappers: fixed text that many prompts share around a changing request, found from the data.

1. Each text selects the shared passage that explains most of the data: of its winnowed windows (``winnowing``), sorted
   by how many texts contain them, the level at which *texts times windows* is greatest. Texts with the same selection
   form a group. A request that eight wrappers share loses to a wrapper around a thousand requests, and to a long
   wrapper around forty.
2. The wrapper of a group is what nine tenths of its texts share (``shared_segments``), if it is long enough, enough
   texts contain it and the rest of their text differs.
3. Variants: a subset of a wrapper's texts that shares considerably more gets a wrapper of its own (one closing sentence
   after different programs). Requests that recur under one wrapper are not variants: there are more of them than
   different payloads around them.

Explained texts are removed, passages that led nowhere are not tried again, and the search repeats on the rest until
nothing is found. The texts are folded (``winnowing.fold``), distinct and sorted, so neither their order nor their
number of copies matters.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data import progress
from seas_data.curate.templates import winnowing
from seas_data.curate.templates.shared_segments import (
    MIN_SHARED,
    Segments,
    add_small_parts,
    count_characters,
    extract_gaps,
    find_shared_segments,
    find_spans,
)
from seas_data.curate.templates.winnowing import GUARANTEED_CHARACTERS, WINDOW_CHARACTERS, Windows

MIN_MEDIAN_PAYLOAD_CHARACTERS = 10
"""Minimum median length of the payloads: texts that differ in less are one text with small changes."""
MIN_VARIANT_PROPORTION = 0.1
"""A variant adds at least this proportion of the wrapper's, or of the payloads', characters times texts ..."""
MIN_VARIANT_RATIO = 2
"""... or this many times the text that it leaves as payloads."""

PAIRS_PER_PART = 1 << 22

Rows = NDArray[np.int64]
Indices = NDArray[np.int32]  # there are some 50 to a text
Pairs = tuple[Indices, Indices]
"""Texts and their windows, as indices in order of the text and of the hash; sorted by text."""


def find_wrappers(views: pl.Series, windows: Windows, *, min_rows: int, min_characters: int) -> list[Segments]:
    """Return the wrappers of at least ``min_characters`` that at least ``min_rows`` of ``views`` share, sorted.

    ``views``: folded texts, distinct and sorted. ``windows``: their winnowed windows. One segment of each wrapper has
    at least ``winnowing.GUARANTEED_CHARACTERS`` characters.
    """
    return sorted(set(_WrapperSearch(views, windows, min_rows, min_characters).run()))


class _WrapperSearch:
    def __init__(self, views: pl.Series, windows: Windows, min_rows: int, min_characters: int) -> None:
        self.views, self.min_rows, self.min_characters = views, min_rows, min_characters
        self.lengths = views.str.len_chars().to_numpy().astype(np.int64)
        first = np.flatnonzero(np.diff(windows.hashes, prepend=~windows.hashes[:1]))
        counts = np.diff(first, append=windows.hashes.size)
        frequent = counts >= min_rows
        self.hashes = windows.hashes[first[frequent]]
        rows = windows.rows[np.repeat(frequent, counts)]
        by_row = np.argsort(rows, kind="stable")
        numbers = np.repeat(np.arange(self.hashes.size, dtype=np.int32), counts[frequent])
        self.pairs = rows[by_row], numbers[by_row]

    def run(self) -> Iterator[Segments]:
        rows, numbers = self.pairs
        explained = np.zeros(len(self.views), np.bool_)
        candidate_count = _count_runs(rows)
        selection = _Selection(self.pairs, len(self.views), self.hashes.size, self.min_rows)
        with progress.bar(candidate_count, "finding wrappers", "texts") as bar:
            while groups := selection.group((rows, numbers)):
                rows, numbers = selection.pairs
                exhausted = np.zeros(rows.size, np.bool_)
                # If no passage is chosen by enough texts, every group moves on to its next passage.
                for group in [group for group in groups if group.size >= self.min_rows] or groups:
                    places = _find_pairs_of(group, rows)
                    if wrappers := self.build_wrappers(group, (rows[places], numbers[places])):
                        yield from wrappers
                        explained[self.select_wrapped(group, wrappers)] = True
                    else:
                        exhausted[places[_count_equal(numbers[places]) >= MIN_SHARED * group.size]] = True
                left = ~exhausted & ~explained[rows]
                rows, numbers = rows[left], numbers[left]
                bar.update(candidate_count - _count_runs(rows) - bar.n)

    def build_wrappers(self, group: Rows, pairs: Pairs) -> list[Segments]:
        """Return the wrapper of ``group`` and its variants, or an empty list. ``pairs`` are the group's."""
        if group.size < self.min_rows:
            return []
        base = find_shared_segments(self.select_views(group))
        if count_characters(base) < self.min_characters or max(map(len, base)) < GUARANTEED_CHARACTERS:
            return []
        members = self.select_wrapped(group, [base])
        payloads = sorted(self.collect_payloads(members, base), key=len)
        if len(payloads) < self.min_rows or len(payloads[len(payloads) // 2]) < MIN_MEDIAN_PAYLOAD_CHARACTERS:
            return []
        outside = ~np.isin(self.hashes[pairs[1]], winnowing.hash_windows(base)[0])
        pairs = pairs[0][outside], pairs[1][outside]
        wrappers: list[Segments] = []
        left = members
        while variants := self.find_variants(base, left, pairs):
            wrappers += variants
            left = np.setdiff1d(left, self.select_wrapped(left, variants))
        if left.size:
            wrappers.append(add_small_parts(base, self.select_views(left if left.size >= self.min_rows else members)))
        return wrappers

    def find_variants(self, base: Segments, rows: Rows, pairs: Pairs) -> list[Segments]:
        """Return the wrappers of subsets of ``rows``, all in the wrapper ``base``, that share considerably more."""
        places = _find_pairs_of(rows, pairs[0])
        pairs = pairs[0][places], pairs[1][places]
        fixed = count_characters(base) * rows.size
        payload_text = self.count_text(rows) - fixed
        groups, payloads = [], set[str]()
        for group in _group_by_passage(pairs, self.min_rows):
            if group.size < self.min_rows:
                continue
            variant = find_shared_segments(self.select_views(group))
            added = count_characters(variant) - count_characters(base)
            remains = self.count_text(group) - count_characters(variant) * group.size
            if added >= WINDOW_CHARACTERS // 2 and added * group.size >= min(
                MIN_VARIANT_PROPORTION * min(fixed, payload_text), MIN_VARIANT_RATIO * remains
            ):
                groups.append(group)
                payloads |= self.collect_payloads(group, variant)
        # More variants than payloads means that the recurring texts are requests.
        if len(groups) > len(payloads):
            return []
        grown = (
            self.build_wrappers(group, (pairs[0][at], pairs[1][at]))
            for group in groups
            for at in [_find_pairs_of(group, pairs[0])]
        )
        return [wrapper for wrappers in grown for wrapper in wrappers]

    def select_wrapped(self, rows: Rows, wrappers: Sequence[Segments]) -> Rows:
        inside = [any(find_spans(view, each) is not None for each in wrappers) for view in self.select_views(rows)]
        return rows[np.array(inside, np.bool_)]

    def collect_payloads(self, rows: Rows, segments: Segments) -> set[str]:
        return {"".join(left) for view in self.select_views(rows) if (left := extract_gaps(view, segments))}

    def select_views(self, rows: Rows) -> list[str]:
        return self.views.gather(rows).to_list()

    def count_text(self, rows: Rows) -> int:
        return int(self.lengths[rows].sum())


class _Selection:
    """The passage that each text selects, kept up to date while pairs of texts and windows are removed.

    In a round most windows lose no text, so only the texts with one that does select again.
    """

    def __init__(self, pairs: Pairs, texts: int, windows: int, min_rows: int) -> None:
        self.pairs, self.min_rows = pairs, min_rows
        self.counts = np.zeros(windows, np.int64)
        self.passage = np.full(texts, -1, np.int64)

    def group(self, left: Pairs) -> list[Rows]:
        """Return the groups of texts that select one passage, given the pairs that are ``left`` of ``pairs``.

        Then ``pairs`` are these without those of windows in fewer than ``min_rows`` texts.
        """
        rows, numbers = self.pairs
        counts = np.bincount(left[1], minlength=self.counts.size)
        changed = np.zeros(self.passage.size, np.bool_)
        changed[rows[(counts != self.counts)[numbers]]] = True
        frequent = (counts >= self.min_rows)[left[1]]
        self.pairs, self.counts = (left[0][frequent], left[1][frequent]), counts
        self.passage[changed] = -1
        for rows, numbers in _cut_between_texts(self.pairs):
            again = changed[rows]
            texts, passages = _select_passages(rows[again], numbers[again], counts[numbers[again]])
            self.passage[texts] = passages
        selecting = np.flatnonzero(self.passage >= 0)
        return _group(selecting, self.passage[selecting])


def _cut_between_texts(pairs: Pairs) -> Iterator[Pairs]:
    """Yield ``pairs`` in parts of about ``PAIRS_PER_PART``; no text is in two of them."""
    rows, numbers = pairs
    bounds = np.searchsorted(rows, rows[PAIRS_PER_PART::PAIRS_PER_PART]).tolist()
    for start, stop in pairwise([0, *bounds, rows.size]):
        yield rows[start:stop], numbers[start:stop]


def _group_by_passage(pairs: Pairs, min_rows: int) -> list[Rows]:
    """Return, for each passage in ``min_rows`` texts that some text selects, the texts that select it."""
    rows, numbers = pairs
    counts = _count_equal(numbers)
    frequent = counts >= min_rows
    return _group(*_select_passages(rows[frequent], numbers[frequent], counts[frequent]))


def _select_passages(rows: Indices, numbers: Indices, counts: Rows) -> Pairs:
    """Return the texts among ``rows``, ascending, and the passage that each selects.

    ``counts``: how many texts contain the window of each pair.
    """
    if not rows.size:
        return rows, numbers
    order = np.lexsort((numbers, -counts, rows))
    rows, numbers, counts = rows[order], numbers[order], counts[order]
    place = np.arange(rows.size)
    new_row = np.diff(rows, prepend=-1) != 0
    new_level = new_row | (np.diff(counts, prepend=-1) != 0)
    first_of_row = np.maximum.accumulate(np.where(new_row, place, 0))
    first_of_level = np.maximum.accumulate(np.where(new_level, place, 0))
    explains = counts * (place - first_of_row + 1)
    # The last of a text's best levels, identified by its lowest window.
    best = place[np.lexsort((place, explains, rows))][np.append(np.flatnonzero(new_row)[1:], rows.size) - 1]
    return rows[best], numbers[first_of_level[best]]


def _group(texts: NDArray[np.integer[Any]], passages: NDArray[np.integer[Any]]) -> list[Rows]:
    """Return the texts of each passage."""
    if not texts.size:
        return []
    order = np.argsort(passages, kind="stable")
    return np.split(texts[order].astype(np.int64), np.flatnonzero(np.diff(passages[order])) + 1)


def _count_equal(numbers: Indices) -> Rows:
    """Return how many of ``numbers`` equal each of them, in time that their highest value has no part in."""
    _, place, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    return counts[place]


def _count_runs(values: Indices) -> int:
    return int(np.count_nonzero(np.diff(values, prepend=-1)))


def _find_pairs_of(texts: Rows, rows: Indices) -> Rows:
    """Return the positions in ``rows`` (ascending) of the pairs of ``texts`` (ascending)."""
    wanted = texts.astype(rows.dtype)  # NumPy would copy all rows to the wider type
    first, last = np.searchsorted(rows, wanted), np.searchsorted(rows, wanted, side="right")
    lengths = last - first
    return np.repeat(last - np.cumsum(lengths), lengths) + np.arange(lengths.sum())
