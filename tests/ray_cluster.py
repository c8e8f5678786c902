"""A Ray cluster of several nodes on this machine, and builds in processes of their own that may be killed."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHECKOUT, EXAMPLE

STAGES = {
    "embedding": ("vectors/*/vectors-*.parquet",),
    "signatures": ("stages/parts-*/compute_signatures-*",),
    "near duplicates": ("stages/parts-*/compare_partners-*",),
    "semantic duplicates": ("stages/parts-*/compare_rows-*",),
    "later stages": tuple(f"stages/*/{stage}/finished" for stage in ("edges", "labels", "clusters")),
}
"""The files of the stages that use Ray, in the order of the stages, and of those after them."""
SECONDS = 900
"""The time to finish, on a machine that has other work."""
PATIENCE = {
    "RAY_worker_niceness": "0",  # Ray's is 15: workers would wait for whatever else the machine does
    "RAY_agent_register_timeout_ms": "600000",
    "RAY_worker_register_timeout_seconds": "600",
    "RAY_health_check_timeout_ms": "60000",
    "RAY_health_check_failure_threshold": "20",
}
"""Ray's own limits are too short for a machine whose cores have other work."""


def start(
    workspace: Path, engine: str, address: str = "", *, seconds_per_unit: float = 0, store: str = ""
) -> subprocess.Popen[str]:
    """Start to build the example."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "RAY_ADDRESS": address}
    arguments = [str(EXAMPLE), str(workspace), engine, str(seconds_per_unit), store]
    return subprocess.Popen(
        [sys.executable, "-m", "tests.ray_driver", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
        env=environment,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Return the digest of the version that ``process`` builds."""
    output, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, errors
    return output.split()[-1]


@contextmanager
def head_node(environment: Mapping[str, str] = PATIENCE) -> Iterator[Any]:
    """Yield a cluster of one node, the head, whose processes and those of later nodes have ``environment``."""
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

    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(services, "get_node", wait_for_node)
        started = Cluster(
            initialize_head=True, head_node_args={**node_settings(), "include_dashboard": False}, shutdown_at_exit=True
        )
        try:
            yield started
        finally:
            started.shutdown()


def add_node(cluster: Any) -> Any:
    """Add a node to the cluster and return it."""
    return cluster.add_node(**node_settings())


def node_settings() -> dict[str, Any]:
    """Return the settings of a small node. It is told its ports: it waits 15 seconds for agents that choose theirs."""
    held = [socket.socket() for _ in range(3)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    names = ("metrics_agent_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
    return {"num_cpus": 1, "object_store_memory": 150_000_000, **dict(zip(names, ports, strict=True))}


def wait_until(happens: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Return when ``happens()``. Fails if ``process`` ends before."""
    until = time.monotonic() + SECONDS
    while not happens():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.02)
