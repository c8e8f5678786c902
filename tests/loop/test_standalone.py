"""Standalone stages: the models that ``--red`` and ``--target`` name, and the kinds of prompts."""

from pathlib import Path

import pytest

from seas_data import recipe as recipes
from seas_data.errors import SeasDataError
from seas_data.loop import standalone
from tests.loop.test_loop import SMALL, SMOKE


def test_both_models_can_be_named_when_the_recipe_has_one_for_both(tmp_path: Path) -> None:
    shared = recipes.load(SMOKE, [*SMALL, "loop.target.model=red"])
    given = [tmp_path / name for name in ("one", "other")]
    for folder in given:
        folder.mkdir()
    context = standalone.open_context(shared, tmp_path, red=str(given[0]), target=str(given[1]))
    assert [context.base_model_folder("red"), context.base_model_folder("target")] == [str(folder) for folder in given]
    assert context.recipe.models["red"].model == str(tmp_path / "sandbox" / "red-team"), "which a judge may use too"


def test_prompts_of_another_kind_are_an_error(tmp_path: Path) -> None:
    context = standalone.open_context(recipes.load(SMOKE, SMALL), tmp_path)
    (tmp_path / "prompts.jsonl").write_text('{"text": "why", "type": null, "kind": "general"}\n')
    with pytest.raises(SeasDataError, match="of the kind general; use adversarial or harmless"):
        standalone.run_attack(context, tmp_path, tmp_path / "prompts.jsonl")
