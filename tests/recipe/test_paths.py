"""Paths lead from the recipe's folder, wherever a recipe has one, and a digest is of what they lead to by name."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from seas_data import recipe
from seas_data.recipe import Recipe, resolve_sandbox
from seas_data.recipe.paths import is_local_path
from tests.conftest import CHECKOUT
from tests.recipe.test_loading import MINIMAL, fails, load

SMOKE = CHECKOUT / "pipelines" / "sandbox-smoke.yaml"
PATHS = {
    "overrides": "mine.csv",
    "embedders": [{"model": "./encoder"}],
    "models": {
        "red": {"model": "./red"},
        "target": {
            **{"backend": "http", "model": "../target", "endpoint": "completions", "tokenizer": "./words"},
            "serve": ["serve", "{model}", "{port}"],
        },
    },
    "judges": [{"by": "rules", "unsafe": {"words": ["jade"]}}],
    "loop": {
        **{"instructions": "rows.jsonl", "preferences": "pairs.jsonl"},
        "evaluation": {"gold_verdicts": "gold.csv", "expected_answers": {"vaults": "answers.jsonl"}},
    },
    "training": {"red": {"accelerate_config": "./mine.yaml"}, "target": {"accelerate_config": "fsdp2"}},
}


def paths(content: Any) -> list[str]:
    """All texts in ``content`` that lead somewhere."""
    if isinstance(content, BaseModel):
        content = content.model_dump()
    if isinstance(content, dict | list):
        return [path for part in (content.values() if isinstance(content, dict) else content) for path in paths(part)]
    return [content] if isinstance(content, str) and Path(content).is_absolute() else []


def test_every_path_leads_from_the_folder_of_the_recipe(tmp_path: Path) -> None:
    loaded = load(tmp_path, MINIMAL | PATHS)
    names = "vaults.jsonl mine.csv encoder red target words rows.jsonl pairs.jsonl gold.csv answers.jsonl mine.yaml"
    assert sorted(Path(path).name for path in paths(loaded)) == sorted(names.split())
    assert all(Path(path).is_relative_to(tmp_path) for path in paths(loaded))
    assert loaded.training.target.accelerate_config == "fsdp2"


def test_a_path_given_on_the_command_line_is_relative_to_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "current").mkdir()
    monkeypatch.chdir(tmp_path / "current")
    changes = [
        "loop.preferences=x.jsonl",
        "loop.instructions=../y.jsonl",
        "loop.evaluation.expected_answers={vaults: answers.jsonl}",
        "models.red.model=./red",
        "training.red.accelerate_config=ddp",
        f"overrides={tmp_path / 'absolute.csv'}",
    ]
    loaded = load(tmp_path / "recipes", MINIMAL | PATHS, *changes)
    assert loaded.loop is not None
    assert loaded.loop.preferences == str(tmp_path / "current" / "x.jsonl")
    assert Path(str(loaded.loop.instructions)).resolve() == tmp_path / "y.jsonl"
    assert loaded.loop.evaluation.expected_answers == {"vaults": str(tmp_path / "current" / "answers.jsonl")}
    assert loaded.models["red"].model == str(tmp_path / "current" / "red")
    assert loaded.training.red.accelerate_config == "ddp"
    assert loaded.overrides == str(tmp_path / "absolute.csv")
    assert loaded.loop.evaluation.gold_verdicts == str(tmp_path / "recipes" / "gold.csv"), "from the recipe"
    assert loaded.sources["vaults"].path == str(tmp_path / "recipes" / "vaults.jsonl")


def test_the_same_recipe_in_another_folder_has_the_same_digest(tmp_path: Path) -> None:
    digests = set()
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        loaded = load(tmp_path / name, MINIMAL | PATHS)
        assert str(tmp_path) not in str(loaded.canonical())
        digests.add(loaded.digest())
    assert len(digests) == 1


def test_a_digest_does_not_ask_what_lies_in_the_folder_one_stands_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = MINIMAL | PATHS | {"models": {"red": {"model": "org/red"}, "target": {"model": "org/target"}}}
    loaded = load(tmp_path, named)
    before = loaded.digest()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "org" / "red").mkdir(parents=True)
    assert loaded.digest() == before
    assert loaded.canonical()["models"]["red"]["model"] == "org/red"


def test_model_folders_are_told_from_names_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODELS", "/the/models")
    monkeypatch.setenv("HOME", "/the/home")
    places = {"$MODELS/a": "/the/models/a", "~/a": "/the/home/a", "/x/a": "/x/a", "./a": str(tmp_path / "a")}
    for given, expected in (places | {"org/a": "org/a", "a": "a"}).items():
        loaded = load(tmp_path, MINIMAL, f"models.red.model={given}", f"embedders=[{{model: {given}}}]")
        assert loaded.models["red"].model == loaded.embedders[0].model == expected
    assert not is_local_path("a") and not is_local_path("org/a")


def test_a_model_of_a_variable_that_is_not_set_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELS", raising=False)
    assert "models.red.model: the environment variable $MODELS is not set" in fails(
        tmp_path, "models.red.model=$MODELS/a"
    )


def test_a_template_is_what_its_file_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    changes = ("models.red={model: a/b, chat_template: chat.jinja}", "training.red.chat_template=chat.jinja")
    with_loop = MINIMAL | PATHS
    digests = []
    for text in ("{{ one }}", "{{ two }}"):
        (tmp_path / "chat.jinja").write_text(text)
        loaded = load(tmp_path, with_loop, *changes)
        assert loaded.models["red"].chat_template == loaded.training.red.chat_template == text
        digests.append(loaded.digest())
    assert digests[0] != digests[1]
    (tmp_path / "chat.jinja").unlink()
    assert "training.red.chat_template: the chat template" in fails(tmp_path, *changes, content=with_loop)
    assert load(tmp_path, with_loop, "training.red.chat_template='{{ three }}'").training.red.chat_template


def test_the_sandbox_is_a_place_only_once_it_is_there(tmp_path: Path) -> None:
    loaded = recipe.load(SMOKE)
    assert loaded.sources["attacks"].path == "$SANDBOX/attacks.jsonl"
    there = resolve_sandbox(loaded, tmp_path)
    assert there.sources["attacks"].path == str(tmp_path / "attacks.jsonl")
    assert there.models["red"].model == str(tmp_path / "red-team")
    assert there.digest() == loaded.digest()
    assert "$SANDBOX" not in str(there.model_dump())


def test_what_a_version_has_of_a_recipe_can_be_read_again(tmp_path: Path) -> None:
    loaded = load(tmp_path, MINIMAL | PATHS)
    again = Recipe.model_validate(loaded.canonical())
    assert again.models["target"].serve == loaded.models["target"].serve
    assert yaml.safe_dump(again.canonical())
