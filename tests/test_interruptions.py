"""Whatever happens to a build, nothing is lost: kills, a full disk, a damaged shard, two builds at once."""

import json
import os
import random
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from seas_data.store import open_workspace
from tests.conftest import EXAMPLE
from tests.program import PROGRAM, called

COMMAND = [*PROGRAM, "build", str(EXAMPLE), "--workspace"]
ENVIRONMENT = {**os.environ, "HF_HUB_OFFLINE": "1"}


def start(workspace: Path, **settings: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, str(workspace)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
        **settings,
    )


def finish(workspace: Path) -> str:
    process = start(workspace)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return open_workspace(workspace).manifest().digest


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The digest of a build that nothing disturbs."""
    return finish(tmp_path_factory.mktemp("undisturbed") / "ws")


def check_kills(expected: str, folder: Path, kills: int) -> None:
    """Kill builds ``kills`` times at random moments; each that gets through, and the last, has the digest ``expected``.

    A build that gets through is followed by one in a new workspace, so that every kill finds a build at work.
    """
    started = time.monotonic()
    assert finish(folder / "undisturbed") == expected
    seconds = time.monotonic() - started
    moments = random.Random(kills)
    hit, workspace = 0, folder / "0"
    for attempt in range(1, 4 * kills):
        process = start(workspace)
        try:
            process.communicate(timeout=moments.uniform(0.1, 1.0) * seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.communicate()
            hit += 1
        else:
            check_whole(workspace, expected)
            workspace = folder / str(attempt)
        if hit == kills:
            break
    assert hit == kills
    assert finish(workspace) == expected
    check_whole(workspace, expected)


def check_whole(workspace: Path, digest: str) -> None:
    """Fail unless the version of ``workspace`` has the ``digest`` and nothing unfinished is left."""
    opened = open_workspace(workspace)
    assert opened.manifest().digest == digest
    assert opened.verify(opened.manifest()) == []
    assert list(workspace.rglob(".unfinished-*")) == []
    assert not (workspace / "stages").exists()


@pytest.mark.slow
def test_a_killed_build_goes_on_and_ends_in_the_same_digest(undisturbed: str, tmp_path: Path) -> None:
    check_kills(undisturbed, tmp_path, kills=3)


@pytest.mark.slow
def test_two_dozen_kills_at_random_moments(undisturbed: str, tmp_path: Path) -> None:
    check_kills(undisturbed, tmp_path, kills=24)


def test_a_damaged_shard_is_named_and_stops_a_build_on_it(example: Path, tmp_path: Path) -> None:
    workspace = tmp_path / "ws"
    shutil.copytree(example, workspace)
    opened = open_workspace(workspace)
    path = opened.shard_path("prompts", opened.manifest().tables["prompts"][0])
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    ended = called("verify", "--workspace", workspace)
    assert ended.returncode == 2
    assert path.stem in ended.stderr
    assert ended.stderr.count("\n") == 1
    ended = called("build", EXAMPLE, "--workspace", workspace)
    assert ended.returncode == 2
    assert path.stem in ended.stderr.splitlines()[-1]


@pytest.mark.slow
def test_a_full_disk_is_one_sentence_and_the_build_goes_on_after(undisturbed: str, tmp_path: Path) -> None:
    def small_files_only() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    workspace = tmp_path / "ws"
    process = start(workspace, preexec_fn=small_files_only)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 2, errors
    last = errors.splitlines()[-1]
    assert last.startswith("error: ")
    assert "too large" in last.lower() or "space" in last.lower()
    assert "Traceback" not in errors
    assert open_workspace(workspace).versions() == []
    assert finish(workspace) == undisturbed


@pytest.mark.slow
def test_of_two_builds_at_once_one_is_told_to_wait(undisturbed: str, tmp_path: Path) -> None:
    workspace = tmp_path / "ws"
    builds = [start(workspace), start(workspace)]
    ends = [build.communicate(timeout=300) for build in builds]
    codes = sorted(build.returncode for build in builds)
    assert codes in ([0, 0], [0, 2]), ends
    if codes == [0, 2]:
        refused = next(end for end, build in zip(ends, builds, strict=True) if build.returncode == 2)
        assert "another seas-data build is running" in refused[1]
    assert open_workspace(workspace).versions() == ["v0"]
    assert finish(workspace) == undisturbed


def test_the_same_recipe_again_builds_nothing(example: Path) -> None:
    ended = called("build", EXAMPLE, "--workspace", example, "--json")
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["new"] is False
    assert open_workspace(example).versions() == ["v0"]
