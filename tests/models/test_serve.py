import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from seas_data.errors import SeasDataError
from seas_data.models import serve
from seas_data.models.serve import build_arguments, run_server

SERVER = """
import http.server, subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[1] + ".pids", "w").write(f"{__import__('os').getpid()} {worker.pid}")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
host = sys.argv[sys.argv.index("--host") + 1]
http.server.HTTPServer((host, int(sys.argv[2])), Handler).serve_forever()
"""


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """A command that serves, and starts a worker as servers do."""
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    return [sys.executable, str(script), "{model}", "{port}"]


def pids(model: Path) -> list[int]:
    return [int(word) for word in Path(f"{model}.pids").read_text().split()]


def gone(pid: int) -> bool:
    for _ in range(100):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


def test_a_server_is_started_and_stopped_with_its_workers(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "a model"
    with run_server(command, str(model), tmp_path / "log", max_wait_seconds=20) as server:
        assert httpx.get(server.url + "/models", trust_env=False).status_code == 200
        server.check_alive()
        running = pids(model)
    assert f"'{model}'" in capsys.readouterr().err, "the command as a shell would write it"
    assert all(gone(pid) for pid in running)
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url + "/models", trust_env=False)


def test_a_failure_while_it_is_used_stops_it_too(command: list[str], tmp_path: Path) -> None:
    model = tmp_path / "model"
    with (
        pytest.raises(ZeroDivisionError),
        run_server(command, str(model), tmp_path, max_wait_seconds=20),
    ):
        raise ZeroDivisionError
    assert all(gone(pid) for pid in pids(model))


@pytest.mark.slow
def test_the_server_stops_when_our_process_is_killed(command: list[str], tmp_path: Path) -> None:
    model = tmp_path / "model"
    code = f"""
import time
from pathlib import Path
from seas_data.models.serve import run_server
with run_server({command!r}, {str(model)!r}, Path({str(tmp_path)!r}), max_wait_seconds=20):
    print("ready", flush=True)
    time.sleep(600)
"""
    ours = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert ours.stdout is not None and ours.stdout.readline() == b"ready\n"
    running = pids(model)
    ours.send_signal(signal.SIGKILL)
    ours.wait()
    assert all(gone(pid) for pid in running)


def test_a_server_that_ends_is_reported_with_its_output(tmp_path: Path) -> None:
    broken = [sys.executable, "-c", "import sys; sys.exit('no such \\x1b[1m model')", "{model}", "{port}"]
    with (
        pytest.raises(SeasDataError, match=r"ended with status 1.*no such .*model") as problem,
        run_server(broken, "m", tmp_path, max_wait_seconds=20),
    ):
        pass
    assert "\x1b" not in str(problem.value)


def test_a_server_that_ends_later_is_reported(command: list[str], tmp_path: Path) -> None:
    model = tmp_path / "model"
    with run_server(command, str(model), tmp_path, max_wait_seconds=20) as server:
        os.kill(pids(model)[0], signal.SIGKILL)
        with pytest.raises(SeasDataError, match="the server ended"):
            for _ in range(100):
                server.check_alive()
                time.sleep(0.05)
    assert all(gone(pid) for pid in pids(model))


def test_a_server_that_does_not_answer_in_time_is_stopped(tmp_path: Path) -> None:
    idle = [sys.executable, "-c", "import time; time.sleep(600)", "{model}", "{port}"]
    with (
        pytest.raises(SeasDataError, match="did not answer within"),
        run_server(idle, "m", tmp_path, max_wait_seconds=0.5),
    ):
        pass


def test_a_server_that_drips_its_headers_is_stopped(tmp_path: Path) -> None:
    """Each byte restarts a time-out of the library, so only a whole deadline ends such a reply."""
    script = tmp_path / "drip.py"
    script.write_text(
        "import socket, sys, time\n"
        "listening = socket.create_server(('127.0.0.1', int(sys.argv[1])))\n"
        "while True:\n"
        "    connection, _ = listening.accept()\n"
        "    try:\n"
        "        connection.sendall(b'HTTP/1.1 200 OK\\r\\nx-a: ')\n"
        "        while True:\n"
        "            connection.sendall(b'a')\n"
        "            time.sleep(0.05)\n"
        "    except OSError:  # hung up on\n"
        "        connection.close()\n"
    )
    command = [sys.executable, str(script), "{port}", "{model}"]
    with (
        pytest.raises(SeasDataError, match="did not answer within"),
        run_server(command, "m", tmp_path, max_wait_seconds=1),
    ):
        pass


def test_a_server_that_other_machines_can_reach_is_stopped(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "build_arguments", lambda command, model, port: everywhere(command, model, port))
    own = os.popen("hostname -I").read().split()
    if not own:
        pytest.skip("this machine has no address but loopback")
    with (
        pytest.raises(SeasDataError, match="which other machines can reach"),
        run_server(command, str(tmp_path / "model"), tmp_path, max_wait_seconds=20),
    ):
        pass


def everywhere(command: list[str], model: str, port: int) -> list[str]:
    return [*(part.replace("{model}", model).replace("{port}", str(port)) for part in command), "--host", "0.0.0.0"]


def test_the_host_is_added_to_the_command() -> None:
    assert build_arguments(["vllm", "serve", "{model}", "--port", "{port}"], "a b; rm", 81) == [
        *("vllm", "serve", "a b; rm", "--port", "81", "--host", "127.0.0.1")
    ]
    tgi = build_arguments(["text-generation-launcher", "--model-id={model}", "-p", "{port}"], "m", 81)
    assert tgi[-2:] == ["--hostname", "127.0.0.1"]
    for own in (["--host", "localhost"], ["--host=127.0.0.1"], ["--bind", "127.0.0.1:{port}"], ["--host", "::1"]):
        assert build_arguments(["x", "{model}", "{port}", *own], "m", 81)[-1] == own[-1].replace("{port}", "81")


@pytest.mark.parametrize(
    "command",
    [
        ["x", "{model}", "{port}", "--host", "0.0.0.0"],
        ["x", "{model}", "{port}", "--host=0.0.0.0"],
        ["x", "{model}", "{port}", "--host", "my-machine"],
        ["x", "{model}", "{port}", "--host", "::"],
        ["x", "{model}", "{port}", "--bind", "0.0.0.0:80"],
        ["x", "{model}", "{port}", "--listen", "10.1.2.3"],
        ["env", "HOST=0.0.0.0", "x", "{model}", "{port}"],
        ["x", "{model}", "{port}", "192.168.0.7"],
        ["x", "{model}", "{port}", "--host"],
        ["sh", "-c", "x {model} {port}"],
        ["/bin/bash", "-c", "x {model} {port}"],
        ["x", "{model}"],
        ["x", "--port", "{port}"],
    ],
)
def test_unsafe_commands_are_rejected(command: list[str]) -> None:
    with pytest.raises(SeasDataError, match="serve: "):
        build_arguments(command, "m", 81)
