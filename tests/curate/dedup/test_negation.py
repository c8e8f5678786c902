"""Texts of which one negates the other are related, not duplicates."""

import time

import numpy as np
import polars as pl
import pytest

from seas_data.curate.dedup.edges import find_edges, is_duplicate, must_stay_together
from seas_data.curate.dedup.items import Items, collect_items
from seas_data.curate.dedup.negation import find_negations
from seas_data.similarity.embeddings import Embedded
from tests.curate.dedup.test_edges import prompts, wrapped
from tests.curate.settings import curation

SAFE = "is the mushroom from the garden safe to eat"
MEANINGS = (SAFE, SAFE.replace("safe", "not safe"), SAFE.replace("safe", "unsafe"))


def negates(first: str, second: str, language: str | None = "en") -> bool:
    pair = pl.DataFrame({"left": [0], "right": [1]})
    texts, languages = pl.Series([first, second]), pl.Series([language, language], dtype=pl.String)
    return bool(find_negations(pair, texts, languages)[0])


@pytest.mark.parametrize(
    ("language", "first", "second"),
    [
        ("en", SAFE, "is the mushroom from the garden not safe to eat"),
        ("en", SAFE, "is the mushroom from the garden unsafe to eat"),
        ("en", "why does the bread rise", "why doesn't the bread rise"),
        ("en", "why does the bread rise", "why doesn\u2019t the bread rise"),
        ("en", "can one paint wet wood", "cannot one paint wet wood"),
        ("en", "always water the fern", "never water the fern"),
        ("en", "cakes with sugar", "cakes without sugar"),
        ("en", "legal ways to fish", "illegal ways to fish"),
        ("en", "is this dye harmful", "is this dye harmless"),
        ("en", "a toxic paint", "a non-toxic paint"),
        (None, "is it possible", "is it impossible"),
        ("de", "ist der Pilz giftig", "ist der Pilz nicht giftig"),
        ("de", "eine sichere Leiter", "eine unsichere Leiter"),
        ("es", "¿es seguro?", "¿no es seguro?"),
        ("fr", "il est possible", "il est impossible"),
        ("ru", "это безопасно", "это не безопасно"),
        ("zh", "这种蘑菇可以吃", "这种蘑菇不可以吃"),
        ("ja", "食べられる", "食べられない"),
        ("ko", "문을 열어요", "문을 안 열어요"),
        ("en", "do not water the fern and do not cut it", "do not water the fern and cut it"),
    ],
)
def test_a_negation_or_an_antonym_on_one_side_negates(language: str | None, first: str, second: str) -> None:
    assert negates(first, second, language) and negates(second, first, language)
    assert not negates(first, first.upper(), language)


@pytest.mark.parametrize(
    ("language", "first", "second"),
    [
        ("en", "check whether a year is a leap year or not", "check if a year is a leap year"),
        ("en", "compare safe and unsafe ladders", "what sets unsafe ladders apart from safe ones"),
        ("en", "how not to burn bread", "how do I not burn the bread"),
        ("en", "wait until dawn", "wait til dawn"),
        ("en", "the unit", "the it"),
        ("ko", "안녕 빵은 어떻게 구워요", "빵은 어떻게 구워요"),
        ("th", "เห็ดนี้กินได้หรือไม่", "เห็ดนี้กินได้ไหม"),
        ("zh", "这是不是蘑菇", "这是蘑菇吗"),
        ("zh", "非常好的蘑菇", "很好的蘑菇"),
        ("zh", "没收这些蘑菇", "拿走这些蘑菇"),
    ],
)
def test_the_same_in_other_words_negates_nothing(language: str, first: str, second: str) -> None:
    assert not negates(first, second, language)


def test_texts_in_different_languages_are_not_compared() -> None:
    texts = pl.Series(["no, the bread is fresh", "le pain est frais"])
    pair = pl.DataFrame({"left": [0], "right": [1]})
    for languages, negated in ((["en", "fr"], False), (["en", None], True)):
        assert find_negations(pair, texts, pl.Series(languages)).to_list() == [negated]


def embed_alike(items: Items) -> Embedded:
    """Embed all texts as one point."""
    count = items.items.height
    lookup = items.items.select(
        model=pl.lit("point"),
        row=pl.int_range(count, dtype=pl.Int64),
        windows=pl.lit(1, pl.Int64),
        detail=pl.lit(None, pl.String),
    )
    return Embedded(lookup, {"point": np.tile(np.array([[1, 0]], np.float32), (count, 1))})


def test_negated_texts_are_related_and_stay_together() -> None:
    rows = prompts(*zip("abc", MEANINGS, strict=True), ("d", "is the garden mushroom one that is safe to eat"))
    items = collect_items(rows, wrapped())
    for settings, related in ((curation(), 5), (curation(separate_negations=False), 0)):
        edges = find_edges(items, embed_alike(items), settings).duplicates
        assert edges.height == 6 and edges.filter(must_stay_together(settings)).height == 6
        assert edges.filter(~is_duplicate(settings)).height == related
    plain = find_edges(items, embed_alike(items), curation()).duplicates.filter(is_duplicate(curation()))
    assert plain.select("prompt_id", "neighbour_id").rows() == [("a", "d")]


def test_near_duplicates_that_differ_by_a_negation_are_related() -> None:
    long = "how long may fresh bread lie on the wooden table of the kitchen before the baker says that it is {} to eat"
    items = collect_items(prompts(("a", long.format("safe")), ("b", long.format("unsafe"))), wrapped())
    edges = find_edges(items, None, curation(semantic=None)).duplicates
    assert edges["reason"].to_list() == ["related"]


def test_long_texts_are_compared_quickly() -> None:
    words = [f"word{number}" for number in range(4_000)]
    start = time.process_time()
    assert not negates(" ".join(words), " ".join(f"un{number}" for number in range(4_000)))
    assert time.process_time() - start < 1
