"""Kill builds on a Ray cluster at random moments and finish them: ``python -m tests.ray_kills --kills 20 --seed 1``.

A build is started, killed and started again, with ``--engine ray`` or, every third time, ``--engine local``, until it
finishes; then the next one begins in a new workspace. Each version must have the digest of a build in one process.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from tests.ray_cluster import add_node, finish, head_node, start
from tests.test_interruptions import check_whole


def kill_builds(address: str, folder: Path, digest: str, kills: int, seed: int) -> dict[str, object]:
    """Kill ``kills`` builds on the cluster at ``address`` and check that every version has the ``digest``.

    A moment is a number of stored files, drawn from those that are left, and up to a second. So moments are spread over
    the stages however fast the machine is.
    """
    random, workspace, files = Random(seed), folder / "whole", 0
    build = start(workspace, "ray", address)
    while build.poll() is None:
        files = max(files, count_files(workspace))
        time.sleep(0.05)
    assert finish(build) == digest
    check_whole(workspace, digest)
    killed, attempt, finished = 0, 0, 0
    at: list[str] = []
    while killed < kills:
        workspace = folder / f"killed-{finished}"
        build = start(workspace, "ray" if attempt % 3 else "local", address)
        attempt += 1
        stored = count_files(workspace)
        goal = stored + random.randint(0, max(0, files - stored))
        while build.poll() is None and count_files(workspace) < goal:
            time.sleep(0.02)
        time.sleep(random.uniform(0, 1))
        build.send_signal(signal.SIGKILL)
        output, errors = build.communicate()
        if build.returncode != -signal.SIGKILL:
            assert output.split()[-1] == digest, errors
            check_whole(workspace, digest)
            finished += 1
            continue
        killed += 1
        at.append(describe(workspace))
        print(f"kill {killed}: {at[-1]}", file=sys.stderr, flush=True)
    assert finish(start(workspace, "ray" if attempt % 3 else "local", address)) == digest
    check_whole(workspace, digest)
    return {"kills": killed, "versions": finished + 1, "files_of_a_build": files, "found": at}


def count_files(workspace: Path) -> int:
    """Return the number of parts and finished stages in ``workspace``."""
    patterns = ("vectors/*/vectors-*", "stages/parts-*/*.part", "stages/*/*/finished")
    return sum(len(list(workspace.glob(pattern))) for pattern in patterns)


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
