"""Payloads: what a wrapper leaves of a prompt.

The pieces between the wrapper's segments are taken from the prompt in its own spelling and order. Where the wrapper was
cut off, a piece loses white space, separators, brackets and quotes whose other half went with the wrapper, and a pair
of them that encloses the whole piece. Copies of one piece (a request that the wrapper says twice) are kept once, and
pieces are joined by a space, because a wrapper that cuts a request cuts it between words. If no letter or digit is left
there is no payload.
"""

import re
from collections.abc import Sequence

import numpy as np

from seas_data.curate.templates import windows
from seas_data.curate.templates.segments import Segments, gaps, spans
from seas_data.text import normalise

_ROWS_AT_ONCE = 10_000
_SEPARATORS = " \t\r\n:;,|-–—="
_ENDING_SEPARATORS = _SEPARATORS.replace("=", "")  # Base64 ends with it.
_PAIRS = tuple(zip("([{<«“‘\"'`", ")]}>»”’\"'`", strict=True))
_APOSTROPHE = re.compile(r"(?<=\w)'(?=\w)")


def cut(texts: Sequence[str], segments: Sequence[Segments]) -> list[str | None]:
    """Return the payload of each of ``texts`` (NFC) in the wrapper of the same place, which must be in it."""
    payloads: list[str | None] = []
    for first in range(0, len(texts), _ROWS_AT_ONCE):
        chunk = slice(first, first + _ROWS_AT_ONCE)
        folded = windows.fold(texts[chunk])
        for text, view, positions, wrapper in zip(
            texts[chunk], folded.views, folded.positions, segments[chunk], strict=True
        ):
            ends = np.append(positions, len(text))
            fixed = spans(view, wrapper) or []
            pieces = [text[ends[start] : ends[end]] for start, end in gaps(len(view), fixed)]
            payloads.append(_joined(pieces))
    return payloads


def _joined(pieces: Sequence[str]) -> str | None:
    last = len(pieces) - 1
    kept = [trimmed(piece, left=index > 0, right=index < last) for index, piece in enumerate(pieces)]
    once: dict[str, str] = {}
    for piece in kept:
        once.setdefault(normalise(piece), piece)
    payload = " ".join(piece for piece in once.values() if piece)
    return payload if any(character.isalnum() for character in payload) else None


def trimmed(piece: str, *, left: bool, right: bool) -> str:
    """Return ``piece`` without white space and, if it was cut on the ``left`` or ``right``, without what that left."""
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
                piece = _unpaired(piece, opening, closing)
    return piece


def _unpaired(piece: str, opening: str, closing: str) -> str:
    marks = _APOSTROPHE.sub("", piece) if opening == "'" else piece
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
