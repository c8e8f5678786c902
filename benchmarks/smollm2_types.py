"""Which attacks of a run of SmolLM2 are not written in the way of their type, by the judge ``way`` of its recipe.

The recipe has the judge and asks it only with ``loop.validity.types=way``; here it reads the attacks of any run.
"""

from pathlib import Path
from typing import Final

import polars as pl

import seas_data as sd
from seas_data.judges import rules
from seas_data.judges.run import named_categories
from seas_data.loop.attack_validity import find_off_type
from seas_data.query.version import Version
from seas_data.recipe import JudgeRules

RECIPE: Final = Path(__file__).parents[1] / "pipelines" / "smollm2.yaml"


def typed_attacks(version: Version) -> pl.DataFrame:
    """Return the attacks that a target was asked, with their type and whether they are off type.

    Output columns: prompt_id, model, split, invalid, type, attack (the text), off_type (the reason or null).
    """
    (way,) = (judge for judge in sd.load_recipe(RECIPE).judges if judge.label == "way")
    assert isinstance(way, JudgeRules)
    types = version.table("seeds").select("seed_id", "type")
    sent = version.table("attacks").filter(pl.col("reason").is_null()).join(types, on="seed_id")
    attacks = sent.select("prompt_id", "model", "split", "invalid", "type", attack="text")
    verdicts = rules.judge_rows(attacks.select(request_id="prompt_id", prompt="attack"), way, "prompt")
    return find_off_type(attacks, verdicts.rename({"request_id": "prompt_id"}), named_categories(way))
