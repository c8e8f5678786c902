"""Rows that cannot be prompts are dropped once, with the limit that they break; holdout rows are left alone."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data.curate.outcome import DECISION_COLUMNS, Outcome, without
from seas_data.curate.validity import find_invalid
from tests.conftest import examples
from tests.curate.settings import LIMITS


def run(*texts: str, role: str = "training", **limits: int) -> Outcome:
    ids = [f"p{number}" for number in range(len(texts))]
    rows = pl.DataFrame({"prompt_id": ids, "text": texts}, schema={"prompt_id": pl.String, "text": pl.String})
    rows = rows.with_columns(role=pl.lit(role))
    decisions = find_invalid(rows, LIMITS.model_copy(update=limits))
    return Outcome(without(rows, decisions["prompt_id"]), decisions)


@pytest.mark.parametrize(
    "text", ["\u24d1\u24e1\u24d4\u24d0\u24d3", "\u249c\u249d\u249e", "\U0001f171\U0001f17e", "\U0001f1e9\U0001f1ea!"]
)
def test_letters_in_circles_brackets_squares_and_flags_are_text(text: str) -> None:
    assert run(text, min_characters=1).kept.height == 1


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        ("ab", ("too_short", 2.0, 3.0, None)),
        ("  ab \n", ("too_short", 2.0, 3.0, None)),
        ("", ("too_short", 0.0, 3.0, None)),
        ("门" * 21, ("too_long", 21.0, 20.0, None)),
        ("?! ... --", ("invalid", 9.0, None, "no letter, digit or emoji")),
        ("\u200b\u200b\u200b", ("invalid", 3.0, None, "no letter, digit or emoji")),
        ("\u3164\u3164\u3164", ("invalid", 3.0, None, "no letter, digit or emoji")),  # letters that show nothing
        ("\ufffd\ufffd a \ufffdb", ("invalid", 7.0, None, "mostly U+FFFD")),
    ],
)
def test_invalid_rows_are_dropped_with_the_violated_limit(
    text: str, decision: tuple[str, float, float | None, str | None]
) -> None:
    outcome = run("a door", text, max_characters=20)
    assert outcome.kept["prompt_id"].to_list() == ["p0"]
    assert outcome.decisions.select("reason", "score", "threshold", "detail").rows() == [decision]
    assert outcome.decisions.select("prompt_id", "step", "decision", "witness_id").row(0) == (
        "p1",
        "invalid",
        "drop",
        None,
    )


@pytest.mark.parametrize(
    "text",
    ["abc", "1+1", "门是红", "كيف", "ab\ufffdc", "दरवाज़ा", "🔪🔪🔪", "👩\u200d🚀", "🇫🇷🇩🇪", "❤️❤️", "\ufffd\ufffdab"],
)
def test_valid_rows_are_kept(text: str) -> None:
    outcome = run(text, text.strip())
    assert outcome.kept.height == 2
    assert outcome.decisions.is_empty()
    assert dict(outcome.decisions.schema) == DECISION_COLUMNS


def test_holdout_rows_do_not_change() -> None:
    assert run("?", "a door", role="holdout").kept.height == 2


@examples(30)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=8))
def test_every_row_is_kept_or_has_one_decision(texts: list[str]) -> None:
    outcome = run(*texts, max_characters=10)
    ids = outcome.kept["prompt_id"].to_list() + outcome.decisions["prompt_id"].to_list()
    assert sorted(ids) == sorted(f"p{number}" for number in range(len(texts)))
    assert outcome.kept["prompt_id"].is_sorted(), "in the order in which they came"
