"""Building on what was pulled: new rows meet the pulled ones, and a pulled recipe runs nothing unless trusted."""

import json
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml

from seas_data import recipe as recipes
from seas_data.errors import SeasDataError
from seas_data.query import version as versions
from seas_data.release.hub.pull import pull
from seas_data.release.hub.push import PushRequest, push
from seas_data.release.takedown import take_down
from seas_data.run import build
from tests.conftest import EXAMPLE
from tests.hub import Hub
from tests.program import called

pytestmark = pytest.mark.usefixtures("quick")


def more(folder: Path, example: Path) -> Path:
    """A recipe with a new prompt, and one that the version has."""
    before = versions.open(example).version()
    kept = before.select("select text from kept where kind = 'general' order by prompt_id limit 1")["text"][0]
    texts = ["How tall is the garden door, please?", kept]
    (folder / "more.jsonl").write_text("".join(json.dumps({"prompt": each}) + "\n" for each in texts))
    place = folder / "more.yaml"
    place.write_text(
        "name: more\nembedders: []\nsources:\n  more: {path: more.jsonl, kind: harmless, language: en, licence: MIT}\n"
    )
    return place


@pytest.mark.slow
def test_a_build_continues_from_a_pulled_version(hub: Hub, example: Path, tmp_path: Path) -> None:
    root = tmp_path / "ws2"
    push(versions.open(example).version(), PushRequest("org/set", tag="1.0.0"), "gated")
    pulled = pull("org/set@1.0.0", root).version
    assert not build(recipes.load(EXAMPLE), root).new, "the same sources bring nothing new"
    built = build(recipes.load(more(tmp_path, example)), root).version
    assert built.name == "v1" and built.manifest.parent_digest == pulled.digest
    assert built.workspace.verify(built.manifest) == []
    dropped = built.select("select source, reason from dropped join prompts using (prompt_id) where version = 'v1'")
    assert dropped.rows() == [("more", "exact_duplicate")]
    assert built.table("kept").filter(pl.col("source") == "more").height == 1


@pytest.mark.slow
def test_a_release_without_texts_refuses_builds_but_not_takedowns(hub: Hub, example: Path, tmp_path: Path) -> None:
    root = tmp_path / "ws2"
    push(versions.open(example).version(), PushRequest("org/set", tag="1.0.0"), "public")
    version = pull("org/set@1.0.0", root).version
    with pytest.raises(SeasDataError, match="withholds texts"):
        build(recipes.load(more(tmp_path, example)), root)
    done = take_down(root, [version.table("kept")["prompt_id"][0]], "asked for")
    assert done.version.workspace.verify(done.version.manifest) == []
    with pytest.raises(SeasDataError, match="withholds texts"):
        build(recipes.load(more(tmp_path, example)), root)


def served(folder: Path, pulled: str | None) -> tuple[Path, Path]:
    """A recipe whose models are served by a command that leaves a mark, and where the mark would be."""
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text("{}")
    asked = (f"Which vault is behind door number {number}?" for number in range(40))
    lines = (json.dumps({"prompt": text, "style": "Role Play"}) for text in asked)
    (folder / "doors.jsonl").write_text("\n".join(lines))
    mark = folder / "mark"
    command = [sys.executable, "-c", f"open({str(mark)!r}, 'w')", "{model}", "{port}"]
    model = {"backend": "http", "model": "./model", "serve": command, "max_wait_seconds": 1}
    content: dict[str, object] = {
        "name": "doors",
        "embedders": [],
        "sources": {
            "doors": {
                "path": "doors.jsonl",
                "kind": "adversarial",
                "language": "en",
                "columns": {"style": "style"},
                "style_map": {"Role Play": "Role Play"},
            }
        },
        "curation": {"near": None, "templates": {"detect": False}},
        "models": {"red": model, "target": model},
        "judges": [{"by": "rules", "unsafe": {"words": ["box"]}}],
        "loop": {"iterations": 1, "attack": {"examples_per_seed": 1}, "red_team": {"model": "red", "start": "given"}}
        | {"target": {"model": "target", "start": "given"}},
        "pairs": {"harmless": None, "general": None},
    }
    place = folder / "doors.yaml"
    place.write_text(yaml.safe_dump(content | ({"pulled_from": pulled} if pulled else {})))
    return place, mark


def test_a_pulled_recipe_runs_a_command_only_with_trust(tmp_path: Path) -> None:
    place, mark = served(tmp_path, "org/set@1.0.0")
    ended = called("build", place, "--workspace", tmp_path / "ws")
    assert ended.returncode == 2 and not mark.exists()
    assert "was pulled from org/set@1.0.0" in ended.stderr and "--trust" in ended.stderr and "python" in ended.stderr
    assert not (tmp_path / "ws").exists()
    ended = called("build", place, "--workspace", tmp_path / "ws", "--trust")
    assert mark.exists(), ended.stderr


@pytest.mark.slow
def test_an_own_recipe_runs_its_commands_without_trust(tmp_path: Path) -> None:
    place, mark = served(tmp_path, None)
    called("build", place, "--workspace", tmp_path / "ws")
    assert mark.exists()


def test_standalone_stages_require_trust(tmp_path: Path) -> None:
    from seas_data.loop import standalone

    place, mark = served(tmp_path, "org/set")
    with pytest.raises(SeasDataError, match="--trust"):
        standalone.open_context(recipes.load(place), tmp_path / "round")
    assert not mark.exists()


@pytest.mark.slow
def test_a_pull_writes_the_recipe_marked_as_pulled(hub: Hub, example: Path, tmp_path: Path) -> None:
    version = versions.open(example).version()
    push(version, PushRequest("org/set", tag="1.0.0"), "public")
    done = pull("org/set@1.0.0", tmp_path / "ws2")
    assert done.recipe == tmp_path / "ws2" / "recipes" / "example.yaml"
    read = recipes.load(done.recipe)
    assert read.pulled_from == "org/set@1.0.0"
    assert read.model_copy(update={"pulled_from": None}).digest() == read.digest()
