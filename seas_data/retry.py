"""Retries: call again after a transient failure, with exponential backoff and jitter.

``with_retries`` is for blocking calls, ``with_retries_async`` for coroutines; both follow the same rules. The caller
says which failures are transient, so the Hub and the model servers each state their own policy in one place.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")
IsTransient = Callable[[Exception], float | bool]
"""Classify a failure: False if a retry cannot help, True if it may, or the seconds that the server asks to wait."""
OnWait = Callable[[Exception, float], None]
"""Called before each wait with the failure and the seconds to wait; it may raise to stop retrying."""


@dataclass(frozen=True)
class Backoff:
    """Seconds to wait before each retry: ``first``, doubled each time up to ``longest``, plus a random part.

    The random part is at most ``jitter`` times the wait, so that clients that failed together do not return together.
    """

    first: float = 1.0
    longest: float = 16.0
    jitter: float = 0.25

    def seconds(self, retry: int, draw: float) -> float:
        """Return the wait before retry number ``retry`` (from 0); ``draw`` is a random number from 0 to 1."""
        return min(self.first * 2.0 ** min(retry, 64), self.longest) * (1 + self.jitter * draw)


def with_retries(
    call: Callable[[], Result],
    *,
    is_transient: IsTransient,
    attempts: int | None = None,
    max_wait_seconds: float | None = None,
    backoff: Backoff = Backoff(),
    on_wait: OnWait | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    draw: Callable[[], float] = random.random,
) -> Result:
    """Return the result of ``call``, calling again while it fails transiently.

    ``call`` must be safe to repeat: when a reply is lost, the first call may have taken effect. At most ``attempts``
    calls are made, and none once ``max_wait_seconds`` have passed since the first failure; None means no limit. A wait
    that the server asks for is a lower bound. Raises the last failure if retries are exhausted or cannot help.
    """
    retries = _Retries(is_transient, attempts, max_wait_seconds, backoff, on_wait, clock, draw)
    while True:
        try:
            return call()
        except Exception as problem:
            wait = retries.next_wait(problem)
            if wait is None:
                raise
        sleep(wait)


async def with_retries_async(
    call: Callable[[], Awaitable[Result]],
    *,
    is_transient: IsTransient,
    attempts: int | None = None,
    max_wait_seconds: float | None = None,
    backoff: Backoff = Backoff(),
    on_wait: OnWait | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
    draw: Callable[[], float] = random.random,
) -> Result:
    """Return the result of the coroutine function ``call``; the arguments are those of ``with_retries``."""
    retries = _Retries(is_transient, attempts, max_wait_seconds, backoff, on_wait, clock, draw)
    while True:
        try:
            return await call()
        except Exception as problem:
            wait = retries.next_wait(problem)
            if wait is None:
                raise
        await sleep(wait)


@dataclass
class _Retries:
    is_transient: IsTransient
    attempts: int | None
    max_wait_seconds: float | None
    backoff: Backoff
    on_wait: OnWait | None
    clock: Callable[[], float]
    draw: Callable[[], float]
    failures: int = 0
    failing_since: float = 0.0

    def next_wait(self, problem: Exception) -> float | None:
        """Return the seconds to wait before the next call, or None if there is none to make."""
        transient = self.is_transient(problem)
        if transient is False:
            return None
        if self.failures == 0:
            self.failing_since = self.clock()
        self.failures += 1
        if self.attempts is not None and self.failures >= self.attempts:
            return None
        if self.max_wait_seconds is not None and self.clock() - self.failing_since >= self.max_wait_seconds:
            return None
        wait = self.backoff.seconds(self.failures - 1, self.draw())
        if transient is not True:
            wait = max(wait, float(transient))
        if self.on_wait is not None:
            self.on_wait(problem, wait)
        return wait
