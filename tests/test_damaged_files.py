"""A flipped bit in a file of an unfinished build never reaches a version: the build ends in the undisturbed digest."""

import json
import random
import shutil
from pathlib import Path

import pytest

from seas_data.recipe import Recipe
from seas_data.run import build
from seas_data.store import Workspace, open_workspace
from seas_data.store.contents import find_mismatches

COLOURS = ("red", "green", "blue", "white", "black", "brown")


def write_recipe(folder: Path, *, embedded: bool) -> Recipe:
    rows = [
        {"id": f"{number}", "prompt": f"Tell me why the {colour} {thing} of the {number} gardens was painted {colour}."}
        for number, (colour, thing) in enumerate((colour, thing) for colour in COLOURS for thing in ("door", "lamp"))
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    source = {
        "path": str(folder / "rows.jsonl"),
        "columns": {"id": "id"},
        "kind": "general",
        "language": "en",
        "licence": "Apache-2.0",
    }
    settings = {} if embedded else {"embedders": []}
    return Recipe.model_validate({"name": "tiny", "sources": {"rows": source}, **settings})


def stop_before_commit(recipe: Recipe, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Build up to the moment before the version is committed, as a kill there would leave the workspace."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Workspace, "commit", stop)
        with pytest.raises(KeyboardInterrupt):
            build(recipe, root)


@pytest.mark.slow
@pytest.mark.parametrize(("flips", "embedded"), [(8, False), pytest.param(200, True, id="200 with vectors")])
def test_a_build_with_a_flipped_bit_in_its_files_ends_in_the_undisturbed_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flips: int, embedded: bool
) -> None:
    recipe = write_recipe(tmp_path, embedded=embedded)
    expected = build(recipe, tmp_path / "undisturbed").version.digest
    stopped = tmp_path / "stopped"
    stop_before_commit(recipe, stopped, monkeypatch)
    targets = sorted(
        path.relative_to(stopped)
        for folder in ("stages", "vectors", "shards")
        for path in (stopped / folder).rglob("*")
        if path.is_file() and path.stat().st_size
    )
    assert {path.parts[0] for path in targets} >= {"stages", "shards", *(["vectors"] if embedded else [])}
    places = random.Random(flips)
    for number in range(flips):
        root = tmp_path / "flipped"
        shutil.copytree(stopped, root)
        path = root / targets[number % len(targets)]
        content = bytearray(path.read_bytes())
        place = places.randrange(len(content))
        content[place] ^= 1 << places.randrange(8)
        path.write_bytes(content)
        built = build(recipe, root)
        opened = open_workspace(root)
        assert built.version.digest == expected, (path, place)
        assert opened.verify(built.version.manifest) == []
        assert find_mismatches(opened, built.version.manifest) == []
        shutil.rmtree(root)
