"""Kill builds on a Ray cluster at random moments and finish them: ``python -m tests.ray_kills --kills 20 --seed 1``.

A build is started, killed and started again, with ``--engine ray`` or, every third time, ``--engine local``, until it
finishes; then the next one begins in a new workspace. Each version must have the digest of a build in one process.
"""

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.ray_cluster import add_node, check_whole, finish, head_node, start


def kill_builds(address: str, folder: Path, digest: str, kills: int, seed: int) -> dict[str, object]:
    """Kill ``kills`` builds on the cluster at ``address`` and check that every version has the ``digest``."""
    began = time.monotonic()
    assert finish(start(folder / "whole", "ray", address)) == digest
    seconds = time.monotonic() - began
    check_whole(folder / "whole", digest)
    moments, workspace, killed, attempt, finished = random.Random(seed), folder / "killed-0", 0, 0, 0
    at: list[str] = []
    while True:
        build = start(workspace, "ray" if attempt % 3 else "local", address)
        attempt += 1
        try:
            if killed < kills:
                _, errors = build.communicate(timeout=moments.uniform(0.05, 1.0) * seconds)
            else:
                finish(build)
            assert build.returncode == 0, errors
        except subprocess.TimeoutExpired:
            build.send_signal(signal.SIGKILL)
            build.communicate()
            killed += 1
            at.append(describe(workspace))
            print(f"kill {killed}: {at[-1]}", file=sys.stderr, flush=True)
            continue
        check_whole(workspace, digest)
        finished += 1
        if killed == kills:
            return {"kills": killed, "versions": finished, "seconds_of_a_build": round(seconds, 1), "found": at}
        workspace = folder / f"killed-{finished}"


def describe(workspace: Path) -> str:
    """Return what a killed build left: finished stages, and the parts of the others."""
    stages = sorted(path.parent.name for path in workspace.glob("stages/*/*/finished"))
    parts = [path.name.partition("-")[0] for path in workspace.glob("stages/parts-*/*.part")]
    vectors = len(list(workspace.glob("vectors/*/vectors-*")))
    counts = {name: parts.count(name) for name in sorted(set(parts))}
    return json.dumps({"stages": stages, "vector parts": vectors, **counts})


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made, head_node() as cluster:
        expected = finish(start(Path(made) / "here", "local"))
        for _ in range(2):
            add_node(cluster)
        result = kill_builds(cluster.address, Path(made), expected, options.kills, options.seed)
    print(json.dumps({"seed": options.seed, **result, "digest": expected}, indent=2))
