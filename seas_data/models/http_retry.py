"""HTTP retry policy: which failures of a model server are retried, for how long, and what ends the run.

========================================================  ==========================================================
failure                                                   policy
========================================================  ==========================================================
refused connection, status in ``RETRYABLE_STATUS``        the server is unavailable: all requests wait for it, up to
                                                          ``max_wait_seconds`` without an answer to any of them
dropped connection, timeout, status 500, 408, 409 or 425  the request is lost: sent ``MAX_ATTEMPTS`` times, then failed
any other status of 400 to 499                            the request is refused (a text too long): failed, not retried
status in ``FATAL_STATUS``                                wrong address or key: the run ends at once
========================================================  ==========================================================

A lost request is given up because it may be the one that crashes the server. After ``MAX_LOST_IN_A_ROW`` lost requests
without an answer to any other, the run ends. Waits grow exponentially (``BACKOFF``); ``Retry-After`` is a lower bound.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx

from seas_data.errors import SeasDataError
from seas_data.retry import Backoff, with_retries, with_retries_async
from seas_data.text import printable

RETRYABLE_STATUS: Final = (429, 502, 503, 504)
TRANSIENT_REQUEST_STATUS: Final = (408, 409, 425)
"""The statuses of 400 to 499 that are about the moment, not about the request."""
FATAL_STATUS: Final = {
    401: "does not accept the key; set api_key_env to the environment variable that holds it",
    403: "does not permit the request; check the permissions of the key",
    404: "has no such address or model; check url and model",
    405: "has no such address; check url",
}
MAX_ATTEMPTS: Final = 5
MAX_LOST_IN_A_ROW: Final = 20
BACKOFF: Final = Backoff(first=0.25, longest=10.0)
POLL: Final = Backoff(first=0.5, longest=0.5)
"""Waits between calls of ``get``, for which nothing else is under way."""
REPORT_SECONDS: Final = 30.0
"""How often standard error reports that the server is still unavailable."""


@dataclass(frozen=True)
class FailedRequest:
    """A request without an answer. If the server refused it, another run would fail too."""

    reason: str
    refused: bool


class ServerUnavailableError(Exception):
    """The server is starting, busy or down; ``retry_after`` is how many seconds it asks to wait."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class RequestLostError(Exception):
    """The server failed on this request, or the connection broke."""


class RequestRefusedError(Exception):
    """The server rejects this request."""


class RetryingClient:
    """Client of one server: sends a limited number of requests at a time and retries by the policy of this module."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        url: str,
        *,
        concurrency: int,
        max_wait_seconds: float,
        secret: str | None = None,
        check_alive: Callable[[], None] = lambda: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.client, self.url, self.max_wait_seconds, self.secret = client, url, max_wait_seconds, secret
        self.check_alive, self.sleep, self.clock = check_alive, sleep, clock
        self._slots = asyncio.Semaphore(concurrency)
        self._unavailable_since: float | None = None
        self._last_report = float("-inf")
        self._lost_in_a_row = 0

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any] | FailedRequest:
        """Send ``body`` until it is answered, refused or lost for good.

        Raises SeasDataError if the address or key is wrong, the server stays unavailable, or it loses every request.
        """
        attempts = 0

        def is_transient(problem: Exception) -> float | bool:
            nonlocal attempts
            if isinstance(problem, ServerUnavailableError):
                return problem.retry_after
            attempts += isinstance(problem, RequestLostError)
            return isinstance(problem, RequestLostError) and attempts < MAX_ATTEMPTS

        def on_wait(problem: Exception, _: float) -> None:
            if isinstance(problem, ServerUnavailableError):
                self._record_unavailable(problem)

        try:
            reply = await with_retries_async(
                lambda: self._send(path, body),
                is_transient=is_transient,
                backoff=BACKOFF,
                on_wait=on_wait,
                sleep=self.sleep,
                clock=self.clock,
            )
        except RequestRefusedError as problem:
            self._record_answer()
            return FailedRequest(str(problem), refused=True)
        except RequestLostError as problem:
            self._record_lost(problem)
            return FailedRequest(str(problem), refused=False)
        self._record_answer()
        return reply

    async def _send(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send once; return the JSON of the reply or raise the kind of failure."""
        async with self._slots:
            self.check_alive()
            try:
                reply = await self.client.post(f"{self.url}{path}", json=body)
            except httpx.TransportError as problem:
                raise _classify(problem) from problem
        status = reply.status_code
        if status in FATAL_STATUS:
            raise SeasDataError(f"the server at {self.url} {FATAL_STATUS[status]} (status {status})")
        if status in RETRYABLE_STATUS:
            raise ServerUnavailableError(f"status {status}", _retry_after(reply))
        if not reply.is_success:
            reason = f"status {status}: {self._printable(reply.text)}"
            refused = 400 <= status < 500 and status not in TRANSIENT_REQUEST_STATUS
            raise RequestRefusedError(reason) if refused else RequestLostError(reason)
        try:
            content = reply.json()
        except ValueError:  # not JSON, or not text at all
            content = None
        if not isinstance(content, dict):
            raise RequestLostError("a reply that is not a JSON object")
        return content

    def _printable(self, text: str) -> str:
        """Return the beginning of a server's message, without the key and without control characters."""
        return printable(text.replace(self.secret, "...") if self.secret else text)[:300]

    def _record_answer(self) -> None:
        if self._unavailable_since is not None and self._last_report >= self._unavailable_since:
            print(f"The server at {self.url} is available again.", file=sys.stderr)
        self._unavailable_since, self._lost_in_a_row = None, 0

    def _record_lost(self, problem: RequestLostError) -> None:
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= MAX_LOST_IN_A_ROW:
            raise SeasDataError(
                f"the server at {self.url} answered none of the last {MAX_LOST_IN_A_ROW} requests ({problem}); fix it "
                "and rerun the command, which keeps the answers so far"
            )

    def _record_unavailable(self, problem: ServerUnavailableError) -> None:
        now = self.clock()
        if self._unavailable_since is None:
            self._unavailable_since = now
        waited = now - self._unavailable_since
        if waited >= self.max_wait_seconds:
            raise SeasDataError(
                f"the server at {self.url} has been unavailable for {waited:.0f} seconds ({problem}); start it and "
                "rerun the command, which keeps the answers so far"
            )
        if now - self._last_report >= REPORT_SECONDS:
            self._last_report = now
            left = f"{self.max_wait_seconds - waited:.0f} seconds"
            print(f"The server at {self.url} is unavailable ({problem}); waiting up to {left}.", file=sys.stderr)


def get(
    url: str,
    *,
    max_wait_seconds: float,
    headers: dict[str, str],
    trust_env: bool,
    check_alive: Callable[[], None] = lambda: None,
) -> httpx.Response:
    """Return the reply to a GET request, waiting up to ``max_wait_seconds`` for an unavailable server.

    Raises ServerUnavailableError if the server stays unavailable.
    """

    def call() -> httpx.Response:
        try:
            reply = httpx.get(url, headers=headers, timeout=30, trust_env=trust_env)
        except httpx.TransportError as problem:
            raise ServerUnavailableError(type(problem).__name__) from problem
        if reply.status_code in RETRYABLE_STATUS:
            raise ServerUnavailableError(f"status {reply.status_code}")
        return reply

    return with_retries(
        call,
        is_transient=lambda problem: isinstance(problem, ServerUnavailableError),
        max_wait_seconds=max_wait_seconds,
        backoff=POLL,
        on_wait=lambda *_: check_alive(),
    )


def _classify(problem: httpx.TransportError) -> Exception:
    reason = printable(str(problem))[:300] or type(problem).__name__
    if isinstance(problem, httpx.ConnectError | httpx.ConnectTimeout):
        return ServerUnavailableError(reason)
    return RequestLostError(reason)


def _retry_after(reply: httpx.Response) -> float:
    try:
        return min(max(float(reply.headers.get("retry-after", 0)), 0.0), BACKOFF.longest)
    except ValueError:
        return 0.0  # a date; the waits grow anyway
