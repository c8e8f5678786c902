"""The real prompt sets: every row is a prompt or set aside, and the maps know every label that they can."""

from pathlib import Path

import polars as pl
import pytest

from seas_data import recipe, sources
from tests.conftest import CHECKOUT

ROWS = {
    "advbench_behaviors": 520,
    "adversarialqa": 500,
    "alert_adversarial_sample": 100,
    "alpaca_noinput": 31_323,
    "catqa_en": 500,
    "do_not_answer_en": 939,
    "harmbench_text": 400,
    "harmfulqa": 1_960,
    "multijail": 3_090,
    "oktest": 350,
    "orbench_hard1k": 1_319,
    "seas_sample": 10,
    "seval_attack_en": 8_000,
    "seval_base_en": 10_000,
    "seval_base_zh": 10_000,
    "xstest_v2": 450,
}
# Labels that no risk category or attack style means, and so many rows.
UNMAPPED = {
    ("alert_adversarial_sample", "style"): 23,
    ("do_not_answer_en", "risk"): 182,
    ("harmbench_text", "risk"): 65,
    ("multijail", "risk"): 220,
    ("xstest_v2", "risk"): 150,
}


@pytest.fixture(scope="module")
def read(real: Path) -> dict[str, sources.SourceRows]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEAS_DATA_REAL", str(real))
        loaded = recipe.load(CHECKOUT / "pipelines" / "public-prompts.yaml")
    return {name: sources.read_source(name, source) for name, source in loaded.sources.items()}


@pytest.mark.real
def test_every_row_is_read(read: dict[str, sources.SourceRows]) -> None:
    assert {name: found.prompts.height + found.set_aside.height for name, found in read.items()} == ROWS
    assert sum(ROWS.values()) == 69_461
    assert sum(found.set_aside.height for found in read.values()) == 0
    ids = pl.concat([found.prompts["prompt_id"] for found in read.values()])
    assert ids.n_unique() == 69_461


@pytest.mark.real
def test_labels_that_the_maps_do_not_know(read: dict[str, sources.SourceRows]) -> None:
    unmapped = {}
    for name, found in read.items():
        adversarial = found.prompts.filter(pl.col("kind") == "adversarial")
        for axis, column, mapped in (
            ("risk", "source_risk", "risk_category"),
            ("style", "source_style", "attack_style"),
        ):
            lost = adversarial.filter(pl.col(column).is_not_null() & pl.col(mapped).is_null()).height
            # seas_sample has one column for both axes, and harmfulqa's topics are no risks
            if lost and name not in ("seas_sample", "harmfulqa"):
                unmapped[name, axis] = lost
    assert unmapped == UNMAPPED
    assert read["seas_sample"].prompts["type"].null_count() == 0


@pytest.mark.real
def test_kinds_languages_and_wrappers(read: dict[str, sources.SourceRows]) -> None:
    assert dict(read["xstest_v2"].prompts["kind"].value_counts().rows()) == {"harmless": 250, "adversarial": 200}
    languages = dict(read["multijail"].prompts["language"].value_counts().rows())
    assert languages == dict.fromkeys(["en", "zh", "it", "vi", "ar", "ko", "th", "bn", "sw", "jv"], 309)
    wrapped = read["alert_adversarial_sample"].prompts["text"]
    assert not wrapped.str.contains("### (Instruction|Response):").any()
    assert {name for name, found in read.items() if (found.prompts["role"] == "holdout").all()} == {
        "xstest_v2",
        "harmbench_text",
        "adversarialqa",
    }
