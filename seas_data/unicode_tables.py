"""Pinned Unicode tables: the same for every Python release, which brings tables of its own.

Case folding, invisible characters and look-alikes are those of ``folding.json`` (Unicode 17.0, taken from ICU by
``benchmarks/make_folding_tables.py``); composition and categories are those of unicodedata2. A change of either changes
``folding.VERSION``. Whatever decides about a text asks these tables. Python's own serve where they cannot differ, such
as for white space, and in ``text.printable``, which decides nothing.
"""

import json
import re
from collections.abc import Callable, Mapping
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
    return text.lower() if text.isascii() else _replace_case()(text)


def category(character: str) -> str:
    """Return the general category of ``character``, such as ``Lu``."""
    return str(unicodedata2.category(character))


def is_alphanumeric(character: str) -> bool:
    """Return whether ``character`` is a letter or a number."""
    return category(character).startswith(("L", "N"))


def replacer(table: Mapping[int, str | None]) -> Callable[[str], str]:
    """Return a function that does what ``str.translate`` does with ``table``, faster: most characters are not in it.

    A pattern finds the runs of characters that may be, which are few; ``str.translate`` looks each character up.
    """
    replaced = "".join(re.escape(chr(code)) for code in table if code <= 0xFFFF)
    runs = re.compile(f"[{replaced}\U00010000-\U0010ffff]+")  # all beyond U+FFFF: listing them makes the pattern slow
    return lambda text: runs.sub(lambda run: run[0].translate(table), text)


@cache
def _replace_case() -> Callable[[str], str]:
    return replacer({ord(character): fold for character, fold in tables()["casefold"].items()})
