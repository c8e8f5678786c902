"""The command line at its edges: files that are none, ASCII terminals, an interrupt, other people's umask."""

import os
import stat
import sys
from pathlib import Path
from unittest import mock

import polars as pl
import pytest

from seas_data import cli
from seas_data.cli.shared import echo
from seas_data.review.sheet import write_sheet
from tests.program import called


@pytest.mark.parametrize("name", ["/dev/zero", "fifo"])
def test_query_file_that_is_not_a_regular_file_is_refused(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    ended = called("sql", "-f", tmp_path / name, "--workspace", tmp_path)
    assert ended.returncode == 2
    assert "not a regular file" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_interrupt_says_that_the_command_can_be_resumed() -> None:
    with mock.patch("seas_data.query.library.load", side_effect=KeyboardInterrupt):
        ended = called("sql", "--list")
    assert ended.returncode == 130
    assert ended.stderr.strip().endswith("Interrupted; the same command resumes.")


def test_files_are_readable_by_their_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    def write() -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "file").touch()

    before = os.umask(0o022)
    try:
        with mock.patch.object(cli, "app", write), mock.patch.object(sys, "argv", ["seas-data"]):
            cli.main()
        assert os.umask(0o022) == 0o022
        frame = pl.DataFrame({"prompt_id": ["a"], "text": ["b"], "kind": ["c"], "type": ["d"], "source": ["e"]})
        write_sheet(frame, tmp_path / "sheet.csv")
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {"folder": 0o700, "file": 0o600, "sheet.csv": 0o600}


def test_control_characters_of_names_and_paths_are_printed_safely(capsys: pytest.CaptureFixture[str]) -> None:
    echo("Wrote a\x1b]0;title\x07b\x9b\u202e.csv\nOpen it")
    assert capsys.readouterr().out == "Wrote a\\u{1b}]0;title\\u{7}b\\u{9b}\\u{202e}.csv\nOpen it\n"
