"""Languages of rows: the code that a source states, normalised, or else the language detected from the text.

The detector (py3langid) carries its model in its package, so that a build needs no download; its version is pinned in
`pyproject.toml`, because another one may decide differently. It chooses among ``LANGUAGES``: with rare languages among
them, short English texts were often taken for one of those. Of the 3,090 prompts of MultiJail it names the language of
99.6 %, of XSTest's short English questions 99.8 %.
"""

from functools import cache
from typing import TYPE_CHECKING, Final

import polars as pl

from seas_data import progress
from seas_data.recipe.languages import normalize_language
from seas_data.unicode_tables import category

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

_CODES: Final = (
    "af am ar az be bg bn bs ca cs cy da de el en es et eu fa fi fr ga gl gu ha he hi hr hu hy "
    "id ig is it ja jv ka kk km kn ko ky lo lt lv mg mk ml mn mr ms mt my ne nl nn no om or pa "
    "pl ps pt ro ru rw si sk sl so sq sr sv sw ta te tg th tl tr ug uk ur uz vi xh yo zh zu "
)
LANGUAGES: Final = frozenset(_CODES.split())
"""The languages that are detected, among them the ten of MultiJail."""
MIN_PROBABILITY: Final = 0.3
"""A less probable language is not taken: the text has too few words."""
SURE_PROBABILITY: Final = 0.95
"""A detected language this probable replaces the stated one, if the source has ``check_language``."""
_CHARACTERS: Final = 2_000


def is_language(stated: str) -> bool:
    """Return whether a stated language is one, or states that it is unknown."""
    try:
        normalize_language(stated)
    except ValueError:
        return False
    return True


def detect_languages(texts: pl.Series, name: str, min_probability: float = MIN_PROBABILITY) -> pl.Series:
    """Return the language of each text; null where it is less probable than ``min_probability``.

    ``name``: of the source, for the progress bar.
    """
    if texts.is_empty():
        return pl.Series([], dtype=pl.String)
    detector = _detector()
    languages: list[str | None] = []
    with progress.bar(texts.len(), f"detecting languages of {name}") as bar:
        for text in texts:
            start = text[:_CHARACTERS]
            has_letter = any(category(character).startswith("L") for character in start)
            language, probability = detector.classify(start) if has_letter else ("", 0.0)
            languages.append(language if probability >= min_probability else None)
            bar.update(1)
    return pl.Series(languages, dtype=pl.String)


@cache
def _detector() -> "LanguageIdentifier":
    from py3langid import langid

    detector = langid.LanguageIdentifier.from_model_file(langid.MODEL_FILE, norm_probs=True)
    detector.set_languages(LANGUAGES)
    return detector
