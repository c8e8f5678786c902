"""Attacks that succeeded become training prompts with the type of their seed; refused harmless ones may join too."""

from dataclasses import replace
from pathlib import Path

import polars as pl

from seas_data import tables
from seas_data.loop.attacks import add_language, build_attacks
from seas_data.loop.joined_prompts import select_joining, select_successful
from seas_data.recipe.taxonomy import default_taxonomy
from tests.loop.attack_rows import draw, generated, make_prompts
from tests.loop.test_attack_validity import open_context


def test_successful_attacks_join_with_the_type_of_their_seed() -> None:
    seeds = draw(30)
    seed = seeds.filter(pl.col("type") == "Health Harm").row(0, named=True)
    texts = generated(seed["seed_id"], "first", "second", "third", "fourth")
    attacks = build_attacks(texts, seeds, model="R1", iteration=2, settings_id="s")
    counts = pl.DataFrame({"prompt_id": attacks["prompt_id"], "valid": [4, 2, 5, 3], "unsafe": [2, 2, 2, 3]})
    with_language = add_language(attacks, seeds, make_prompts())
    joined = select_successful(with_language, seeds, counts, default_taxonomy(), rate=0.5, min_verdicts=3)
    assert set(joined["text"]) == {"first", "fourth"}
    row = joined.row(0, named=True)
    assert (row["type"], row["risk_category"], row["attack_style"], row["difficulty"]) == (
        "Health Harm", "Health Harm", None, "Easy",
    )  # fmt: skip
    assert (row["source"], row["model"], row["iteration"], row["seed_id"]) == ("red-team", "R1", 2, seed["seed_id"])
    assert set(joined["language"]) == {"en"}
    assert tables.cast("prompts", joined).equals(joined)


def test_refused_attacks_that_are_none_join_as_harmless_prompts_only_if_they_are_prompts(tmp_path: Path) -> None:
    context = open_context(tmp_path)
    harmless = context.loop.harmless.model_copy(update={"judge": "asks"})
    loop = context.loop.model_copy(update={"harmless": harmless})
    context = replace(context, recipe=context.recipe.model_copy(update={"loop": loop}))
    seeds = draw(1)
    reasons = [None, "harmless", "off_type", "attacker_refused", "echoes_request", "gibberish"]
    texts = generated(seeds["seed_id"][0], *(f"the door {number}" for number in range(len(reasons))))
    attacks = build_attacks(texts, seeds, model="R0", iteration=1, settings_id="s")
    attacks = attacks.with_columns(pl.Series("invalid", reasons, dtype=pl.String))
    asked = attacks.select("prompt_id", response_id="prompt_id").join(pl.DataFrame({"sample": range(3)}), how="cross")
    responses = asked.with_columns(response_id=pl.format("{}-{}", "response_id", "sample"))
    verdicts = responses.select(
        "response_id", judge=pl.lit("asks"), verdict=pl.lit("safe"), refusal=pl.lit("full_refusal"), score=None
    )
    with_language = add_language(attacks, seeds, make_prompts())
    joined = select_joining(context, with_language, seeds, {"responses": responses, "verdicts": verdicts})
    assert sorted(joined["prompts"]["text"]) == ["the door 0", "the door 1", "the door 2"]
