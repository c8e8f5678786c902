"""Standalone stages: the models that ``--red`` and ``--target`` name, and the kinds of prompts."""

import json
from pathlib import Path

import pytest

from seas_data import recipe as recipes
from seas_data.conversation import MESSAGES
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


def test_prompts_of_a_file_keep_their_turns(tmp_path: Path) -> None:
    turns = [{"content": text, "role": role} for role, text in (("user", "who"), ("assistant", "me"), ("user", "why"))]
    rows = [{"text": "ignored", "type": None, "messages": turns}, {"text": "when", "type": None, "messages": None}]
    path = tmp_path / "prompts.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    read = standalone.read_prompts(path)
    assert read["text"].to_list() == ["[[user]]\nwho\n\n[[assistant]]\nme\n\n[[user]]\nwhy", "when"]
    assert read["messages"].to_list() == [turns, None] and read.schema["messages"] == MESSAGES
    path.write_text(json.dumps(rows[0] | {"messages": turns[:2]}) + "\n")
    with pytest.raises(
        SeasDataError, match=r"row 1 of .* has messages that cannot be a prompt \(the last turn is not the user"
    ):
        standalone.read_prompts(path)
    path.write_text(json.dumps({"text": "x", "type": None, "messages": "who"}) + "\n")
    with pytest.raises(SeasDataError, match="has messages that cannot be a prompt"):
        standalone.read_prompts(path)
