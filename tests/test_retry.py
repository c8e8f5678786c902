import asyncio

import pytest

from seas_data.retry import Backoff, with_retries, with_retries_async

POLICY = Backoff(first=1.0, longest=4.0, jitter=0.5)


class Clock:
    """A clock that only ``sleep`` moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


class Flaky:
    """Fails ``failures`` times, then returns the number of calls."""

    def __init__(self, failures: int, problem: type[Exception] = OSError) -> None:
        self.failures, self.problem, self.calls = failures, problem, 0

    def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.problem(f"failure {self.calls}")
        return self.calls


def is_os_error(problem: Exception) -> bool:
    return isinstance(problem, OSError)


def test_waits_double_up_to_the_longest_and_the_result_is_returned() -> None:
    clock = Clock()
    result = with_retries(
        Flaky(4), is_transient=is_os_error, backoff=POLICY, sleep=clock.sleep, clock=clock, draw=lambda: 0.0
    )
    assert result == 5
    assert clock.waits == [1.0, 2.0, 4.0, 4.0]


def test_jitter_lengthens_each_wait_by_its_proportion() -> None:
    clock = Clock()
    with_retries(Flaky(2), is_transient=is_os_error, backoff=POLICY, sleep=clock.sleep, clock=clock, draw=lambda: 1.0)
    assert clock.waits == [1.5, 3.0]


def test_the_last_failure_is_raised_after_the_last_attempt() -> None:
    clock, call = Clock(), Flaky(9)
    with pytest.raises(OSError, match="failure 3"):
        with_retries(call, is_transient=is_os_error, attempts=3, sleep=clock.sleep, clock=clock)
    assert call.calls == 3
    assert len(clock.waits) == 2


def test_no_call_is_made_once_the_longest_total_wait_has_passed() -> None:
    clock, call = Clock(), Flaky(99)
    with pytest.raises(OSError, match="failure 4"):
        with_retries(
            call,
            is_transient=is_os_error,
            max_wait_seconds=6.5,
            backoff=POLICY,
            sleep=clock.sleep,
            clock=clock,
            draw=lambda: 0.0,
        )
    assert clock.waits == [1.0, 2.0, 4.0]


def test_a_failure_that_is_not_transient_is_raised_at_once() -> None:
    call = Flaky(1, ValueError)
    with pytest.raises(ValueError, match="failure 1"):
        with_retries(call, is_transient=is_os_error)
    assert call.calls == 1


def test_the_wait_that_a_server_asks_for_is_a_lower_bound() -> None:
    clock = Clock()
    asked = iter([30.0, 0.0])
    with_retries(
        Flaky(2), is_transient=lambda _: next(asked), backoff=POLICY, sleep=clock.sleep, clock=clock, draw=lambda: 0.0
    )
    assert clock.waits == [30.0, 2.0]


def test_on_wait_sees_each_failure_and_may_stop_the_retries() -> None:
    seen: list[tuple[str, float]] = []

    def stop_at_the_second(problem: Exception, seconds: float) -> None:
        seen.append((str(problem), seconds))
        if len(seen) == 2:
            raise RuntimeError("stop")

    clock = Clock()
    with pytest.raises(RuntimeError, match="stop"):
        with_retries(
            Flaky(9),
            is_transient=is_os_error,
            backoff=POLICY,
            on_wait=stop_at_the_second,
            sleep=clock.sleep,
            clock=clock,
            draw=lambda: 0.0,
        )
    assert seen == [("failure 1", 1.0), ("failure 2", 2.0)]
    assert clock.waits == [1.0]


def test_coroutines_follow_the_same_rules() -> None:
    clock, call = Clock(), Flaky(3)

    async def answer() -> int:
        return call()

    async def sleep(seconds: float) -> None:
        clock.sleep(seconds)

    result = asyncio.run(
        with_retries_async(answer, is_transient=is_os_error, backoff=POLICY, sleep=sleep, clock=clock, draw=lambda: 0.0)
    )
    assert result == 4
    assert clock.waits == [1.0, 2.0, 4.0]
    call.failures = 99
    with pytest.raises(OSError, match="failure 6"):
        asyncio.run(with_retries_async(answer, is_transient=is_os_error, attempts=2, sleep=sleep, clock=clock))
