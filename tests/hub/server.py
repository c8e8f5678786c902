"""The HTTP server around the routes: threads, bodies, ranges, faults, and a log of requests."""

import json
import re
import socket
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hub.faults import Fault
from tests.hub.repository import Repository


class BrokenError(Exception):
    """The connection is to break here."""


@dataclass
class Request:
    """What was asked: the query's first values, the body, and who asks (None: nobody, "": a token nobody has)."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    user: str | None

    def json(self) -> Any:
        return json.loads(self.body or b"{}")


@dataclass
class Answer:
    status: int = 200
    content: Any = None  # bytes as they are, anything else as JSON
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    user: str | None
    status: int


class Hub:
    """A running Hub. ``owner`` writes to every repository of ``org``, ``reader`` is a stranger with an account."""

    owner = "hf_" + "o" * 34
    reader = "hf_" + "r" * 34

    def __init__(self) -> None:
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.users = {self.owner: "owner", self.reader: "reader"}
        self.members = {"owner": {"owner", "org"}, "reader": {"reader"}}
        self.faults: list[Fault] = []
        self.log: list[Asked] = []
        self.lock = threading.RLock()
        self.page = 50  # entries of a tree in one answer
        # Large files lie at another address, as they do for the Hub: the token must not follow them there.
        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), _handler(self)) for _ in range(2)]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_address[1]}"

    @property
    def store(self) -> str:
        """Where the contents of large files are, in and out."""
        return f"http://127.0.0.1:{self._servers[1].server_address[1]}"

    def repository(self, kind: str, name: str) -> Repository:
        return self.repositories[kind, name]

    def asked(self, method: str, path: str) -> list[Asked]:
        """Return the requests of ``method`` whose address matches ``path``."""
        return [each for each in self.log if each.method == method and re.search(path, each.path)]

    def environment(self) -> dict[str, str]:
        """Return the variables that lead a client here, past any proxy."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_TOKEN": self.owner,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def __enter__(self) -> "Hub":
        for server in self._servers:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    from tests.hub import routes

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: object) -> None:
            pass

        def _serve(self) -> None:
            split = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(split.query).items()}
            path = unquote(split.path)
            with hub.lock:
                fault = next((each for each in hub.faults if each.strikes(self.command, path)), None)
            user = _user(hub, self.headers.get("Authorization"))
            try:
                body = self._body(fault, path)
                if fault is not None and fault.status is not None:
                    answer = Answer(fault.status, fault.page or {"error": fault.message}, dict(fault.headers))
                else:
                    request = Request(
                        self.command, path, query, {k.lower(): v for k, v in self.headers.items()}, body, user
                    )
                    # The quoted path tells a slash in a revision from one between its parts.
                    with hub.lock:
                        answer = routes.answer(hub, request, split.path)
                with hub.lock:
                    hub.log.append(Asked(self.command, path, user, answer.status))
                if fault is not None and fault.lost:
                    raise BrokenError
                self._send(answer, fault)
            except BrokenError:
                with hub.lock:
                    hub.log.append(Asked(self.command, path, user, 0))
                self._break()
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        do_GET = do_HEAD = do_POST = do_PUT = _serve  # noqa: N815

        def _body(self, fault: Fault | None, path: str) -> bytes:
            if "chunked" in self.headers.get("Transfer-Encoding", ""):
                raise AssertionError("the clients send lengths")
            left = int(self.headers.get("Content-Length") or 0)
            limit = fault.drop_after if fault is not None and left else None
            parts, got = [], 0
            while left:
                part = self.rfile.read(min(left, 65_536 if limit is None else max(1, min(limit - got, 65_536))))
                if not part:
                    routes.partly(hub, path, got)
                    raise BrokenError
                parts.append(part)
                left, got = left - len(part), got + len(part)
                if limit is not None and got >= limit:
                    assert fault is not None
                    routes.partly(hub, path, got)
                    time.sleep(fault.stall)
                    raise BrokenError
            return b"".join(parts)

        def _send(self, answer: Answer, fault: Fault | None) -> None:
            content = answer.content
            if content is None:
                body = b""
            elif isinstance(content, bytes):
                body = content
            else:
                body = json.dumps(content).encode()
            headers = {"Content-Type": "application/json"} | answer.headers
            status = answer.status
            wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
            if status == 200 and wanted and headers.get("Accept-Ranges") and self.command == "GET":
                start = int(wanted[1]) if wanted[1] else max(0, len(body) - int(wanted[2]))
                end = min(int(wanted[2]), len(body) - 1) if wanted[1] and wanted[2] else len(body) - 1
                if start >= len(body):
                    status, headers["Content-Range"], body = 416, f"bytes */{len(body)}", b""
                else:
                    headers["Content-Range"] = f"bytes {start}-{end}/{len(body)}"
                    status, body = 206, body[start : end + 1]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "HEAD":
                return
            if fault is not None and fault.drop_after is not None:
                self.wfile.write(body[: fault.drop_after])
                self.wfile.flush()
                time.sleep(fault.stall)
                raise BrokenError
            self.wfile.write(body)

        def _break(self) -> None:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    return Handler


def _user(hub: Hub, authorization: str | None) -> str | None:
    if not authorization:
        return None
    return hub.users.get(authorization.removeprefix("Bearer "), "")
