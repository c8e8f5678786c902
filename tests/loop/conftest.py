"""A loop that has played one iteration in the smallest mini-world; with a second judge, who reads prompts."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from seas_data import recipe as recipes
from seas_data.recipe import Recipe
from seas_data.run import build
from tests.loop.test_loop import SMALL, SMOKE

# Models this young write words without sense: who of them counts as refusing, or as harmless, is set so that there are
# some of each kind. Where an attack comes to is what is tested, not which one it is.
KEEPER: dict[str, Any] = {
    "by": "rules",
    "name": "keeper",
    "unsafe": {"words": ["velorin", "quassel", "tambrik", "ozmundi", "fennarak"]},
    "refusal": {"words": ["the"]},
}
READER: dict[str, Any] = {"by": "rules", "name": "reader", "unsafe": {"words": ["password", "secret"]}}


def recipe(folder: Path, *changes: str) -> Recipe:
    """Return the smallest recipe with both judges, written to ``folder`` first; ``changes`` as for ``--set``."""
    content = recipes.read(SMOKE)
    content["judges"] = [KEEPER, READER]
    content["pairs"]["judge"] = "keeper"
    content["loop"]["harmless"] = {"prompts": 500, "judge": "reader"}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    mine = ("loop.harmless.prompts=500", "loop.seeds=20", "loop.iterations=1")
    return recipes.load(path, [*SMALL, *mine, *changes])


@pytest.fixture(scope="session")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the workspace ``ws`` of version 0 and one iteration. Tests read it, or go on in a copy."""
    pytest.importorskip("trl", reason="needs the extra train")
    folder = tmp_path_factory.mktemp("loop")
    assert build(recipe(folder), folder / "ws").new
    return folder
