"""The line to a server: one request at a time goes out, and what comes back is an answer, a refusal, or another try.

Servers are busy (429), restart (502, 503, 504, a refused connection), drop connections and time out. A server that is
*away* is waited for, all requests together, up to a stated patience, and standard error says so now and then. A request
that the server *loses* (dropped, timed out, 500) is tried again a few times and then given up: it may be that very
request that brings the server down. What the server *refuses* (400, a text too long) is not sent again. A wrong
address or key ends the run at once.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import httpx

from seas_data.errors import SeasDataError
from seas_data.text import printable

TRIES: Final = 5
"""How often a request that the server loses is sent."""
LOST_IN_A_ROW: Final = 20
"""After so many requests given up without an answer to any other, the server is taken to be broken."""
SAY_AGAIN: Final = 30.0
FIRST_PAUSE: Final = 0.25
LONGEST_PAUSE: Final = 10.0
AWAY: Final = (429, 502, 503, 504)
_TIMING: Final = (408, 409, 425)  # of the 4xx those that say nothing of the request itself
_WRONG: Final = {
    401: "does not accept the key; set key_variable to the environment variable that holds it",
    403: "forbids this; see what the key may do",
    404: "knows no such address or model; see url and model",
    405: "knows no such address; see url",
}


@dataclass(frozen=True)
class Failed:
    """A request without an answer: why, and whether asking again in another run may help."""

    reason: str
    refused: bool


class Line:
    """Requests to one server, a limited number at a time."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        url: str,
        concurrency: int,
        patience: float,
        secret: str | None,
        alive: Callable[[], None],
    ) -> None:
        self.client, self.url, self.patience, self.secret, self.alive = client, url, patience, secret, alive
        self._room = asyncio.Semaphore(concurrency)
        self._away_since: float | None = None
        self._said = float("-inf")
        self._lost_in_a_row = 0

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any] | Failed:
        """Send ``body`` until it is answered, refused or given up; raise SeasDataError if there is no going on."""
        tries, pause = 0, FIRST_PAUSE
        while True:
            async with self._room:
                self.alive()
                outcome, wait = await self._once(path, body)
            if isinstance(outcome, dict) or outcome.refused:
                self._answered()
                return outcome
            if wait is None:
                tries += 1
                if tries == TRIES:
                    return self._gave_up(outcome)
            else:
                self._is_away(outcome.reason)
            await asyncio.sleep(max(wait or 0.0, pause))
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _once(self, path: str, body: dict[str, Any]) -> tuple[dict[str, Any] | Failed, float | None]:
        """Send once. Of a failure that is not a refusal: seconds to wait if the server is away, None if it lost it."""
        try:
            reply = await self.client.post(f"{self.url}{path}", json=body)
        except (httpx.ConnectError, httpx.ConnectTimeout) as problem:
            return Failed(_said(problem), refused=False), 0.0
        except httpx.TransportError as problem:
            return Failed(_said(problem), refused=False), None
        if reply.status_code in _WRONG:
            raise SeasDataError(f"the server at {self.url} {_WRONG[reply.status_code]} (status {reply.status_code})")
        if reply.status_code in AWAY:
            return Failed(f"status {reply.status_code}", refused=False), _retry_after(reply)
        if reply.is_success:
            try:
                content = reply.json()
            except ValueError:  # no JSON, or no text at all
                content = None
            return (content, None) if isinstance(content, dict) else (Failed("a reply that is not JSON", False), None)
        reason = f"status {reply.status_code}: {self._shown(reply.text)}"
        return Failed(reason, refused=400 <= reply.status_code < 500 and reply.status_code not in _TIMING), None

    def _shown(self, text: str) -> str:
        """Return the beginning of what a server says, safe to show and to store."""
        return printable(text.replace(self.secret, "...") if self.secret else text)[:300]

    def _answered(self) -> None:
        if self._away_since is not None and self._said >= self._away_since:
            print(f"The server at {self.url} answers again.", file=sys.stderr)
        self._away_since, self._lost_in_a_row = None, 0

    def _gave_up(self, outcome: Failed) -> Failed:
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= LOST_IN_A_ROW:
            raise SeasDataError(
                f"the server at {self.url} answered none of the last {LOST_IN_A_ROW} requests ({outcome.reason}); mend "
                "it and run the same again: what it answered is kept"
            )
        return outcome

    def _is_away(self, reason: str) -> None:
        now = time.monotonic()
        if self._away_since is None:
            self._away_since = now
        waited = now - self._away_since
        if waited >= self.patience:
            raise SeasDataError(
                f"the server at {self.url} has been away for {waited:.0f} seconds ({reason}); start it and run the "
                "same again: what it answered is kept"
            )
        if now - self._said >= SAY_AGAIN:
            self._said = now
            left = f"{self.patience - waited:.0f} seconds"
            print(f"The server at {self.url} is away ({reason}); waiting for it, {left} more.", file=sys.stderr)


def _said(problem: Exception) -> str:
    return printable(str(problem))[:300] or type(problem).__name__


def _retry_after(reply: httpx.Response) -> float:
    try:
        return min(max(float(reply.headers.get("retry-after", 0)), 0.0), LONGEST_PAUSE)
    except ValueError:
        return 0.0  # a date; the pauses grow anyway
