"""Normalisation and ids of texts, and forms of them that are safe to print.

Prompts are attacks. They are stored unchanged, compared after ``normalise``, and printed after ``printable``, so that
no character can move the cursor, reorder a line or open a link.
"""

import functools
import hashlib
import json
import re
import unicodedata
from collections.abc import Callable
from typing import Final

from seas_data import unicode_tables


def normalise(text: str) -> str:
    """Return ``text`` in NFC, case-folded and with white space collapsed; texts equal in this form are duplicates."""
    if text.isascii():
        return " ".join(text.lower().split())
    return " ".join(unicode_tables.fold_case(unicode_tables.compose(text)).split())


def content_id(kind: str, *parts: str | int | None) -> str:
    """Return an id made of ``parts``: 24 hex digits of their SHA-256. Ids of different ``kind`` differ."""
    listed = ",".join([_quote(part) if type(part) is str else _encode(part) for part in (kind, *parts)])
    return hashlib.sha256(f"[{listed}]".encode()).hexdigest()[:24]


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_quote = json.encoder.encode_basestring  # what ``_encode`` does with a text; for the whole list it takes twice as long


def text_digest(text: str) -> str:
    """Return the id of the normalised text, which exact duplicates share."""
    return content_id("text", normalise(text))


def printable(text: str) -> str:
    """Return ``text`` on one line, with control, format (bidi, zero-width), blank and private characters escaped."""
    if text.isprintable() and (text.isascii() or not _mark_runs().search(text)):
        return text
    text = _mark_runs().sub(lambda run: _shown_marks(run[0], lambda c: f"\\u{{{ord(c):x}}}"), text)
    return "".join(
        " "
        if c in "\n\r\t" or unicodedata.category(c) == "Zs"
        else c
        if unicodedata.category(c) not in _UNSAFE
        else f"\\u{{{ord(c):x}}}"
        for c in text
    )


def escape_json(document: str) -> str:
    """Return a JSON document with the characters that ``printable`` escapes as ``\\u`` escapes: the same data."""
    if document.isascii() and document.isprintable():
        return document
    document = _mark_runs().sub(lambda run: _shown_marks(run[0], lambda c: json.dumps(c)[1:-1]), document)
    return "".join(json.dumps(c)[1:-1] if c != "\n" and unicodedata.category(c) in _UNSAFE else c for c in document)


@functools.cache
def _mark_runs() -> re.Pattern[str]:
    """Return the pattern of letters and marks that show nothing, and of runs of combining marks so long that they cover
    the lines around them.
    """
    codes = (*range(0x300, 0x20000), *range(0xE0100, 0xE01F0))  # the planes with marks
    marks = "".join(re.escape(c) for c in map(chr, codes) if unicodedata.category(c) in ("Mn", "Me") and c not in BLANK)
    return re.compile(f"[{BLANK}]|[{marks}]{{{MAX_MARKS + 1},}}")


def _shown_marks(run: str, escape: Callable[[str], str]) -> str:
    """Return a match of ``_mark_runs`` with what is to be escaped in it."""
    shown = 0 if run in BLANK else MAX_MARKS
    return run[:shown] + "".join(map(escape, run[shown:]))


BLANK: Final = "\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"
"""Letters and marks that show nothing, though they are neither blanks nor format characters."""
MAX_MARKS: Final = 8
"""Combining marks on one letter; no script needs more."""


def encoded_proportion(text: str) -> float:
    """Return the proportion of characters in unbroken runs of 40 or more letters and digits: Base64, URL escapes.

    Such text is noise to an embedder.
    """
    return sum(len(run) for run in _ENCODED.findall(text)) / max(1, len(text))


_ENCODED = re.compile(r"[A-Za-z0-9+/=%_\\-]{40,}")
_UNSAFE = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}


def masked(text: str, words: int = 4) -> str:
    """Return the first ``words`` of ``text`` and its length: how prompts are shown without ``--reveal``."""
    head = " ".join(text.split()[:words])
    return f"{printable(head[:40])}… ({len(text)} characters)"
