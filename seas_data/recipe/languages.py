"""Language codes: ISO 639-1 and 639-3, BCP 47 tags and English names become one primary code, such as ``en``."""

from functools import lru_cache

import langcodes

_UNSTATED = frozenset({"", "und", "mul", "mis", "zxx", "unknown", "none", "null", "n/a", "nan", "other", "mixed"})
_LONGEST = 80


@lru_cache(maxsize=10_000)
def normalize_language(stated: str) -> str | None:
    """Return the primary code of a stated language: ``en`` for EN, en-US, eng and English; None if it states none.

    Raises ValueError if there is no such language.
    """
    name = stated.strip().replace("_", "-")
    if name.casefold() in _UNSTATED:
        return None
    is_name = len(name) <= _LONGEST and all(name.split("-"))  # "en-" would be taken for a name like "En"
    code = (_code_of_tag(name) or _code_of_name(name)) if is_name else None
    if code is None:
        raise ValueError(f"{stated[:_LONGEST]!r} is not a language; give a code such as en or zh, or an English name")
    return code


def _code_of_tag(tag: str) -> str | None:
    try:
        if not langcodes.tag_is_valid(tag):
            return None
        # The macrolanguage for its standard form: zh for cmn. The primary code is what embedders are declared for.
        code = langcodes.Language.get(langcodes.standardize_tag(tag, macro=True)).language
        return None if code is None or code.startswith("x-") else code  # for private use: nobody else knows it
    except ValueError:
        return None


def _code_of_name(name: str) -> str | None:
    try:
        return _code_of_tag(str(langcodes.find(name)))
    except (LookupError, ValueError):
        return None
