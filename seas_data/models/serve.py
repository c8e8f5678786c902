"""The recipe's command that serves a checkpoint: shown, started, waited for, used, and stopped again whatever happens.

It is a list of arguments that no shell reads, and it may listen on this machine alone: a host is added where the
command names none, another one is refused, and what answers from outside is stopped. Whether a recipe that somebody
else wrote may run one at all was asked before (``recipe.require_trust``).
"""

import ipaddress
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from seas_data.errors import SeasDataError
from seas_data.models import supervise
from seas_data.text import printable

LOOPBACK: Final = "127.0.0.1"
_LOCAL: Final = (LOOPBACK, "localhost", "::1")
_HOST_OPTIONS: Final = ("--host", "--hostname", "--bind", "--address", "--listen", "--ip", "-H")
_SHELLS: Final = ("sh", "bash", "dash", "zsh", "fish", "ksh", "cmd", "cmd.exe", "powershell", "pwsh")
_TAIL: Final = 15


@dataclass(frozen=True)
class Server:
    """A server that runs: where it answers, and a function that raises SeasDataError once it does not run any more."""

    url: str
    alive: Callable[[], None]


def arguments(command: list[str], model: str, port: int) -> list[str]:
    """Return ``command`` with its {model} and {port} filled in, listening on this machine alone.

    Raises SeasDataError if it lacks one of them, names another host or goes through a shell.
    """
    if Path(command[0]).name in _SHELLS:
        raise SeasDataError(f"serve: {command[0]} is a shell; give the program itself and its arguments")
    for field in ("{model}", "{port}"):
        if not any(field in argument for argument in command):
            raise SeasDataError(f"serve: the command {shlex.join(command)} does not say {field}")
    filled = [argument.replace("{model}", model).replace("{port}", str(port)) for argument in command]
    named = False
    for argument, following in zip(command, [*command[1:], ""], strict=True):
        option, equals, value = argument.partition("=")
        is_host = option in _HOST_OPTIONS
        host = value if equals else following if is_host else argument
        if (is_host and _bare(host) not in _LOCAL) or _elsewhere(host):
            raise SeasDataError(f"serve: {host or option} is not this machine; leave the host out, or name {LOOPBACK}")
        named = named or is_host
    if named:
        return filled
    return [*filled, "--hostname" if Path(command[0]).name.startswith("text-generation") else "--host", LOOPBACK]


@contextmanager
def serving(command: list[str], model: str, folder: Path, *, patience: float) -> Iterator[Server]:
    """Start the command for ``model``, wait until it answers, yield it, and stop it and all that it started.

    What it writes goes to ``serve.log`` in ``folder``. Raises SeasDataError if the server ends or takes longer than
    ``patience`` seconds to answer.
    """
    port = _free_port()
    line = arguments(command, model, port)
    print(f"Serving: {printable(shlex.join(line))}", file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", supervise.__file__, *line],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def alive() -> None:
        if process.poll() is not None:
            raise SeasDataError(f"the server ended (status {process.returncode}); the end of {log}: {_tail(log)}")

    try:
        url = f"http://{LOOPBACK}:{port}"
        _wait(url, alive, patience, log)
        _refuse_outside(port)
        yield Server(f"{url}/v1", alive)
    finally:
        if process.stdin is not None:
            process.stdin.close()  # tells it to stop everything
        process.wait()


def _wait(url: str, alive: Callable[[], None], patience: float, log: Path) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        alive()
        for path in ("/health", "/v1/models"):
            try:
                if httpx.get(url + path, timeout=10, trust_env=False).is_success:
                    return
            except httpx.TransportError:
                pass
        time.sleep(0.2)
    raise SeasDataError(f"the server did not answer within {patience:.0f} seconds; the end of {log}: {_tail(log)}")


def _refuse_outside(port: int) -> None:
    """Raise SeasDataError if the port answers on an address of this machine that others can reach."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address of no one; nothing is sent, it only picks our own
            own = probe.getsockname()[0]
        except OSError:
            return
    if not ipaddress.ip_address(own).is_loopback:
        with socket.socket() as caller:
            caller.settimeout(2)
            if caller.connect_ex((own, port)) == 0:
                raise SeasDataError(f"the server answers on {own} too, for others to reach; bind it to {LOOPBACK}")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind((LOOPBACK, 0))
        return int(one.getsockname()[1])


def _bare(host: str) -> str:
    """Return the host of what may be a host, host:port or a URL."""
    if host in _LOCAL:
        return host
    return urlsplit(host if "//" in host else f"//{host}").hostname or host


def _elsewhere(argument: str) -> bool:
    try:
        return not ipaddress.ip_address(argument.strip("[]")).is_loopback
    except ValueError:
        return False


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL:]
    return printable(" | ".join(line.strip() for line in lines if line.strip())) or "(empty)"
