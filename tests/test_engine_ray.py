"""The Ray engine: where units run changes nothing, lost nodes and processes cost their units only, and clear errors."""

import importlib.util
import os
import pickle
import re
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from seas_data import recipe
from seas_data.engine_ray import RayEngine, can_run, describe_environment, explain, run_unit
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


def environment(shared: LocalFolder, **others: str) -> tuple[dict[str, str], bytes]:
    return describe_environment() | others, pickle.dumps((shared, "marker"))


def test_a_node_without_the_workspace_refuses_units(tmp_path: Path) -> None:
    elsewhere = LocalFolder(tmp_path / "ws" / "stages")
    with pytest.raises(
        SeasDataError,
        match=r"does not see what the machine that builds wrote to .*/ws/stages; put the workspace into a folder that",
    ):
        run_unit(pickle.dumps((store_part, unit(tmp_path))), environment(elsewhere))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["polars", "Python", "seas-data code"])
def test_a_node_with_other_versions_refuses_units(tmp_path: Path, name: str) -> None:
    work, shared = unit(tmp_path), LocalFolder(tmp_path)
    shared.write("marker", b"")
    with pytest.raises(SeasDataError, match=rf"has {name} \S+, and the machine that builds has 0.1; install the same"):
        run_unit(b"what other versions cannot read", environment(shared, **{name: "0.1"}))
    assert work.name not in work.folder
    run_unit(pickle.dumps((store_part, work)), environment(shared))
    assert work.name in work.folder


@pytest.mark.parametrize(
    "form", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "no-such-machine.invalid:{}", "127.0.0.1:70000", "a..b:1"]
)
def test_an_address_that_does_not_answer_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    pytest.importorskip("ray", reason="needs the ray extra")
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and nobody listens there
        address = form.format(held.getsockname()[1])
        started = time.monotonic()
        with pytest.raises(SeasDataError, match=r"Ray could not be reached at .* \(.+\); start a cluster") as raised:
            next(Parts(tmp_path, RayEngine(tmp_path, address)).map(squares, SLICES.__getitem__, 12, {}, "squares"))
    assert time.monotonic() - started < 30 and "\n" not in str(raised.value)


def test_the_folder_of_uv_run_is_not_sent_to_the_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason="needs the ray extra")
    seen: list[str] = []

    def init(*arguments: Any, **options: Any) -> None:
        seen.append(os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"])
        raise ValueError("stop")

    monkeypatch.delenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", raising=False)
    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(SeasDataError, match=r"\(stop\)"):
        RayEngine(tmp_path, "auto").run(store_part, iter([]), 1, "squares")
    assert seen == ["0"]


def test_a_unit_needs_one_node_with_all_it_uses() -> None:
    def node(cpus: int, gpus: int, *, alive: bool = True) -> dict[str, Any]:
        return {"Alive": alive, "Resources": {"CPU": cpus} | ({"GPU": gpus} if gpus else {})}

    assert can_run([node(0, 0), node(2, 0)], 0) and can_run([node(1, 1)], 1)
    assert not can_run([node(0, 0), node(4, 0, alive=False)], 0)
    assert not can_run([node(4, 0), node(0, 4)], 1)


@pytest.mark.parametrize(
    ("cause", "says"),
    [
        (SeasDataError("a sentence; do that"), "a sentence; do that"),
        (
            RuntimeError("The remote function failed to import on the worker.\n\nNo module named 'seas_data'\n"),
            r"the node 10.0.0.7 cannot import what a part .* \(No module named 'seas_data'\); install seas-data and",
        ),
        (ImportError("No module named 'plugin'"), r"the node 10.0.0.7 cannot import .* \(No module named 'plugin'\)"),
        (
            OSError(28, "No space left on device"),
            r"failed on the node 10.0.0.7 \(\[Errno 28\] No space left on device\)",
        ),
        (MemoryError(), r"failed on the node 10.0.0.7 \(MemoryError\); run the command again"),
    ],
)
def test_an_error_of_a_node_is_one_sentence(cause: Exception, says: str) -> None:
    exceptions = pytest.importorskip("ray", reason="needs the ray extra").exceptions
    raised = exceptions.RayTaskError("run_unit", "ray::run_unit() (pid=7, ip=10.0.0.7)\n...", cause)
    error = explain(raised.as_instanceof_cause(), "signatures")
    assert isinstance(error, SeasDataError) and re.search(says, str(error)) and "\n" not in str(error)


def test_lost_nodes_and_memory_are_one_sentence_and_a_mistake_in_the_code_is_not() -> None:
    exceptions = pytest.importorskip("ray", reason="needs the ray extra").exceptions
    lost = str(explain(exceptions.WorkerCrashedError(), "signatures"))
    assert "starts a part that is lost 20 times again (The worker died unexpectedly" in lost
    assert "(its node ran out of memory); see Ray's logs" in str(
        explain(exceptions.OutOfMemoryError("x"), "signatures")
    )
    mistake = exceptions.RayTaskError("run_unit", "Traceback ...", KeyError("column")).as_instanceof_cause()
    assert explain(mistake, "signatures") is mistake


@pytest.mark.parametrize("change", ["ray.address=10.0.0.5:6379", "ray.store=s3://theirs/parts"])
def test_a_pulled_recipe_joins_a_cluster_or_fills_a_store_only_with_trust(change: str) -> None:
    loaded = recipe.load(EXAMPLE, [change])
    recipe.require_trust(loaded)
    assert loaded.digest() == recipe.load(EXAMPLE).digest()
    with pytest.raises(
        SeasDataError, match=r"pulled from org/set, and would .*; check the recipe and build it with --tr"
    ):
        recipe.require_trust(loaded.model_copy(update={"pulled_from": "org/set"}))


@pytest.mark.parametrize("store", ["sftp://me:hunter2@host/parts", "s3://hunter2@bucket/parts"])
def test_a_store_takes_no_password(store: str) -> None:
    """It would be in messages and logs."""
    with pytest.raises(
        SeasDataError, match=r"ray\.store: .*give the name and the password .* in the environment"
    ) as says:
        recipe.load(EXAMPLE, [f"ray.store='{store}'"])
    assert "hunter2" not in str(says.value)


@pytest.mark.parametrize("store", ["parts", "s3://bucket", "s3://bucket/", ""])
def test_a_store_is_a_whole_path_or_has_a_prefix(store: str) -> None:
    with pytest.raises(SeasDataError, match=r"ray\.store: .*give the whole path of a folder, or a URL with a prefix"):
        recipe.load(EXAMPLE, [f"ray.store='{store}'"])
