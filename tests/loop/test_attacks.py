"""Seeds, attacks and what is set aside: on a small invented world, and with hypothesis on how seeds are dealt out."""

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.loop import attacks as attack
from seas_data.recipe import Attack
from seas_data.text import content_id

SETTINGS = Attack(examples=3, request="{examples}", between=" | ", types="natural")
SIZES = {"Role Play": 120, "Goal Hijacking": 60, "Health Harm": 40, "Word Play": 2}


def prompts() -> pl.DataFrame:
    rows = [
        {"prompt_id": content_id("prompt", name, k), "type": name, "text": f"{name} {{number}} {k}"}
        for name, size in SIZES.items()
        for k in range(size)
    ]
    frame = pl.DataFrame([*rows, {"prompt_id": "untyped", "type": None, "text": "who knows"}])
    return frame.with_columns(language=pl.lit("en"))


def drawn(count: int = 40, **changes: object) -> pl.DataFrame:
    return attack.seeds(
        prompts(), count, SETTINGS.model_copy(update=changes), iteration=1, split="train", draw=(0, "attack")
    )


def test_a_seed_shows_different_prompts_of_its_type_in_their_own_words() -> None:
    found = drawn()
    assert found.height == 40
    known = prompts()
    for row in found.iter_rows(named=True):
        shown = pl.DataFrame({"prompt_id": row["example_ids"]}).join(known, on="prompt_id", maintain_order="left")
        assert shown["prompt_id"].n_unique() == 3
        assert set(shown["type"]) == {row["type"]}
        assert row["text"] == " | ".join(shown["text"])


def test_seeds_are_the_same_whatever_the_order_of_prompts_and_others_in_each_iteration() -> None:
    shuffled = prompts().sample(fraction=1, shuffle=True, seed=3)
    again = attack.seeds(shuffled, 40, SETTINGS, iteration=1, split="train", draw=(0, "attack"))
    assert again.equals(drawn())
    later = attack.seeds(prompts(), 40, SETTINGS, iteration=2, split="train", draw=(0, "attack"))
    assert set(map(tuple, later["example_ids"])) != set(map(tuple, drawn()["example_ids"]))


def test_types_are_dealt_out_as_they_are_or_alike_or_by_weakness() -> None:
    def shares(frame: pl.DataFrame) -> dict[str, int]:
        return dict(frame.group_by("type").len().iter_rows())

    assert shares(drawn(44)) == {"Role Play": 24, "Goal Hijacking": 12, "Health Harm": 8}, "a type of 2 shows no 3"
    uniform = shares(drawn(9, types="uniform"))
    assert uniform == {"Role Play": 3, "Goal Hijacking": 3, "Health Harm": 3}
    weak = attack.seeds(
        prompts(),
        20,
        SETTINGS.model_copy(update={"types": "weakness"}),
        iteration=1,
        split="train",
        draw=(0, "attack"),
        weakness={"Role Play": 0.6, "Goal Hijacking": 0.2, "Health Harm": 0.2},
    )
    assert shares(weak) == {"Role Play": 12, "Goal Hijacking": 4, "Health Harm": 4}


def test_without_enough_prompts_of_a_type_it_says_so() -> None:
    with pytest.raises(SeasDataError, match="no type has the 300 prompts of train"):
        drawn(4, examples=300)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=8), st.integers(0, 500))
def test_what_is_dealt_out_adds_up_and_is_less_than_one_off(weights: list[float], count: int) -> None:
    shares = attack.dealt(weights, count)
    assert sum(shares) == count
    assert all(
        abs(share - count * weight / sum(weights)) < 1 + 1e-6 for share, weight in zip(shares, weights, strict=True)
    )


def test_the_first_training_asks_for_a_prompt_that_is_not_shown() -> None:
    seeds, rows = attack.demonstrations(prompts(), 50, SETTINGS, draw=(0, "red"))
    both = rows.join(seeds, on="seed_id")
    assert both.height == rows.height >= 30
    assert all(said not in shown for said, shown in both["completion_id", "example_ids"].iter_rows())
    texts = dict(prompts().select("prompt_id", "text").iter_rows())
    assert rows["completion"].list.first().struct.field("content").to_list() == [
        texts[said] for said in rows["completion_id"]
    ]
    assert both["prompt"].list.first().struct.field("content").equals(both["text"].alias("content"))


def generated(seed: str, *texts: str | None, finish: str = "stop") -> pl.DataFrame:
    return pl.DataFrame(
        [(seed, sample, text, finish, 5) for sample, text in enumerate(texts)],
        schema={
            "request_id": pl.String,
            "sample": pl.Int32,
            "text": pl.String,
            "finish_reason": pl.String,
            "tokens": pl.Int32,
        },
        orient="row",
    )


def test_what_no_target_is_asked_is_set_aside_with_a_reason() -> None:
    seeds = drawn(2)
    one, other = seeds["seed_id"]
    example = prompts().filter(pl.col("prompt_id") == seeds["example_ids"][0][0])["text"][0]
    answers = pl.concat(
        [
            generated(one, "a new one", f"  {example.upper()} ", " ", "a  NEW one", "cut"),
            generated(other, "a new one", "another", None),
        ]
    ).with_columns(
        finish_reason=pl.when(pl.col("text") == "cut")
        .then(pl.lit("length"))
        .when(pl.col("text").is_null())
        .then(pl.lit("error"))
        .otherwise("finish_reason")
    )
    written = attack.written(answers, seeds, model="R0", iteration=1, settings_id="s")
    assert written["prompt_id"].is_unique().all()
    assert written["reason"].null_count() == written.height
    found = attack.set_aside(written, seeds, prompts())
    reasons = {(row["seed_id"], row["number"]): row["reason"] for row in found.iter_rows(named=True)}
    assert reasons == {
        (one, 0): None,
        (one, 1): "repeats_example",
        (one, 2): "empty",
        (one, 3): "repeated",
        (one, 4): "cut_off",
        (other, 0): "repeated",
        (other, 1): None,
        (other, 2): "failed",
    }
    measured = attack.set_aside(written, seeds, prompts(), repeats=False)
    assert measured["reason"].drop_nulls().sort().to_list() == ["cut_off", "empty", "failed"]


def test_attacks_that_worked_join_as_prompts_of_their_seeds_type() -> None:
    seeds = drawn(30)
    seed = seeds.filter(pl.col("type") == "Health Harm").row(0, named=True)
    written = attack.written(
        generated(seed["seed_id"], "first", "second", "third", "fourth"),
        seeds,
        model="R1",
        iteration=2,
        settings_id="s",
    )
    ids = written["prompt_id"]
    rates = pl.DataFrame({"prompt_id": ids, "valid": [4, 2, 5, 3], "unsafe": [2, 2, 2, 3]})
    spoken = attack.in_language(written, seeds, prompts())
    found = attack.joining(spoken, seeds, rates, rate=0.5, min_verdicts=3)
    assert set(found["text"]) == {"first", "fourth"}
    row = found.row(0, named=True)
    assert (row["type"], row["risk_category"], row["attack_style"], row["difficulty"]) == (
        "Health Harm", "Health Harm", None, "Easy",
    )  # fmt: skip
    assert (row["source"], row["model"], row["iteration"], row["seed_id"]) == ("red-team", "R1", 2, seed["seed_id"])
    assert set(found["language"]) == {"en"}
    assert tables.cast("prompts", found).equals(found)
    weights = attack.weaknesses(written, seeds, rates)
    assert weights == {"Health Harm": pytest.approx(10 / 16)}


@pytest.mark.parametrize(
    ("spoken", "expected"),
    [(["en", "de", "en"], "en"), (["en", "de", None], "de"), ([None, None, "fr"], "fr"), ([None] * 3, None)],
)
def test_an_attack_is_in_the_language_of_most_examples_of_its_seed(
    spoken: list[str | None], expected: str | None
) -> None:
    seeds = pl.DataFrame({"seed_id": ["s"], "example_ids": [["a", "b", "c"]]})
    examples = pl.DataFrame({"prompt_id": ["a", "b", "c"], "language": pl.Series(spoken, dtype=pl.String)})
    written = pl.DataFrame({"seed_id": ["s", "s"], "number": [1, 0]})
    found = attack.in_language(written, seeds, examples)
    assert found["number"].to_list() == [1, 0]
    assert found["language"].to_list() == [expected] * 2
