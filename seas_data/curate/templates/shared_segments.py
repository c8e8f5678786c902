"""Shared segments: the fixed text that a group of texts has in common, in order, and the gaps between it.

The wrapper of a group is what nine tenths of its texts share in stretches of at least
``winnowing.WINDOW_CHARACTERS`` characters. The border with the request is where the agreement falls, not where it ends:
letters that start only most requests, a word cut in two, and the mark that closes the request's sentence belong to the
request. Short fixed parts between the stretches (``' b = '``) are fixed too if all but a few texts have them and they
contain a sign other than ordinary punctuation; words that all requests share belong to the requests.

All texts here are folded (``winnowing.fold``).
"""

import math
import re
from collections.abc import Sequence
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from seas_data.curate.templates import winnowing
from seas_data.curate.templates.winnowing import WINDOW_CHARACTERS
from seas_data.unicode_tables import is_alphanumeric

Segments = tuple[str, ...]
Span = tuple[int, int]

MIN_SHARED = 0.9
"""A segment occurs in at least this proportion of its group."""
MIN_STEADY = 0.98
"""A segment ends where fewer than this proportion of the texts that contain it continue alike, unless for long."""

_MAX_UNSTEADY_CHARACTERS = 16
_MAX_SAMPLE = 400
_MIN_PART_SHARED = 0.95
_PART_CHARACTERS = 5
_MAX_PART_SAMPLE = 100
_ORDINARY_PUNCTUATION = frozenset("""_.,:;?!%'"’“”()-""")
_CLOSING_MARK = re.compile("^[.?!。？！…]+")
_MAX_WORD_CHARACTERS = 20
_LAST_SPACED_SCRIPT = "\u0dff"  # From Thai on, many scripts have no spaces between words.


def find_spans(view: str, segments: Segments) -> list[Span] | None:
    """Return the spans of ``segments`` in ``view``, each after the previous one, or None if one is missing."""
    found, end = [], 0
    for segment in segments:
        start = view.find(segment, end)
        if start < 0:
            return None
        end = start + len(segment)
        found.append((start, end))
    return found


def find_gaps(length: int, fixed: Sequence[Span]) -> list[Span]:
    """Return what ``fixed`` leaves of ``length`` characters: the spans before, between and after it, empty ones too."""
    edges = [0, *(edge for span in fixed for edge in span), length]
    return list(zip(edges[::2], edges[1::2], strict=True))


def extract_gaps(view: str, segments: Segments) -> list[str]:
    """Return the text of the gaps, or an empty list if ``segments`` do not occur in ``view``."""
    fixed = find_spans(view, segments)
    return [] if fixed is None else [view[start:end] for start, end in find_gaps(len(view), fixed)]


def count_characters(segments: Segments) -> int:
    """Return the number of fixed characters."""
    return sum(map(len, segments))


def find_shared_segments(views: Sequence[str]) -> Segments:
    """Return the segments of about ``WINDOW_CHARACTERS`` or more that ``MIN_SHARED`` of ``views`` share, in order.

    Judged on at most 400 evenly spaced views. The order is that in the view that contains most of the shared text.
    """
    sample = views[:: math.ceil(len(views) / _MAX_SAMPLE)]
    min_count = MIN_SHARED * len(sample)
    hashed, rows, starts = winnowing.hash_windows(sample)
    _, numbers = np.unique(hashed, return_inverse=True)
    once = np.sort(numbers * len(sample) + rows)
    once = once[np.diff(once, prepend=-1) != 0]
    support = np.bincount(once // len(sample))[numbers] if once.size else once
    common = support >= min_count
    if not common.any():
        return ()
    reference = int(np.argmax(np.bincount(rows[common])))
    in_reference = common & (rows == reference)
    starts, support = starts[in_reference], support[in_reference]
    breaks = np.flatnonzero(np.diff(starts) > 1) + 1
    candidates = [
        _trim_unsteady_ends(*run) for run in zip(np.split(starts, breaks), np.split(support, breaks), strict=True)
    ]
    return _remove_request_ends(sample, _choose_in_order(sample, sample[reference], candidates, min_count))


def add_small_parts(segments: Segments, views: Sequence[str]) -> Segments:
    """Return ``segments`` with the small fixed parts that ``views`` share in the gaps, each in its place."""
    cuts = [cut for view in views[:: math.ceil(len(views) / _MAX_PART_SAMPLE)] if (cut := extract_gaps(view, segments))]
    parts = [_find_small_parts([cut[gap] for cut in cuts]) for gap in range(len(segments) + 1)]
    whole = [*parts[0]]
    for segment, following in zip(segments, parts[1:], strict=True):
        whole += [segment, *following]
    min_count = MIN_SHARED * len(views)
    return tuple(whole) if sum(find_spans(view, tuple(whole)) is not None for view in views) >= min_count else segments


def _trim_unsteady_ends(starts: NDArray[np.int64], support: NDArray[np.int64]) -> Span:
    """Return the span of the consecutive windows at ``starts``, without letters that start only most requests."""
    steady = starts[support >= MIN_STEADY * support.max()]
    first, last = int(starts[0]), int(starts[-1])
    if steady[0] - first <= _MAX_UNSTEADY_CHARACTERS:
        first = int(steady[0])
    if last - steady[-1] <= _MAX_UNSTEADY_CHARACTERS:
        last = int(steady[-1])
    return first, last + WINDOW_CHARACTERS


def _choose_in_order(sample: Sequence[str], reference: str, candidates: Sequence[Span], min_count: float) -> Segments:
    """Return the ``candidates`` of ``reference``, longest first, that ``min_count`` texts contain together in order."""
    chosen: list[Span] = []
    for span in sorted(candidates, key=lambda span: (span[0] - span[1], span[0])):
        trial = sorted([*chosen, span])
        segments = tuple(reference[start:end] for start, end in trial)
        if sum(find_spans(view, segments) is not None for view in sample) >= min_count:
            chosen = trial
    return tuple(reference[start:end] for start, end in chosen)


def _remove_request_ends(sample: Sequence[str], segments: Segments) -> Segments:
    """Return ``segments`` without the request's parts: a word continued at their ends, and its closing mark."""
    found = [(view, places) for view in sample if (places := find_spans(view, segments))]
    whole = []
    for index, segment in enumerate(segments):
        before = {view[places[index][0] - 1] for view, places in found if places[index][0]}
        after = {view[places[index][1]] for view, places in found if places[index][1] < len(view)}
        if _is_letter(segment[0]) and any(map(_is_letter, before)):
            segment = segment[_count_letters(segment) :]
        if _is_letter(segment[-1:]) and any(map(_is_letter, after)):
            segment = segment[: len(segment) - _count_letters(segment[::-1])]
        whole.append(_CLOSING_MARK.sub("", segment) if before else segment)
    return tuple(segment for segment in whole if segment.strip())


def _is_letter(character: str) -> bool:
    return bool(character) and is_alphanumeric(character) and character <= _LAST_SPACED_SCRIPT


def _count_letters(text: str) -> int:
    """Return the number of letters and digits that ``text`` starts with, at most those of a long word."""
    return sum(1 for _ in takewhile(is_alphanumeric, text[:_MAX_WORD_CHARACTERS]))


def _is_sign(character: str) -> bool:
    return not (is_alphanumeric(character) or character.isspace() or character in _ORDINARY_PUNCTUATION)


def _find_small_parts(texts: Sequence[str]) -> Segments:
    """Return the small parts that ``texts``, all of one gap, share in order."""
    reference = min(texts, key=lambda text: (len(text), text))
    min_count = _MIN_PART_SHARED * len(texts)
    candidates: list[Span] = []
    for start in range(len(reference) - _PART_CHARACTERS + 1):
        end = start + _PART_CHARACTERS
        if sum(reference[start:end] in text for text in texts) >= min_count:
            joins = bool(candidates) and candidates[-1][1] == end - 1
            candidates.append((candidates.pop()[0] if joins else start, end))
    signed = [(start, end) for start, end in candidates if any(map(_is_sign, reference[start:end]))]
    return _remove_request_ends(texts, _choose_in_order(texts, reference, signed, min_count))
