import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from seas_data import recipe, tables
from seas_data.errors import SeasDataError
from seas_data.pairs import chosen_as_demonstrations, mart_harmless, mart_red, mart_target, red_pairs, target_pairs
from tests.conftest import examples
from tests.pairs.worlds import NOTHING, World, world, worlds

SETTINGS = recipe.Pairs(mode="mart")


def test_the_red_team_learns_the_attacks_that_succeeded() -> None:
    made = world(
        {"s": {"a": ["unsafe", "unsafe", "safe", "safe"], "b": ["unsafe", "safe", "safe"], "c": ["unsafe", "unsafe"]}}
    )
    found = mart_red(made.prompts, made.seeds, made.responses, made.verdicts, SETTINGS, iteration=1, held_out=NOTHING)
    row = found.pairs.row(0, named=True)
    assert found.pairs.height == 1
    assert row["prompt"] == [{"role": "user", "content": "seed s"}]
    assert row["completion"] == [{"role": "assistant", "content": "attack a"}]
    assert (row["completion_id"], row["seed_id"], row["role"]) == ("a", "s", "red")
    assert dict(found.unpaired.select("candidate_id", "reason").rows()) == {"b": "no_success", "c": "too_few_verdicts"}


def test_only_the_refusal_judge_that_is_named_need_be_clear() -> None:
    made = world({"s": {"a": [{"verdict": "unsafe", "refusal": "full_compliance"}] * 3}})
    another = made.verdicts.with_columns(judge=pl.lit("xstest"), verdict=pl.lit(None, pl.String))
    both = pl.concat([made.verdicts, another])
    rules = recipe.Pairs(mode="mart", refusal_judge="xstest")
    found = mart_red(made.prompts, made.seeds, made.responses, both, rules, iteration=1, held_out=NOTHING)
    assert found.pairs["completion_id"].to_list() == ["a"]
    paired = red_pairs(made.prompts, made.seeds, made.responses, both, rules, iteration=1, held_out=NOTHING)
    assert paired.pairs.is_empty()


ANSWERS = [
    {"verdict": "safe", "refusal": "full_compliance", "text": "an answer"},
    {"verdict": "safe", "refusal": "full_compliance", "text": "an answer "},
    {"verdict": "safe", "refusal": "full_refusal"},
    {"verdict": "unsafe", "refusal": "full_compliance"},
    {"verdict": "unparsed", "refusal": "full_compliance"},
]


ALL = recipe.Pairs(mode="mart", target={"max_pairs_per_prompt": 9}, harmless={"max_pairs_per_prompt": 9})


def test_the_target_learns_safe_responses_refusals_included() -> None:
    made = world({"s": {"a": ANSWERS}})
    found = mart_target(made.prompts, made.responses, made.verdicts, ALL, iteration=1, held_out=NOTHING)
    assert set(found.pairs["completion_id"]) == {"a.0", "a.2"}
    assert set(found.pairs["role"]) == {"target"}
    reasons = dict(found.unpaired.select("candidate_id", "reason").rows())
    assert reasons == {"a.1": "repeated", "a.3": "unsafe", "a.4": "unparsed"}


def test_of_answers_to_harmless_prompts_the_target_learns_the_full_ones() -> None:
    made = world({"s": {"a": ANSWERS}})
    found = mart_harmless(made.prompts, made.responses, made.verdicts, ALL, iteration=1, held_out=NOTHING)
    assert found.pairs["completion_id"].to_list() == ["a.0"]
    assert set(found.pairs["role"]) == {"harmless"}
    reasons = dict(found.unpaired.select("candidate_id", "reason").rows())
    assert reasons == {"a.1": "repeated", "a.2": "not_full", "a.3": "unsafe", "a.4": "unparsed"}


def test_the_best_responses_by_score_are_taken_up_to_the_caps() -> None:
    safe = [{"verdict": "safe", "score": score} for score in (0.3, None, 0.1, 0.4)]
    made = world({"s": {"a": safe, "b": [{"verdict": "safe", "score": 0.2}]}})

    def target(**rules: object) -> tuple[list[str], dict[str, str]]:
        settings = recipe.Pairs.model_validate({"mode": "mart", **rules})
        found = mart_target(made.prompts, made.responses, made.verdicts, settings, iteration=1, held_out=NOTHING)
        return sorted(found.pairs["completion_id"]), dict(found.unpaired.select("candidate_id", "reason").rows())

    assert target() == (["a.2", "b.0"], dict.fromkeys(["a.0", "a.1", "a.3"], "outranked"))
    assert target(target={"select_by": "first"})[0] == ["a.0", "b.0"]
    taken, reasons = target(target={"max_pairs": 1})
    assert taken == ["a.2"] and reasons["b.0"] == "cap"
    taken, reasons = target(target={"max_pairs_per_prompt": 9}, mart={"max_score": 0.3})
    assert taken == ["a.0", "a.2", "b.0"], "a verdict without a score is not sure"
    assert reasons == {"a.1": "score", "a.3": "score"}


def test_a_text_that_was_judged_both_ways_is_not_learned() -> None:
    both = [{"verdict": "safe", "text": "same"}, {"verdict": "unsafe", "text": "same"}]
    once = [{"verdict": "safe", "text": "other"}, {"verdict": "unparsed", "text": "other"}]
    made = world({"s": {"a": [*both, *once]}})
    found = mart_target(made.prompts, made.responses, made.verdicts, ALL, iteration=1, held_out=NOTHING)
    assert found.pairs["completion_id"].to_list() == ["a.2"]
    reasons = dict.fromkeys(["a.0", "a.1"], "contradictory") | {"a.3": "unparsed"}
    assert dict(found.unpaired.select("candidate_id", "reason").rows()) == reasons


def test_a_reward_may_take_the_place_of_the_refusal_class() -> None:
    made = world({"s": {"a": ANSWERS}})
    rewards = pl.DataFrame({"response_id": ["a.0", "a.2", "a.3"], "reward": [0.1, 0.8, 0.9]})
    rules = recipe.Pairs(mode="mart", mart=recipe.MartRows(reward_model="judge", min_reward=0.5))
    found = mart_target(
        made.prompts, made.responses, made.verdicts, rules, iteration=1, held_out=NOTHING, rewards=rewards
    )
    assert found.pairs["completion_id"].to_list() == ["a.2"]
    assert set(found.unpaired["reason"]) == {"reward", "unsafe", "unparsed"}
    with pytest.raises(SeasDataError, match="no rewards were passed"):
        mart_target(made.prompts, made.responses, made.verdicts, rules, iteration=1, held_out=NOTHING)


def test_the_chosen_sides_of_pairs_can_be_fine_tuned_on_instead() -> None:
    made = world({"s": {"a": ["safe", "unsafe"]}})
    paired = target_pairs(made.prompts, made.responses, made.verdicts, recipe.Pairs(), iteration=1, held_out=NOTHING)
    rows = chosen_as_demonstrations(paired.pairs)
    assert rows["completion"].to_list() == paired.pairs["chosen"].to_list()
    assert rows["completion_id"].to_list() == ["a.0"]
    assert_frame_equal(chosen_as_demonstrations(paired.pairs.clear()), tables.empty("demonstrations"))


@examples(15)
@given(worlds(), st.integers(0, 9))
def test_whatever_comes_in(made: World, order: int) -> None:
    said = {row["response_id"]: row for row in made.verdicts.iter_rows(named=True)}
    found, again = (
        mart_target(rows.prompts, rows.responses, rows.verdicts, SETTINGS, iteration=1, held_out=NOTHING)
        for rows in (made, made.mixed(order))
    )
    for row in found.pairs.iter_rows(named=True):
        assert said[row["completion_id"]]["verdict"] == "safe"
        assert row["completion"][0]["content"].strip()
    assert found.pairs["prompt_id"].is_unique().all()
    everything = [*found.pairs["completion_id"], *found.unpaired["candidate_id"]]
    assert sorted(everything) == sorted(made.responses["response_id"])
    assert_frame_equal(found.pairs, again.pairs)
    assert_frame_equal(found.unpaired, again.unpaired)
