"""The workspace: versions are whole or absent, shards are shared and verified, one builder at a time."""

import errno
import json
import multiprocessing
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from seas_data import tables
from seas_data.cli import app
from seas_data.errors import SeasDataError
from seas_data.store import Manifest, Workspace, files, formats, open_workspace
from seas_data.store import workspace as store
from tests.conftest import quick

RUNS = pl.DataFrame({"version": ["v0"], "stage": ["read"], "seconds": [0.1]})


def metrics(value: float) -> pl.DataFrame:
    row = {"name": "a", "version": "v0", "value": value, "low": None, "high": None, "n": 1, "facets": "{}"}
    return pl.DataFrame([row])


def commit(workspace: Workspace, version: str, shards: list, parent: Manifest | None = None) -> Manifest:
    manifest = Manifest(
        version=version,
        iteration=0,
        parent=parent and parent.version,
        parent_digest=parent and parent.digest,
        recipe={"name": "test"},
        recipe_digest="0",
        tables={"metrics": shards},
    )
    return workspace.commit(manifest, RUNS)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return open_workspace(tmp_path / "ws", create=True)


def test_a_workspace_is_readable_by_its_owner_only(workspace: Workspace) -> None:
    assert stat.S_IMODE(workspace.root.stat().st_mode) == 0o700


def test_the_same_rows_make_the_same_shard_and_other_rows_another(workspace: Workspace) -> None:
    first = workspace.write_shard("metrics", metrics(0.5))
    assert workspace.write_shard("metrics", metrics(0.5)) == first
    assert workspace.write_shard("metrics", metrics(0.6)).sha256 != first.sha256
    assert len(list((workspace.root / "shards" / "metrics").iterdir())) == 2


def test_rows_are_written_to_shards_of_bounded_size_in_order(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "ROWS_PER_SHARD", 2)
    rows = pl.concat([metrics(each) for each in (0.1, 0.2, 0.3, 0.4, 0.5)])
    shards = workspace.write_shards("metrics", rows)
    assert [shard.rows for shard in shards] == [2, 2, 1]
    stored = [pl.read_parquet(workspace.shard_path("metrics", shard)) for shard in shards]
    assert pl.concat(stored)["value"].equals(rows["value"])
    assert workspace.write_shards("metrics", rows.clear()) == []


def test_a_version_exists_once_its_manifest_does(workspace: Workspace) -> None:
    shard = workspace.write_shard("metrics", metrics(0.5))
    assert workspace.versions() == []
    committed = commit(workspace, "v0", [shard])
    assert workspace.versions() == ["v0"]
    assert workspace.manifest() == committed
    assert workspace.verify(committed) == []


def test_versions_sort_by_number_and_the_newest_is_the_default(workspace: Workspace) -> None:
    shard = workspace.write_shard("metrics", metrics(0.5))
    for number in (0, 2, 10):
        commit(workspace, f"v{number}", [shard])
    assert workspace.versions() == ["v0", "v2", "v10"]
    assert workspace.manifest().version == "v10"


def test_the_digest_covers_parent_recipe_and_shards_and_nothing_of_the_machine(tmp_path: Path) -> None:
    digests = []
    for name in ("one", "two"):
        workspace = open_workspace(tmp_path / name, create=True)
        first = commit(workspace, "v0", [workspace.write_shard("metrics", metrics(0.5))])
        second = commit(workspace, "v1", [workspace.write_shard("metrics", metrics(0.6))], first)
        other = commit(workspace, "v2", [workspace.write_shard("metrics", metrics(0.6))])
        digests.append((first.digest, second.digest, other.digest))
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == 3


@pytest.mark.parametrize("harm", ["flip", "truncate", "remove"])
def test_verify_names_a_damaged_shard(workspace: Workspace, harm: str) -> None:
    shard = workspace.write_shard("metrics", metrics(0.5))
    committed = commit(workspace, "v0", [shard])
    path = workspace.shard_path("metrics", shard)
    content = bytearray(path.read_bytes())
    if harm == "remove":
        path.unlink()
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content if harm == "flip" else content[:-1])
    (problem,) = workspace.verify(committed)
    assert shard.sha256 in problem
    assert ("missing" if harm == "remove" else "damaged") in problem


def test_verify_sees_a_manifest_that_was_edited(workspace: Workspace) -> None:
    commit(workspace, "v0", [workspace.write_shard("metrics", metrics(0.5))])
    path = workspace.root / "versions" / "v0.json"
    path.write_text(path.read_text().replace('"name": "test"', '"name": "else"'))
    (problem,) = workspace.verify(workspace.manifest("v0"))
    assert "v0.json" in problem


OUTSIDE = {
    "a shard in a folder above": (
        lambda content: content["tables"]["metrics"][0].update(sha256="../../../secret"),
        "the name of a shard is not a SHA-256",
    ),
    "a shard with an absolute path": (
        lambda content: content["tables"]["metrics"][0].update(sha256="/secret"),
        "the name of a shard is not a SHA-256",
    ),
    "a shard in upper case": (
        lambda content: content["tables"]["metrics"][0].update(sha256="A" * 64),
        "the name of a shard is not a SHA-256",
    ),
    "a shard without bytes": (
        lambda content: content["tables"]["metrics"][0].update(bytes=0),
        "a shard has no valid size",
    ),
    "another version": (lambda content: content.update(version="v7"), "its version is v7"),
    "a version that is a path": (lambda content: content.update(version="../v0"), r"its version is \.\./v0"),
    "a parent that is a path": (lambda content: content.update(parent="../v0"), "its parent is not v0, v1"),
    "a table called kept": (
        lambda content: content["tables"].update(kept=content["tables"].pop("metrics")),
        "1 of its tables are unknown",
    ),
    "a table that is a path": (
        lambda content: content["tables"].update({"../x": content["tables"].pop("metrics")}),
        "1 of its tables are unknown",
    ),
}


@pytest.mark.parametrize("case", quick(3, OUTSIDE))
def test_a_manifest_that_names_what_is_not_in_a_workspace_is_refused(
    workspace: Workspace, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, message = OUTSIDE[case]
    committed = commit(workspace, "v0", [workspace.write_shard("metrics", metrics(0.5))])
    files.write_parquet(workspace.root.parent / "secret.parquet", metrics(0.5))
    content = json.loads(committed.to_json())
    change(content)
    content["digest"] = Manifest.model_validate(content).computed_digest()
    (workspace.root / "versions" / "v0.json").write_text(json.dumps(content))
    monkeypatch.setattr(pl, "read_parquet", lambda *_, **__: pytest.fail("a file was read"))
    monkeypatch.setattr(files, "sha256", lambda *_: pytest.fail("a file was read"))
    for command in (["verify"], ["log"], ["show", "v0"], ["sql", "-q", "select 1"], ["check"]):
        answer = CliRunner().invoke(app, [*command, "--workspace", str(workspace.root)])
        assert isinstance(answer.exception, SeasDataError), (command, answer.exception)
        assert re.search(rf"v0\.json is damaged \({message}.*; restore it from a copy", str(answer.exception)), command


def test_a_full_disk_leaves_no_half_written_shard(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr("seas_data.store.files.os.fsync", full)
        with pytest.raises(SeasDataError, match=r"No space left on device.*free space.*run the command again"):
            workspace.write_shard("metrics", metrics(0.5))
        with pytest.raises(SeasDataError, match=r"v0.*No space left on device"):
            commit(workspace, "v0", [])
    assert [path for path in (workspace.root / "shards").rglob("*") if path.is_file()] == []
    assert workspace.versions() == []


def test_a_folder_that_cannot_be_written_is_named(workspace: Workspace) -> None:
    (workspace.root / "shards").write_text("not a folder")
    with pytest.raises((SeasDataError, OSError), match="shards"):
        workspace.write_shard("metrics", metrics(0.5))


@pytest.mark.parametrize("parents", [{"v1": "v1"}, {"v1": "v2", "v2": "v1"}])
def test_a_version_that_comes_from_no_earlier_one_is_named(workspace: Workspace, parents: dict[str, str]) -> None:
    commit(workspace, "v0", [])
    for version, parent in parents.items():
        manifest = commit(workspace, version, []).model_copy(update={"parent": parent})
        (workspace.root / "versions" / f"{version}.json").write_text(manifest.to_json())
    with pytest.raises(SeasDataError, match=r"v1\.json: its parent v. is not an earlier version"):
        workspace.lineage(workspace.manifest("v1"))
    assert any("not an earlier version" in problem for problem in workspace.verify(workspace.manifest("v1")))


def test_a_damaged_manifest_is_one_sentence(workspace: Workspace) -> None:
    commit(workspace, "v0", [])
    (workspace.root / "versions" / "v0.json").write_text('{"version": "v0"')
    with pytest.raises(SeasDataError, match=r"v0\.json is damaged"):
        workspace.manifest("v0")


def test_tags_name_versions_and_do_not_move(workspace: Workspace) -> None:
    commit(workspace, "v0", [])
    commit(workspace, "v1", [])
    workspace.tag("v0", "1.0.0")
    workspace.tag("v0", "1.0.0")
    assert workspace.manifest("1.0.0").version == "v0"
    with pytest.raises(SeasDataError, match="tags cannot be moved"):
        workspace.tag("v1", "1.0.0")
    for name in ("v7", "../up", "", "a b", "main", "0123abc", "a..b", "a.lock", "a.", "a" * 101):
        with pytest.raises(SeasDataError, match="cannot be a tag"):
            workspace.tag("v0", name)


def test_what_is_not_there_is_said_with_what_is(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(SeasDataError, match="no version yet"):
        workspace.manifest()
    commit(workspace, "v0", [])
    with pytest.raises(SeasDataError, match="no version or tag v9; its versions are v0"):
        workspace.manifest("v9")
    with pytest.raises(SeasDataError, match="not a workspace"):
        open_workspace(tmp_path / "nowhere")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(SeasDataError, match="is not empty and not a workspace"):
        open_workspace(tmp_path / "full", create=True)


FORMATS = [
    ("1", "has format 1, which is older than format 2 of this program; convert it with: seas-data migrate OLD NEW"),
    ("3", "has format 3, which is newer than format 2 of this program; upgrade seas-data"),
    ("null", "has no valid format number; restore it from a copy"),
    ("true", "has no valid format number"),
    ('"2"', "has no valid format number"),
]


@pytest.mark.parametrize(("number", "message"), FORMATS)
def test_another_format_of_a_workspace_is_refused_as_older_newer_or_invalid(
    workspace: Workspace, number: str, message: str
) -> None:
    (workspace.root / "workspace.json").write_text(f'{{"format": {number}}}')
    with pytest.raises(SeasDataError) as caught:
        open_workspace(workspace.root)
    assert str(caught.value).startswith(f"{workspace.root} {message}")


@pytest.mark.parametrize(("number", "message"), FORMATS)
@pytest.mark.parametrize("profile", [None, "public"])
def test_another_format_of_a_manifest_is_refused_as_older_newer_or_invalid(
    workspace: Workspace, number: str, message: str, profile: str | None
) -> None:
    commit(workspace, "v0", [])
    path = workspace.root / "versions" / "v0.json"
    content = json.loads(path.read_text()) | {"format": json.loads(number), "profile": profile}
    path.write_text(json.dumps(content))
    with pytest.raises(SeasDataError) as caught:
        workspace.manifest("v0")
    assert str(caught.value).startswith(f"the manifest {path} {message}")


@pytest.mark.parametrize("content", ["", "[]", "{", '{"form": 1}'])
def test_a_workspace_without_a_format_is_refused(workspace: Workspace, content: str) -> None:
    (workspace.root / "workspace.json").write_text(content)
    with pytest.raises(SeasDataError, match="has no valid format number"):
        open_workspace(workspace.root)


def test_a_folder_in_which_a_build_was_killed_before_it_made_the_workspace_is_new(tmp_path: Path) -> None:
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws" / f"{files.TEMPORARY}0123").write_text('{"for')
    assert open_workspace(tmp_path / "ws", create=True).versions() == []


def test_a_workspace_that_another_build_makes_at_the_same_time_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, listed = tmp_path / "ws", Path.iterdir
    root.mkdir()

    def overtaken(path: Path) -> Iterator[Path]:
        if path == root and not (root / "workspace.json").exists():
            (root / "workspace.json").write_text(json.dumps({"format": formats.WORKSPACE}))
            (root / "build.lock").write_text("")
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", overtaken)
    assert open_workspace(root, create=True).versions() == []


def _try_to_lock(root: Path, answers: "multiprocessing.Queue[str]") -> None:
    try:
        with open_workspace(root).lock():
            answers.put("got it")
    except SeasDataError as problem:
        answers.put(str(problem))


def test_a_second_builder_is_turned_away(workspace: Workspace) -> None:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    with workspace.lock():
        other = context.Process(target=_try_to_lock, args=(workspace.root, answers))
        other.start()
        assert "another seas-data build is running" in answers.get(timeout=60)
        other.join()
    _try_to_lock(workspace.root, answers)
    assert answers.get(timeout=60) == "got it"


def test_a_write_that_fails_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    files.write_text(path, "old")
    with pytest.raises(RuntimeError), files.atomic_write(path) as temporary:
        temporary.write_text("ne")
        raise RuntimeError("killed")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_rows_that_do_not_fit_their_table_are_refused(workspace: Workspace) -> None:
    with pytest.raises(SeasDataError, match="lacks the columns facets"):
        workspace.write_shard("metrics", metrics(0.5).drop("facets"))
    twice = pl.concat(
        [tables.empty("splits"), pl.DataFrame({"prompt_id": ["a"] * 2, "split": "train", "group_id": "g"})]
    )
    with pytest.raises(SeasDataError, match="primary_key"):
        workspace.write_shard("splits", twice)


def test_no_version_is_committed_to_a_folder_that_has_vanished(workspace: Workspace) -> None:
    """A build that lost its workspace meanwhile, to another process or with a disk, does not end as if it had one."""
    first = commit(workspace, "v0", [workspace.write_shard("metrics", metrics(0.5))])
    kept = workspace.shard_path("metrics", first.tables["metrics"][0])
    content = kept.read_bytes()
    kept.unlink()
    shards = [*first.tables["metrics"], workspace.write_shard("metrics", metrics(0.6))]
    with pytest.raises(SeasDataError, match="1 files of the version are gone"):
        commit(workspace, "v1", shards, first)
    assert workspace.versions() == ["v0"]
    kept.write_bytes(content)
    commit(workspace, "v1", shards, first)
    shutil.rmtree(workspace.root)
    last = workspace.write_shard("metrics", metrics(0.7))
    with pytest.raises(SeasDataError, match="is no longer a workspace"):
        commit(workspace, "v2", [last])
    assert workspace.versions() == []


@pytest.mark.parametrize("content", [b"", b"x", b"PAR1", b"PAR1" + b"\0" * 40 + b"PAR1", None])
def test_damaged_times_of_stages_are_left_out(
    workspace: Workspace, content: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    """No digest covers ``runs``, so a version is whole without it."""
    manifest = commit(workspace, "v0", [workspace.write_shard("metrics", metrics(0.5))])
    path = workspace.root / "runs" / "v0.parquet"
    assert workspace.shard_paths(manifest)["runs"] == [path]
    if content is None:
        pl.DataFrame({"stage": [1]}).write_parquet(path)
    else:
        path.write_bytes(content)
    for _ in range(2):
        assert workspace.shard_paths(manifest)["runs"] == []
    said = capsys.readouterr().err
    assert said.count("v0.parquet is damaged; the times of its stages are left out") == 1


def test_what_cannot_be_a_tag_is_none(workspace: Workspace) -> None:
    first = commit(workspace, "v0", [workspace.write_shard("metrics", metrics(0.5))])
    commit(workspace, "v1", [workspace.write_shard("metrics", metrics(0.6))], first)
    workspace.tag("v0", "1.0.0")
    tags = workspace.root / "tags"
    for name in ("v1", "main", "a\x1b[31m", "new\nline"):
        (tags / name).write_text("v0\n")
    (tags / "folder").mkdir()
    (tags / "2.0.0").write_bytes(b"\xff")
    assert workspace.tags() == {"1.0.0": "v0", "2.0.0": "\ufffd"}
    assert workspace.manifest("v1").version == "v1"
