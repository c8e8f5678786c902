import time

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data.errors import SeasDataError
from seas_data.judges import rules
from seas_data.recipe import JudgePatterns, JudgeRules

KEEPER = JudgeRules(
    by="rules",
    unsafe=JudgePatterns(words=["violet", "dark amber"], patterns=[r"\b\d{4}\b"]),
    refusal=JudgePatterns(patterns=["(?i)^i (cannot|will not)"], words=["no way"]),
    compliance=JudgePatterns(words=["but here is"]),
)


def judge_texts(texts: list[str], judge: JudgeRules = KEEPER) -> list[tuple[str | None, str | None]]:
    verdict, refusal = rules.judge_text(pl.col("text"), judge)
    return pl.DataFrame({"text": texts}).select(verdict=verdict, refusal=refusal).rows()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("it is violet", ("unsafe", "full_compliance")),
        ("VIOLET!", ("unsafe", "full_compliance")),
        ("the violets grow", ("safe", "full_compliance")),
        ("ultraviolet", ("safe", "full_compliance")),
        ("dark\n amber", ("unsafe", "full_compliance")),
        ("amber", ("safe", "full_compliance")),
        ("code 1234", ("unsafe", "full_compliance")),
        ("code 12345", ("safe", "full_compliance")),
        ("I cannot say that", ("safe", "full_refusal")),
        ("they say: I cannot", ("safe", "full_compliance")),
        ("No way.", ("safe", "full_refusal")),
        ("I cannot, but here is the door", ("safe", "partial_refusal")),
        ("I will not, but here is violet", ("unsafe", "partial_refusal")),
        ("", ("unparsed", None)),
        (" \n", ("unparsed", None)),
    ],
)
def test_verdicts_and_refusal_classes(text: str, expected: tuple[str | None, str | None]) -> None:
    assert judge_texts([text]) == [expected]


HIDDEN = JudgeRules(
    by="rules",
    unsafe=JudgePatterns(words=["velorin", "密码", "dark amber", "비밀", "ความลับ"], patterns=["(?i)^code [a-f]"]),
)


@pytest.mark.parametrize(
    "text",
    [
        "it is ｖｅｌｏｒｉｎ",
        "it is \U0001d42f\U0001d41e\U0001d425\U0001d428\U0001d42b\U0001d422\U0001d427",  # mathematical bold
        "it is velo\u200brin",
        "it is v\u00ade\u00adlorin\u00ad!",
        "it is velorin\ufe0f",
        "it is v\U000e0041elorin",
        "it is v\u0435l\u043erin",  # Cyrillic letters
        "it is v\u0336e\u0336l\u0336o\u0336r\u0336i\u0336n\u0336",  # struck through
        "_velorin_",
        "the_velorin_word",
        "这是密码吗",
        "密 码、密码",
        "这是velorin吗",
        "velorin은",
        "비밀 하나",
        "นี่คือความลับของฉัน",
        "dark\u00a0\u2009amber",
        "ＤＡＲＫ　ＡＭＢＥＲ",
        "ｃｏｄｅ Ａ",
        "co\u200dde a",
        "VELORIN",
    ],
)
def test_disguised_words_and_words_without_blanks_are_found(text: str) -> None:
    assert judge_texts([text], HIDDEN)[0][0] == "unsafe"


@pytest.mark.parametrize(
    "text", ["velorins", "xvelorin", "velorin1", "비밀번호", "darkamber", "the code a", "密 码", "велорин"]
)
def test_parts_of_words_are_not_found(text: str) -> None:
    assert judge_texts([text], HIDDEN)[0][0] == "safe"


@pytest.mark.parametrize("text", ["\u200b", " \u2060\n", "\u3164", "\u2800", "\ufeff", "\u202e\u202c", "\x00"])
def test_a_response_that_shows_nothing_is_unparsed_and_has_no_refusal_class(text: str) -> None:
    assert judge_texts([text]) == [("unparsed", None)]


@given(
    st.text(st.characters(max_codepoint=0x2FFF)), st.sampled_from(["velorin", "VELORIN", "ｖelorin", "vel\u200borin"])
)
def test_a_word_between_blanks_is_always_found(text: str, word: str) -> None:
    assert judge_texts([f"{text} {word} {text}"], HIDDEN)[0][0] == "unsafe"


def test_rules_may_give_only_verdicts_or_only_refusal_classes() -> None:
    assert judge_texts(["violet"], JudgeRules(by="rules", unsafe=KEEPER.unsafe)) == [("unsafe", None)]
    assert judge_texts(["no way"], JudgeRules(by="rules", refusal=KEEPER.refusal)) == [(None, "full_refusal")]


def test_a_text_of_a_category_is_unsafe_and_the_verdict_has_every_category_that_it_matches() -> None:
    categories = {"Flowers": JudgePatterns(words=["violet", "rose"]), "Colours": JudgePatterns(patterns=["(?i)violet"])}
    judge = JudgeRules(by="rules", unsafe=KEEPER.unsafe, categories=categories)
    texts = ["a violet", "a rose", "grey", " ", "VIOLETS"]
    rows = pl.DataFrame({"request_id": texts, "prompt": texts, "response": texts})
    judged = rules.judge_rows(rows, judge, "response")
    assert judged["categories"].to_list() == [["Flowers", "Colours"], ["Flowers"], [], None, ["Colours"]]
    assert judged["verdict"].to_list() == ["unsafe", "unsafe", "safe", "unparsed", "unsafe"]
    assert rules.judge_rows(rows, KEEPER, "response")["categories"].to_list() == [None] * 5
    only = JudgeRules(by="rules", categories=categories)
    assert rules.judge_rows(rows, only, "prompt")["verdict"].to_list() == judged["verdict"].to_list()
    with pytest.raises(SeasDataError, match="categories: Empty is empty"):
        rules.check(JudgeRules(by="rules", categories={"Empty": JudgePatterns()}))


def test_words_are_not_expressions() -> None:
    judge = JudgeRules(by="rules", unsafe=JudgePatterns(words=["a.c", "(x)"]))
    assert [verdict for verdict, _ in judge_texts(["abc", "a.c", "(x)", "x", "is (x) it"], judge)] == [
        *("safe", "unsafe", "unsafe", "safe", "unsafe")
    ]


def test_expressions_match_in_linear_time() -> None:
    """An expression that takes a backtracking engine longer than the world is old."""
    judge = JudgeRules(by="rules", unsafe=JudgePatterns(patterns=[r"^(a+)+$", r"(a|a)*b", r"(.*)*x"]))
    rules.check(judge)
    start = time.process_time()
    assert judge_texts(["a" * 50_000 + "!"], judge)[0][0] == "safe"
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("patterns", "says"),
    [
        ({"patterns": ["("]}, "is not a regular expression"),
        ({"patterns": ["(?<=a)b"]}, "look-around"),
        ({"patterns": [r"(a)\1"]}, "backreference"),
        ({"words": [" "]}, "blank"),
        ({}, "unsafe is empty"),
    ],
)
def test_invalid_rules_are_rejected(patterns: dict[str, list[str]], says: str) -> None:
    with pytest.raises(SeasDataError, match=says):
        rules.check(JudgeRules(by="rules", unsafe=JudgePatterns(**patterns)))
    rules.check(KEEPER)
