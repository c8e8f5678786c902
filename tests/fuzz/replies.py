"""Targets: replies of model servers, as bytes with a status and headers."""

from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, get_args

import polars as pl

from seas_data.models import http_outcomes
from seas_data.models.protocol import ANSWER_SCHEMA, VerdictTokens
from seas_data.models.token_probability import compute_choice_score
from tests.fuzz.engine import Target
from tests.fuzz.judges import SEEDS
from tests.fuzz.mutations import dump_json, mutate_bytes, mutate_json

SECRET = "sk-secret-0123456789"
_LOGPROBS = {
    "content": [{"token": "safe", "logprob": -0.1, "top_logprobs": [{"token": "unsafe", "logprob": -2.5}]}],
    "tokens": ["safe"],
    "token_logprobs": [-0.1],
    "top_logprobs": [{"unsafe": -2.0}],
}
BODIES: tuple[Any, ...] = (
    {
        "id": "1",
        "model": "org/name",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "<think>a</think>Blue."}, "finish_reason": "stop"},
            {"message": {"content": None, "refusal": "No."}, "finish_reason": "content_filter", "logprobs": _LOGPROBS},
        ],
        "usage": {"completion_tokens": 7},
    },
    {
        "choices": [{"text": "Blue.", "finish_reason": "length", "logprobs": _LOGPROBS}],
        "usage": {"completion_tokens": 2},
    },
    {
        "choices": [
            {
                "message": {
                    "content": [{"type": "text", "text": "Blue"}, {"type": "thinking", "thinking": [{"text": "a"}]}],
                    "reasoning_content": "b",
                },
                "error": None,
            }
        ],
        "error": {},
    },
    {"error": {"message": f"Incorrect key {SECRET}", "type": "invalid_request_error", "code": "insufficient_quota"}},
    {"object": "error", "message": "too long", "code": 400},
    {"detail": [{"loc": ["body"], "msg": "field required"}]},
    {"errors": [{"message": "overloaded", "status": 503}]},
)
_STATUSES = (
    200,
    200,
    200,
    200,
    100,
    204,
    301,
    307,
    400,
    401,
    402,
    403,
    404,
    408,
    413,
    422,
    429,
    451,
    500,
    502,
    503,
    599,
)
_RETRY_AFTER = ("", "5", "1e999", "-3", "nan", "Wed, 21 Oct 2099 07:28:00 GMT", "Mon, 99 Abc", "9" * 400, "２")


class Reply(NamedTuple):
    """A reply: its status, headers and body, and how many choices were asked for."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    count: int


def make_reply(rng: Random) -> Reply:
    """Return a reply with a body that is mutated as JSON or as bytes."""
    value = rng.choice(BODIES)
    if rng.random() < 0.2 and isinstance(value.get("choices"), list):
        value = {"choices": [{"message": {"content": rng.choice(SEEDS)}, "finish_reason": "stop"}]}
    if rng.random() < 0.7:
        body = dump_json(mutate_json(value, rng), rng)
    else:
        others = [dump_json(each, rng) for each in BODIES]
        body = mutate_bytes(dump_json(value, rng), others, rng)
    headers = {"retry-after": rng.choice(_RETRY_AFTER), "location": f"https://a/{SECRET}\x1b[0m"}
    return Reply(rng.choice(_STATUSES), headers, body, rng.choice((1, 1, 2, 5)))


def check_reply(reply: Reply, folder: Path) -> int:
    """Classify a reply: exactly one outcome, and of a readable one each choice is answer, refusal or failure."""
    outcome = http_outcomes.classify_reply(reply.status, reply.headers, reply.body, SECRET)
    assert outcome.action in get_args(http_outcomes.Action)
    assert (outcome.action == "read") == (outcome.content is not None)
    assert outcome.action == "read" or outcome.reason, "no reason is given"
    assert (outcome.action in ("end", "forbid")) == (outcome.advice != ("", ""))
    assert 0.0 <= outcome.retry_after < float("inf")
    _check_shown(outcome.reason)
    if outcome.content is None:
        return 1
    choices = http_outcomes.read_choices(outcome.content, reply.count, SECRET, keep=reply.count == 2)
    assert 1 <= len(choices) <= reply.count
    listed = outcome.content.get("choices")
    expected = min(len(listed), reply.count) if isinstance(listed, list) and listed else 1
    assert len(choices) == expected, f"{len(choices)} choices of {expected}"
    tokens = http_outcomes.read_tokens(outcome.content)
    rows = []
    for number, choice in enumerate(choices):
        assert choice.kind in ("answer", "refusal", "failure")
        assert (choice.kind == "answer") == (choice.error is None)
        assert choice.kind != "answer" or choice.text is not None
        for text in (choice.text, choice.thinking, choice.error, choice.note):
            assert text is None or SECRET not in text, "the key is in a row"
        _check_shown(choice.error or "")
        score = _score(listed[number], choice) if isinstance(listed, list) and listed else None
        columns = (choice.text, choice.finish_reason, tokens, choice.error, score, choice.thinking, choice.note)
        rows.append(("a", number, *columns))
    assert pl.DataFrame(rows, ANSWER_SCHEMA, orient="row").height == len(choices)
    _check_shown(http_outcomes.read_model(outcome.content, "org/name", SECRET) or "")
    return 1


def _score(choice: Any, read: http_outcomes.Choice) -> float | None:
    if not isinstance(choice, dict):
        return None
    for answer in (None, read.text):
        for opened in (False, True):
            _score_as(choice, answer, read.thinking is not None, opened)
    return _score_as(choice, read.text, read.thinking is not None, False)


def _score_as(choice: dict[str, Any], answer: str | None, thought: bool, opened: bool) -> float | None:
    for tokens in (VerdictTokens(("unsafe",), ("safe",)), VerdictTokens(("yes",), ("no",), after=r"<score>\s*")):
        score = compute_choice_score(tokens, choice, answer, thought=thought, opened=opened)
        assert score is None or 0.0 <= score <= 1.0, f"the score is {score}"
    return score


def _check_shown(text: str) -> None:
    assert text.isprintable(), f"{text[:80]!r} is shown with control characters"
    assert SECRET not in text, "the key is shown"
    assert len(text) <= http_outcomes.MAX_REASON + 100


def targets() -> list[Target]:
    """Return the targets of this module."""
    return [Target("server reply", make_reply, check_reply, 200)]
