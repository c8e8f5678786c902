from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from seas_data import recipe
from seas_data.errors import SeasDataError
from seas_data.pairs import PairResult, harmless_pairs, target_pairs
from seas_data.similarity import candidate_pairs
from tests.conftest import examples
from tests.pairs.worlds import NOTHING, World, chosen_and_rejected, reasons, world, worlds


def target(made: World, held_out: pl.DataFrame = NOTHING, judge: str | None = None, **rules: Any) -> PairResult:
    return target_pairs(
        made.prompts,
        made.responses,
        made.verdicts,
        recipe.Pairs(target=recipe.TargetPairs(**rules), judge=judge),
        iteration=2,
        held_out=held_out,
        seeds=made.seeds,
    )


def harmless(made: World, held_out: pl.DataFrame = NOTHING, **rules: Any) -> PairResult:
    return harmless_pairs(
        made.prompts,
        made.responses,
        made.verdicts,
        recipe.Pairs(harmless=recipe.HarmlessPairs(**rules)),
        iteration=2,
        held_out=held_out,
    )


def answer(verdict: str | None, score: float | None = None, text: str | None = "", **more: Any) -> dict[str, Any]:
    return {"verdict": verdict, "score": score} | ({} if text == "" else {"text": text}) | more


def full(verdict: str = "safe", **more: Any) -> dict[str, Any]:
    return answer(verdict, refusal="full_compliance", **more)


def refused(kind: str = "full_refusal", **more: Any) -> dict[str, Any]:
    return answer("safe", refusal=kind, **more)


def test_a_safe_response_is_preferred_to_an_unsafe_one_whichever_comes_first() -> None:
    paired = target(world({"s": {"a": ["unsafe", "safe"]}}))
    pair = paired.pairs.row(0, named=True)
    assert (pair["chosen_id"], pair["rejected_id"]) == ("a.1", "a.0")
    assert (pair["prompt_id"], pair["seed_id"], pair["role"], pair["margin"]) == ("a", "s", "target", None)
    assert pair["prompt"] == [{"role": "user", "content": "attack a"}]
    assert pair["chosen"] == [{"role": "assistant", "content": "answer a.1"}]
    assert pair["rejected"] == [{"role": "assistant", "content": "answer a.0"}]


def test_each_way_to_choose() -> None:
    made = world(
        {
            "s": {
                "a": [
                    answer("safe", 0.4, "no" * 20),
                    answer("unsafe", 0.6, "yes" * 7),
                    answer("safe", 0.1, "never" * 30),
                    answer("unsafe", 0.9, "oh yes" * 40),
                    answer("safe", None, "no, not at all, my friend"),
                ]
            }
        }
    )
    assert chosen_and_rejected(target(made, select_by="score")) == [("a.2", "a.3")]
    assert target(made, select_by="score").pairs["margin"].to_list() == pytest.approx([0.8])
    assert chosen_and_rejected(target(made, select_by="first")) == [("a.0", "a.1")]
    assert chosen_and_rejected(target(made, select_by="length")) == [("a.4", "a.1")]
    assert chosen_and_rejected(target(made, select_by="score", max_pairs_per_prompt=5)) == [
        ("a.0", "a.1"),
        ("a.2", "a.3"),
    ]
    assert chosen_and_rejected(target(made, select_by="length", max_pairs_per_prompt=5)) == [
        ("a.2", "a.3"),
        ("a.4", "a.1"),
    ]
    assert reasons(target(made, select_by="first")) == dict.fromkeys(["a.2", "a.3", "a.4"], "outranked")


def test_so_many_answers_that_every_two_of_them_fill_the_memory_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    made = world({"s": {"a": ["unsafe", "unsafe", "safe", "safe"]}})
    monkeypatch.setattr(candidate_pairs, "MAX_PAIRS", 3)
    with pytest.raises(SeasDataError, match=r"over 3 pairs .* pairs\.target\.select_by"):
        target(made, select_by="length")
    assert target(made, select_by="score").pairs.height == 1


def test_every_response_that_is_in_no_pair_says_why() -> None:
    made = world(
        {
            "s": {
                "a": ["safe", "safe"],
                "b": ["unsafe", "unparsed", None],
                "c": [
                    answer("safe", text="one text"),
                    answer("unsafe", text="one text "),
                    answer("safe", text=None),
                    answer("unsafe", text="  "),
                    answer("unsafe", text="again"),
                    answer("unsafe", text="again"),
                ],
            }
        }
    )
    paired = target(made)
    assert paired.pairs.is_empty()
    assert reasons(paired) == {
        **{"a.0": "no_unsafe", "a.1": "no_unsafe", "b.0": "no_safe", "b.1": "unparsed", "b.2": "unjudged"},
        **{"c.0": "contradictory", "c.1": "contradictory", "c.2": "failed", "c.3": "empty"},
        **{"c.4": "no_safe", "c.5": "repeated"},
    }


def test_whose_verdicts_count_must_be_clear() -> None:
    made = world({"s": {"a": ["safe", "unsafe"]}})
    other = made.verdicts.with_columns(judge=pl.lit("guard"), verdict=pl.lit("safe"))
    both = World(made.seeds, made.prompts, made.responses, pl.concat([made.verdicts, other]))
    with pytest.raises(SeasDataError, match=r"several judges .* set pairs\.judge to guard or rules"):
        target(both)
    assert target(both, judge="rules").pairs.select("judge", "chosen_id").row(0) == ("rules", "a.0")
    assert reasons(target(both, judge="guard")) == {"a.0": "no_unsafe", "a.1": "no_unsafe"}
    with pytest.raises(SeasDataError, match="judged none"):
        target(both, judge="nobody")


def test_held_out_attacks_are_left_out_with_all_their_responses() -> None:
    made = world({"s": {"a": ["safe", "unsafe"]}, "t": {"b": ["safe", "unsafe"]}})
    held_out = pl.DataFrame({"prompt_id": ["a", "example of t"], "text_digest": ["x", "y"]})
    paired = target(made, held_out)
    assert paired.pairs.is_empty()
    assert set(reasons(paired).values()) == {"held_out"}


def test_target_pairs_are_capped_and_balanced() -> None:
    made = world(
        {f"s{i}": {f"p{i}": [answer("safe", 0.1), answer("unsafe", 0.5 + i / 10)]} for i in range(4)},
        types={"s0": "Word Play"},
    )
    made = World(
        made.seeds,
        made.prompts.join(made.seeds.select("seed_id", "type"), on="seed_id", maintain_order="left"),
        made.responses,
        made.verdicts,
    )
    assert sorted(target(made, max_pairs=2).pairs["prompt_id"]) == ["p2", "p3"]
    assert sorted(target(made, balance_types=True).pairs["prompt_id"]) == ["p0", "p3"]
    assert sorted(reasons(target(made, balance_types=True)).items())[0] == ("p1.0", "balance")


def test_a_full_and_safe_answer_is_preferred_to_a_refusal() -> None:
    made = world(
        {
            "s": {
                "a": [refused("partial_refusal"), full("unsafe"), full(), refused()],
                "b": [refused(), full("unsafe"), answer("safe"), answer("unparsed", refusal="full_compliance")],
                "c": [full(), full()],
                "d": [full(), refused("partial_refusal")],
            }
        }
    )
    paired = harmless(made)
    assert chosen_and_rejected(paired) == [("a.2", "a.3"), ("d.0", "d.1")]
    assert set(paired.pairs["role"]) == {"harmless"}
    assert reasons(paired) == {
        **{"a.0": "outranked", "a.1": "unsafe"},
        **{"b.0": "no_compliance", "b.1": "unsafe", "b.2": "unparsed", "b.3": "unparsed"},
        **{"c.0": "no_refusal", "c.1": "no_refusal"},
    }


def test_the_class_of_a_refusal_may_come_from_a_second_judge() -> None:
    made = world({"s": {"a": ["safe", "safe"]}})
    classes = pl.DataFrame(
        {"response_id": ["a.0", "a.1"], "judge": "xstest", "refusal": ["full_refusal", "full_compliance"]}
    ).with_columns(verdict=pl.lit(None, pl.String), score=pl.lit(None, pl.Float64))
    verdicts = pl.concat([made.verdicts, classes.select(made.verdicts.columns)])
    paired = harmless(World(made.seeds, made.prompts, made.responses, verdicts))
    assert chosen_and_rejected(paired) == [("a.1", "a.0")]
    assert paired.pairs["judge"].to_list() == ["xstest"]  # a harmless pair is made of refusals


def test_harmless_prompts_of_the_test_split_are_never_used() -> None:
    made = world({"s": {"a": [full(), refused()]}})
    paired = harmless(made, pl.DataFrame({"prompt_id": ["a"], "text_digest": ["x"]}))
    assert paired.pairs.is_empty() and set(reasons(paired).values()) == {"held_out"}


RULES = st.fixed_dictionaries(
    {
        "select_by": st.sampled_from(["score", "length", "first"]),
        "max_pairs_per_prompt": st.integers(1, 3),
        "max_pairs": st.sampled_from([None, 0, 2]),
    }
)


@examples(15)
@given(worlds(), RULES, st.booleans(), st.integers(0, 9))
def test_whatever_comes_in(made: World, rules: dict[str, Any], of_harmless: bool, order: int) -> None:
    make = harmless if of_harmless else target
    paired = make(made, **rules)
    said = {row["response_id"]: row for row in made.verdicts.iter_rows(named=True)}
    answers = {row["response_id"]: row for row in made.responses.iter_rows(named=True)}
    for pair in paired.pairs.iter_rows(named=True):
        chosen, rejected = said[pair["chosen_id"]], said[pair["rejected_id"]]
        assert chosen["verdict"] == "safe"
        assert rejected["verdict"] == "unsafe" or (of_harmless and rejected["verdict"] == "safe")
        if of_harmless:
            assert chosen["refusal"] == "full_compliance" and rejected["refusal"].endswith("refusal")
        one, other = answers[pair["chosen_id"]], answers[pair["rejected_id"]]
        assert one["prompt_id"] == other["prompt_id"] == pair["prompt_id"]
        assert pair["prompt"][0]["content"] == made.text(pair["prompt_id"])
        assert (pair["chosen"][0]["content"], pair["rejected"][0]["content"]) == (one["text"], other["text"])
        assert one["text"].strip() != other["text"].strip() and one["text"].strip() and other["text"].strip()
    used = [*paired.pairs["chosen_id"], *paired.pairs["rejected_id"]]
    assert sorted(used + paired.unpaired["candidate_id"].to_list()) == sorted(made.responses["response_id"])
    per_prompt = paired.pairs.group_by("prompt_id").len()["len"]
    assert per_prompt.is_empty() or per_prompt.max() <= rules["max_pairs_per_prompt"]
    again = make(made.mixed(order), **rules)
    assert_frame_equal(paired.pairs, again.pairs)
    assert_frame_equal(paired.unpaired, again.unpaired)


@examples(12)
@given(worlds(), st.sampled_from(["score", "length", "first"]), st.integers(1, 3))
def test_as_many_pairs_as_there_are_texts_of_each_kind(made: World, select_by: str, most: int) -> None:
    paired = target(made, select_by=select_by, max_pairs_per_prompt=most)
    verdicts = dict(made.verdicts.select("response_id", "verdict").rows())
    for prompt in made.prompts["prompt_id"]:
        texts: dict[str, set[str]] = {"safe": set(), "unsafe": set()}
        for row in made.responses.filter(pl.col("prompt_id") == prompt).iter_rows(named=True):
            verdict = verdicts.get(row["response_id"])
            if verdict in texts and row["text"] is not None and row["text"].strip():
                texts[verdict].add(row["text"].strip())
        both = texts["safe"] & texts["unsafe"]
        possible = min(len(texts["safe"] - both), len(texts["unsafe"] - both), most)
        assert paired.pairs.filter(pl.col("prompt_id") == prompt).height == possible
