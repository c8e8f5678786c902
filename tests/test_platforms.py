"""What Linux alone has is replaced elsewhere; here the replacements are forced."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seas_data import __main__ as program
from seas_data.query import reader
from seas_data.sources.sheet_journal import Journal
from seas_data.store import stages
from tests.conftest import CHECKOUT

READER = """
import os, sys, time
from seas_data.query import reader
reader._request_death_signal = lambda: False
reader.end_with_parent(os.getppid())
print(os.getpid(), flush=True)
time.sleep(120)
"""
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {READER!r}])"


def test_a_reader_ends_with_its_parent_where_no_signal_says_so() -> None:
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        for _ in range(300):
            if not _runs(child):
                return
            time.sleep(0.1)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the reader outlived its parent")


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
        stat = Path(f"/proc/{process}/stat").read_text()  # an ended process that nobody waited for has a number
        return stat.rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_signal_of_linux_is_used_where_there_is_one() -> None:
    code = "from seas_data.query import reader; print(reader._request_death_signal())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == f"{sys.platform == 'linux'}\n"


def test_limits_and_figures_of_the_system_are_optional(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert (stages._peak_megabytes() or 0) > 10
    monkeypatch.setattr(reader, "end_with_parent", lambda parent: None)
    for name in ("resource", "fcntl"):
        monkeypatch.setitem(sys.modules, name, None)
    assert stages._peak_megabytes() is None
    reader.set_limits(1 << 40, 60)
    journal = Journal(tmp_path_factory.mktemp("review") / "sheet.csv")
    journal.append("a", {"decision": "keep"}, {"decision": ""})
    journal.close()


def test_windows_is_told_about_wsl(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert "WSL" in message and message.count("\n") == 1
