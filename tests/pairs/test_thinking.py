"""Thinking in pairs: never a side of its own, in a side only where the recipe says so, in no public release."""

import polars as pl
import pytest

from seas_data import recipe
from seas_data.pairs import harmless_pairs, mart_harmless, mart_target, target_pairs
from seas_data.release.visibility import redact
from tests.pairs.worlds import NOTHING, World, world

HARMLESS = {"verdict": "safe", "refusal": "full_compliance"}
REFUSED = {"verdict": "safe", "refusal": "full_refusal"}


def thinking_world(answers: list[object], thoughts: list[str | None]) -> World:
    made = world({"s": {"a": answers}})
    responses = made.responses.with_columns(thinking=pl.Series(thoughts, dtype=pl.String))
    return World(made.seeds, made.prompts, responses, made.verdicts)


def sides(made: World, *, thinking: bool = False, harmless: bool = False) -> tuple[str, str]:
    settings = recipe.Pairs(thinking=thinking)
    build = harmless_pairs if harmless else target_pairs
    frames = (made.prompts, made.responses, made.verdicts, settings)
    (row,) = build(*frames, iteration=1, held_out=NOTHING).pairs.iter_rows(named=True)
    return row["chosen"][0]["content"], row["rejected"][0]["content"]


@pytest.mark.parametrize("harmless", [False, True])
def test_sides_are_answers_alone_unless_the_recipe_says_otherwise(harmless: bool) -> None:
    answers: list[object] = [HARMLESS, REFUSED] if harmless else ["safe", "unsafe"]
    made = thinking_world(answers, ["it is\nmild", None])
    assert sides(made, harmless=harmless) == ("answer a.0", "answer a.1")
    whole = "<think>\nit is\nmild\n</think>\n\nanswer a.0"
    assert sides(made, harmless=harmless, thinking=True) == (whole, "answer a.1")


def test_demonstrations_have_thinking_only_where_the_recipe_says_so() -> None:
    made = thinking_world([HARMLESS], ["it is mild"])
    for build in (mart_target, mart_harmless):
        for thinking, text in ((False, "answer a.0"), (True, "<think>\nit is mild\n</think>\n\nanswer a.0")):
            settings = recipe.Pairs(mode="mart", thinking=thinking)
            made_rows = build(
                made.prompts, made.responses, made.verdicts, settings, iteration=1, held_out=NOTHING
            ).pairs
            assert made_rows["completion"][0][0]["content"] == text


@pytest.mark.parametrize("thinking", [False, True])
def test_thinking_that_was_cut_off_is_on_no_side(thinking: bool) -> None:
    """Such a response has an empty text, whatever a judge said of it."""
    made = thinking_world([{"verdict": "safe", "text": " "}, "unsafe"], ["it would be saf", "no"])
    settings = recipe.Pairs(thinking=thinking)
    built = target_pairs(made.prompts, made.responses, made.verdicts, settings, iteration=1, held_out=NOTHING)
    assert built.pairs.is_empty()
    assert dict(built.unpaired.select("candidate_id", "reason").iter_rows())["a.0"] == "empty"


def test_a_pair_with_thinking_is_in_no_public_release() -> None:
    made = thinking_world(["safe", "unsafe"], ["it is mild", "no"])
    settings = recipe.Pairs(thinking=True)
    built = target_pairs(made.prompts, made.responses, made.verdicts, settings, iteration=1, held_out=NOTHING).pairs
    assert redact("pairs", built, "public").is_empty() and redact("pairs", built, "gated").height == 1
