"""Containment: which texts quote a query, such as a holdout prompt, and how much of it.

The plain measure is the proportion of the query's character 5-grams that a text contains. On real sets nearly all of
its hits besides true copies are wrong, in two ways: a long text contains the pieces of a short query here and there,
and a short query shares its opening ("What is the history of ...") with texts about something else. ``find_quotes``
therefore requires more: the shingles must be in one stretch of the text, and the rare ones, which carry the topic,
must be among them. Of the hits in the public prompt sets at 0.8 it keeps the 500 copies of a holdout prompt and their
close variants, and none of the 22 others, which ask for something else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seas_data.similarity.candidate_pairs import Int64s, merge_distinct, slice_by_pair_count
from seas_data.similarity.shingles import (
    Shingles,
    build_shingle_sequences,
    build_shingles,
    concatenate_ranges,
    count_shared,
    number_values,
    restrict_to_pairs,
    starts_run,
)
from seas_data.text import normalise

Scores = NDArray[np.float64]

_ADVICE = "raise curation.contamination.ngram_threshold, or hold out fewer prompts of this kind"
_STEPS = 4  # a stretch is four steps, each half as long as the query
_POSITIONS_PER_SECTION = 1 << 20


def find_quotes(queries: Sequence[str], texts: Sequence[str], threshold: float) -> tuple[Int64s, Int64s, Scores]:
    """Return (query, text, score) of the pairs in which a text quotes a query with a score of at least ``threshold``.

    The score is the lower of two proportions of the query's 5-grams: the plain one that the text contains anywhere, and
    the greatest weighted one within a stretch of the text of twice the query's length, where a 5-gram contained in n of
    the N texts weighs log(1 + N / n) (so pass each text once). Sorted by query and text. Raises SeasDataError above
    50 million candidates.
    """
    index = _QueryShingles.of(queries, texts)
    query, text, plain = _find_contained(index, threshold)
    # Integer thousandths, because an integer sum does not depend on the order of its terms.
    weights = np.rint(1000 * np.log1p(len(texts) / np.maximum(index.holders, 1))).astype(np.int64)
    score = np.minimum(plain, _score_stretches(index, weights, queries, texts, query, text))
    reaches = score >= threshold
    return query[reaches], text[reaches], score[reaches]


@dataclass(frozen=True)
class _QueryShingles:
    """The shingles of the queries, and which texts contain them."""

    sets: Shingles  # of the queries, then of the texts
    queries: int
    values: NDArray[np.uint64]  # the distinct shingles of all queries, ascending
    owner: Int64s  # the shingles of one query after the other: the query
    shingle: Int64s  # ... and the index into ``values``
    text: Int64s  # each occurrence of such a shingle in a text: the text
    held: Int64s  # ... and the index into ``values``
    holders: Int64s  # for each of ``values`` the number of texts with it

    @staticmethod
    def of(queries: Sequence[str], texts: Sequence[str]) -> "_QueryShingles":
        sets = build_shingles([*queries, *texts])
        inside = sets.offsets[len(queries)]
        values, shingle = np.unique(sets.values[:inside], return_inverse=True)
        owner = np.repeat(np.arange(len(queries)), sets.sizes[: len(queries)])
        where, held = _lookup(sets.values[inside:], values)
        text = np.searchsorted(sets.offsets[len(queries) :] - inside, where, side="right") - 1
        return _QueryShingles(
            sets, len(queries), values, owner, shingle, text, held, np.bincount(held, minlength=len(values))
        )


def find_contained(queries: Sequence[str], texts: Sequence[str], threshold: float) -> tuple[Int64s, Int64s, Scores]:
    """Return (query, text, proportion) of the pairs where a text contains ``threshold`` or more of a query's 5-grams.

    This is the plain measure (``threshold`` > 0), exact, sorted by query and text.
    """
    return _find_contained(_QueryShingles.of(queries, texts), threshold)


def _find_contained(index: _QueryShingles, threshold: float) -> tuple[Int64s, Int64s, Scores]:
    """Return ``find_contained`` of indexed queries: only pairs that share one of a query's rarest shingles are counted.

    A text that lacks all of the n - ceil(threshold * n) + 1 rarest of a query's n shingles cannot contain enough of
    them (prefix filtering: Chaudhuri, Ganti, Kaushik 2006). Any fixed order would do; ordering by rarity leaves the
    fewest texts.
    """
    sizes = index.sets.sizes[: index.queries]
    order = np.lexsort((index.shingle, index.holders[index.shingle], index.owner))
    rank = np.arange(len(order)) - np.repeat(index.sets.offsets[: index.queries], sizes)
    needed = np.maximum(1, np.ceil(threshold * sizes - 1e-9)).astype(np.int64)
    rare = order[rank < np.repeat(sizes - needed + 1, sizes)]
    rare = rare[np.argsort(index.shingle[rare], kind="stable")]
    query_counts = np.bincount(index.shingle[rare], minlength=len(index.values))
    starts = np.cumsum(query_counts) - query_counts

    def candidates() -> Iterator[tuple[Int64s, Int64s]]:
        for part in slice_by_pair_count(query_counts[index.held], _ADVICE):
            held = index.held[part]
            yield (
                np.repeat(index.text[part], query_counts[held]),
                index.owner[rare[concatenate_ranges(starts[held], query_counts[held])]],
            )

    text, query = merge_distinct(candidates(), max(1, index.queries), _ADVICE)
    sets_in_pairs, one, other = restrict_to_pairs(index.sets, text + index.queries, query)
    score = count_shared(number_values(sets_in_pairs), one, other) / sizes[query]
    reaches = score >= threshold
    query, text, score = query[reaches], text[reaches], score[reaches]
    order = np.lexsort((text, query))
    return query[order], text[order], score[order]


def _score_stretches(
    index: _QueryShingles, weights: Int64s, queries: Sequence[str], texts: Sequence[str], query: Int64s, text: Int64s
) -> Scores:
    """Return, for each pair, the greatest weighted proportion of the query's shingles in one stretch of the text."""
    best = np.zeros(len(query), np.int64)
    used, text = np.unique(text, return_inverse=True)
    sequences = build_shingle_sequences([texts[row] for row in used.tolist()])
    steps = np.array([(len(normalise(one)) + 1) // 2 for one in queries], np.int64).clip(min=1)
    of_queries = index.owner * len(index.values) + index.shingle  # ascending
    for part in _sections(sequences.sizes[text]):
        counts = sequences.sizes[text[part]]
        pair = np.repeat(np.arange(part.start, part.stop), counts)
        locations = concatenate_ranges(sequences.offsets[text[part]], counts)
        hit, shingle = _lookup(sequences.values[locations], index.values)
        pair, position = pair[hit], (locations - np.repeat(sequences.offsets[text[part]], counts))[hit]
        own, _ = _lookup(query[pair] * len(index.values) + shingle, of_queries)
        pair, position, shingle = pair[own], position[own], shingle[own]
        # A position belongs to the stretches that start at its own step or at one of the three before it.
        start = (position // steps[query[pair]])[:, None] - np.arange(_STEPS)
        inside = start >= 0
        width = int(start.max(initial=0)) + 1
        stretch = ((pair - part.start)[:, None] * width + start)[inside]
        code = np.sort(stretch * len(index.values) + np.broadcast_to(shingle[:, None], start.shape)[inside])
        code = code[starts_run(code)]
        stretch, shingle = np.divmod(code, max(1, len(index.values)))
        heads = np.flatnonzero(starts_run(stretch))
        if len(heads):
            np.maximum.at(best, part.start + stretch[heads] // width, np.add.reduceat(weights[shingle], heads))
    total = np.bincount(index.owner, weights=weights[index.shingle], minlength=index.queries)
    proportion: Scores = best / total[query]
    return proportion


def _sections(counts: Int64s) -> Iterator[slice]:
    section = np.cumsum(counts) // _POSITIONS_PER_SECTION
    bounds = [*np.flatnonzero(starts_run(section)).tolist(), len(counts)]
    for start, stop in pairwise(bounds):
        yield slice(start, stop)


def _lookup(values: NDArray[Any], among: NDArray[Any]) -> tuple[Int64s, Int64s]:
    """Return (position, rank): where in ``values`` a member of the ascending ``among`` occurs, and its index there."""
    # Most values are absent; a table indexed by their low bits rejects most of those at once.
    low = values.dtype.type((1 << 22) - 1)
    present = np.zeros(1 << 22, bool)
    present[among & low] = True
    position = np.flatnonzero(present[values & low])
    rank = np.searchsorted(among, values[position]).clip(max=max(0, len(among) - 1))
    same = among[rank] == values[position]
    return position[same], rank[same]
