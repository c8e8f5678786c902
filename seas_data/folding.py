"""Folded forms of texts, for comparison only: a stored text never changes.

========================  =============================================================================================
``fold``                  NFKC, case folded, invisible characters removed, white space collapsed
``remove_disguise``       NFKC, invisible characters removed; case and white space as they are
``fold_look_alikes``      ``fold``, and letters that look like Latin ones replaced by them: for leaks and lists of words
``fold_width``            full-width forms as ASCII in East Asian texts, where both are ordinary
``leak_digest``           the id of ``fold_look_alikes``, by which leaks and takedowns recognise a text
``is_blank``              whether a text shows nothing
``has_hidden_payload``    whether a text carries data in invisible characters
========================  =============================================================================================

Invisible are the characters that Unicode lets a display ignore (zero-width and bidi characters, soft hyphens, variation
selectors, tags, fillers), controls, and the blank Braille pattern. The Unicode tables are pinned (``unicode_tables``)
and not those of the Python release, so a text has the same folded form everywhere. The folded form of a plain ASCII
text is its ``text.normalise``.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Final

import polars as pl

from seas_data.text import content_id
from seas_data.unicode_tables import compose_compatibly, replacer, tables, versions

VERSION: Final = "2"
"""Changes with the folded forms: with the rules here, or with the tables of ``unicode_tables``.

A version of a workspace keeps the leak digests that it was made with, and a takedown those that it was recorded with:
``leak_digests_of_all_versions`` recognises them. Version 1 replaced no small capitals and no enclosed letters.
"""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_LOOSE_MARKS: Final = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+")
_WIDTHS: Final = {0xFEE0 + code: code for code in range(0x21, 0x7F)} | {0x3000: 0x20}
_NOT_PLAIN_CLASS: Final = r"[^\t-\r\x1c-~]"
_NOT_PLAIN: Final = re.compile(_NOT_PLAIN_CLASS)
_WIDE: Final = re.compile("[\uff01-\uff5e\u3000]")
_LATIN: Final = "abcdefghijklmnopqrstuvwxyz"
_SMALL_CAPITALS: Final = (
    "\u1d00\u0299\u1d04\u1d05\u1d07\ua730\u0262\u029c\u026a\u1d0a\u1d0b\u029f\u1d0d"  # a to m
    "\u0274\u1d0f\u1d18\ua7af\u0280\ua731\u1d1b\u1d1c\u1d20\u1d21\u028f\u1d22"  # n to z; there is no x
)
_ENCLOSED: Final = (0x1F150, 0x1F170)
"""First letters of the white letters in black circles and squares, which NFKC does not change, unlike others."""
_FLAG: Final = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]{2,6}\U000e007f")
_PAYLOAD: Final = re.compile("[\U000e0000-\U000e007f]|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2}")


def version() -> str:
    """Return the version of the folded forms, as a version of a workspace records it: of the rules and the tables."""
    return f"{VERSION} ({versions()})"


def fold(text: str) -> str:
    """Return ``text`` in NFKC, case-folded, without invisible characters and with white space collapsed.

    The form is stable: ``fold(fold(text)) == fold(text)``.
    """
    if text.isascii():
        text = " ".join(text.lower().split())
        return text if text.isprintable() else " ".join(text.translate(_fold_table()).split())
    return _fold(text)


def fold_look_alikes(text: str) -> str:
    """Return ``fold(text)`` with letters that look like Latin ones replaced by them, and without loose marks.

    The look-alikes are those of Unicode TR 39 for letters, small capitals, and letters in circles and squares. A loose
    mark is a combining mark that forms no letter, such as a stroke through a letter. Texts that are equal in ``fold``
    are equal here. ASCII letters are never replaced (TR 39 also takes ``rn`` for ``m`` and ``0`` for ``O``), so plain
    ASCII texts keep their form.
    """
    if text.isascii():
        return fold(text)
    return _without_look_alikes(_fold(text), _replace_look_alikes())


def remove_disguise(text: str) -> str:
    """Return ``text`` in NFKC and without invisible characters; case and white space stay."""
    if text.isascii() and text.isprintable():
        return text
    normal = compose_compatibly(_SURROGATE.sub("\ufffd", text))
    return compose_compatibly(_remove_ignorable()(normal))


def fold_width(text: str) -> str:
    """Return ``text`` with full-width letters, digits and punctuation as ASCII ones, if it is written in an East Asian
    script: there, both widths are ordinary. Elsewhere full-width letters are a disguise and stay.
    """
    if text.isascii() or not _WIDE.search(text) or not is_written_without_blanks(text):
        return text
    return text.translate(_WIDTHS)


def leak_digest(text: str) -> str:
    """Return the id of ``fold_look_alikes(text)``: of plain ASCII, without control characters, its ``text_digest``."""
    return content_id("text", fold_look_alikes(text))


def leak_digests_of_all_versions(text: str) -> set[str]:
    """Return the leak digest of ``text``, and those that earlier versions of the folded forms gave it."""
    if text.isascii():
        return {leak_digest(text)}
    folded = _fold(text)
    replace_each = (_replace_look_alikes(), _replace_look_alikes_of_version_1())
    return {content_id("text", _without_look_alikes(folded, replace)) for replace in replace_each}


def leak_digests(prompts: pl.DataFrame) -> pl.Series:
    """Return the leak digest of each text.

    Input columns: ``text``, ``text_digest``.
    """
    rows = prompts.select("text", "text_digest").iter_rows()
    digests = [leak_digest(text) if _NOT_PLAIN.search(text) else digest for text, digest in rows]
    return pl.Series("leak_digest", digests, dtype=pl.String)


def has_plain_digest(text: pl.Expr) -> pl.Expr:
    """Return whether each text is plain ASCII, so that its leak digest is its ``text_digest``; null for a null."""
    return ~text.str.contains(_NOT_PLAIN_CLASS)


def is_blank(text: str) -> bool:
    """Return whether ``text`` shows nothing: it is empty, or all of it is white space or invisible."""
    return not fold(text)


def shows_nothing(text: pl.Expr) -> pl.Expr:
    """Return ``is_blank`` of each text."""
    return text.str.contains(_invisible_pattern())


def has_hidden_payload(text: str) -> bool:
    """Return whether ``text`` carries data in invisible characters: tags, or a run of variation selectors.

    A flag emoji is spelt with tags and is no payload.
    """
    return not text.isascii() and _PAYLOAD.search(_FLAG.sub("", text)) is not None


def scripts_without_blanks() -> str:
    """Return the letters of scripts written without blanks between words, as the inside of a character class."""
    return "".join(f"\\x{{{first:x}}}-\\x{{{last:x}}}" for first, last in tables()["without_blanks"])


def is_written_without_blanks(text: str) -> bool:
    """Return whether ``text`` has a character of a script that is written without blanks between words, such as Han."""
    return _without_blanks_pattern().search(text) is not None


def _fold(text: str) -> str:
    text = _SURROGATE.sub("\ufffd", text)
    while True:
        folded = compose_compatibly(_replace_folded()(compose_compatibly(text)))
        if folded == text:  # a text needs one pass, and a few exotic ones need two
            return " ".join(folded.split())
        text = folded


def _without_look_alikes(folded: str, replace: Callable[[str], str]) -> str:
    plain = _LOOSE_MARKS.sub("", replace(folded))
    return folded if plain == folded else _fold(plain)


@cache
def _fold_table() -> dict[int, str | None]:
    return {ord(character): fold for character, fold in tables()["casefold"].items()} | _ignorable_table()


@cache
def _replace_folded() -> Callable[[str], str]:
    return replacer(_fold_table())


@cache
def _ignorable_table() -> dict[int, str | None]:
    return {code: None for first, last in tables()["ignorable"] for code in range(first, last + 1)}


@cache
def _remove_ignorable() -> Callable[[str], str]:
    return replacer(_ignorable_table())


@cache
def _look_alike_table() -> dict[int, str]:
    shapes = {ord(shape): letter for shape, letter in zip(_SMALL_CAPITALS, _LATIN.replace("x", ""), strict=True)}
    for first in _ENCLOSED:
        shapes |= {first + number: letter for number, letter in enumerate(_LATIN)}
    return _look_alike_table_of_version_1() | shapes


@cache
def _look_alike_table_of_version_1() -> dict[int, str]:
    return {ord(character): latin for character, latin in tables()["look_alikes"].items()}


@cache
def _replace_look_alikes() -> Callable[[str], str]:
    return replacer(_look_alike_table())


@cache
def _replace_look_alikes_of_version_1() -> Callable[[str], str]:
    return replacer(_look_alike_table_of_version_1())


@cache
def _without_blanks_pattern() -> re.Pattern[str]:
    return re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in tables()["without_blanks"]) + "]")


@cache
def _invisible_pattern() -> str:
    ranges = "".join(f"\\x{{{first:x}}}-\\x{{{last:x}}}" for first, last in tables()["ignorable"])
    return rf"\A[\s\x1c-\x1f{ranges}]*\z"
