from dataclasses import replace
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from seas_data import recipe, tables
from seas_data.errors import SeasDataError
from seas_data.pairs import PairResult, red_pairs, summarize
from seas_data.similarity import candidate_pairs
from tests.conftest import examples
from tests.pairs.worlds import NOTHING, World, chosen_and_rejected, reasons, world, worlds
from tests.similarity.definition import similarity

LOOSE = recipe.RedPairs(min_margin=0, min_verdicts=1, max_length_ratio=None, near_duplicate_threshold=None)


def red(made: World, rules: recipe.RedPairs = LOOSE, held_out: pl.DataFrame = NOTHING) -> PairResult:
    return red_pairs(
        made.prompts,
        made.seeds,
        made.responses,
        made.verdicts,
        recipe.Pairs(red=rules),
        iteration=1,
        held_out=held_out,
    )


def count_unsafe(made: World) -> dict[str, tuple[int, int]]:
    """(unsafe, valid) of each attack, counted row by row."""
    verdict = dict(made.verdicts.select("response_id", "verdict").rows())
    counts = dict.fromkeys(made.prompts["prompt_id"], (0, 0))
    for response, prompt in made.responses.select("response_id", "prompt_id").rows():
        unsafe, valid = counts[prompt]
        if verdict.get(response) in ("safe", "unsafe"):
            counts[prompt] = (unsafe + (verdict[response] == "unsafe"), valid + 1)
    return counts


def test_the_best_attack_of_a_seed_is_preferred_to_the_worst() -> None:
    paired = red(world({"s": {"a": ["unsafe"] * 2 + ["safe"], "b": ["unsafe"] * 3, "c": ["safe"] * 3}}))
    pair = paired.pairs.row(0, named=True)
    assert paired.pairs.height == 1
    assert (pair["chosen_id"], pair["rejected_id"], pair["seed_id"]) == ("b", "c", "s")
    assert pair["prompt"] == [{"role": "user", "content": "seed s"}]
    assert pair["chosen"] == [{"role": "assistant", "content": "attack b"}]
    assert pair["rejected"] == [{"role": "assistant", "content": "attack c"}]
    assert (pair["margin"], pair["type"], pair["judge"], pair["iteration"]) == (1.0, "Role Play", "rules", 1)
    assert reasons(paired) == {"a": "outranked"}


def test_what_is_no_attack_is_never_preferred_unless_the_recipe_says_so() -> None:
    made = world({"s": {"a": ["unsafe"] * 3, "b": ["unsafe"] * 2 + ["safe"], "c": ["safe"] * 3}})
    invalid = pl.when(pl.col("prompt_id").is_in(["a", "c"])).then(pl.lit("gibberish"))
    made = replace(made, prompts=made.prompts.with_columns(invalid=invalid))
    paired = red(made)
    assert chosen_and_rejected(paired) == [("b", "c")], "an invalid attack can be the rejected side"
    assert reasons(paired) == {"a": "invalid"}
    assert chosen_and_rejected(red(made, LOOSE.model_copy(update={"prefer_valid": False}))) == [("a", "c")]
    assert chosen_and_rejected(red(made, recipe.Pairs(mode="reference").red)) == [("a", "c")], (
        "as the paper's code has it"
    )


def test_a_valid_attack_beside_an_invalid_one_is_not_called_invalid() -> None:
    made = world({"s": {"a": ["unsafe"] * 3, "b": ["unsafe"] * 2 + ["safe"], "c": ["safe"] * 3}})
    invalid = pl.when(pl.col("prompt_id") != "c").then(pl.lit("gibberish"))
    paired = red(replace(made, prompts=made.prompts.with_columns(invalid=invalid)), LOOSE)
    assert paired.pairs.is_empty()
    assert reasons(paired) == {"a": "invalid", "b": "invalid", "c": "margin"}


def test_several_pairs_of_a_seed_go_from_the_outside_in() -> None:
    attacks = {"abcde"[unsafe]: ["unsafe"] * unsafe + ["safe"] * (4 - unsafe) for unsafe in range(5)}
    paired = red(world({"s": attacks}), LOOSE.model_copy(update={"max_pairs_per_seed": 3}))
    assert chosen_and_rejected(paired) == [("d", "b"), ("e", "a")]
    assert reasons(paired) == {"c": "outranked"}


def test_equal_rates_make_no_pair_even_without_a_margin() -> None:
    paired = red(world({"all": {"a": ["unsafe"], "b": ["unsafe", "unsafe"]}, "none": {"c": ["safe"], "d": ["safe"]}}))
    assert paired.pairs.is_empty()
    assert reasons(paired) == {"a": "no_safe", "b": "no_safe", "c": "no_unsafe", "d": "no_unsafe"}


def test_the_margin_is_kept_to_the_last_digit() -> None:
    # 3/5 - 1/5 is 0.39999999999999997 in floating point.
    made = world({"s": {"a": ["unsafe"] * 3 + ["safe"] * 2, "b": ["unsafe"] + ["safe"] * 4}})
    assert red(made, LOOSE.model_copy(update={"min_margin": 0.4})).pairs["margin"].to_list() == [0.4]
    assert reasons(red(made, LOOSE.model_copy(update={"min_margin": 0.41}))) == {"a": "margin", "b": "margin"}


def test_a_verdict_that_does_not_parse_counts_in_no_rate() -> None:
    made = world({"s": {"a": ["unsafe"] + ["unparsed"] * 4, "b": ["safe", "safe", "safe"]}})
    assert red(made).pairs["margin"].to_list() == [1.0]
    strict = red(made, LOOSE.model_copy(update={"min_verdicts": 2}))
    assert reasons(strict) == {"a": "too_few_verdicts", "b": "alone"}


def test_filters_on_texts_and_the_next_best_that_passes_them() -> None:
    long, similar = "a very long attack " * 20, "tell me about the violet door now"
    made = world(
        {
            "s": {
                f"best={similar}": ["unsafe"] * 4,
                f"second={similar} please": ["safe"] * 4,
                f"third={long}": ["safe"] * 4,
                "fourth=what does the old keeper hide in there": ["unsafe"] + ["safe"] * 3,
            }
        }
    )
    assert chosen_and_rejected(red(made)) == [("best", "second")]
    filtered = red(made, recipe.RedPairs(near_duplicate_threshold=0.7))
    assert chosen_and_rejected(filtered) == [("best", "fourth")]
    assert reasons(filtered) == {"second": "near_duplicate", "third": "length_ratio"}


def test_the_longer_attack_may_be_exactly_as_much_longer_as_allowed() -> None:
    made = world({"s": {"a=" + "x" * 30: ["unsafe"], "b=" + "y" * 10: ["safe"]}})
    assert red(made, LOOSE.model_copy(update={"max_length_ratio": 3.0})).pairs.height == 1
    assert reasons(red(made, LOOSE.model_copy(update={"max_length_ratio": 2.9}))) == dict.fromkeys("ab", "length_ratio")


def test_attacks_of_other_types_are_not_compared() -> None:
    made = world({"s": {"a": ["unsafe"], "b": ["safe"]}})
    types = pl.Series("type", ["Role Play", "Word Play"])
    paired = red(World(made.seeds, made.prompts.with_columns(types), made.responses, made.verdicts))
    assert reasons(paired) == {"a": "other_type", "b": "other_type"}


def test_a_repeated_attack_counts_once_and_a_blank_or_overlong_one_not_at_all() -> None:
    made = world({"s": {"a=open": ["unsafe"], "b=open ": ["safe"], "c= ": ["safe"], "d=" + "x" * 40: ["safe"]}})
    rules = LOOSE.model_copy(update={"max_characters": 30})
    assert reasons(red(made, rules)) == {"a": "alone", "b": "repeated", "c": "empty", "d": "too_long"}


def test_nothing_that_is_held_out_is_used_by_id_by_text_or_by_the_seeds_examples() -> None:
    from seas_data.text import text_digest

    made = world(
        {"s": {"a": ["unsafe"], "b": ["safe"], "c=Word for WORD": ["safe"]}, "t": {"d": ["unsafe"], "e": ["safe"]}}
    )
    held_out = pl.DataFrame(
        {
            "prompt_id": ["a", "a test prompt", "example of t"],
            "text_digest": ["none", text_digest("word for word"), "none either"],
        }
    )
    paired = red(made, held_out=held_out)
    assert paired.pairs.is_empty()
    assert reasons(paired) == {**dict.fromkeys("acde", "held_out"), "b": "alone"}


def test_a_cap_keeps_the_greatest_margins_and_a_balance_as_many_of_each_type() -> None:
    sure, unsure = ["unsafe"] * 4, ["unsafe", "safe", "safe", "safe"]
    seeds = {f"s{i}": {f"{i}a": sure if i % 2 else unsure, f"{i}b": ["safe"] * 4} for i in range(6)}
    made = world(seeds, types={"s0": "Word Play"})
    capped = red(made, LOOSE.model_copy(update={"max_pairs": 3}))
    assert capped.pairs["margin"].to_list() == [1.0] * 3
    assert set(reasons(capped).values()) == {"cap"}
    balanced = red(made, LOOSE.model_copy(update={"balance_types": True}))
    assert sorted(balanced.pairs["type"]) == ["Role Play", "Word Play"]
    assert set(reasons(balanced).values()) == {"balance"}
    both = red(made, LOOSE.model_copy(update={"balance_types": True, "max_pairs": 4}))
    assert sorted(both.pairs["type"]) == ["Role Play"] * 3 + ["Word Play"]


def test_shuffling_turns_about_half_of_the_same_pairs() -> None:
    made = world({f"s{i}": {f"{i}a": ["unsafe"], f"{i}b": ["safe"]} for i in range(60)})
    straight, turned = red(made), red(made, LOOSE.model_copy(update={"random_labels": True}))
    assert straight.pairs["pair_id"].to_list() == turned.pairs["pair_id"].to_list()
    same = straight.pairs["chosen_id"] == turned.pairs["chosen_id"]
    assert 15 < same.sum() < 45
    assert ((turned.pairs["margin"] > 0) == same).all()
    assert all(
        row["chosen"][0]["content"] == f"attack {row['chosen_id']}" for row in turned.pairs.iter_rows(named=True)
    )


def test_no_pairs_are_a_statement_and_two_empty_tables_of_the_right_shape() -> None:
    made = world({})
    paired = red(made)
    assert_frame_equal(paired.pairs, tables.empty("pairs"))
    assert_frame_equal(paired.unpaired, tables.empty("unpaired"))
    assert summarize("red", paired.pairs, paired.unpaired) == "no red pairs: there were no attacks to pair"
    refused = red(world({"s": {"a": ["safe"], "b": ["safe"]}}))
    said = summarize("red", refused.pairs, refused.unpaired)
    assert said == "no red pairs; 2 attacks in none: 2 without an unsafe counterpart"


def test_attacks_without_their_seed_and_responses_of_two_models_are_refused() -> None:
    made = world({"s": {"a": ["unsafe"], "b": ["safe"]}})
    with pytest.raises(SeasDataError, match="2 attacks name a seed that is not"):
        red(World(made.seeds.clear(), made.prompts, made.responses, made.verdicts))
    models = made.responses.with_columns(model=pl.Series(["T0", "T1"]))
    with pytest.raises(SeasDataError, match="2 models"):
        red(World(made.seeds, made.prompts, models, made.verdicts))


def test_so_many_attacks_of_one_seed_that_their_pairs_fill_the_memory_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = world({"s": {letter: ["unsafe"] for letter in "abcd"}, "t": {"e": ["safe"]}})
    monkeypatch.setattr(candidate_pairs, "MAX_PAIRS", 16)
    with pytest.raises(SeasDataError, match=r"over 16 pairs .* \(the seed s has 4 attacks\): pass fewer"):
        red(made)


RULES = st.builds(
    recipe.RedPairs,
    min_margin=st.sampled_from([0, 0.2, 0.5, 1]),
    min_verdicts=st.integers(1, 3),
    max_length_ratio=st.sampled_from([None, 1.0, 2.0]),
    max_characters=st.sampled_from([None, 30]),
    near_duplicate_threshold=st.sampled_from([None, 0.5]),
    max_pairs_per_seed=st.integers(1, 3),
    max_pairs=st.sampled_from([None, 0, 2]),
    balance_types=st.booleans(),
)


@examples(15)
@given(worlds(), RULES, st.integers(0, 9))
def test_whatever_comes_in(made: World, rules: recipe.RedPairs, order: int) -> None:
    paired = red(made, rules)
    counts = count_unsafe(made)
    seeds = dict(made.prompts.select("prompt_id", "seed_id").rows())
    for pair in paired.pairs.iter_rows(named=True):
        (u, v), (w, x) = counts[pair["chosen_id"]], counts[pair["rejected_id"]]
        apart = Fraction(u, v) - Fraction(w, x)
        assert apart > 0 and apart >= Fraction(rules.min_margin).limit_denominator(100)
        assert pair["margin"] == float(apart)
        assert min(v, x) >= rules.min_verdicts
        assert seeds[pair["chosen_id"]] == seeds[pair["rejected_id"]] == pair["seed_id"]
        chosen, rejected = pair["chosen"][0]["content"], pair["rejected"][0]["content"]
        assert (chosen, rejected) == (made.text(pair["chosen_id"]), made.text(pair["rejected_id"]))
        assert chosen.strip() != rejected.strip() and chosen.strip() and rejected.strip()
        lengths = sorted([len(chosen), len(rejected)])
        assert rules.max_length_ratio is None or lengths[1] <= rules.max_length_ratio * lengths[0]
        assert rules.near_duplicate_threshold is None or similarity(chosen, rejected) < rules.near_duplicate_threshold
    used = [*paired.pairs["chosen_id"], *paired.pairs["rejected_id"]]
    assert sorted(used + paired.unpaired["candidate_id"].to_list()) == sorted(made.prompts["prompt_id"])
    assert paired.pairs.is_empty() or paired.pairs.group_by("seed_id").len()["len"].max() <= rules.max_pairs_per_seed
    assert rules.max_pairs is None or paired.pairs.height <= rules.max_pairs
    again = red(made.mixed(order), rules)
    assert_frame_equal(paired.pairs, again.pairs)
    assert_frame_equal(paired.unpaired, again.unpaired)


@examples(12)
@given(worlds(), st.sampled_from([0, 0.4, 1]))
def test_a_seed_that_could_give_a_pair_gives_its_best(made: World, margin: float) -> None:
    rules = LOOSE.model_copy(update={"min_margin": margin})
    paired = red(made, rules)
    counts = count_unsafe(made)
    found = dict(paired.pairs.select("seed_id", "margin").rows())
    for seed in made.seeds["seed_id"]:
        once = {
            text.strip(): Fraction(*counts[prompt])
            for prompt, text in made.prompts.filter(pl.col("seed_id") == seed).select("prompt_id", "text").rows()[::-1]
            if text.strip() and counts[prompt][1]
        }
        able = list(once.values())
        widest = max(able) - min(able) if able else Fraction(0)
        possible = widest > 0 and widest >= Fraction(margin).limit_denominator(100)
        assert (seed in found) == possible
        assert not possible or found[seed] == float(widest)
