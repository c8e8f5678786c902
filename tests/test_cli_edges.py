"""The command line at its edges: files that are none, ASCII terminals, an interrupt, other people's umask."""

import ast
import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import polars as pl
import pytest

from seas_data import cli
from seas_data.console import echo
from seas_data.review.sheet import write_sheet
from tests.conftest import CHECKOUT
from tests.program import PROGRAM, called


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
    assert ended.stderr.strip().endswith("Interrupted; the same command goes on.")


def test_interrupt_while_the_program_is_loading_ends_it_in_the_same_way() -> None:
    running = subprocess.Popen([*PROGRAM, "sql", "--list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    library = b"site-packages"
    deadline = time.monotonic() + 60
    while library not in Path(f"/proc/{running.pid}/maps").read_bytes() and time.monotonic() < deadline:
        time.sleep(0.01)  # until the first library is being loaded
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert (running.returncode, errors) == (130, "Interrupted; the same command goes on.\n")


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


@pytest.mark.parametrize("token", ["hf_\u00e9", "hf_a b", "hf_\x1b"])
def test_a_hub_token_that_cannot_be_sent_is_one_sentence(
    token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    source = {"hub": "org/name", "revision": "a" * 40, "file": "x.jsonl", "columns": {"text": "a"}, "kind": "general"}
    recipe = {"name": "hub", "description": "x", "sources": {"one": source}, "embedders": []}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    for command in (
        ["pull", "org/name@1.0.0", "--workspace", tmp_path / "ws"],
        ["build", tmp_path / "recipe.yaml", "--workspace", tmp_path / "built"],
    ):
        ended = called(*command)
        assert ended.returncode == 2
        assert "the Hub token in the environment variable HF_TOKEN has" in ended.stderr
        assert ended.stderr.count("\n") == 1 and token not in ended.stderr


def test_nothing_prints_but_the_console() -> None:
    """What the package prints goes through one module, which makes control characters visible."""
    allowed = {
        "__main__.py",  # a sentence without a name, before anything is loaded
        "console.py",
        "query/reader.py",  # a process that speaks JSON and Arrow to its parent
        "cli/shared.py",  # print_json, whose document is escaped
        "cli/release.py",  # the card, whose texts are escaped when it is made
    }
    package = CHECKOUT / "seas_data"
    printing = set()
    for path in package.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        if not re.search(r"(print|write|echo)\(", source):
            continue  # parsing all files is slow, and now and then fails in Python 3.11 when a collection comes between
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.stderr.write", "typer.echo"):
                printing.add(path.relative_to(package).as_posix())
    assert printing <= allowed


HOSTILE = "a\x1b[31m\x9bb\u202ec\u200b"


def test_hostile_names_in_arguments_are_printed_safely(tmp_path: Path) -> None:
    path = tmp_path / HOSTILE
    for command in (
        *([HOSTILE], ["log", HOSTILE], ["--a" + HOSTILE], ["log", "--" + HOSTILE]),
        *(["build", path], ["build", path, "--dry-run"], ["log", "--workspace", path]),
    ):
        ended = called(*command)
        assert ended.returncode == 2
        assert "\\u{1b}[31m" in ended.stderr or "\\x1b[31m" in ended.stderr, "it is shown, visibly"
        assert not any(c in ended.stdout + ended.stderr for c in HOSTILE if not c.isprintable()), command


@pytest.mark.slow  # thirty commands
def test_hostile_names_are_printed_safely_by_every_command(tmp_path: Path) -> None:
    folder = tmp_path / HOSTILE
    folder.mkdir()
    rows = [{"id": f"{HOSTILE}{number}", "prompt": f"which of the {number} doors is blue?"} for number in range(12)]
    (folder / f"{HOSTILE}.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\nno JSON\n", encoding="utf-8")
    source = {"path": f"{HOSTILE}.jsonl", "columns": {"id": "id", "text": "prompt"}, "language": "en"}
    content = {
        "name": "hostile",
        "description": HOSTILE,
        "sources": {"one": source | {"kind": "general", "licence": HOSTILE}},
        "embedders": [],
    }
    recipe, workspace = folder / "recipe.yaml", folder / f"ws{HOSTILE}"
    recipe.write_text(json.dumps(content), encoding="utf-8")
    sheet = folder / f"{HOSTILE}.csv"
    commands: list[list[object]] = [
        ["build", recipe, "--dry-run"],
        ["build", recipe, "--workspace", workspace],
        ["build", recipe, "--workspace", workspace],
        *(["log"], ["show"], ["show", HOSTILE], ["verify"], ["tag", "v0", HOSTILE], ["tag", HOSTILE, "1.0.0"]),
        *(["tag", "v0", "1.0.0"], ["diff", "v0", HOSTILE], ["why", HOSTILE], ["why", f"{HOSTILE}1"], ["check", "v0"]),
        *(["sql", HOSTILE], ["sql", "-q", f"select '{HOSTILE}' as \"{HOSTILE}\""], ["sql", "-f", sheet]),
        *(["review", "--sample", "3", "-o", sheet], ["report", "-o", folder / f"{HOSTILE}.html"]),
        *(["checkout", "v0", folder / f"out{HOSTILE}"], ["forget", HOSTILE, "--because", HOSTILE]),
        *(
            ["card", "v0"],
            ["explore", "v0", "-o", folder / f"map{HOSTILE}"],
            [HOSTILE],
            ["log", HOSTILE],
            ["--a" + HOSTILE],
        ),
        *(["build", folder / HOSTILE], ["migrate", folder / HOSTILE, folder / f"{HOSTILE}2"]),
        *(["attack", recipe, folder, "--prompts", sheet], ["judge", recipe, folder], ["evaluate", folder]),
        *(["train", recipe, folder, "--role", "red", "-o", folder], ["pairs", "--from", folder / HOSTILE]),
    ]
    printed = {}
    for command in commands:
        takes_workspace = command[0] not in (
            "build",
            "migrate",
            "attack",
            "judge",
            "evaluate",
            "train",
            "pairs",
            HOSTILE,
        )
        workspace_option = ["--workspace", workspace] if takes_workspace else []
        ended = called(*command, *workspace_option)
        printed[" ".join(map(str, command))] = ended.stdout + ended.stderr
        assert ended.returncode in (0, 1, 2), command
    raw = {name: [c for c in HOSTILE if not c.isprintable() and c in text] for name, text in printed.items()}
    assert {name: found for name, found in raw.items() if found} == {}
    assert sum("\\u{1b}[31m" in text for text in printed.values()) > 12, "they are shown, visibly"


@pytest.mark.slow
def test_an_argument_that_is_not_utf_8_is_one_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "seas_data", "why", b"\xff", "--workspace", str(tmp_path / "none")]
    found = subprocess.run(command, capture_output=True, check=False)
    assert found.returncode == 2 and b"Traceback" not in found.stderr
    assert found.stderr.startswith(b"error: ")
