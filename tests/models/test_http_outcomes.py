"""What a reply or a failure of a model server means: one outcome for whatever comes."""

import base64
import html
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data.models import http_outcomes
from seas_data.models.http_outcomes import classify_failure, classify_reply, read_choices, read_retry_after
from seas_data.text import printable
from tests.conftest import examples

ANSWER = {"choices": [{"message": {"content": "blue"}, "finish_reason": "stop"}]}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "message", "content", "text", "refusal", "finish_reason", "error", "code", "type"]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("status", "body", "action"),
    [
        (200, ANSWER, "read"),
        (200, {}, "read"),
        (200, [], "retry"),
        (200, {"error": {"message": "overloaded"}}, "retry"),
        (200, {"error": {"message": "wait", "code": 429}}, "wait"),
        (200, {"error": {"message": "no", "code": "insufficient_quota"}}, "end"),
        (200, {"object": "error", "message": "too long", "code": 400}, "fail"),
        (400, {"error": "too long"}, "fail"),
        (400, {"error": {"code": "content_filter", "message": "flagged"}}, "filter"),
        (400, {"error": {"code": None, "innererror": {"code": "ResponsibleAIPolicyViolation"}}}, "filter"),
        (451, {}, "filter"),
        (401, {}, "end"),
        (402, {}, "end"),
        (403, {}, "forbid"),
        (404, {}, "end"),
        (302, {}, "end"),
        (408, {}, "retry"),
        (429, {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, "wait"),
        (429, {"error": {"message": "You exceeded your current quota", "type": "insufficient_quota"}}, "end"),
        (500, {}, "retry"),
        (503, {}, "wait"),
        (524, {}, "retry"),
        (529, {}, "wait"),
    ],
)
def test_every_status_has_its_action(status: int, body: Any, action: str) -> None:
    assert classify_reply(status, {}, json.dumps(body).encode()).action == action


@pytest.mark.parametrize("body", [b"", b"\xff\xfa", b"[" * 200_000, b'{"a":' * 100_000, b"9" * 5_000, b"null"])
def test_a_body_that_is_no_object_is_a_lost_request(body: bytes) -> None:
    assert classify_reply(200, {}, body).action == "retry"
    assert classify_reply(503, {}, body).action == "wait"


def test_the_words_of_the_server_are_kept_without_its_key_and_controls() -> None:
    body = json.dumps({"error": {"message": "the key sesame is\x1b[2J wrong", "code": "invalid_api_key"}}).encode()
    outcome = classify_reply(400, {}, body, "sesame")
    assert outcome.action == "end"
    assert outcome.reason == "status 400: the key ... is\\u{1b}[2J wrong (invalid_api_key)"


@examples(150)
@given(st.integers(100, 599), JSON, st.integers(1, 5))
def test_a_request_is_exactly_one_of_answer_refusal_and_failure(status: int, content: Any, count: int) -> None:
    outcome = classify_reply(status, {}, json.dumps(content).encode())
    if outcome.action != "read":
        assert outcome.reason
        return
    assert outcome.content is not None
    choices = read_choices(outcome.content, count)
    assert 1 <= len(choices) <= count
    for choice in choices:
        assert (choice.kind == "answer") == (choice.finish_reason in ("stop", "length", "other"))
        assert (choice.text is not None) or choice.kind != "answer"
        assert (choice.error is None) == (choice.kind == "answer")
        for text in (choice.text, choice.thinking, choice.error, choice.note):
            assert text is None or text.encode()


@given(st.binary(max_size=60))
def test_any_bytes_have_an_outcome(body: bytes) -> None:
    assert classify_reply(200, {}, body).action


def test_half_a_surrogate_pair_is_repaired_and_noted() -> None:
    body = b'{"choices": [{"message": {"content": "blue \\ud83d and \\ud83d\\ude00"}, "finish_reason": "stop"}]}'
    content = classify_reply(200, {}, body).content
    assert content is not None
    (choice,) = read_choices(content, 1)
    assert choice.text == "blue \ufffd and \U0001f600"
    assert choice.note == "invalid UTF-16, repaired"
    assert choice.kind == "answer"


@pytest.mark.parametrize(
    ("message", "text", "thinking"),
    [
        ({"content": "<think>velorin</think>blue"}, "blue", "velorin"),
        ({"content": "blue", "reasoning_content": "velorin"}, "blue", "velorin"),
        ({"content": "blue", "reasoning": "velorin", "reasoning_content": "velorin"}, "blue", "velorin"),
        (
            {
                "content": [
                    {"type": "thinking", "thinking": [{"type": "text", "text": "velorin"}]},
                    {"type": "text", "text": "blue"},
                ]
            },
            "blue",
            "velorin",
        ),
    ],
)
def test_thinking_is_split_off_unless_it_is_kept(message: dict[str, Any], text: str, thinking: str) -> None:
    content = {"choices": [{"message": message, "finish_reason": "stop"}]}
    (choice,) = read_choices(content, 1)
    assert (choice.text, choice.thinking) == (text, thinking)
    (kept,) = read_choices(content, 1, keep=True)
    assert kept.thinking is None and "velorin" in str(kept.text)


def test_an_echoed_key_is_masked() -> None:
    (choice,) = read_choices({"choices": [{"message": {"content": "key sesame"}}]}, 1, "sesame")
    assert choice.text == "key ..." and choice.note == "the server's key, masked"


@pytest.mark.parametrize(
    ("count", "tokens"), [(3, 3), (2**31, None), (-1, None), (True, None), ("3", None), (3.5, None)]
)
def test_token_counts_that_are_no_counts_are_ignored(count: Any, tokens: int | None) -> None:
    assert http_outcomes.read_tokens(ANSWER | {"usage": {"completion_tokens": count}}) == tokens


def test_another_model_is_noticed() -> None:
    assert http_outcomes.read_model({"model": "served"}, "served") is None
    assert http_outcomes.read_model({"model": "served@main"}, "served") is None
    assert http_outcomes.read_model({}, "served") is None
    assert http_outcomes.read_model({"model": "other"}, "served") == "other"


def test_retry_after_is_seconds_or_a_date() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert read_retry_after("7") == 7
    assert read_retry_after("Thu, 01 Jan 2026 00:01:00 GMT", now) == 60
    for other in ("-3", "nan", "inf", "soon", "", "Thu, 01 Jan 2015 00:01:00 GMT"):
        assert read_retry_after(other, now) == 0


def test_a_key_that_cannot_be_sent_is_in_no_message() -> None:
    outcome = classify_failure(httpx.LocalProtocolError("Illegal header value b'Bearer sesame'"), "sesame")
    assert outcome.action == "end" and "sesame" not in outcome.reason


@pytest.mark.parametrize(
    ("reason", "read"),
    [
        *(
            ("FinishReason.STOP", "stop"),
            ("FINISH_REASON_STOP", "stop"),
            (" end_turn ", "stop"),
            ("max_length", "length"),
        ),
        *(("FINISH_REASON_MAX_TOKENS", "length"), ("content-filter", "filter"), ("ERROR_TOXIC", "filter")),
        *(("tool-calls", "other"), (["length"], "other"), ({"type": "stop"}, "other"), (5, "other")),
    ],
)
def test_finish_reasons_are_read_in_the_spellings_of_servers(reason: Any, read: str) -> None:
    (choice,) = read_choices({"choices": [{"message": {"content": "blue"}, "finish_reason": reason}]}, 1)
    assert (choice.text, choice.finish_reason) == ("blue", read)


@pytest.mark.parametrize(
    "content", [{"text": "blue"}, [{"type": "output_text", "text": "blue"}], [{"text": {"value": "bl"}}, "ue"]]
)
def test_texts_are_read_in_the_forms_of_servers(content: Any) -> None:
    (choice,) = read_choices({"choices": [{"message": {"content": content, "thinking": "so"}}]}, 1)
    assert (choice.text, choice.thinking) == ("blue", "so")


def test_waits_are_as_long_as_the_server_asks_in_milliseconds_too() -> None:
    assert classify_reply(429, {"retry-after-ms": "20000"}, b"{}").retry_after == 20
    assert classify_reply(521, {"retry-after": "3", "retry-after-ms": "x"}, b"").retry_after == 3


@pytest.mark.parametrize("key", ['sesame"open', "a\\b/c+d=", "sesame<&>open", "s" * 400, "sesame-open"])
def test_an_echoed_key_is_masked_however_it_is_written(key: str) -> None:
    encoded = quote(key, safe="")
    written = [key, json.dumps(key)[1:-1], json.dumps(key)[1:-1].replace("/", "\\/"), encoded, html.escape(key)]
    written += [encoded.lower() if encoded != key else key, base64.b64encode(key.encode()).decode()]
    for each in written:
        bodies = [f"<p>wrong key {each}</p>".encode(), json.dumps({"error": {"reason": f"Bearer {each}"}}).encode()]
        bodies += [(each * 30).encode(), b"x" * 4_000 + each.encode() * 30]
        for body in bodies:
            for status in (401, 500, 400, 302):
                outcome = http_outcomes.classify_reply(status, {"location": f"/login?k={each}"}, body, key)
                shown = outcome.reason
                assert each not in shown and printable(each) not in shown
                assert each[:40] not in shown if len(each) > 40 else True
