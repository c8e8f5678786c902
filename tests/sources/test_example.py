"""The embedded example holds something for every step, and its broken rows are set aside for the reasons intended."""

from collections import Counter

import polars as pl
import pytest

from seas_data import recipe, sources
from seas_data.curate.validity import find_invalid
from tests.conftest import EXAMPLE


@pytest.fixture(scope="module")
def read() -> dict[str, sources.SourceRows]:
    return {name: sources.read_source(name, source) for name, source in recipe.load(EXAMPLE).sources.items()}


@pytest.fixture(scope="module")
def prompts(read: dict[str, sources.SourceRows]) -> pl.DataFrame:
    return pl.concat([found.prompts for found in read.values()])


def test_set_aside(read: dict[str, sources.SourceRows]) -> None:
    reasons = {name: Counter(found.set_aside["reason"]) for name, found in read.items()}
    assert reasons == {
        "attacks": {"unreadable": 4, "undecodable": 2, "empty": 1, "repeated": 1},
        "lookalikes": {"unreadable": 5, "unknown_kind": 1},
        "general": {},
        "holdout": {},
    }


def test_there_is_something_of_everything(prompts: pl.DataFrame) -> None:
    assert 150 <= prompts.height <= 250
    assert set(prompts["kind"]) == {"adversarial", "harmless", "general"}
    assert set(prompts["language"]) == {"en", "de", "zh"}
    assert set(prompts["difficulty"]) == {"Easy", "Hard", None}
    assert prompts["licence"].unique().to_list() == ["Apache-2.0"]
    assert prompts["text"].str.contains(r"^[=+\-@]").sum() >= 4
    assert prompts["text"].str.contains("<script>", literal=True).any()
    assert prompts["text"].str.starts_with("You are Marlow, the oldest keeper").sum() >= 20


def test_duplicates_and_twins_of_the_holdout(prompts: pl.DataFrame) -> None:
    training, holdout = prompts.filter(pl.col("role") == "training"), prompts.filter(pl.col("role") == "holdout")
    assert training["text_digest"].is_duplicated().sum() >= 4
    assert training["text_digest"].is_in(holdout["text_digest"].implode()).sum() == 2
    conflicting = training.group_by("text_digest").agg(pl.col("type").n_unique()).filter(pl.col("type") > 1)
    assert conflicting.height == 1


def test_rows_that_are_no_prompts(prompts: pl.DataFrame) -> None:
    dropped = find_invalid(prompts, recipe.Limits(min_characters=3, max_characters=20_000))
    assert Counter(dropped["reason"]) == {"too_short": 1, "invalid": 2}
