"""Prompts, seeds and generated texts of a small invented world, for tests of seeds and attacks."""

import polars as pl

from seas_data.loop.seeds import draw_seeds
from seas_data.recipe import Attack
from seas_data.text import content_id
from tests.taxonomies import TYPES

SETTINGS = Attack(examples_per_seed=3, prompt_template="{examples}", example_separator=" | ", seed_types="natural")
SIZES = {"Role Play": 120, "Goal Hijacking": 60, "Health Harm": 40, "Word Play": 2}


def make_prompts() -> pl.DataFrame:
    rows = [
        {"prompt_id": content_id("prompt", name, k), "type": name, "text": f"{name} {{number}} {k}"}
        for name, size in SIZES.items()
        for k in range(size)
    ]
    frame = pl.DataFrame([*rows, {"prompt_id": "untyped", "type": None, "text": "who knows"}])
    return frame.with_columns(language=pl.lit("en"))


def draw(count: int = 40, **changes: object) -> pl.DataFrame:
    changed = SETTINGS.model_copy(update=changes)
    return draw_seeds(
        make_prompts(),
        count,
        changed,
        types=TYPES,
        iteration=1,
        split="train",
        random_stream=(0, "attack"),
    )


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
