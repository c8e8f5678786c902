"""Kill builds on a Ray cluster in every stage and finish them: ``python -m tests.ray_kills --kills 20 --seed 1``.

A build is started, killed and started again, with ``--engine ray`` or, every third time, ``--engine local``, until it
has been killed in each of ``STAGES``; then it is finished, and the next one begins in a new workspace. Each version
must have the digest of a build in one process.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from random import Random

from tests.ray_cluster import STAGES, add_node, finish, head_node, start
from tests.test_interruptions import check_whole

SECONDS_PER_UNIT = 0.1
"""So that a build is killed in the stage that was drawn; all stages of the example take a second or two otherwise."""
DELAY_SECONDS = 0.2


@dataclass(frozen=True)
class Kill:
    """What was drawn for a kill, and what was found after it. Numbers are those of files of each of ``STAGES``."""

    engine: str
    stage: str
    after_files: int
    delay_seconds: float
    found: dict[str, int]


def kill_builds(address: str, folder: Path, digest: str, kills: int, seed: int) -> dict[str, object]:
    """Kill ``kills`` builds on the cluster at ``address`` and check that every version has the ``digest``.

    The moment of a kill is a number of files of its stage, drawn from those that a whole build stores, and up to
    ``DELAY_SECONDS``. The stages take turns, so kills are spread over them however fast the machine is.
    """
    random, engines, stages = Random(seed), cycle(["ray", "ray", "local"]), cycle(STAGES)
    files = count_files_of_a_build(address, folder / "whole", digest)
    killed: list[Kill] = []
    versions, workspace = 1, folder / "killed-1"
    while len(killed) < kills:
        stage, engine = next(stages), next(engines)
        stored = count_files(workspace)[stage]
        goal = max(stored, random.randint(0, files[stage] - 1))
        delay = round(random.uniform(0, DELAY_SECONDS), 3)
        build = start(workspace, engine, address, seconds_per_unit=SECONDS_PER_UNIT)
        while build.poll() is None and not has_reached(count_files(workspace), stage, goal):
            time.sleep(0.02)
        time.sleep(delay)
        build.kill()
        output, errors = build.communicate()
        if build.returncode == -signal.SIGKILL:
            killed.append(Kill(engine, stage, goal, delay, count_files(workspace)))
            print(json.dumps(asdict(killed[-1])), file=sys.stderr, flush=True)
        if build.returncode == 0:
            assert output.split()[-1] == digest
        elif stage == list(STAGES)[-1] or len(killed) == kills:
            assert build.returncode == -signal.SIGKILL, errors
            assert finish(start(workspace, next(engines), address)) == digest
        else:
            assert build.returncode == -signal.SIGKILL, errors
            continue
        check_whole(workspace, digest)
        versions, workspace = versions + 1, folder / f"killed-{versions + 1}"
        stages = cycle(STAGES)
    where = [describe(kill, files) for kill in killed]
    return {
        "kills": len(killed),
        "versions": versions,
        "files_of_a_build": files,
        "hit": {place: where.count(place) for place in dict.fromkeys(where)},
        "each": [asdict(kill) for kill in killed],
    }


def count_files_of_a_build(address: str, workspace: Path, digest: str) -> dict[str, int]:
    """Build without a kill; return the number of files of each stage."""
    build = start(workspace, "ray", address, seconds_per_unit=SECONDS_PER_UNIT)
    files = dict.fromkeys(STAGES, 0)
    while build.poll() is None:
        files = {stage: max(files[stage], now) for stage, now in count_files(workspace).items()}
        time.sleep(0.05)
    assert finish(build) == digest
    check_whole(workspace, digest)
    return files


def count_files(workspace: Path) -> dict[str, int]:
    """Return the number of stored files of each stage."""
    return {
        stage: sum(len(list(workspace.glob(pattern))) for pattern in patterns) for stage, patterns in STAGES.items()
    }


def has_reached(files: dict[str, int], stage: str, goal: int) -> bool:
    """Return whether a build that stored ``files`` has stored more than ``goal`` of ``stage``, or one of a later."""
    later = list(STAGES)[list(STAGES).index(stage) + 1 :]
    return files[stage] > goal or any(files[each] for each in later)


def describe(kill: Kill, files: dict[str, int]) -> str:
    """Return where a kill hit: the last stage with files, and whether all of that stage's files were there."""
    last = next((stage for stage in reversed(STAGES) if kill.found[stage]), None)
    if last is None:
        return "before embedding"
    return f"{'in' if kill.found[last] < files[last] else 'after'} {last}"


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
