"""Servers that speak OpenAI's form and misbehave as real ones do."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, str], Any] | Callable[[BaseHTTPRequestHandler], None] | None
"""Status, headers and content; a function that writes the reply itself, after which the connection is closed; None
drops the connection. A content that is a tuple is several whole replies, of which one was asked for."""


@dataclass
class Seen:
    """The requests that a server got, in order."""

    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: Counter[str] = field(default_factory=Counter)
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def completion(body: dict[str, Any], count: int | None = None, **choice: Any) -> Reply:
    """A well-formed reply: ``n`` choices (or ``count``) that repeat the request's text."""
    asked = body["prompt"] if "prompt" in body else _text(body["messages"][-1]["content"])
    texts = [f"{asked} / {number} / {body.get('seed')}" for number in range(count or body.get("n", 1))]
    said = [
        {"text": text} if "prompt" in body else {"message": {"role": "assistant", "content": text}} for text in texts
    ]
    choices = [{"index": n, "finish_reason": "stop"} | one | choice for n, one in enumerate(said)]
    return 200, {}, {"choices": choices, "usage": {"completion_tokens": 7 * len(choices)}}


def _text(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


@contextmanager
def server(
    answer: Callable[[dict[str, Any], int], Reply], port: int = 0, unready: Iterable[tuple[int, Any]] = ()
) -> Iterator[tuple[str, Seen]]:
    """Run a server that replies with ``answer(body, number of earlier requests with the same text)``; yield its URL.

    ``unready``: statuses and contents of its first lists of models.
    """
    first = iter(unready)
    seen = Seen()
    asked: Counter[str] = Counter()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            seen.paths[self.path] += 1
            listed = {"data": [{"id": "served", "owned_by": "us", "created": seen.paths[self.path]}]}
            status, content = next(first, (200, listed)) if self.path.endswith("/models") else (200, {"status": "ok"})
            self._send(status, {}, content)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with seen.lock:
                seen.paths[self.path] += 1
                seen.bodies.append(body)
                seen.headers.append(dict(self.headers))
                seen.at_once += 1
                seen.most_at_once = max(seen.most_at_once, seen.at_once)
                what = json.dumps(body.get("messages") or body.get("prompt"))
                before = asked[what]
                asked[what] += 1
            reply = answer(body, before)
            with seen.lock:
                seen.at_once -= 1
            if callable(reply):
                reply(self)
            if reply is None or callable(reply):
                self.close_connection = True
                self.connection.close()
                return
            self._send(*reply)

        def _send(self, status: int, headers: dict[str, str], content: Any) -> None:
            if isinstance(content, tuple):
                for each in content:
                    self._send(status, headers, each)
                return
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        allow_reuse_address = True
        request_queue_size = 128  # as servers of models have

        def handle_error(self, *_: Any) -> None:
            pass  # a connection that we dropped ourselves

    running = Quiet(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{running.server_address[1]}/v1", seen
    finally:
        running.shutdown()
        running.server_close()
