"""A loop of one iteration in the smallest mini-world, with a second judge that reads prompts."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from seas_data import recipe as recipes
from seas_data import registry
from seas_data.recipe import Recipe
from seas_data.run import build
from tests.conftest import shared_workspace
from tests.loop.test_loop import SMALL, SMOKE

# Models with so little training write nonsense: the rules are set so that some responses are refusals and some attacks
# harmless. The tests check where an attack goes, not which one it is.
KEEPER: dict[str, Any] = {
    "by": "rules",
    "name": "keeper",
    "unsafe": {"words": ["velorin", "quassel", "tambrik", "ozmundi", "fennarak"]},
    "refusal": {"words": ["the"]},
}
READER: dict[str, Any] = {"by": "rules", "name": "reader", "unsafe": {"words": ["password", "secret"]}}


CHANGES = [
    *SMALL,
    "loop.harmless.prompts_per_iteration=500",
    "loop.seeds_per_iteration=20",
    "loop.iterations=1",
]


def recipe(folder: Path, *changes: str) -> Recipe:
    """Return the smallest recipe with both judges, written to ``folder`` first; ``changes`` as for ``--set``."""
    return recipes.load(write_recipe(folder), [*CHANGES, *changes])


def write_recipe(folder: Path) -> Path:
    content = recipes.read(SMOKE)
    content["judges"] = [KEEPER, READER]
    content["pairs"]["judge"] = "keeper"
    content["loop"]["harmless"] = {"judge": "reader"}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


METRIC_MODULE = """
from seas_data.metrics import Metric, RedTeamAttacks
from seas_data.metrics.rows import metric_frame, metric_row


def mean_length(data):
    lengths = data.attacks["text"].str.len_chars()
    return metric_frame([metric_row("attack_length", lengths.mean(), {"red_team": data.red_team}, n=len(lengths))])


ATTACK_LENGTH = Metric("mean number of characters of an attack", ("red_team",), {RedTeamAttacks: mean_length})
"""


def write_metric(site: Path) -> None:
    """Write another distribution, which has a metric, to ``site``."""
    about = site / "length_metric-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: length-metric\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[seas_data.metrics]\nattack_length = length_metric:ATTACK_LENGTH\n")
    (site / "length_metric.py").write_text(METRIC_MODULE)


@pytest.fixture(scope="session")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the workspace ``ws`` of version 0 and one iteration, built where another metric is installed.

    Tests read it, or continue in a copy.
    """
    pytest.importorskip("trl", reason="needs the extra train")

    def build_one(root: Path) -> None:
        write_metric(root.parent / "site")
        with pytest.MonkeyPatch.context() as patch:
            patch.syspath_prepend(root.parent / "site")
            registry.refresh()
            build(recipe(root.parent), root)
        registry.refresh()

    return shared_workspace(tmp_path_factory, "one-iteration", build_one).parent
