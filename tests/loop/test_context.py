"""The base model of a training, and the files that a build of the loop depends on."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from seas_data import loop
from seas_data import recipe as recipes
from seas_data.loop.context import IterationContext
from seas_data.store import Workspace
from seas_data.store.stages import Stages
from tests.loop.test_loop import SMOKE


def test_a_training_starts_from_the_pinned_commit_of_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(model: str, revision: str | None, **_: Any) -> str:
        return f"/cache/{model}/{revision}"

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    recipe = recipes.load(SMOKE, ["models.red={model: org/red, revision: 0123abc}", f"models.target.model={tmp_path}"])
    context = IterationContext(recipe, Workspace(tmp_path), Stages(tmp_path, "key"), 1, pl.DataFrame())
    assert context.base_model_folder("red") == "/cache/org/red/0123abc"
    assert context.base_model_folder("target") == str(tmp_path)


def test_a_build_depends_on_the_contents_of_an_accelerate_configuration(tmp_path: Path) -> None:
    named = tmp_path / "mine.yaml"
    files = {"instructions": tmp_path / "rows.jsonl", "preferences": tmp_path / "pairs.jsonl"}
    changes = [f"loop.{name}={path}" for name, path in files.items()]
    for path in files.values():
        path.write_text("{}")
    digests = []
    for text in ("one: 1", "two: 2"):
        named.write_text(text)
        digests.append(loop.hash_inputs(recipes.load(SMOKE, [*changes, f"training.red.accelerate_config={named}"])))
    assert digests[0] != digests[1]
    assert len(loop.hash_inputs(recipes.load(SMOKE, [*changes, "training.red.accelerate_config=ddp"]))) == 2


def test_thinking_has_room_of_its_own(tmp_path: Path) -> None:
    changes = ["loop.sampling.target_thinking_tokens=500", "loop.sampling.red_thinking_tokens=30"]
    context = IterationContext(
        recipes.load(SMOKE, changes), Workspace(tmp_path), Stages(tmp_path, "key"), 1, pl.DataFrame()
    )
    settings = context.loop.sampling
    assert context.sampling("target").max_new_tokens == settings.target_max_tokens + 500
    assert context.sampling("red").max_new_tokens == settings.red_max_tokens + 30
