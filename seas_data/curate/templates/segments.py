"""Segments: the fixed text that a group of texts shares, in order, and what it leaves of each.

The wrapper of a group is what nine tenths of its texts have in common in stretches of at least ``windows.WIDTH``
characters. The border with the request is where the agreement falls, not where it ends: letters with which only most
requests begin, a word cut in two and the mark that closes the request's sentence are the request's. Short fixed parts
between the stretches (``' b = '``) are fixed too if all but a few texts have them and they hold a sign that is no
ordinary punctuation: words that all requests share are the requests'.

All texts here are folded (``windows.fold``).
"""

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seas_data.curate.templates import windows
from seas_data.curate.templates.windows import WIDTH

Segments = tuple[str, ...]
Span = tuple[int, int]

SHARED = 0.9
"""A segment stands in at least this share of its group."""
STEADY = 0.98
"""A segment ends where fewer than this share of the texts that have it go on alike, unless those go on for long."""

_NOT_LONG = 16
_SAMPLE = 400
_PART_SHARED = 0.95
_PART_WIDTH = 5
_PART_SAMPLE = 100
_SIGN = re.compile(r"""[^\w\s.,:;?!%'"’“”()-]""")
_CLOSING_MARK = re.compile("^[.?!。？！…]+")
_WORD_END = re.compile("[^\\W_]{1,20}$")
_WORD_START = re.compile("^[^\\W_]{1,20}")
_LAST_SPACED_SCRIPT = "\u0dff"  # From Thai on, many scripts put no space between words.


def spans(view: str, segments: Segments) -> list[Span] | None:
    """Return where ``segments`` stand in ``view``, each after the one before; None if one does not."""
    found, end = [], 0
    for segment in segments:
        start = view.find(segment, end)
        if start < 0:
            return None
        end = start + len(segment)
        found.append((start, end))
    return found


def gaps(length: int, fixed: Sequence[Span]) -> list[Span]:
    """Return what ``fixed`` leaves of a text of ``length`` characters: before, between and after, empty ones too."""
    edges = [0, *(edge for span in fixed for edge in span), length]
    return list(zip(edges[::2], edges[1::2], strict=True))


def pieces(view: str, segments: Segments) -> list[str]:
    """Return the text of the gaps; none if ``segments`` do not stand in ``view``."""
    fixed = spans(view, segments)
    return [] if fixed is None else [view[start:end] for start, end in gaps(len(view), fixed)]


def characters(segments: Segments) -> int:
    """Return how much text is fixed."""
    return sum(map(len, segments))


def shared(views: Sequence[str]) -> Segments:
    """Return the segments of at least about ``WIDTH`` characters that ``SHARED`` of ``views`` have, in order.

    Judged by at most 400 of them, evenly spaced. Their places are those in the text that has most of what is shared.
    """
    sample = views[:: math.ceil(len(views) / _SAMPLE)]
    enough = SHARED * len(sample)
    hashed, rows, starts = windows.hashes(sample)
    _, numbers = np.unique(hashed, return_inverse=True)
    once = np.sort(numbers * len(sample) + rows)
    once = once[np.diff(once, prepend=-1) != 0]
    support = np.bincount(once // len(sample))[numbers] if once.size else once
    common = support >= enough
    if not common.any():
        return ()
    reference = int(np.argmax(np.bincount(rows[common])))
    mine = common & (rows == reference)
    starts, support = starts[mine], support[mine]
    breaks = np.flatnonzero(np.diff(starts) > 1) + 1
    candidates = [_steady(*run) for run in zip(np.split(starts, breaks), np.split(support, breaks), strict=True)]
    return _without_requests(sample, _in_order(sample, sample[reference], candidates, enough))


def with_small_parts(segments: Segments, views: Sequence[str]) -> Segments:
    """Return ``segments`` with the small fixed parts that ``views`` share in the gaps, each in its place."""
    cuts = [cut for view in views[:: math.ceil(len(views) / _PART_SAMPLE)] if (cut := pieces(view, segments))]
    parts = [_small_parts([cut[gap] for cut in cuts]) for gap in range(len(segments) + 1)]
    whole = [*parts[0]]
    for segment, following in zip(segments, parts[1:], strict=True):
        whole += [segment, *following]
    enough = SHARED * len(views)
    return tuple(whole) if sum(spans(view, tuple(whole)) is not None for view in views) >= enough else segments


def _steady(starts: NDArray[np.int64], support: NDArray[np.int64]) -> Span:
    """Return what the windows at ``starts`` (in a row) cover, less letters with which only most requests begin."""
    steady = starts[support >= STEADY * support.max()]
    first, last = int(starts[0]), int(starts[-1])
    if steady[0] - first <= _NOT_LONG:
        first = int(steady[0])
    if last - steady[-1] <= _NOT_LONG:
        last = int(steady[-1])
    return first, last + WIDTH


def _in_order(sample: Sequence[str], reference: str, candidates: Sequence[Span], enough: float) -> Segments:
    """Return those ``candidates`` of ``reference``, longest first, that together stand in order in enough texts."""
    chosen: list[Span] = []
    for span in sorted(candidates, key=lambda span: (span[0] - span[1], span[0])):
        trial = sorted([*chosen, span])
        segments = tuple(reference[start:end] for start, end in trial)
        if sum(spans(view, segments) is not None for view in sample) >= enough:
            chosen = trial
    return tuple(reference[start:end] for start, end in chosen)


def _without_requests(sample: Sequence[str], segments: Segments) -> Segments:
    """Return ``segments`` less what is the request's: a word that goes on in it at their ends, and its closing mark."""
    found = [(view, places) for view in sample if (places := spans(view, segments))]
    whole = []
    for index, segment in enumerate(segments):
        before = {view[places[index][0] - 1] for view, places in found if places[index][0]}
        after = {view[places[index][1]] for view, places in found if places[index][1] < len(view)}
        if _is_letter(segment[0]) and any(map(_is_letter, before)):
            segment = _WORD_START.sub("", segment)
        if _is_letter(segment[-1:]) and any(map(_is_letter, after)):
            segment = _WORD_END.sub("", segment)
        whole.append(_CLOSING_MARK.sub("", segment) if before else segment)
    return tuple(segment for segment in whole if segment.strip())


def _is_letter(character: str) -> bool:
    return character.isalnum() and character <= _LAST_SPACED_SCRIPT


def _small_parts(texts: Sequence[str]) -> Segments:
    """Return the small parts that ``texts``, all of one gap, share in order."""
    reference = min(texts, key=lambda text: (len(text), text))
    enough = _PART_SHARED * len(texts)
    candidates: list[Span] = []
    for start in range(len(reference) - _PART_WIDTH + 1):
        end = start + _PART_WIDTH
        if sum(reference[start:end] in text for text in texts) >= enough:
            joins = bool(candidates) and candidates[-1][1] == end - 1
            candidates.append((candidates.pop()[0] if joins else start, end))
    signed = [(start, end) for start, end in candidates if _SIGN.search(reference[start:end])]
    return _without_requests(texts, _in_order(texts, reference, signed, enough))
