"""Texts between tags inside a judge's prompt: no text can end its own block."""

import re
from collections.abc import Sequence


def break_tags(text: str, names: Sequence[str]) -> str:
    """Return ``text`` with a blank inside each opening or closing tag that has one of ``names``."""
    return _tags(names).sub(lambda match: f"{match[0]} ", text)


def has_tags(text: str, names: Sequence[str]) -> bool:
    """Return whether ``break_tags`` changes ``text``."""
    return _tags(names).search(text) is not None


def _tags(names: Sequence[str]) -> re.Pattern[str]:
    spaced = "|".join(r"\s+".join(map(re.escape, name.split())) for name in names)
    return re.compile(rf"<(?=\s*/?\s*(?:{spaced})\s*>)", re.IGNORECASE)
