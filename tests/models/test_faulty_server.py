"""A server that fails at random in every way that docs/servers.md lists: no request is lost, and a rerun completes all.

The server and the client are real; the client's clock is the test's, so that no wait takes time.
"""

import asyncio
import gzip
import hashlib
import itertools
import random
import socket
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from seas_data.errors import SeasDataError
from seas_data.judges.rules import judge_rows
from seas_data.loop.checked_generator import AnswerCounts, count_answers
from seas_data.models import http_outcomes
from seas_data.models.http_backend import HttpBackend
from seas_data.models.protocol import ANSWER_SCHEMA, Sampling
from seas_data.recipe import JudgePatterns, JudgeRules, ModelHttp
from tests.conftest import quick
from tests.models.servers import Reply, Seen, server

SAMPLING = Sampling(max_new_tokens=9, seed=4)
SAMPLES = 2
CONCURRENCY = 32
PATIENCE = 1e15
"""Seconds of the test's clock: more than all waits of a run together, so that no run ends by waiting."""


class Clock:
    """A clock that only waiting moves; waits at the same time pass at the same time."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, until)


class Deadlines:
    """Deadlines of requests that end when all that are under way are stalled, and not by any clock.

    A request that the server answers is never ended, however slow the machine is.
    """

    def __init__(self) -> None:
        self.pending = set[asyncio.Timeout]()
        self.ended = self.stalled = 0
        self.loop: asyncio.AbstractEventLoop | None = None

    @asynccontextmanager
    async def __call__(self, _: float | None) -> AsyncIterator[None]:
        self.loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as limit:
            self.pending.add(limit)
            try:
                yield
            finally:
                self.pending.discard(limit)

    def stall(self, handler: BaseHTTPRequestHandler) -> None:
        """Begin a reply and send a byte at a time, until the client gives up."""
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        assert self.loop is not None
        with suppress(OSError, RuntimeError):  # the connection or the loop is closed
            self.loop.call_soon_threadsafe(self._count_stalled)
            while True:
                time.sleep(0.02)
                handler.wfile.write(b" ")
                self.loop.call_soon_threadsafe(self._end_stalled)

    def _count_stalled(self) -> None:
        self.stalled += 1

    def _end_stalled(self) -> None:
        if self.pending and len(self.pending) == self.stalled - self.ended:
            self.ended += len(self.pending)
            for limit in self.pending:
                limit.reschedule(asyncio.get_running_loop().time())
            self.pending.clear()


def answer(body: dict[str, Any], count: int | None = None) -> dict[str, Any]:
    """The reply of the healthy server: it depends on the prompt alone. Some prompts get odd ones, or are refused."""
    prompt = body["messages"][0]["content"]
    drawn = hashlib.sha256(prompt.encode()).digest()
    text, reason = f"word {drawn[1]} and {drawn[2]}{' velorin' if drawn[3] < 90 else ''}", "stop"
    if drawn[0] < 12:
        text, reason = "", "content_filter"
    elif drawn[0] < 24:
        text, reason = f"{text} \ud83d", "stop"
    elif drawn[0] < 36:
        reason = "length"
    elif drawn[0] < 48:
        reason = "something_new"
    elif drawn[0] < 60:
        text = f"<think>so {drawn[1]}</think>{text}"
    choices = [
        {"index": number, "finish_reason": reason, "message": {"role": "assistant", "content": text}}
        for number in range(body.get("n", 1) if count is None else count)
    ]
    return {"choices": choices, "model": "served", "usage": {"completion_tokens": 5 * len(choices)}}


def half(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{")


def garbage(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"no HTTP at all\r\n\r\n")


def reset(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def changed(body: dict[str, Any], **choice: Any) -> Reply:
    reply = answer(body)
    return 200, {}, reply | {"choices": [each | choice for each in reply["choices"]]}


def parts(body: dict[str, Any]) -> Reply:
    reply = answer(body)
    for choice in reply["choices"]:
        text = choice["message"]["content"]
        choice["message"]["content"] = [{"type": "text", "text": text[:3]}, {"type": "text", "text": text[3:]}]
    return 200, {}, reply


def status(number: int, content: Any = None, **headers: str) -> Callable[[dict[str, Any]], Reply]:
    words = {"error": {"message": f"no {number}"}} if content is None else content
    return lambda _: (number, {name.replace("_", "-"): value for name, value in headers.items()}, words)


def raw(content: bytes, **headers: str) -> Callable[[dict[str, Any]], Reply]:
    return status(200, content, **headers)


STALL: Reply = lambda _: None  # noqa: E731 (stands for ``Deadlines.stall`` of the run)
FAULTS: dict[str, Callable[[dict[str, Any]], Reply]] = {
    **{f"status {number}": status(number) for number in (400, 403, 408, 409, 413, 415, 418, 422, 425, 429, 499)},
    **{f"status {number}": status(number) for number in (500, 501, 502, 503, 504, 520, 529, 599)},
    "retry after seconds": status(429, retry_after="1000"),
    "retry after a date": status(503, retry_after="Thu, 01 Jan 2099 00:01:00 GMT"),
    "an error under 200": status(200, {"error": {"message": "broken"}}),
    "an error with its status under 200": status(200, {"error": {"message": "slow down", "code": 429}}),
    "a detail under 200": status(200, {"detail": "broken"}),
    "no choices": status(200, {"choices": []}),
    "no object": raw(b"[1]"),
    "no JSON": raw(b"<html>oops</html>"),
    "no text encoding": raw(b"\xff\xfe\x00"),
    "an empty body": raw(b""),
    "nested deeply": raw(b'{"choices": ' + b"[" * 20_000 + b"]" * 20_000 + b"}"),
    "no gzip": raw(b"this is no gzip", content_encoding="gzip"),
    "twice gzip": raw(gzip.compress(gzip.compress(b"{}")), content_encoding="gzip, gzip"),
    "another encoding": raw(b"{}", content_encoding="br"),
    "too large": raw(b" " * 300_000),
    "a bomb": raw(gzip.compress(b" " * 3_000_000), content_encoding="gzip"),
    "no content": lambda body: changed(body, message={"content": None}),
    "no message": lambda body: changed(body, message=None),
    "an empty list": lambda body: changed(body, message={"content": []}),
    "a number as content": lambda body: changed(body, message={"content": 7}),
    "a reason for failure": lambda body: changed(body, finish_reason="error"),
    "an error in the choice": lambda body: changed(body, error={"message": "lost"}),
    "dropped": lambda _: None,
    "half a reply": lambda _: half,
    "no HTTP": lambda _: garbage,
    "reset": lambda _: reset,
    "a byte at a time": lambda _: STALL,
    "too many choices": lambda body: (200, {}, answer(body, 5)),
    "too few choices": lambda body: (200, {}, answer(body, 1)),
    "content as parts": parts,
    "another model": lambda body: (200, {}, answer(body) | {"model": "another"}),
    "no counts": lambda body: (200, {}, answer(body) | {"usage": {"completion_tokens": -1}}),
    "no finish reason": lambda body: (200, {}, answer(body) | {"usage": None, "id": ["odd"]}),
}
ENDING: dict[str, Callable[[dict[str, Any]], Reply]] = {
    **{f"status {number}": status(number) for number in (401, 402, 404, 405, 407, 410)},
    "redirect": status(302, location="http://elsewhere.invalid/"),
    "quota": status(429, {"error": {"message": "no", "code": "insufficient_quota"}}),
    "key": status(400, {"error": {"message": "no", "code": "invalid_api_key"}}),
    "credit under 200": status(200, {"error": {"message": "no", "code": "insufficient_quota"}}),
}


def requests(count: int) -> pl.DataFrame:
    turns = [[{"role": "user", "content": f"which door is number {number}?"}] for number in range(count)]
    return pl.DataFrame({"request_id": [f"r{number:05}" for number in range(count)], "messages": turns})


def run(
    folder: Path,
    count: int,
    faults: dict[str, Callable[[dict[str, Any]], Reply]],
    share: float,
    port: int = 0,
    *,
    healthy: int = 0,
) -> tuple[pl.DataFrame, Seen, Counter[str], int]:
    """Ask ``count`` requests of a server that draws a fault for each ``share`` of the requests that it gets.

    The first ``healthy`` requests that arrive are answered. Nothing depends on how fast the machine is. Return the
    answers, what the server saw, the faults by kind, and the port.
    """
    drawn: Counter[str] = Counter()

    def reply(body: dict[str, Any], before: int) -> Reply:
        draw = random.Random(f"{body['messages'][0]['content']} {before}")
        if draw.random() >= share or next(arrived) < healthy:
            return 200, {}, answer(body)
        name = draw.choice(sorted(faults))
        drawn[name] += 1
        fault = faults[name](body)
        return deadlines.stall if fault is STALL else fault

    clock, deadlines, arrived = Clock(), Deadlines(), itertools.count()
    with server(reply, port) as (url, seen):
        settings = ModelHttp(
            backend="http",
            model="served",
            url=url,
            timeout_seconds=10**6,  # deadlines end requests, and no time-out of the library
            concurrency=CONCURRENCY,
            max_wait_seconds=PATIENCE,
        )
        backend = HttpBackend("T0", settings, url, sleep=clock.sleep, clock=clock, deadline=deadlines)
        return (
            backend.generate(requests(count), SAMPLING, SAMPLES, folder, "x"),
            seen,
            drawn,
            int(url.split(":")[2][:-3]),
        )


def figures(answers: pl.DataFrame) -> tuple[Any, ...]:
    """The counts of a stage, and the rates of a judge."""
    rows = answers.drop_nulls("text").select(request_id=pl.concat_str("request_id", "sample"), response="text")
    rows = rows.with_columns(prompt=pl.lit("x"))
    rules = JudgeRules(by="rules", unsafe=JudgePatterns(words=["velorin"]), refusal=JudgePatterns(words=["no"]))
    verdicts = judge_rows(rows, rules, "response")
    counts = count_answers(answers)
    return counts.answered, counts.cut_off, counts.filtered, counts.failed, verdicts["verdict"].value_counts(sort=True)


def check_accounts(answers: pl.DataFrame, count: int) -> AnswerCounts:
    """Check that each request has its rows, each exactly one of answer, refusal and failure, with a reason."""
    assert answers.schema == ANSWER_SCHEMA
    expected = [(f"r{number:05}", sample) for number in range(count) for sample in range(SAMPLES)]
    assert answers.select("request_id", "sample").rows() == expected
    answered = answers.filter(pl.col("finish_reason").is_in(["stop", "length", "other"]))
    refused, failed = (answers.filter(finish_reason=reason) for reason in ("filter", "error"))
    assert answered.height + refused.height + failed.height == answers.height
    assert answered["text"].null_count() == 0 and answered["error"].count() == 0
    assert failed["text"].count() == 0
    assert (pl.concat([refused, failed])["error"].str.len_chars() > 0).all()
    assert pl.concat([refused, failed])["error"].null_count() == 0
    counts = count_answers(answers)
    assert counts.total == count * SAMPLES
    return counts


def check_faulty_run(folder: Path, count: int) -> dict[str, Any]:
    started = time.monotonic()
    undisturbed, _, _, _ = run(folder / "undisturbed", count, FAULTS, 0)
    faulty, seen, drawn, port = run(folder / "faulty", count, FAULTS, 0.2)
    counts = check_accounts(faulty, count)
    again, asked, _, _ = run(folder / "faulty", count, FAULTS, 0, port)
    failed = faulty.filter(finish_reason="error")["request_id"].unique()
    prompts = dict(requests(count).select("request_id", pl.col("messages").list.first().struct.field("content")).rows())
    assert {body["messages"][0]["content"] for body in asked.bodies} == {prompts[name] for name in failed}
    assert check_accounts(again, count).failed == 0
    assert again["note"].drop_nulls().str.contains("answered as another|invalid UTF-16|finish reason").all()
    same = ("request_id", "sample", "text", "finish_reason", "error", "thinking")
    assert again.select(same).equals(undisturbed.select(same))
    for one, other in zip(figures(again), figures(undisturbed), strict=True):
        assert one.equals(other) if isinstance(one, pl.DataFrame) else one == other
    return {
        "requests": count,
        "sent": len(seen.bodies),
        "faults": drawn.total(),
        "kinds": len(drawn),
        "counts": counts.describe(),
        "sent again": len(asked.bodies),
        "seconds": round(time.monotonic() - started, 1),
    }


@pytest.fixture(autouse=True)
def _small_replies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_outcomes, "MAX_REPLY_BYTES", 200_000)


def test_every_request_to_a_faulty_server_is_accounted_for_and_a_rerun_completes_them(tmp_path: Path) -> None:
    check_faulty_run(tmp_path, 100)


@pytest.mark.slow
def test_two_thousand_requests_to_a_faulty_server_are_accounted_for(tmp_path: Path) -> None:
    found = check_faulty_run(tmp_path, 2_000)
    print(found)
    assert found["kinds"] == len(FAULTS)
    assert found["faults"] > 400


@pytest.mark.parametrize(
    "name",
    quick(1, sorted(ENDING, key=lambda name: name != "quota")),
)
def test_a_fault_that_ends_the_run_loses_no_answer(name: str, tmp_path: Path) -> None:
    undisturbed, _, _, _ = run(tmp_path / "undisturbed", 40, ENDING, 0)
    with pytest.raises(SeasDataError) as raised:
        # of the requests that arrive after the first CONCURRENCY, each comes once one more answer was taken
        run(tmp_path / "ended", 40, {name: ENDING[name]}, 1, healthy=CONCURRENCY + 5)
    assert "the server at" in str(raised.value)
    completed, seen, _, _ = run(tmp_path / "ended", 40, ENDING, 0)
    assert len(seen.bodies) < 40, "answers from before are kept"
    assert completed.equals(undisturbed)
