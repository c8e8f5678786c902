"""The retry policy for model servers, with a transport and a clock of the test."""

import asyncio
import random
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from seas_data.errors import SeasDataError
from seas_data.models import http_outcomes, http_retry
from seas_data.models.http_retry import FailedRequest, RetryingClient, ServerUnavailableError

URL = "http://server/v1"


class Clock:
    """A clock that only ``sleep`` moves."""

    def __init__(self) -> None:
        self.now, self.waits = 0.0, list[float]()

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


def post(
    replies: Iterator[int | httpx.TransportError | tuple[int, dict[str, str], Any]],
    clock: Clock,
    count: int = 1,
    **settings: float,
) -> list[object]:
    """Post ``count`` requests one after the other; ``replies`` are statuses, failures and whole replies in order."""

    def answer(_: httpx.Request) -> httpx.Response:
        reply = next(replies)
        if isinstance(reply, httpx.TransportError):
            raise reply
        if isinstance(reply, tuple):
            return httpx.Response(reply[0], headers=reply[1], json=reply[2])
        return httpx.Response(reply, json={"error": "no"} if reply >= 400 else {"choices": []})

    async def run() -> list[object]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http_client:
            client = RetryingClient(
                http_client,
                URL,
                concurrency=4,
                max_wait_seconds=settings.get("max_wait_seconds", 1800),
                sleep=clock.sleep,
                clock=clock,
            )
            return [await client.post("/chat/completions", {}) for _ in range(count)]

    return asyncio.run(run())


@pytest.mark.parametrize("failure", [*http_outcomes.WAIT_STATUS, httpx.ConnectError("refused")])
def test_an_unavailable_server_is_waited_for_with_growing_waits(failure: int | httpx.TransportError) -> None:
    clock = Clock()
    assert post(iter([*[failure] * 12, 200]), clock) == [{"choices": []}]
    assert len(clock.waits) == 12
    assert http_retry.BACKOFF.first <= clock.waits[0] < 1 < clock.waits[5]
    assert max(clock.waits) <= http_retry.BACKOFF.longest * (1 + http_retry.BACKOFF.jitter)


def test_an_unavailable_server_ends_the_run_after_max_wait_seconds() -> None:
    clock = Clock()
    with pytest.raises(SeasDataError, match=r"unavailable for \d+ seconds \(status 503: no\); start it and rerun"):
        post(iter([503] * 1000), clock, max_wait_seconds=600)
    assert 600 <= clock.now < 600 + 2 * http_retry.BACKOFF.longest


@pytest.mark.parametrize("failure", [500, *http_outcomes.RETRY_STATUS, httpx.ReadError("dropped")])
def test_a_lost_request_fails_after_its_attempts(failure: int | httpx.TransportError) -> None:
    replies = iter([failure] * 100)
    (failed,) = post(replies, Clock())
    assert isinstance(failed, FailedRequest) and not failed.refused
    assert 100 - len(list(replies)) == http_retry.MAX_ATTEMPTS


def test_losing_many_requests_in_a_row_ends_the_run() -> None:
    attempts = http_retry.MAX_ATTEMPTS * http_retry.MAX_LOST_IN_A_ROW
    with pytest.raises(SeasDataError, match="answered none of the last 20 requests"):
        post(iter([500] * attempts), Clock(), count=http_retry.MAX_LOST_IN_A_ROW)
    answered = [*[500] * (attempts - http_retry.MAX_ATTEMPTS), 200] * 2
    assert len(post(iter(answered), Clock(), count=2 * http_retry.MAX_LOST_IN_A_ROW)) == 40


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_refused_request_is_not_retried(status: int) -> None:
    clock = Clock()
    (failed,) = post(iter([status]), clock)
    assert isinstance(failed, FailedRequest) and failed.refused
    assert clock.waits == []


@pytest.mark.parametrize("status", http_outcomes.END_STATUS)
def test_a_wrong_key_or_address_ends_the_run(status: int) -> None:
    with pytest.raises(SeasDataError, match=f"the server at {URL} .* \\(status {status}: no\\)"):
        post(iter([status]), Clock())


def test_retry_after_is_a_lower_bound_of_the_wait() -> None:
    clock, replies = Clock(), iter([("4", 503), ("99", 429), ("Wed, 21 Oct 2015 07:28:00 GMT", 503), ("0", 200)])

    def answer(_: httpx.Request) -> httpx.Response:
        seconds, status = next(replies)
        return httpx.Response(status, headers={"retry-after": seconds}, json={})

    async def run() -> object:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http_client:
            client = RetryingClient(
                http_client, URL, concurrency=1, max_wait_seconds=1800, sleep=clock.sleep, clock=clock
            )
            return await client.post("/chat/completions", {})

    assert asyncio.run(run()) == {}
    assert clock.waits[:2] == [4, 99]
    assert clock.waits[2] < 4, "the date has passed"


def test_retry_after_is_honoured_up_to_max_wait_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with pytest.raises(SeasDataError, match="unavailable for 60 seconds"):
        post(
            iter([(429, {"retry-after": "3600"}, {"error": {"message": "slow down"}})] * 3), clock, max_wait_seconds=60
        )
    assert clock.waits == [60]
    assert "slow down" in capsys.readouterr().err


def test_a_forbidden_request_among_answered_ones_is_a_failed_row() -> None:
    replies = post(iter([200, 403, *[403, 200] * 20]), Clock(), count=42)
    failed = [reply for reply in replies if isinstance(reply, FailedRequest)]
    assert len(failed) == 21 and not any(each.refused for each in failed)
    replies = post(iter([403, 200]), Clock(), count=2)
    assert isinstance(replies[0], FailedRequest), "the flagged prompt may be the first"


def test_a_server_that_forbids_everything_ends_the_run_with_its_words() -> None:
    with pytest.raises(SeasDataError, match=r"does not permit the request \(status 403: no\); check the permissions"):
        post(iter([403] * 99), Clock(), count=99)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (402, {"error": {"message": "Insufficient credits"}}, "Insufficient credits"),
        (429, {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}, "current quota"),
        (400, {"error": {"message": "Your credit balance is too low to use the API"}}, "credit balance"),
        (200, {"error": {"message": "no money", "code": "insufficient_quota"}}, "no money"),
        (307, {}, "redirects to another address"),
    ],
)
def test_what_cannot_pass_ends_the_run_with_the_words_of_the_server(
    status: int, body: dict[str, Any], words: str
) -> None:
    clock = Clock()
    with pytest.raises(SeasDataError, match=words):
        post(iter([200, (status, {}, body)]), clock, count=2)
    assert clock.waits == []


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (ssl.SSLCertVerificationError("self-signed certificate"), "self-signed certificate.*not trusted|not trusted"),
        (socket.gaierror(-2, "Name or service not known"), "unknown host"),
        (ssl.SSLError("wrong version number"), "TLS"),
    ],
)
def test_a_connection_that_cannot_come_about_ends_the_run_at_once(cause: Exception, words: str) -> None:
    failure, clock = httpx.ConnectError(str(cause)), Clock()
    failure.__cause__ = cause
    with pytest.raises(SeasDataError, match=words):
        post(iter([failure]), clock)
    assert clock.waits == []


def test_a_host_that_was_reached_before_is_waited_for() -> None:
    failure, clock = httpx.ConnectError("name resolution"), Clock()
    failure.__cause__ = socket.gaierror(-3, "Temporary failure in name resolution")
    assert post(iter([200, failure, 200]), clock, count=2) == [{"choices": []}] * 2
    assert len(clock.waits) == 1


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("answered", [0, 5, 20])
@pytest.mark.parametrize(
    ("status", "words"),
    [
        (402, "asks for payment"),
        (403, "does not permit"),
        (500, "answered none of the last 20"),
        (503, "has been unavailable"),
    ],
)
def test_no_request_is_sent_once_the_run_ends(
    monkeypatch: pytest.MonkeyPatch, concurrency: int, answered: int, status: int, words: str
) -> None:
    """Requests that wait for their turn are not sent, even if nothing cancels them."""
    draw, clock = random.Random(answered), Clock()
    sent, sent_at_end = [0], list[int]()

    class NotedError(SeasDataError):
        def __init__(self, message: str) -> None:
            sent_at_end.append(sent[0])
            super().__init__(message)

    monkeypatch.setattr(http_retry, "SeasDataError", NotedError)

    async def answer(_: httpx.Request) -> httpx.Response:
        sent[0] += 1
        succeeds = sent[0] <= answered and status != 403
        for _turn in range(draw.randrange(4)):
            await asyncio.sleep(0)
        return httpx.Response(200, json={"choices": []}) if succeeds else httpx.Response(status, json={"error": "no"})

    async def run() -> list[object]:
        async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http_client:
            client = RetryingClient(
                http_client, URL, concurrency=concurrency, max_wait_seconds=20, sleep=clock.sleep, clock=clock
            )
            return await asyncio.gather(*[client.post("/", {}) for _ in range(60)], return_exceptions=True)

    outcomes = asyncio.run(run())
    assert any(isinstance(each, NotedError) and words in str(each) for each in outcomes)
    assert sent[0] == sent_at_end[0], "nothing was sent after the decision"


HEADERS = b"HTTP/1.1 200 OK\r\nx-a: "
CHUNKS = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("start", "each"),
    [
        pytest.param(HEADERS, b"a", id="headers that do not end"),
        pytest.param(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", id="interim replies without end"),
        pytest.param(CHUNKS, b"1\r\n \r\n", id="chunks without end"),
        pytest.param(CHUNKS, b"", id="headers and no body"),
        pytest.param(b"", b"", id="silence"),
    ],
)
def test_a_get_request_ends_whatever_the_server_drips(
    start: bytes, each: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_retry, "GET_SECONDS", 0.3)
    over = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(start)
        while not over.wait(0.05):
            handler.wfile.write(each)

    with raw_server(drip) as url:
        started = time.monotonic()
        with pytest.raises(ServerUnavailableError, match="no complete reply"):
            http_retry.get(url, max_wait_seconds=0, headers={}, trust_env=False)
        over.set()
    assert time.monotonic() - started < 20  # without a limit it would not end


@contextmanager
def raw_server(reply: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(OSError):
                reply(self)

    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{running.server_address[1]}/models"
    finally:
        running.shutdown()
        running.server_close()
