"""Wrappers, found from the data: fixed text that many prompts share around a request that changes.

1. Every text names the shared passage that explains most: of its winnowed windows (``windows.py``), sorted by how many
   texts have them, the level at which *texts times windows* is greatest. Texts with the same answer are a group. A
   request that eight wrappers share loses to a wrapper around a thousand requests, and to a long wrapper around forty.
2. The group's wrapper is what nine tenths of its texts share (``segments.py``), if that is long enough, if enough texts
   have it and if the rest of them differs.
3. Variants: a part of the texts of one wrapper that shares a good deal more has a wrapper of its own (one closing
   sentence after different programs). Not so requests that recur under one wrapper: they outnumber what they leave.

What is explained is put aside, what led nowhere is not tried again, and the rest goes round once more until nothing is
found. The texts are folded (``windows.fold``), distinct and sorted, so neither their order nor their number of copies
matters.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from seas_data import progress
from seas_data.curate.templates import windows
from seas_data.curate.templates.segments import SHARED, Segments, characters, pieces, shared, spans, with_small_parts
from seas_data.curate.templates.windows import GUARANTEED, WIDTH, Windows

SHORTEST_PAYLOAD = 10
"""Half of the payloads have at least this many characters: what differs in less is one text with small changes."""
VARIANT = 0.1
"""A variant adds (in characters times texts) at least this share of what the wrapper, or what the payloads hold."""
LONG_VARIANT = 2
"""Or it adds this many times what it leaves of its texts."""

Rows = NDArray[np.int64]
Pairs = tuple[Rows, Rows]
"""Texts and the windows in them, as numbers in order of the text and in order of the hash; sorted by text."""


def discover(views: Sequence[str], found: Windows, *, min_rows: int, min_characters: int) -> list[Segments]:
    """Return the wrappers of at least ``min_characters`` that at least ``min_rows`` of ``views`` share, sorted.

    ``views``: folded texts, distinct and sorted; ``found``: their winnowed windows. A wrapper has a segment of at least
    ``windows.GUARANTEED`` characters.
    """
    return sorted(set(_Search(views, found, min_rows, min_characters).all()))


class _Search:
    def __init__(self, views: Sequence[str], found: Windows, min_rows: int, min_characters: int) -> None:
        self.views, self.min_rows, self.min_characters = views, min_rows, min_characters
        first = np.flatnonzero(np.diff(found.hashes, prepend=~found.hashes[:1]))
        counts = np.diff(first, append=found.hashes.size)
        frequent = counts >= min_rows
        self.hashes = found.hashes[first[frequent]]
        rows = found.rows[np.repeat(frequent, counts)].astype(np.int64)
        by_row = np.argsort(rows, kind="stable")
        self.pairs = rows[by_row], np.repeat(np.arange(self.hashes.size), counts[frequent])[by_row]

    def all(self) -> Iterator[Segments]:
        rows, numbers = self.pairs
        explained = np.zeros(len(self.views), np.bool_)
        in_play = np.unique(rows).size
        with progress.bar(in_play, "Telling wrappers apart", "texts") as bar:
            while groups := _groups((rows, numbers), self.min_rows):
                useless = np.zeros(rows.size, np.bool_)
                # Where no passage is named by enough texts, each of them tries its next one.
                for group in [group for group in groups if group.size >= self.min_rows] or groups:
                    places = _places(group, rows)
                    if wrappers := self.grow(group, (rows[places], numbers[places])):
                        yield from wrappers
                        explained[self.wrapped(group, wrappers)] = True
                    else:
                        counts = np.bincount(numbers[places])[numbers[places]]
                        useless[places[counts >= SHARED * group.size]] = True
                left = ~useless & ~explained[rows]
                rows, numbers = rows[left], numbers[left]
                bar.update(in_play - np.unique(rows).size - bar.n)

    def grow(self, group: Rows, pairs: Pairs) -> list[Segments]:
        """Return the wrapper of ``group`` and its variants, none if it has no wrapper. The pairs are the group's."""
        if group.size < self.min_rows:
            return []
        base = shared(self.texts(group))
        if characters(base) < self.min_characters or max(map(len, base)) < GUARANTEED:
            return []
        members = self.wrapped(group, [base])
        payloads = sorted(self.payloads(members, base), key=len)
        if len(payloads) < self.min_rows or len(payloads[len(payloads) // 2]) < SHORTEST_PAYLOAD:
            return []
        outside = ~np.isin(self.hashes[pairs[1]], windows.hashes(base)[0])
        pairs = pairs[0][outside], pairs[1][outside]
        wrappers: list[Segments] = []
        left = members
        while variants := self.variants(base, left, pairs):
            wrappers += variants
            left = np.setdiff1d(left, self.wrapped(left, variants))
        if left.size:
            wrappers.append(with_small_parts(base, self.texts(left if left.size >= self.min_rows else members)))
        return wrappers

    def variants(self, base: Segments, rows: Rows, pairs: Pairs) -> list[Segments]:
        """Return the wrappers of those ``rows``, all in the wrapper ``base``, that share a good deal more."""
        places = _places(rows, pairs[0])
        pairs = pairs[0][places], pairs[1][places]
        held = characters(base) * rows.size
        asked = self.length(rows) - held
        groups, payloads = [], set[str]()
        for group in _groups(pairs, self.min_rows):
            if group.size < self.min_rows:
                continue
            variant = shared(self.texts(group))
            added = characters(variant) - characters(base)
            remains = self.length(group) - characters(variant) * group.size
            if added >= WIDTH // 2 and added * group.size >= min(VARIANT * min(held, asked), LONG_VARIANT * remains):
                groups.append(group)
                payloads |= self.payloads(group, variant)
        # More variants than payloads: what recurs under the wrapper are the requests.
        if len(groups) > len(payloads):
            return []
        grown = (
            self.grow(group, (pairs[0][at], pairs[1][at])) for group in groups for at in [_places(group, pairs[0])]
        )
        return [wrapper for wrappers in grown for wrapper in wrappers]

    def wrapped(self, rows: Rows, wrappers: Sequence[Segments]) -> Rows:
        inside = [any(spans(view, each) is not None for each in wrappers) for view in self.texts(rows)]
        return rows[np.array(inside, np.bool_)]

    def payloads(self, rows: Rows, segments: Segments) -> set[str]:
        return {"".join(left) for view in self.texts(rows) if (left := pieces(view, segments))}

    def texts(self, rows: Rows) -> list[str]:
        return [self.views[row] for row in rows.tolist()]

    def length(self, rows: Rows) -> int:
        return sum(len(self.views[row]) for row in rows.tolist())


def _groups(pairs: Pairs, min_rows: int) -> list[Rows]:
    """Return, for each passage that ``min_rows`` texts have and some text names, the texts that name it."""
    rows, numbers = pairs
    counts = np.bincount(numbers, minlength=1)[numbers]
    frequent = counts >= min_rows
    rows, numbers, counts = rows[frequent], numbers[frequent], counts[frequent]
    if not rows.size:
        return []
    order = np.lexsort((numbers, -counts, rows))
    rows, numbers, counts = rows[order], numbers[order], counts[order]
    place = np.arange(rows.size)
    new_row = np.diff(rows, prepend=-1) != 0
    new_level = new_row | (np.diff(counts, prepend=-1) != 0)
    first_of_row = np.maximum.accumulate(np.where(new_row, place, 0))
    first_of_level = np.maximum.accumulate(np.where(new_level, place, 0))
    explains = counts * (place - first_of_row + 1)
    # The last of a text's best levels, named by its least window.
    best = place[np.lexsort((place, explains, rows))][np.append(np.flatnonzero(new_row)[1:], rows.size) - 1]
    texts, named = rows[best], numbers[first_of_level[best]]
    order = np.argsort(named, kind="stable")
    return np.split(texts[order], np.flatnonzero(np.diff(named[order])) + 1)


def _places(texts: Rows, rows: Rows) -> Rows:
    """Return where in ``rows`` (ascending) the pairs of ``texts`` (ascending) are."""
    first, last = np.searchsorted(rows, texts), np.searchsorted(rows, texts, side="right")
    lengths = last - first
    return np.repeat(last - np.cumsum(lengths), lengths) + np.arange(lengths.sum())
