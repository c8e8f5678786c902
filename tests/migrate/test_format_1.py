"""Recipes of format 1 in the keys of format 2."""

import json
from typing import Any

import polars as pl
import pytest

from seas_data.migrate.format_1 import convert_recipe, convert_settings
from seas_data.recipe import Recipe

SOURCE = {"path": "a.jsonl", "kind": "adversarial", "language": "en", "licence": "MIT"}
SERVED = {"backend": "http", "model": "a/b", "url": "http://127.0.0.1:1/v1"}


def converted(**sections: Any) -> Recipe:
    """A recipe of format 1 with ``sections``, converted and validated: no old key is left."""
    content = {"name": "one", "sources": {"a": SOURCE}, **sections}
    before = json.dumps(content)
    recipe = Recipe.model_validate(convert_recipe(content))
    assert json.dumps(content) == before
    return recipe


def test_keys_of_lists_maps_and_optional_sections_are_renamed() -> None:
    recipe = converted(
        sources={"a": SOURCE | {"unwrap": {"prefix": "Q: ", "suffix": ""}}, "b": SOURCE | {"unwrap": None}},
        embedders=[{"model": "all-MiniLM-L6-v2", "max_unknown": 0.2}],
        pulled="a/b@main",
        sandbox={"target_rows": 9_999},
    )
    assert recipe.sources["a"].strip is not None and recipe.sources["a"].strip.prefix == "Q: "
    assert recipe.embedders[0].max_unknown_proportion == 0.2
    assert recipe.pulled_from == "a/b@main"
    assert recipe.sandbox is not None and recipe.sandbox.target_sft_rows == 9_999


def test_the_settings_of_a_served_model_are_renamed_with_their_values() -> None:
    old = {"form": "completion", "key_variable": "KEY", "timeout": 5, "patience": 6, "options": {"top_k": 1}}
    model = converted(models={"m": SERVED | old}).models["m"].model_dump()
    new = {"endpoint": "completions", "api_key_env": "KEY", "timeout_seconds": 5, "max_wait_seconds": 6}
    assert {name: model[name] for name in new} == new
    assert model["extra_body"] == {"top_k": 1}


@pytest.mark.parametrize(
    ("guard", "old", "options"),
    [
        ("qwen3guard", "safe", {"controversial": "safe"}),
        ("qwen3guard", "unsafe", {}),
        ("llama-guard-2", "unsafe", {}),
    ],
)
def test_the_option_of_a_guard_moves_to_its_options(guard: str, old: str, options: dict[str, str]) -> None:
    judge = {"by": "guard", "guard": guard, "model": "m", "controversial": old}
    (recipe,) = converted(judges=[judge], models={"m": {"model": "a/b"}}).judges
    assert recipe.model_dump()["options"] == options


def test_training_settings_are_renamed_in_all_four_trainings() -> None:
    shared = {"batch": 4, "micro_batch": 2, "warm_up": 3.0, "scheduler": "cosine", "max_gradient_norm": 0.5}
    shared |= {"log_steps": 7, "accelerate": None, "processes": None, "options": {}, "lora": {"targets": ["q_proj"]}}
    preference = shared | {"loss": ["sigmoid", "sft"], "reference": "first", "precompute_reference": True}
    training = converted(
        training={"red_sft": shared, "target_sft": shared, "red": preference, "target": preference}
    ).training
    for each in (training.red_sft, training.target_sft, training.red, training.target):
        assert (each.batch_size, each.per_device_batch_size, each.logging_steps) == (4, 2, 7)
        assert each.lora is not None and each.lora.target_modules == ["q_proj"]
    assert (training.red.loss_type, training.red.reference_model) == (["sigmoid", "sft"], "first")


def test_the_settings_of_served_models_are_renamed_in_their_table() -> None:
    sampling = [{"temperature": 1.0, "form": "completion", "options": {"top_k": 1}}, {"temperature": 0.0}]
    rows = pl.DataFrame({"settings_id": ["a", "b"], "sampling": [json.dumps(each) for each in sampling]})
    new = [json.loads(text) for text in convert_settings(rows)["sampling"]]
    assert new == [{"temperature": 1.0, "endpoint": "completions", "extra_body": {"top_k": 1}}, {"temperature": 0.0}]
