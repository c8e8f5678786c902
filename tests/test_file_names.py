"""File names are never patterns: a workspace in ``ws?`` beside ``ws1`` reads its own files only."""

import json
from pathlib import Path

import polars as pl
import pytest

import seas_data as sd
from seas_data.errors import SeasDataError
from seas_data.query import sql
from seas_data.store.version import VIEWS
from tests.program import called
from tests.query.frames import store, table

NAMES = ("ws[1]", "ws*", "ws?", "**", "[!a]", "ws [2", "[]]", "a=1", "{ws1,b}", "~", "%41")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_workspace_in_a_folder_named_like_a_pattern_reads_its_own_files(tmp_path: Path, name: str) -> None:
    other = table("prompts", {"prompt_id": "other"})
    for decoy in ("ws1", "b", "wxs", "A"):
        store(tmp_path / decoy, prompts=other)
    shards = store(tmp_path / name, prompts=table("prompts", {"prompt_id": "own"}))
    for run in (sql.run_trusted, sql.run_untrusted)[: 2 if name in ("ws*", "[!a]", "%41") else 1]:
        assert run(shards, "select prompt_id from prompts")["prompt_id"].to_list() == ["own"]


def test_wildcard_beside_a_backslash_is_refused_in_one_sentence(tmp_path: Path) -> None:
    shards = store(tmp_path / "w\\*s", prompts=table("prompts", {"prompt_id": "own"}))
    with pytest.raises(SeasDataError, match="rename it"):
        sql.run_trusted(shards, "select prompt_id from prompts")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ws[1]", "ws?"])
def test_build_and_checkout_in_folders_named_like_patterns_give_the_same_tables(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.jsonl").write_text(
        "".join(json.dumps({"prompt": f"which colour is door {number} of the long hall"}) + "\n" for number in range(9))
    )
    (tmp_path / "r[1].yaml").write_text(
        "name: doors\nsources:\n  doors: {path: a.jsonl, kind: harmless, licence: cc0-1.0}\n"
        "curation: {semantic: null}\n"
    )
    own = tmp_path / name
    for command in (
        ["build", tmp_path / "r[1].yaml", "--workspace", own],
        ["build", tmp_path / "r[1].yaml", "--workspace", tmp_path / "ws1"],
        ["verify", "--workspace", own],
        ["check", "--workspace", own],
        ["checkout", "v0", tmp_path / f"release-{name}", "--workspace", own, "--profile", "gated"],
    ):
        ended = called(*command)
        assert ended.returncode in (0, 1 if command[0] == "check" else 0), (command, ended.stderr)
    version, plain = sd.open(own).version(), sd.open(tmp_path / "ws1").version()
    assert version.digest == plain.digest
    for view in VIEWS:
        if view != "runs":
            assert version.table(view).equals(plain.table(view)), view
    released = [
        pl.read_parquet(path, glob=False) for path in (tmp_path / f"release-{name}" / "tables" / "prompts").iterdir()
    ]
    assert pl.concat(released).height == version.table("prompts").height == 9
