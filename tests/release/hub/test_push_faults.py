"""Faults during a push: transient ones are retried, an interrupted push resumes, all others give a message."""

import io
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from seas_data.errors import SeasDataError
from seas_data.query import version as versions
from seas_data.release import publish_log
from seas_data.release.hub.push import PushRequest, PushResult, push
from tests.conftest import quick
from tests.hub import Fault, Hub, Repository
from tests.release.hub.test_end_to_end import is_row_for_row, load

pytestmark = pytest.mark.usefixtures("quick")


def pushed(root: Path, tag: str = "1.0.0") -> PushResult:
    return push(versions.open(root).version("v0"), PushRequest("org/set", tag=tag))


def is_whole(hub: Hub, done: PushResult, *, again: int = 0) -> None:
    """One commit of ours, tagged, with every file, of which no more than ``again`` bytes were sent twice."""
    repository = hub.repository("datasets", "org/set")
    assert [commit.title for commit in repository.history()][1:] == ["initial commit"]
    assert repository.tags == {"1.0.0": done.commit}
    tree = repository.head().tree
    twice = [repository.received[file.sha256 or path] - file.size for path, file in tree.items()]
    assert min(twice) >= 0 and sum(twice) <= again


def broke_off(fault: Fault, times: int) -> int:
    """How many bytes of large files arrived in vain, of a fault that was to strike so many ``times``."""
    return (times - fault.times) * (fault.drop_after or 0) if "/lfs/" in fault.path else 0


@pytest.mark.parametrize(
    "fault",
    [
        Fault("POST", "/repos/create", status=503),
        Fault("POST", "/repos/create", lost=True),
        Fault("GET", "/revision/main$", status=429, headers={"Retry-After": "0"}),
        Fault("GET", "/refs", status=502, times=2),
        Fault("POST", "/preupload/", status=503),
        Fault("POST", "/objects/batch", status=429, headers={"Retry-After": "0"}),
        Fault("PUT", "/lfs/", drop_after=100, skip=3),
        Fault("PUT", "/lfs/", status=500, skip=2),
        Fault("POST", "/commit/main", status=503),
        Fault("POST", "/commit/main", drop_after=1000),
        Fault("POST", "/commit/main", lost=True),
        Fault("GET", "/tree/", status=504),
        Fault("POST", "/validate-yaml", status=502, page=b"<html>one moment</html>"),
        Fault("POST", "/tag/", status=503),
        Fault("POST", "/tag/", lost=True),
    ],
    ids=lambda fault: f"{fault.method} {fault.path} {fault.status or fault.drop_after or 'lost'}",
)
@pytest.mark.slow
def test_transient_faults_are_retried(hub: Hub, mine: Path, fault: Fault) -> None:
    hub.faults.append(fault)
    times = fault.times
    done = pushed(mine)
    assert fault.times == 0, "the fault struck"
    is_whole(hub, done, again=broke_off(fault, times))
    assert [each.commit for each in publish_log.read(mine)] == [done.commit]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "sentence"),
    quick(
        2,
        [
            (
                Fault("PUT", "/lfs/", drop_after=500, skip=5, times=99),
                r"could not connect to 127.0.0.1 .*not sent again",
            ),
            (
                Fault("POST", "/commit/main", status=503, times=99),
                r"failed to answer .*\(503\).*rerun the command later",
            ),
            (Fault("POST", "/commit/main", status=429, times=99), r"rate of requests .*\(429\).*wait some minutes"),
            (Fault("POST", "/commit/main", status=429, headers={"Retry-After": "3600"}), r"\(429\).*wait some minutes"),
            (
                Fault("POST", "/commit/main", status=403, message="a rule of org"),
                r"does not permit .*a rule of org.*write",
            ),
            (Fault("POST", "/commit/main", status=409), r"a conflict for the dataset org/set.*wait a minute"),
            (Fault("POST", "/repos/create", status=401), r"does not accept your token"),
            (Fault("GET", "/revision/main", status=200, page=b"<html>log in</html>", times=99), r"connect to 127"),
        ],
    ),
    ids=lambda each: f"{each.path} {each.status or each.drop_after}" if isinstance(each, Fault) else "",
)
def test_a_permanent_fault_gives_a_message_and_the_next_push_resumes(
    hub: Hub, mine: Path, fault: Fault, sentence: str
) -> None:
    hub.faults.append(fault)
    times = fault.times
    with pytest.raises(SeasDataError, match=sentence) as raised:
        pushed(mine)
    assert "\n" not in str(raised.value)
    repository = hub.repositories.get(("datasets", "org/set"))
    assert repository is None or (not repository.tags and len(repository.commits) == 1)
    assert not publish_log.read(mine) and not (mine / "push").exists()
    there = set(repository.large) if repository else set()
    assert there or "/lfs/" not in fault.path
    hub.faults.clear()
    sent = dict(repository.received) if repository else {}
    is_whole(hub, pushed(mine), again=broke_off(fault, times))
    after = hub.repository("datasets", "org/set")
    assert all(after.received[sha256] == sent[sha256] for sha256 in there), "sent again"


@pytest.mark.slow
def test_an_untagged_commit_is_tagged_by_the_next_push(hub: Hub, mine: Path) -> None:
    hub.faults.append(Fault("POST", "/tag/", status=500, times=99))
    with pytest.raises(SeasDataError, match=r"failed to answer .*\(500\)"):
        pushed(mine)
    repository = hub.repository("datasets", "org/set")
    assert len(repository.commits) == 2 and not repository.tags
    assert [(each.tag, each.commit) for each in publish_log.read(mine)] == [(None, repository.head().id)]
    hub.faults.clear()
    is_whole(hub, pushed(mine))
    assert [(each.tag, each.commit) for each in publish_log.read(mine)] == [("1.0.0", repository.head().id)]


def test_one_push_at_a_time(hub: Hub, mine: Path) -> None:
    with publish_log.publish_lock(mine), pytest.raises(SeasDataError, match="push, pull or forget is running in"):
        pushed(mine)


def test_missing_access_gives_a_message_with_the_next_step(
    hub: Hub, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", hub.reader)
    with pytest.raises(SeasDataError, match=r"does not permit this for the dataset org/set .*ask an owner of org"):
        pushed(mine)
    monkeypatch.setenv("HF_TOKEN", "hf_" + "n" * 34)
    with pytest.raises(SeasDataError, match="does not accept your token"):
        pushed(mine)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nowhere")
    with pytest.raises(SeasDataError, match=r"requires a login .*hf auth login"):
        pushed(mine)
    for name in ("not a/name/at all", "garden", "org/", "../x", "org/x\x1b[2J"):
        with pytest.raises(SeasDataError, match="is not a repository name") as raised:
            push(versions.open(mine).version("v0"), PushRequest(name))
        assert "\x1b" not in str(raised.value)
    assert not hub.repositories


def test_a_missing_network_gives_a_message(hub: Hub, mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(SeasDataError, match=r"could not connect to 127\.0\.0\.1 .*check the network"):
        pushed(mine)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    from huggingface_hub import close_session

    close_session()
    with pytest.raises(SeasDataError, match="HF_HUB_OFFLINE is set"):
        pushed(mine)


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """What any library logs, at any level. `make test` runs without pytest's own capture, which costs each test."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    loggers = [logging.getLogger(name) for name in (None, "huggingface_hub")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    yield text
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(handler)
        logger.setLevel(level)


def test_a_token_is_in_no_output_log_or_file(
    hub: Hub, mine: Path, capfd: pytest.CaptureFixture[str], logged: io.StringIO
) -> None:
    said = []
    for fault in (
        None,
        Fault("POST", "/commit/main", status=403, message=f"the token {hub.owner} is read only"),
        Fault("PUT", "/lfs/", status=400, message=f"Bearer {hub.owner}", times=99),
    ):
        hub.faults[:] = [fault] if fault else []
        hub.repositories.clear()
        try:
            pushed(mine)
        except SeasDataError as problem:
            said.append(str(problem))
    assert len(said) == 2
    captured = capfd.readouterr()
    everything = [*said, captured.out, captured.err, logged.getvalue()]
    everything += [path.read_bytes().decode(errors="replace") for path in mine.rglob("*") if path.is_file()]
    assert not any(hub.owner in text or "X-Amz" in text for text in everything)


CLI = """
import sys
from seas_data.release import checks
checks.run = lambda *_, **__: []
from seas_data.cli import main
main()
"""


def kill_in_mid_upload(hub: Hub, root: Path, version: str, tag: str, home: Path, *, skip: int) -> int:
    """Push in a process of its own, and kill it once ``skip`` large files have arrived and two more are on the way.

    Return how many bytes of the others had arrived.
    """
    fault = Fault("PUT", "/lfs/", drop_after=500, skip=skip, stall=60, times=99)
    hub.faults.append(fault)
    arguments = ["push", version, "org/set", "--tag", tag, "--workspace", str(root)]
    environment = os.environ | hub.environment() | {"HF_HOME": str(home), "OMP_NUM_THREADS": "1"}
    running = subprocess.Popen([sys.executable, "-c", CLI, *arguments], env=environment)
    try:
        deadline = time.monotonic() + 120
        while fault.times > 97 and time.monotonic() < deadline:
            assert running.poll() is None, "it ended by itself"
            time.sleep(0.05)
        time.sleep(0.5)
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()
    hub.faults.clear()
    assert fault.times <= 97 and (root / "push").exists()
    return broke_off(fault, 99)


@pytest.mark.slow
def test_a_push_killed_during_the_upload_is_resumed(hub: Hub, mine: Path, tmp_path: Path) -> None:
    half = kill_in_mid_upload(hub, mine, "v0", "1.0.0", tmp_path / "home", skip=6)
    repository: Repository = hub.repository("datasets", "org/set")
    assert len(repository.commits) == 1 and 1 <= len(repository.large) <= 6
    arrived = {sha256: repository.received[sha256] for sha256 in repository.large}
    is_whole(hub, pushed(mine), again=half)
    assert {sha256: repository.received[sha256] for sha256 in arrived} == arrived
    assert not (mine / "push").exists()


@pytest.mark.slow
def test_three_pushes_killed_during_the_upload_are_resumed(hub: Hub, mine: Path, tmp_path: Path) -> None:
    names = {"1.0.0": "v0", "1.1.0": "v1", "1.2.0": "v2"}
    shards: dict[str, int] = {}
    for number, (tag, name) in enumerate(names.items()):
        half = kill_in_mid_upload(hub, mine, name, tag, tmp_path / "home", skip=4)
        repository: Repository = hub.repository("datasets", "org/set")
        assert len(repository.commits) == 1 + number and tag not in repository.tags
        arrived = {sha256: repository.received[sha256] for sha256 in repository.large}
        done = push(versions.open(mine).version(name), PushRequest("org/set", tag=tag))
        assert repository.tags[tag] == done.commit == repository.head().id
        assert {sha256: repository.received[sha256] for sha256 in arrived} == arrived, "sent again"
        tables = {path: file for path, file in repository.head().tree.items() if path.startswith("tables/")}
        sent = {path: repository.received[str(file.sha256)] for path, file in tables.items()}
        assert {path: sent[path] for path in shards if path in tables} == {
            path: size for path, size in shards.items() if path in tables
        }, "a shard of an earlier version travelled"
        new = tables.keys() - shards.keys()
        assert new and 0 <= sum(sent[path] - tables[path].size for path in new) <= half
        shards = sent
    assert [commit.title.split(":")[0] for commit in repository.history()][:3] == [
        f"{name} ({tag})" for tag, name in reversed(names.items())
    ]
    load("org/set", list(names), tmp_path / "out", hub.environment())
    is_row_for_row(mine, names, "public", tmp_path / "out")
