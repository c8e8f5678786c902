"""Text: its normal form, its identity, and a form of it that is safe to show.

Prompts are attacks. What is stored is the text as it came; what is compared is ``normalise``; what reaches a terminal
is ``printable``, in which nothing can move the cursor, reorder a line or open a link.
"""

import hashlib
import json
import re
import unicodedata


def normalise(text: str) -> str:
    """Return ``text`` in NFC, case-folded, white space collapsed: the form in which texts count as the same."""
    return " ".join(unicodedata.normalize("NFC", text).casefold().split())


def content_id(kind: str, *parts: str | int | None) -> str:
    """Return 24 hex digits of the SHA-256 of ``parts``, told apart by ``kind``: the id of whatever they make up."""
    return hashlib.sha256(_compact([kind, *parts]).encode()).hexdigest()[:24]


_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # made once: half of an id's time else


def text_digest(text: str) -> str:
    """Return the id of the normalised text: equal for exact duplicates whatever their source."""
    return content_id("text", normalise(text))


def printable(text: str) -> str:
    """Return ``text`` on one line with every control, format (bidi, zero-width) and private character made visible."""
    if text.isprintable():  # none of those, by the same categories
        return text
    return "".join(
        " "
        if c in "\n\r\t" or unicodedata.category(c) == "Zs"
        else c
        if unicodedata.category(c) not in _UNSAFE
        else f"\\u{{{ord(c):x}}}"
        for c in text
    )


def encoded_proportion(text: str) -> float:
    """Return the share of ``text`` in runs of 40 or more letters and digits that no blank breaks: Base64, URL escapes.

    An encoded request is unlike every other to a person, and nothing but noise to an embedder.
    """
    return sum(len(run) for run in _ENCODED.findall(text)) / max(1, len(text))


_ENCODED = re.compile(r"[A-Za-z0-9+/=%_\\-]{40,}")
_UNSAFE = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}


def masked(text: str, words: int = 4) -> str:
    """Return the first words of ``text`` and its length, which is all that is shown of a prompt unless asked for."""
    head = " ".join(text.split()[:words])
    return f"{printable(head[:40])}… ({len(text)} characters)"
