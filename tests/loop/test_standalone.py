"""Standalone stages: the models that ``--red`` and ``--target`` name, and the kinds of prompts."""

from pathlib import Path

import pytest

from seas_data import recipe as recipes
from seas_data.errors import SeasDataError
from seas_data.loop import standalone
from seas_data.sources.conversations import read_preferences
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


def test_files_of_the_sandbox_are_found_in_the_folder(tmp_path: Path) -> None:
    """`pairs sandbox-smoke.yaml FOLDER` reads the general pairs, whose path begins with $SANDBOX."""
    context = standalone.open_context(recipes.load(SMOKE, SMALL), tmp_path)
    assert context.loop.preferences == str(tmp_path / "sandbox" / "general-pairs.jsonl")
    assert read_preferences(context.loop.preferences).rows.height == 60
