"""The Ray engine: where units run changes nothing, lost nodes and processes cost their units only, and clear errors."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from seas_data import recipe
from seas_data.engine_ray import RayEngine, describe_environment, run_unit
from seas_data.errors import SeasDataError
from seas_data.store.part_folder import LocalFolder
from seas_data.store.parts import Parts, Unit, store_part
from tests.conftest import EXAMPLE

SLICES = [pl.DataFrame({"number": [3 * at, 3 * at + 1, 3 * at + 2]}) for at in range(12)]


def squares(rows: pl.DataFrame, settings: Mapping[str, Any]) -> pl.DataFrame:
    if settings.get("fails"):
        raise SeasDataError("number 3 cannot be squared; leave it out")
    return rows.with_columns(square=pl.col("number") ** 2)


def test_without_the_extra_there_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SeasDataError, match=r"Ray is not installed; install `seas-data\[ray\]`") as raised:
        RayEngine(tmp_path)
    assert "\n" not in str(raised.value)


def unit(folder: Path) -> Unit:
    units: list[Unit] = []

    class Recorder:
        def run(self, function: Any, given: Any, count: int, what: str, *, gpus: int = 0) -> None:
            units.extend(given)

    next(Parts(folder, Recorder()).map(squares, SLICES.__getitem__, 1, {}, "squares"))
    (folder / units[0].name).unlink()
    return units[0]


def test_a_node_without_the_workspace_refuses_units(tmp_path: Path) -> None:
    elsewhere = LocalFolder(tmp_path / "ws" / "stages")
    with pytest.raises(
        SeasDataError,
        match=r"does not see what the machine that builds wrote to .*/ws/stages; put the workspace into a folder that",
    ):
        run_unit(store_part, unit(tmp_path), (elsewhere, "marker", describe_environment()))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["polars", "Python", "seas-data code"])
def test_a_node_with_other_versions_refuses_units(tmp_path: Path, name: str) -> None:
    work, shared = unit(tmp_path), LocalFolder(tmp_path)
    shared.write("marker", b"")
    with pytest.raises(SeasDataError, match=rf"has {name} \S+, and the machine that builds has 0.1; install the same"):
        run_unit(store_part, work, (shared, "marker", describe_environment() | {name: "0.1"}))
    assert work.name not in work.folder
    run_unit(store_part, work, (shared, "marker", describe_environment()))
    assert work.name in work.folder


@pytest.mark.parametrize("change", ["ray.address=10.0.0.5:6379", "ray.store=s3://theirs/parts"])
def test_a_pulled_recipe_joins_a_cluster_or_fills_a_store_only_with_trust(change: str) -> None:
    loaded = recipe.load(EXAMPLE, [change])
    recipe.require_trust(loaded)
    assert loaded.digest() == recipe.load(EXAMPLE).digest()
    with pytest.raises(
        SeasDataError, match=r"pulled from org/set, and would .*; check the recipe and build it with --tr"
    ):
        recipe.require_trust(loaded.model_copy(update={"pulled_from": "org/set"}))


@pytest.mark.parametrize("store", ["parts", "s3://bucket", "s3://bucket/", ""])
def test_a_store_is_a_whole_path_or_has_a_prefix(store: str) -> None:
    with pytest.raises(SeasDataError, match=r"ray\.store: .*give the whole path of a folder, or a URL with a prefix"):
        recipe.load(EXAMPLE, [f"ray.store='{store}'"])
