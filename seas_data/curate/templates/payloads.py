"""Payloads: the request that a wrapper leaves of a prompt.

The pieces between the wrapper's segments are taken from the prompt in their own spelling and order. Where the wrapper
was cut off, a piece loses white space, separators, brackets and quotes whose counterpart went with the wrapper, and a
pair of them that encloses the whole piece. Copies of a piece (a request that the wrapper repeats) are kept once, and
pieces are joined by a space, because a wrapper that splits a request splits it between words. Without any letter or
digit left there is no payload.
"""

import re
from collections.abc import Sequence

import numpy as np

from seas_data.curate.templates import winnowing
from seas_data.curate.templates.shared_segments import Segments, find_gaps, find_spans
from seas_data.text import normalise
from seas_data.unicode_tables import is_alphanumeric

_ROWS_PER_CHUNK = 10_000
_SEPARATORS = " \t\r\n:;,|-–—="
_ENDING_SEPARATORS = _SEPARATORS.replace("=", "")  # Base64 may end with =.
_PAIRS = tuple(zip("([{<«“‘\"'`", ")]}>»”’\"'`", strict=True))
_APOSTROPHE = re.compile("(?<=(.))'(?=(.))")


def extract_payloads(texts: Sequence[str], segments: Sequence[Segments]) -> list[str | None]:
    """Return the payload (or None) of each of ``texts`` (NFC), given the wrapper it contains in ``segments``."""
    payloads: list[str | None] = []
    for first in range(0, len(texts), _ROWS_PER_CHUNK):
        chunk = slice(first, first + _ROWS_PER_CHUNK)
        folded = winnowing.fold(texts[chunk])
        for text, view, positions, wrapper in zip(
            texts[chunk], folded.views, folded.positions, segments[chunk], strict=True
        ):
            ends = np.append(positions, len(text))
            fixed = find_spans(view, wrapper) or []
            pieces = [text[ends[start] : ends[end]] for start, end in find_gaps(len(view), fixed)]
            payloads.append(_join_pieces(pieces))
    return payloads


def _join_pieces(pieces: Sequence[str]) -> str | None:
    last = len(pieces) - 1
    kept = [trim_piece(piece, left=index > 0, right=index < last) for index, piece in enumerate(pieces)]
    distinct: dict[str, str] = {}
    for piece in kept:
        distinct.setdefault(normalise(piece), piece)
    payload = " ".join(piece for piece in distinct.values() if piece)
    return payload if any(map(is_alphanumeric, payload)) else None


def trim_piece(piece: str, *, left: bool, right: bool) -> str:
    """Return ``piece`` without white space and, where it was cut (``left``, ``right``), without dangling marks."""
    before = None
    while piece != before:
        before = piece
        piece = piece.strip()
        if left:
            piece = piece.lstrip(_SEPARATORS)
        if right:
            piece = piece.rstrip(_ENDING_SEPARATORS)
        if left or right:
            for opening, closing in _PAIRS:
                piece = _strip_unpaired(piece, opening, closing)
    return piece


def _strip_unpaired(piece: str, opening: str, closing: str) -> str:
    marks = _APOSTROPHE.sub(_drop_in_words, piece) if opening == "'" else piece
    opened, closed = marks.count(opening), marks.count(closing)
    if opening == closing:
        encloses, start_dangles, end_dangles = opened == 2, opened % 2 == 1, opened % 2 == 1
    else:
        encloses = opened == closed == 1
        start_dangles = opened > closed or piece[:1] == closing
        end_dangles = closed > opened or piece[-1:] == opening
    starts, ends = piece[:1] in (opening, closing), piece[-1:] in (opening, closing)
    if encloses and piece[:1] == opening and piece[-1:] == closing:
        return piece[1:-1]
    if starts and start_dangles:
        return piece[1:]
    if ends and end_dangles:
        return piece[:-1]
    return piece


def _drop_in_words(apostrophe: re.Match[str]) -> str:
    """Return nothing for an apostrophe between letters, which is no quote."""
    return "" if all(is_alphanumeric(beside) or beside == "_" for beside in apostrophe.groups()) else "'"
