"""HTTP retry policy: sends a request until it is answered, refused or failed, and says when it waits or gives up.

``http_outcomes`` says what each reply or failure means, and docs/servers.md has the table. A lost request is sent
``MAX_ATTEMPTS`` times and then given up, because it may be the one that crashes the server. The run ends after
``MAX_LOST_IN_A_ROW`` lost requests without an answer to any other, and after ``MAX_FORBIDDEN`` forbidden ones (status
403) before any answer. Waits grow exponentially (``BACKOFF``); ``Retry-After`` is a lower bound, and
``max_wait_seconds`` the upper one.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import httpx

from seas_data.console import say
from seas_data.errors import SeasDataError
from seas_data.models import http_outcomes
from seas_data.models.http_outcomes import Outcome
from seas_data.retry import Backoff, with_retries, with_retries_async

MAX_ATTEMPTS: Final = 5
MAX_LOST_IN_A_ROW: Final = 20
MAX_FORBIDDEN: Final = 10
BACKOFF: Final = Backoff(first=0.25, longest=10.0)
POLL: Final = Backoff(first=0.5, longest=0.5)
"""Waits between calls of ``get``, for which nothing else is under way."""
REPORT_SECONDS: Final = 30.0
"""How often standard error reports that the server is still unavailable."""
FIRST_TRY_SECONDS: Final = 1.5
"""How long the first ``get`` may take before standard error says that the program waits."""
GET_SECONDS: Final = 30.0
RERUN: Final = "rerun the command, which keeps the answers so far"

Deadline = Callable[[float | None], AbstractAsyncContextManager[object]]
"""What ends a block after so many seconds by raising TimeoutError."""


@dataclass(frozen=True)
class FailedRequest:
    """A request without an answer."""

    reason: str
    refused: bool
    """Whether the server rejects the request as it is, so that sending it again now cannot help."""
    filtered: bool = False
    """Whether a filter of the server refused it."""


class ServerUnavailableError(Exception):
    """The server is starting, busy or down; ``retry_after`` is how many seconds it asks to wait."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class RequestLostError(Exception):
    """The server failed on this request, or the connection broke."""


class RetryingClient:
    """Client of one server: sends a limited number of requests at a time and retries by the policy of this module."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        url: str,
        *,
        concurrency: int,
        max_wait_seconds: float,
        timeout_seconds: float | None = None,
        secret: str | None = None,
        answered: bool = False,
        check_alive: Callable[[], None] = lambda: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        deadline: Deadline = asyncio.timeout,
    ) -> None:
        self.client, self.url, self.max_wait_seconds, self.secret = client, url, max_wait_seconds, secret
        self.timeout_seconds = timeout_seconds
        self.check_alive, self.sleep, self.clock, self.deadline = check_alive, sleep, clock, deadline
        self._shown_url = hide_password(url)
        self._slots = asyncio.Semaphore(concurrency)
        self._unavailable_since: float | None = None
        self._last_report = float("-inf")
        self._lost_in_a_row = 0
        self._answered = answered
        self._reached = False
        self._forbidden: list[Outcome] = []
        self._ended: SeasDataError | None = None

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any] | FailedRequest:
        """Send ``body`` until it is answered, refused or lost for good.

        Raises SeasDataError if the address or key is wrong, no credit is left, the server stays unavailable, or it
        forbids or loses every request.
        """
        lost = 0

        async def send() -> dict[str, Any] | FailedRequest:
            nonlocal lost
            async with self._slots:
                if self._ended is not None:  # while this request waited for its slot
                    raise self._ended
                self.check_alive()
                outcome = await self._exchange(path, body)
                lost += outcome.action == "retry"
                return self._settle(outcome, last=lost >= MAX_ATTEMPTS)

        def is_transient(problem: Exception) -> float | bool:
            if isinstance(problem, ServerUnavailableError):
                return problem.retry_after
            return isinstance(problem, RequestLostError)

        return await with_retries_async(
            send, is_transient=is_transient, backoff=BACKOFF, sleep=self.sleep, clock=self.clock
        )

    def require_answers(self) -> None:
        """Raise SeasDataError if the server forbade requests and answered none."""
        if self._forbidden and not self._answered:
            raise end_error(self._shown_url, self._forbidden[0])

    def _settle(self, outcome: Outcome, last: bool) -> dict[str, Any] | FailedRequest:
        """Return what a request came to, or raise the kind of failure; ``last``: whether a lost request is given up.

        Runs while the request has its slot: a decision to end the run holds before any other request gets the slot.
        """
        if outcome.action == "read" and outcome.content is not None:
            self._record_available()
            self._answered = True
            return dict(outcome.content)
        if outcome.action == "end":
            raise self._end(end_error(self._shown_url, outcome))
        if outcome.action == "wait":
            seconds = min(outcome.retry_after, self.max_wait_seconds)
            self._record_unavailable(outcome.reason, seconds)
            raise ServerUnavailableError(outcome.reason, seconds)
        if outcome.action == "retry":
            if not last:
                raise RequestLostError(outcome.reason)
            self._record_lost(outcome.reason)
            return FailedRequest(outcome.reason, refused=False)
        return self._record_refused(outcome)

    async def _exchange(self, path: str, body: dict[str, Any]) -> Outcome:
        """Send once, and read the reply within the limits of time and size."""
        try:
            async with (
                self.deadline(self.timeout_seconds),
                self.client.stream("POST", f"{self.url}{path}", json=body) as reply,
            ):
                self._reached = True
                if problem := http_outcomes.check_encoding(reply.headers):
                    return Outcome("retry", problem)
                content = bytearray()
                async for chunk in reply.aiter_bytes():
                    content += chunk
                    if len(content) > http_outcomes.MAX_REPLY_BYTES:
                        return Outcome("fail", _too_large())
        except TimeoutError:
            return Outcome("retry", f"no complete reply within {self.timeout_seconds:g} seconds (timeout_seconds)")
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as problem:
            return http_outcomes.classify_failure(problem, self.secret, reached=self._reached)
        return http_outcomes.classify_reply(reply.status_code, reply.headers, bytes(content), self.secret)

    def _end(self, problem: SeasDataError) -> SeasDataError:
        """Record that the run ends with ``problem``: no further request is sent."""
        self._ended = self._ended or problem
        return self._ended

    def _record_available(self) -> None:
        if self._unavailable_since is not None and self._last_report >= self._unavailable_since:
            say(f"The server at {self._shown_url} is available again.")
        self._unavailable_since, self._lost_in_a_row = None, 0

    def _record_refused(self, outcome: Outcome) -> FailedRequest:
        self._record_available()
        if outcome.action != "forbid":
            return FailedRequest(outcome.reason, refused=True, filtered=outcome.action == "filter")
        self._forbidden.append(outcome)
        if len(self._forbidden) >= MAX_FORBIDDEN and not self._answered:
            raise self._end(end_error(self._shown_url, outcome))
        return FailedRequest(outcome.reason, refused=False)

    def _record_lost(self, reason: str) -> None:
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= MAX_LOST_IN_A_ROW:
            problem = f"answered none of the last {MAX_LOST_IN_A_ROW} requests ({reason})"
            raise self._end(SeasDataError(f"the server at {self._shown_url} {problem}; fix it and {RERUN}"))

    def _record_unavailable(self, reason: str, seconds: float) -> None:
        now = self.clock()
        if self._unavailable_since is None:
            self._unavailable_since = now
        waited = now - self._unavailable_since
        if waited >= self.max_wait_seconds:
            problem = f"has been unavailable for {waited:.0f} seconds ({reason})"
            raise self._end(SeasDataError(f"the server at {self._shown_url} {problem}; start it and {RERUN}"))
        if now - self._last_report >= REPORT_SECONDS:
            self._last_report = now
            announce_wait(self._shown_url, reason, self.max_wait_seconds - waited, seconds)


def get(
    url: str,
    *,
    max_wait_seconds: float,
    headers: dict[str, str],
    trust_env: bool,
    secret: str | None = None,
    check_alive: Callable[[], None] = lambda: None,
) -> tuple[int, bytes]:
    """Return status and content of the reply to a GET request, waiting for an unavailable server.

    Content that is too large or not readable is empty. Raises ServerUnavailableError if the server stays unavailable
    for ``max_wait_seconds``, and SeasDataError at once for a failure that cannot pass.
    """
    started = time.monotonic()
    reported = float("-inf")
    seconds = min(FIRST_TRY_SECONDS, GET_SECONDS)

    def call() -> tuple[int, bytes]:
        nonlocal seconds
        limit, seconds = seconds, GET_SECONDS
        try:
            reply = asyncio.run(read_within(url, headers, trust_env, limit))
        except httpx.DecodingError:
            return 200, b""
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, TimeoutError) as problem:
            outcome = http_outcomes.classify_failure(problem, secret)
            if outcome.action == "end":
                raise end_error(hide_password(url), outcome) from None
            raise ServerUnavailableError(outcome.reason or type(problem).__name__) from problem
        if reply[0] in http_outcomes.WAIT_STATUS:
            raise ServerUnavailableError(f"status {reply[0]}")
        return reply

    def on_wait(problem: Exception, _: float) -> None:
        nonlocal reported
        check_alive()
        now = time.monotonic()
        if now - reported >= REPORT_SECONDS:
            reported = now
            announce_wait(hide_password(url), str(problem), max_wait_seconds - (now - started))

    return with_retries(
        call,
        is_transient=lambda problem: isinstance(problem, ServerUnavailableError),
        max_wait_seconds=max_wait_seconds,
        backoff=POLL,
        on_wait=on_wait,
    )


def announce_wait(url: str, reason: str, left: float, asked: float = 0.0) -> None:
    """Print what is waited for, until when, and how to change it."""
    until = (datetime.now() + timedelta(seconds=min(max(left, 0), 10**8))).strftime("%H:%M:%S")
    wait = f" It asks to wait {asked:.0f} seconds." if asked > 2 * BACKOFF.longest else ""
    say(
        f"The server at {url} is unavailable ({reason}).{wait} Waiting for it until {until} ({max(left, 0):.0f} "
        "seconds); start it, or correct url or max_wait_seconds of its model in the recipe."
    )


def end_error(url: str, outcome: Outcome) -> SeasDataError:
    """Return the error that ends the run, with the server's words."""
    problem, advice = outcome.advice
    return SeasDataError(f"the server at {url} {problem} ({outcome.reason}); {advice}")


def hide_password(url: str) -> str:
    """Return ``url`` without user, password and query, for messages."""
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:
        return "the given url"


async def read_within(url: str, headers: dict[str, str], trust_env: bool, seconds: float) -> tuple[int, bytes]:
    """Return status and content of a GET request; raise TimeoutError if it takes longer than ``seconds``.

    The limit holds from the connection to the last byte: a timeout of httpx starts again with each byte.
    """
    try:
        async with (
            asyncio.timeout(seconds),
            httpx.AsyncClient(timeout=None, trust_env=trust_env, headers=headers) as client,
            client.stream("GET", url) as reply,
        ):
            content = bytearray()
            if http_outcomes.check_encoding(reply.headers):
                return reply.status_code, b""
            async for chunk in reply.aiter_bytes():
                content += chunk
                if len(content) > http_outcomes.MAX_REPLY_BYTES:
                    return reply.status_code, b""
            return reply.status_code, bytes(content)
    except TimeoutError:
        raise TimeoutError(f"no complete reply within {seconds:g} seconds") from None


def _too_large() -> str:
    return f"a reply of more than {http_outcomes.MAX_REPLY_BYTES // 1024**2} MiB"
