"""Negation: whether two similar texts differ by one, as *safe to eat*, *not safe to eat* and *unsafe to eat* do.

Embeddings hardly see a negation, and among the characters of a long text it is lost. The guard is cheap: it counts
negating words and compares the words that only one of the texts has. It knows a few words of each language in
``_NEGATIONS`` and ``_INSIDE_WORDS``; texts in other languages never differ for it. Its accuracy on real pairs is in
docs/curation.md.
"""

import re
from collections import Counter
from functools import lru_cache
from typing import Final

import polars as pl

from seas_data.curate.dedup.word_pairs import compare_words
from seas_data.folding import fold

_NEGATIONS: Final[dict[str, str]] = {
    "ar": "لا ليس ليست لم لن غير بدون دون عدم",
    "bn": "না নেই নয় নয় নি বিনা",
    "de": "nicht nichts kein keine keinem keinen keiner keines nie niemals niemand ohne weder",
    "en": "not no never none nobody nothing nowhere neither without non dont doesnt didnt cant isnt arent wasnt "
    "shouldnt couldnt wouldnt",
    "es": "no nunca jamás nada nadie ningún ninguno ninguna sin ni tampoco",
    "fr": "pas jamais rien aucun aucune sans non ni nul nulle",
    "it": "non no mai niente nulla nessuno nessuna nessun senza né",
    "jv": "ora ojo aja dudu tanpa mboten",
    "nl": "niet geen nooit niets niemand zonder",
    "pt": "não nunca jamais nada ninguém nenhum nenhuma sem nem",
    "ru": "не ни нет без никогда ничего никто нельзя",
    "sw": "si sio siyo hapana bila hakuna wala",
    "vi": "không chưa chẳng đừng",
}
_ANTONYM_PREFIXES: Final[dict[str, str]] = {
    "de": "un miss nicht",
    "en": "un in im il ir dis non mis anti",
    "es": "in im i ir des anti",
    "fr": "in im il ir dé dés mal anti",
    "it": "in im il ir dis anti",
    "nl": "on anti",
    "pt": "in im i ir des anti",
    "ru": "не без бес",
}
_ANTONYM_SUFFIXES: Final[dict[str, tuple[str, str]]] = {
    "de": ("los", "voll"),
    "en": ("less", "ful"),
    "nl": ("loos", "vol"),
}
_INSIDE_WORDS: Final[dict[str, str]] = {
    "ja": "ない|なく|なかった|ません|[無不未非](?!常)",
    "ko": "않|없|아니|못|안(?= )",
    "th": "(?<!หรือ)ไม่|อย่า|ไร้",
    # Not: different, "or not", whether, A-not-A questions, merely, but, very, future, other people, especially, drone.
    "zh": "(?!不同|不仅|不僅|不但|不过|不過)(?<![是能])不|[没沒](?!收)|[無无](?!人机|人機)|未(?!来|來)|勿|莫"
    "|(?<![特区級级分类類])别(?!人)|非(?![常洲])",
}
"""Patterns for languages that put a negation inside a word, or write no blanks between words."""
_MIN_LETTERS: Final = 4
"""Shorter words make no antonym with a prefix: *til* and *until*, *it* and *unit*."""
_WORD: Final = re.compile(r"[^\s!-/:-@\[-`{-~。，！？、؟،।«»“”„‘’…¿¡]+")
_SHORTENED: Final = re.compile(r"n['’]t\b")
_OR_NOT: Final = re.compile(r"\b(?:or not|oder nicht|o no|ou non|ou pas|o non|of niet|ou não|или нет)\b")
_HYPHENATED: Final = re.compile(r"\b(non|un|dis|anti)-(?=\w)")


def find_negations(pairs: pl.DataFrame, texts: pl.Series, languages: pl.Series) -> pl.Series:
    """Return for each pair of similar texts whether one of them negates what the other says.

    It does if the texts have different numbers of negating words (*or not* is none), or if one has a word and the other
    its antonym with a prefix or suffix. A text without a language is taken for English.

    Input columns: of ``pairs``: ``left`` and ``right``, rows of ``texts`` and ``languages``.
    """
    found = compare_words(pairs, lambda row: _read(texts[row], languages[row] or "en"), _differ)
    return pl.Series("negates", found, dtype=pl.Boolean)


_Read = tuple[str, frozenset[str], int]


def _read(text: str, language: str) -> _Read:
    """Return the language, the words and the number of negations; in English *isn't* and *cannot* are two words."""
    text = _OR_NOT.sub(" ", _HYPHENATED.sub(r"\1", fold(text)))
    if language == "en":
        text = _SHORTENED.sub(" not", text).replace("cannot", "can not")
    words = Counter(_WORD.findall(text))
    if pattern := _INSIDE_WORDS.get(language):
        return language, frozenset(words), len(re.findall(pattern, text))
    return language, frozenset(words), sum(words[each] for each in _negations(language))


def _differ(first: _Read, second: _Read) -> bool:
    (language, words, negations), (other_language, other_words, other_negations) = first, second
    if language != other_language:
        return False
    return negations != other_negations or _has_antonym(words - other_words, other_words - words, language)


@lru_cache
def _negations(language: str) -> frozenset[str]:
    return frozenset(fold(_NEGATIONS.get(language, "")).split())


def _has_antonym(first: frozenset[str], second: frozenset[str], language: str) -> bool:
    prefixes = _ANTONYM_PREFIXES.get(language, "").split()
    less, full = _ANTONYM_SUFFIXES.get(language, ("", ""))
    for words, others in ((first, second), (second, first)):
        for word in words:
            if any(
                word.startswith(prefix) and len(word) >= len(prefix) + _MIN_LETTERS and word[len(prefix) :] in others
                for prefix in prefixes
            ):
                return True
            if less and word.endswith(less) and word.removesuffix(less) + full in others:
                return True
    return False
