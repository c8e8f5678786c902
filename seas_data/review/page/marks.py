"""Texts with every hidden character made visible: parts of text and of marks, which the page shows differently."""

import unicodedata
from typing import NamedTuple

from seas_data.text import BLANK, MAX_MARKS
from seas_data.unicode_tables import category

FOLD_FROM = 3_000
"""Texts with more characters than this are folded."""
FOLDED = 2_000
"""The number of characters of a folded text that are shown at once."""
MOST = 200_000
"""The number of characters of a text that the page holds."""


class Part(NamedTuple):
    """A part of a text: ``text`` to show, and for a mark its ``meaning``; empty for text that shows itself."""

    text: str
    meaning: str = ""


class Folded(NamedTuple):
    """A text to show: the parts at the start, those behind a fold, and the numbers of characters of both and beyond."""

    start: list[Part]
    rest: list[Part]
    rest_length: int
    beyond: int


def fold_long(text: str) -> Folded:
    """Return ``text`` as parts, folded if it is long."""
    cut = FOLDED if len(text) > FOLD_FROM else len(text)
    rest = text[cut:MOST]
    return Folded(split_marks(text[:cut]), split_marks(rest), len(rest), max(0, len(text) - MOST))


def split_marks(text: str) -> list[Part]:
    """Return ``text`` as parts: runs of characters that show themselves, and marks for runs that do not.

    Marks stand for control, format (bidi, zero-width), private and unassigned characters, fillers, variation
    selectors, blanks other than the ordinary ones, and combining marks after the eighth on one letter. A line break of
    two characters is one.
    """
    text = text.replace("\r\n", "\n")
    parts: list[Part] = []
    shown: list[str] = []
    hidden: list[str] = []
    combining = 0

    def close() -> None:
        if shown:
            parts.append(Part("".join(shown)))
        if hidden:
            parts.append(_mark("".join(hidden)))
        shown.clear()
        hidden.clear()

    for character in text:
        combining = combining + 1 if not character.isascii() and category(character) in ("Mn", "Me") else 0
        if _is_hidden(character) or combining > MAX_MARKS:
            if shown:
                close()
            hidden.append(character)
        else:
            if hidden:
                close()
            shown.append(character)
    close()
    return parts


def _is_hidden(character: str) -> bool:
    if character.isascii():
        return not (character.isprintable() or character in "\n\t")
    return (
        category(character) in _HIDDEN
        or (category(character) == "Zs" and character != "\u3000")
        or character in BLANK
        or "\ufe00" <= character <= "\ufe0f"
        or "\U000e0100" <= character <= "\U000e01ef"
    )


def _mark(hidden: str) -> Part:
    """Return the mark of a run of hidden characters; one that spells ASCII in tags says what it spells."""
    codes = [f"U+{ord(character):04X}" for character in hidden]
    more = f" and {len(codes) - _NAMED} more" if len(codes) > _NAMED else ""
    names = [unicodedata.name(character, "no name") for character in hidden[:_NAMED]]
    spelled = "".join(chr(ord(c) - 0xE0000) for c in hidden if 0xE0020 <= ord(c) <= 0xE007E)
    meaning = ", ".join(names) + more + (f"; spells: {spelled}" if spelled else "")
    return Part(" ".join(codes[:_NAMED]) + more, meaning)


_NAMED = 4
_HIDDEN = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}
