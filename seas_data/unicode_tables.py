"""Pinned Unicode tables: the same for every Python release, which brings tables of its own.

Case folding, invisible characters and look-alikes are those of ``folding.json`` (Unicode 17.0, taken from ICU by
``benchmarks/make_folding_tables.py``); composition and categories are those of unicodedata2. A change of either changes
``folding.VERSION``. Whatever decides about a text asks these tables. Python's own serve where they cannot differ, such
as for white space, and in ``text.printable``, which decides nothing.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any

import unicodedata2


@cache
def tables() -> dict[str, Any]:
    """Return the tables of ``folding.json``."""
    content: dict[str, Any] = json.loads(Path(__file__).with_name("folding.json").read_text(encoding="utf-8"))
    return content


def versions() -> str:
    """Return the versions of Unicode: of case, invisible characters and look-alikes, and of composition."""
    return f"Unicode {tables()['unicode']}, composition {unicodedata2.unidata_version}"


def compose(text: str) -> str:
    """Return ``text`` in NFC."""
    return str(unicodedata2.normalize("NFC", text))


def compose_compatibly(text: str) -> str:
    """Return ``text`` in NFKC."""
    return str(unicodedata2.normalize("NFKC", text))


def fold_case(text: str) -> str:
    """Return ``text`` case-folded."""
    return text.lower() if text.isascii() else text.translate(_case_table())


def category(character: str) -> str:
    """Return the general category of ``character``, such as ``Lu``."""
    return str(unicodedata2.category(character))


def is_alphanumeric(character: str) -> bool:
    """Return whether ``character`` is a letter or a number."""
    return category(character).startswith(("L", "N"))


@cache
def _case_table() -> dict[int, str]:
    return {ord(character): fold for character, fold in tables()["casefold"].items()}
