"""Server processes: start the recipe's ``serve`` command, wait until it answers, and stop it in every case.

The command is a list of arguments, not read by a shell, and may listen on this machine only: a host is added if the
command names none, other hosts are refused, and a server that answers from outside is stopped. Whether a recipe from
somebody else may start a command is decided before (``recipe.require_trust``).
"""

import asyncio
import contextlib
import ipaddress
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from seas_data.console import say
from seas_data.errors import SeasDataError
from seas_data.models import http_retry, supervise
from seas_data.retry import Backoff, with_retries
from seas_data.text import printable

LOOPBACK: Final = "127.0.0.1"
POLL: Final = Backoff(first=0.2, longest=0.2)
_LOCAL_HOSTS: Final = (LOOPBACK, "localhost", "::1")
_HOST_OPTIONS: Final = ("--host", "--hostname", "--bind", "--address", "--listen", "--ip", "-H")
_SHELLS: Final = ("sh", "bash", "dash", "zsh", "fish", "ksh", "cmd", "cmd.exe", "powershell", "pwsh")
_TAIL_LINES: Final = 15
_READY_SECONDS: Final = 10.0


@dataclass(frozen=True)
class Server:
    """A running server: its URL, and a function that raises SeasDataError if the server has ended."""

    url: str
    check_alive: Callable[[], None]


def build_arguments(command: list[str], model: str, port: int) -> list[str]:
    """Return ``command`` with {model} and {port} filled in, listening on this machine only.

    Raises SeasDataError if one of the two is missing, or the command names another host or runs a shell.
    """
    if Path(command[0]).name in _SHELLS:
        raise SeasDataError(f"serve: {command[0]} is a shell; give the program and its arguments")
    for field in ("{model}", "{port}"):
        if not any(field in argument for argument in command):
            raise SeasDataError(f"serve: the command {shlex.join(command)} lacks {field}; add it")
    filled = [argument.replace("{model}", model).replace("{port}", str(port)) for argument in command]
    names_host = False
    for argument, following in zip(command, [*command[1:], ""], strict=True):
        option, equals, value = argument.partition("=")
        is_host = option in _HOST_OPTIONS
        host = value if equals else following if is_host else argument
        if (is_host and _strip_port(host) not in _LOCAL_HOSTS) or _is_other_address(host):
            raise SeasDataError(f"serve: {host or option} is not this machine; remove the host or use {LOOPBACK}")
        names_host = names_host or is_host
    if names_host:
        return filled
    return [*filled, "--hostname" if Path(command[0]).name.startswith("text-generation") else "--host", LOOPBACK]


@contextlib.contextmanager
def run_server(command: list[str], model: str, folder: Path, *, max_wait_seconds: float) -> Iterator[Server]:
    """Start the command for ``model``, wait until it answers, yield it, and stop it with all its child processes.

    Its output goes to ``serve.log`` in ``folder``. Raises SeasDataError if the server ends or does not answer within
    ``max_wait_seconds``.
    """
    port = _free_port()
    arguments = build_arguments(command, model, port)
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "serve.log"
    say(
        f"Serving: {printable(shlex.join(arguments))}\nWaiting up to {max_wait_seconds:.0f} seconds (max_wait_seconds) "
        f"for it to start; its output is in {printable(str(log))}."
    )
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", supervise.__file__, *arguments],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def check_alive() -> None:
        if process.poll() is not None:
            raise SeasDataError(
                f"the server ended with status {process.returncode}; fix the serve command, see the end of {log}: "
                f"{_tail(log)}"
            )

    try:
        url = f"http://{LOOPBACK}:{port}"
        _wait_until_ready(url, check_alive, max_wait_seconds, log)
        _require_local(port)
        yield Server(f"{url}/v1", check_alive)
    finally:
        if process.stdin is not None:
            process.stdin.close()  # the signal to the supervisor to stop everything
        process.wait()


def _wait_until_ready(url: str, check_alive: Callable[[], None], max_wait_seconds: float, log: Path) -> None:
    seconds = min(_READY_SECONDS, max(max_wait_seconds, 1))

    def call() -> None:
        check_alive()
        for path in ("/health", "/v1/models"):
            with contextlib.suppress(httpx.HTTPError, TimeoutError):
                status, _ = asyncio.run(http_retry.read_within(url + path, {}, False, seconds))
                if 200 <= status < 300:
                    return
        raise TimeoutError

    try:
        with_retries(
            call,
            is_transient=lambda problem: isinstance(problem, TimeoutError),
            max_wait_seconds=max_wait_seconds,
            backoff=POLL,
        )
    except TimeoutError:
        raise SeasDataError(
            f"the server did not answer within {max_wait_seconds:.0f} seconds; raise max_wait_seconds or fix the serve "
            f"command, see the end of {log}: {_tail(log)}"
        ) from None


def _require_local(port: int) -> None:
    """Raise SeasDataError if the port answers on an address of this machine that others can reach."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a reserved address; nothing is sent, it only selects our own
            address = probe.getsockname()[0]
        except OSError:
            return
    if not ipaddress.ip_address(address).is_loopback:
        with socket.socket() as client:
            client.settimeout(2)
            if client.connect_ex((address, port)) == 0:
                raise SeasDataError(
                    f"the server also answers on {address}, which other machines can reach; bind it to {LOOPBACK}"
                )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _strip_port(host: str) -> str:
    """Return the host of a host, host:port or URL."""
    if host in _LOCAL_HOSTS:
        return host
    return urlsplit(host if "//" in host else f"//{host}").hostname or host


def _is_other_address(argument: str) -> bool:
    try:
        return not ipaddress.ip_address(argument.strip("[]")).is_loopback
    except ValueError:
        return False


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:]
    return printable(" | ".join(line.strip() for line in lines if line.strip())) or "(empty)"
