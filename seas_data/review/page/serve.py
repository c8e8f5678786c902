"""The server of the review page: one process, on this machine only, that logs nothing."""

import contextlib
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from seas_data.errors import SeasDataError
from seas_data.review.page.guard import Guard


class Server:
    """A server for ``app`` at ``port`` of this machine (0: a free one). Raises SeasDataError if the port is taken."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("127.0.0.1", port))
        except OSError as problem:
            self._socket.close()
            raise SeasDataError(
                f"port {port} cannot be used ({problem.strerror}); pass another with --port, or none for a free one"
            ) from problem
        self._guard = Guard(app, self._socket.getsockname()[1])
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._guard,
                access_log=False,
                log_config=None,
                log_level="critical",
                server_header=False,
                lifespan="on",
                timeout_graceful_shutdown=2,
                ws="none",
            )
        )

    def __enter__(self) -> "Server":
        """Return the server, whose socket is closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def run(self, announce: Callable[[str], None]) -> None:
        """Serve until the process is interrupted. ``announce`` is told the address, which is good for one visit."""
        self._socket.listen()
        announce(self._guard.address())
        with contextlib.suppress(KeyboardInterrupt):
            self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Make ``run`` return."""
        self._server.should_exit = True
