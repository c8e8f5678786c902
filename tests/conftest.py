"""What several tests share: the real sets, where they are at hand, and a build of the example that is made once."""

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent
EXAMPLE = CHECKOUT / "pipelines" / "example.yaml"


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of the real prompt sets; the test is skipped where there is none."""
    folder = os.environ.get("SEAS_DATA_REAL")
    if folder is None:
        pytest.skip("needs the real prompt sets: set SEAS_DATA_REAL to their folder")
    return Path(folder)


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that holds a build of the example recipe. Tests read it and change nothing."""
    from seas_data import recipe
    from seas_data.run import build

    root = tmp_path_factory.mktemp("example") / "ws"
    assert build(recipe.load(EXAMPLE), root).new
    return root


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with three versions and no empty table, made without a model. Tests read it and change nothing."""
    from tests import made

    root = tmp_path_factory.mktemp("made") / "ws"
    made.workspace(root)
    return root
