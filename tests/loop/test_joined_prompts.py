"""Attacks that succeeded become training prompts with the type of their seed."""

import polars as pl

from seas_data import tables
from seas_data.loop.attacks import add_language, build_attacks
from seas_data.loop.joined_prompts import select_successful
from seas_data.recipe.taxonomy import default_taxonomy
from tests.loop.attack_rows import draw, generated, make_prompts


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
