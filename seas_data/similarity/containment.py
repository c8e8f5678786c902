"""Texts inside other texts: how much of a query, such as a test prompt, stands in each of many texts.

The plain measure is the share of the query's character 5-grams that the text holds. On real sets nearly all that it
finds beside true copies is wrong, in two ways: a long text holds the pieces of a short query here and there, and a
short query shares its opening ("What is the history of ...") with texts that ask about something else. ``quoted``
therefore asks for more: the shingles must stand together in one stretch of the text, and the rare ones, which say what
is asked about, must be among them. Of the public prompt sets' hits at 0.8 it keeps the 500 copies of a holdout prompt
and their close variants, and none of the 22 others, which ask for something else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seas_data.similarity.candidates import Int64s, distinct, parts
from seas_data.similarity.shingles import Shingles, firsts, in_order, number, paired, ranges, shared, shingles
from seas_data.text import normalise

Scores = NDArray[np.float64]

_CURE = "raise curation.contamination.ngram, or hold out fewer prompts of the kind"
_STEPS = 4  # a stretch is four steps of half the query's length
_PLACES_AT_A_TIME = 1 << 20


def quoted(queries: Sequence[str], texts: Sequence[str], threshold: float) -> tuple[Int64s, Int64s, Scores]:
    """Return (query, text, score) of the pairs where one of ``texts`` quotes a query with at least ``threshold``.

    The score is the lesser of two shares of the query's 5-grams: the plain one that the text holds anywhere, and the
    greatest one that stands within one stretch of the text of twice the query's length, where each 5-gram weighs
    log(1 + N / n) if n of the N texts hold it (so each text should be there once). Sorted by query and text. Raises
    SeasDataError above 50 million candidates.
    """
    sought = _Sought.of(queries, texts)
    query, text, share = _contained(sought, threshold)
    # In thousandths, because a sum of integers does not depend on its order.
    weights = np.rint(1000 * np.log1p(len(texts) / np.maximum(sought.holders, 1))).astype(np.int64)
    score = np.minimum(share, _stretches(sought, weights, queries, texts, query, text))
    enough = score >= threshold
    return query[enough], text[enough], score[enough]


@dataclass(frozen=True)
class _Sought:
    """The queries' shingles, and where the texts hold them."""

    sets: Shingles  # of the queries, then of the texts
    queries: int
    values: NDArray[np.uint64]  # the different shingles of all queries, ascending
    owner: Int64s  # each query's shingles in turn: the query
    shingle: Int64s  # ... and the index into ``values``
    text: Int64s  # wherever a text holds one of them: the text
    held: Int64s  # ... and the index into ``values``
    holders: Int64s  # for each of ``values`` how many texts hold it

    @staticmethod
    def of(queries: Sequence[str], texts: Sequence[str]) -> "_Sought":
        sets = shingles([*queries, *texts])
        inside = sets.offsets[len(queries)]
        values, shingle = np.unique(sets.values[:inside], return_inverse=True)
        owner = np.repeat(np.arange(len(queries)), sets.sizes[: len(queries)])
        place, held = _found(sets.values[inside:], values)
        text = np.searchsorted(sets.offsets[len(queries) :] - inside, place, side="right") - 1
        return _Sought(sets, len(queries), values, owner, shingle, text, held, np.bincount(held, minlength=len(values)))


def _contained(sought: _Sought, threshold: float) -> tuple[Int64s, Int64s, Scores]:
    """Return (query, text, share) of the pairs where at least ``threshold`` (> 0) of a query's shingles are in a text.

    Exact, sorted by query and text: only the pairs that share one of a query's rarest shingles are counted.

    A text that lacks all of the n - ceil(threshold * n) + 1 rarest of a query's n shingles cannot hold enough of them
    (prefix filtering: Chaudhuri, Ganti, Kaushik 2006). Any fixed order would do; by rarity fewest texts remain.
    """
    sizes = sought.sets.sizes[: sought.queries]
    order = np.lexsort((sought.shingle, sought.holders[sought.shingle], sought.owner))
    rank = np.arange(len(order)) - np.repeat(sought.sets.offsets[: sought.queries], sizes)
    needed = np.maximum(1, np.ceil(threshold * sizes - 1e-9)).astype(np.int64)
    rare = order[rank < np.repeat(sizes - needed + 1, sizes)]
    rare = rare[np.argsort(sought.shingle[rare], kind="stable")]
    seekers = np.bincount(sought.shingle[rare], minlength=len(sought.values))
    starts = np.cumsum(seekers) - seekers

    def candidates() -> Iterator[tuple[Int64s, Int64s]]:
        for part in parts(seekers[sought.held], _CURE):
            held = sought.held[part]
            yield np.repeat(sought.text[part], seekers[held]), sought.owner[rare[ranges(starts[held], seekers[held])]]

    text, query = distinct(candidates(), max(1, sought.queries), _CURE)
    few, one, other = paired(sought.sets, text + sought.queries, query)
    score = shared(number(few), one, other) / sizes[query]
    enough = score >= threshold
    query, text, score = query[enough], text[enough], score[enough]
    order = np.lexsort((text, query))
    return query[order], text[order], score[order]


def _stretches(
    sought: _Sought, weights: Int64s, queries: Sequence[str], texts: Sequence[str], query: Int64s, text: Int64s
) -> Scores:
    """Return for each pair the greatest weighted share of the query's shingles within one stretch of the text."""
    best = np.zeros(len(query), np.int64)
    used, text = np.unique(text, return_inverse=True)
    running = in_order([texts[row] for row in used.tolist()])
    steps = np.array([(len(normalise(one)) + 1) // 2 for one in queries], np.int64).clip(min=1)
    of_queries = sought.owner * len(sought.values) + sought.shingle  # ascending
    for part in _sections(running.sizes[text]):
        counts = running.sizes[text[part]]
        pair = np.repeat(np.arange(part.start, part.stop), counts)
        places = ranges(running.offsets[text[part]], counts)
        hit, shingle = _found(running.values[places], sought.values)
        pair, place = pair[hit], (places - np.repeat(running.offsets[text[part]], counts))[hit]
        own, _ = _found(query[pair] * len(sought.values) + shingle, of_queries)
        pair, place, shingle = pair[own], place[own], shingle[own]
        # A place lies in the stretches that start at its own step or at one of the three before it.
        start = (place // steps[query[pair]])[:, None] - np.arange(_STEPS)
        inside = start >= 0
        width = int(start.max(initial=0)) + 1
        stretch = ((pair - part.start)[:, None] * width + start)[inside]
        code = np.sort(stretch * len(sought.values) + np.broadcast_to(shingle[:, None], start.shape)[inside])
        code = code[firsts(code)]
        stretch, shingle = np.divmod(code, max(1, len(sought.values)))
        heads = np.flatnonzero(firsts(stretch))
        if len(heads):
            np.maximum.at(best, part.start + stretch[heads] // width, np.add.reduceat(weights[shingle], heads))
    total = np.bincount(sought.owner, weights=weights[sought.shingle], minlength=sought.queries)
    share: Scores = best / total[query]
    return share


def _sections(counts: Int64s) -> Iterator[slice]:
    section = np.cumsum(counts) // _PLACES_AT_A_TIME
    bounds = [*np.flatnonzero(firsts(section)).tolist(), len(counts)]
    for start, stop in pairwise(bounds):
        yield slice(start, stop)


def _found(values: NDArray[Any], among: NDArray[Any]) -> tuple[Int64s, Int64s]:
    """Return (place, index): wherever a value is in ``among``, which is ascending, and where there."""
    # Most values are not; a table of bits by the low bits of them tells most of those at once.
    low = values.dtype.type((1 << 22) - 1)
    known = np.zeros(1 << 22, bool)
    known[among & low] = True
    place = np.flatnonzero(known[values & low])
    index = np.searchsorted(among, values[place]).clip(max=max(0, len(among) - 1))
    same = among[index] == values[place]
    return place[same], index[same]
