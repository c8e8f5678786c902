"""Outcomes of a request to a model server: what a reply or a failure means, as pure functions. See docs/servers.md.

``classify_reply`` and ``classify_failure`` say what the program does with one attempt, ``read_choices`` what each
choice of a successful reply is: an answer, a refusal by a filter or a failure. Nothing here sends, waits or prints.
"""

import base64
import functools
import html
import json
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from operator import itemgetter
from typing import Any, Final, Literal
from urllib.parse import quote

import httpx

from seas_data.models.thinking import join_thinking, split_thinking
from seas_data.sources.jsonl import STRICT_DECODER
from seas_data.sources.raw_rows import InvalidLineError
from seas_data.text import printable

Action = Literal["read", "retry", "fail", "filter", "forbid", "wait", "end"]
"""read: a reply with choices; retry: send again a few times, then a failed row; fail: a failed row; filter: a row
refused by a filter; forbid: a failed row, or the end of the run if the server forbids everything; wait: the server is
unavailable; end: the end of the run."""

WAIT_STATUS: Final = (429, 502, 503, 504, 521, 522, 523, 529)
RETRY_STATUS: Final = (408, 409, 425)
"""The statuses of 400 to 499 that are about the moment, not about the request. Those from 500 are retried too."""
END_STATUS: Final = {
    401: ("does not accept the key", "set api_key_env to the environment variable that holds a valid key"),
    402: ("asks for payment", "add credit and rerun the command, which keeps the answers so far"),
    404: ("has no such address or model", "correct url and model"),
    405: ("has no such address", "correct url"),
    407: ("is behind a proxy that asks for a password", "correct the proxy of the environment"),
    410: ("no longer has this address or model", "correct url and model"),
}
FORBIDDEN: Final = ("does not permit the request", "check the permissions of the key")
MAX_REPLY_BYTES: Final = 32 * 1024**2
"""The largest reply that is read, after decompression."""
MAX_REASON: Final = 300
_SHOWN_BYTES: Final = 1 << 16

_QUOTA: Final = ("has no quota or credit left", "add credit and rerun the command, which keeps the answers so far")
_QUOTA_CODES: Final = {
    *("insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "insufficient_balance"),
    *("insufficient_credits", "insufficient_user_quota", "billing_error", "quota_exceeded_permanently", "arrearage"),
}
_QUOTA_WORDS: Final = re.compile(
    r"exceeded your current quota|credit balance is too low|insufficient (?:balance|credits?|funds|quota)",
    re.IGNORECASE,
)
_KEY_CODES: Final = {"invalid_api_key", "authentication_error", "account_deactivated", "invalid_authentication"}
_WAIT_CODES: Final = {"rate_limit_exceeded", "rate_limit_error", "overloaded_error", "model_loading", "rate_limit"}
_FILTER_CODES: Final = {
    *("content_filter", "content_policy_violation", "responsibleaipolicyviolation", "moderation_blocked"),
    *("data_inspection_failed", "datainspectionfailed", "content_filtered", "prohibited_content"),
    *("moderation", "content_moderation", "moderation_error"),
}
_STOP_REASONS: Final = {
    *("", "stop", "stopped", "eos", "eos_token", "stop_sequence", "end", "end_turn", "complete", "completed"),
    *("finish", "finished", "done"),
}
_LENGTH_REASONS: Final = {
    *("length", "max_length", "max_tokens", "max_output_tokens", "max_new_tokens", "token_limit", "error_limit"),
    *("model_length", "model_context_window_exceeded"),
}
_FILTER_REASONS: Final = {
    *("content_filter", "content_filtered", "refusal", "safety", "prohibited_content", "blocklist", "recitation"),
    *("guardrail_intervened", "sensitive", "spii", "error_toxic", "image_safety", "model_armor"),
}
_FAILED_REASONS: Final = {
    *("error", "abort", "aborted", "cancelled", "canceled", "failed", "insufficient_system_resource", "network_error"),
}
_ENCODINGS: Final = {"", "identity", "gzip", "x-gzip", "deflate"}


@dataclass(frozen=True)
class Outcome:
    """What one attempt of a request came to."""

    action: Action
    reason: str = ""
    """The server's words or the cause, on one line, without the key."""
    retry_after: float = 0.0
    """Seconds that the server asks to wait."""
    advice: tuple[str, str] = ("", "")
    """For ``end``: what is wrong, and what to do."""
    content: Mapping[str, Any] | None = None
    """For ``read``: the JSON object of the reply."""


@dataclass(frozen=True)
class Choice:
    """One choice of a reply, as the columns of ``protocol.ANSWER_SCHEMA`` have it."""

    text: str | None
    finish_reason: Literal["stop", "length", "other", "filter", "error"]
    error: str | None = None
    thinking: str | None = None
    note: str | None = None

    @property
    def kind(self) -> Literal["answer", "refusal", "failure"]:
        """Whether the request was answered, refused by a filter, or failed."""
        return {"filter": "refusal", "error": "failure"}.get(self.finish_reason, "answer")  # type: ignore[return-value]


def classify_reply(status: int, headers: Mapping[str, str], body: bytes, secret: str | None = None) -> Outcome:
    """Return what a complete reply means. Total: every status and body has one outcome, and nothing is raised."""
    try:
        content = parse_json(body)
    except InvalidLineError:  # which key is not told: a server may echo a secret in one
        return Outcome("retry", "a reply that gives a key two values")
    if 300 <= status < 400:
        target = clean(headers.get("location", "nowhere"), secret)
        return _end(f"status {status}: {target}", ("redirects to another address", "set url to the final address"))
    if not 200 <= status < 300:
        return _classify_status(status, content, headers, _words(status, content, body, secret))
    if not isinstance(content, dict):
        return Outcome("retry", "a reply that is not a JSON object")
    choices = content.get("choices")
    if _find_error(content) is None or (isinstance(choices, list) and choices):
        return Outcome("read", content=content)
    stated = next((code for code in _codes(content) if re.fullmatch("[45][0-9][0-9]", code)), None)
    reason = _words(status, content, body, secret)
    return _classify_status(int(stated) if stated else 500, content, headers, reason)


def classify_failure(problem: Exception, secret: str | None = None, *, reached: bool = False) -> Outcome:
    """Return what a failure without a complete reply means; ``reached``: whether the server replied before."""
    reason = clean(str(problem), secret) or type(problem).__name__
    causes = list(_causes(problem))
    certificate = next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None)
    if isinstance(certificate, ssl.SSLCertVerificationError):
        return _end(reason, ("has a certificate that is not trusted", "correct url or trust its authority"))
    if certificate is not None and isinstance(problem, httpx.ConnectError):
        return _end(reason, ("does not speak TLS as url says", "correct url: http or https, host and port"))
    if any(isinstance(cause, socket.gaierror) for cause in causes) and not reached:
        return _end(reason, ("has an unknown host", "correct the host in url"))
    if isinstance(problem, httpx.UnsupportedProtocol | httpx.LocalProtocolError | httpx.InvalidURL | UnicodeError):
        return _end(type(problem).__name__, ("cannot be sent this request", "correct url and the key in api_key_env"))
    if isinstance(problem, httpx.ProxyError):
        return _end(reason, ("is behind a proxy that fails", "correct the proxy of the environment"))
    if isinstance(problem, httpx.ConnectError | httpx.ConnectTimeout):
        return Outcome("wait", reason)
    return Outcome("retry", reason)


def check_encoding(headers: Mapping[str, str]) -> str | None:
    """Return why a reply cannot be decompressed within its limit, or None: only one layer of gzip or deflate is."""
    encoding = headers.get("content-encoding", "").strip().lower()
    return None if encoding in _ENCODINGS else f"a reply with the content encoding {printable(encoding)[:40]}"


def sort_choices(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a reply with its choices in the order of their indexes, if each has an index of its own."""
    choices = content.get("choices")
    if not isinstance(choices, list):
        return content
    indexes = [choice.get("index") if isinstance(choice, dict) else None for choice in choices]
    if not all(type(index) is int for index in indexes) or len(set(indexes)) < len(indexes):
        return content
    ordered = sorted(zip(indexes, choices, strict=True), key=itemgetter(0))
    return {**content, "choices": [choice for _, choice in ordered]}


def read_choices(
    content: Mapping[str, Any],
    count: int,
    secret: str | None = None,
    *,
    keep: bool = False,
    opened: bool = False,
) -> list[Choice]:
    """Return the choices of a reply, ``count`` at most and one at least; a reply without choices is one failure.

    ``keep``: whether thinking stays in the text. ``opened``: whether the request ended inside thinking.
    """
    choices = content.get("choices")
    if not isinstance(choices, list) or not choices:
        return [Choice(None, "error", "a reply without choices")]
    found = (choice if isinstance(choice, dict) else {} for choice in choices[:count])
    return [_read_choice(choice, secret, keep, opened) for choice in found]


def read_tokens(content: Mapping[str, Any]) -> int | None:
    """Return the number of generated tokens of a reply with one choice, None if it is not stated or no such number."""
    usage, choices = content.get("usage"), content.get("choices")
    tokens = usage.get("completion_tokens") if isinstance(usage, dict) else None
    single = isinstance(choices, list) and len(choices) == 1
    return tokens if single and type(tokens) is int and 0 <= tokens < 2**31 else None


def read_model(content: Mapping[str, Any], expected: str, secret: str | None = None) -> str | None:
    """Return the model that a reply names if it is another than ``expected``. ``NAME@REVISION`` is the same model."""
    model = content.get("model")
    if not isinstance(model, str) or not model or expected in (model, model.rpartition("@")[0]):
        return None
    return clean(model, secret)[:100]


def parse_json(body: bytes) -> Any:
    """Return the JSON value of ``body``; None if it is not JSON, not text, or nested too deeply.

    Raises InvalidLineError if a key has two values: Python would take the last and drop the first.
    """
    try:
        return STRICT_DECODER.decode(body.decode(json.detect_encoding(body), "surrogatepass"))
    except (ValueError, RecursionError):
        return None


def clean(text: str, secret: str | None) -> str:
    """Return the beginning of a server's text for messages: one line, without the key and control characters."""
    return printable(mask_key(text, secret)[: 20 * MAX_REASON])[:MAX_REASON]


def mask_key(text: str, secret: str | None) -> str:
    """Return ``text`` with the key replaced by dots, also where JSON, a URL, HTML or Base64 writes it another way."""
    for form in _written_forms(secret) if secret else ():
        text = text.replace(form, "...")
    return text


@functools.cache
def _written_forms(secret: str) -> list[str]:
    escaped, encoded = json.dumps(secret)[1:-1], quote(secret, safe="")
    forms = {secret, escaped, escaped.replace("/", "\\/"), html.escape(secret), quote(secret), encoded}
    forms |= {re.sub("%[0-9A-F]{2}", lambda found: found[0].lower(), encoded), html.escape(secret, quote=False)}
    forms.add(base64.b64encode(secret.encode()).decode())
    return sorted(forms, key=len, reverse=True)


def repair(text: str) -> str:
    """Return ``text`` with each half of a surrogate pair replaced by U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def read_retry_after(value: str | None, now: datetime | None = None) -> float:
    """Return the seconds of a Retry-After header, a number or a date; 0 without one."""
    if not value:
        return 0.0
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except (ValueError, TypeError, OverflowError):
            return 0.0
        aware = date if date.tzinfo else date.replace(tzinfo=UTC)
        seconds = (aware - (now or datetime.now(UTC))).total_seconds()
    return seconds if 0.0 < seconds < float("inf") else 0.0


def _classify_status(status: int, content: Any, headers: Mapping[str, str], reason: str) -> Outcome:
    codes = {code.lower() for code in _codes(content)}
    waits = bool(headers.get("retry-after"))  # some servers say quota where they mean requests per minute
    if codes & _QUOTA_CODES or (status in (400, 403, 429) and not waits and _QUOTA_WORDS.search(reason[:120])):
        return _end(reason, _QUOTA)
    if codes & _KEY_CODES and status != 403:
        return _end(reason, END_STATUS[401])
    if status in END_STATUS:
        return _end(reason, END_STATUS[status])
    if status == 403:
        return Outcome("forbid", reason, advice=FORBIDDEN)
    if status == 451 or codes & _FILTER_CODES:
        return Outcome("filter", reason)
    if status in WAIT_STATUS or codes & _WAIT_CODES:
        seconds = read_retry_after(headers.get("retry-after"))
        return Outcome("wait", reason, max(seconds, read_retry_after(headers.get("retry-after-ms")) / 1000))
    if 400 <= status < 500 and status not in RETRY_STATUS:
        return Outcome("fail", reason)
    return Outcome("retry", reason)


def _read_choice(choice: dict[str, Any], secret: str | None, keep: bool, opened: bool) -> Choice:
    message = choice.get("message")
    message = message if isinstance(message, dict) else {}
    given = choice.get("finish_reason")
    reason = _normalise_reason(given) if isinstance(given, str) else "" if given is None else None
    text, refusal, thinking = _read_content(message, choice)
    notes = []
    raw = (text, refusal, thinking)
    text, refusal, thinking = (each if each is None else mask_key(repair(each), secret) for each in raw)
    if any(each is not None and repair(each) != each for each in raw):
        notes.append("invalid UTF-16, repaired")
    if any(each is not None and secret and secret in each for each in raw):
        notes.append("the server's key, masked")
    if text is not None and not keep:
        # A server that splits the thinking off itself does not leave the answer inside it.
        text, inner, unusual, _ = split_thinking(text, opened=opened and thinking is None)
        notes += [unusual] if unusual else []
        thinking = thinking if inner is None else inner if thinking is None else f"{thinking}\n\n{inner}"
    elif text is not None:
        text, thinking = join_thinking(text, thinking), None
    note = "; ".join(notes) or None
    shown = "null" if given is None else clean(_show(given), secret)[:60]
    if (error := choice.get("error")) or reason in _FAILED_REASONS:
        return Choice(None, "error", _error_words(error, secret) if error else f"finish reason {shown}", note=note)
    if refusal and not text:
        return Choice(refusal, "filter", "the model's field refusal", thinking, note)
    if reason in _FILTER_REASONS:
        return Choice(text or None, "filter", f"finish reason {shown}", thinking, note)
    if text is None:
        return Choice(None, "error", f"no text (finish reason {shown})", thinking, note)
    if reason in _LENGTH_REASONS:
        return Choice(text, "length", None, thinking, note)
    if reason in _STOP_REASONS:
        return Choice(text, "stop", None, thinking, note)
    return Choice(text, "other", None, thinking, "; ".join([f"finish reason {shown}", *notes]))


def _normalise_reason(reason: str) -> str:
    """Return a finish reason as the sets above have it: servers write STOP, content-filter and FinishReason.STOP."""
    return re.sub(r"^finish_?reason[._]", "", reason.strip().lower().replace("-", "_"))


def _read_content(message: dict[str, Any], choice: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
    """Return the text, the refusal and the thinking of a choice, each None if it has none."""
    texts: list[str] = []
    thoughts = [
        each
        for key in ("reasoning_content", "reasoning", "thinking")
        if isinstance(each := message.get(key), str) and each
    ]
    refusals = [each] if isinstance(each := message.get("refusal"), str) and each else []
    content = message.get("content", choice.get("text"))
    for part in content if isinstance(content, list) else [content]:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict):
            kind = part.get("type")
            if kind in ("thinking", "reasoning"):
                thoughts += _strings(part.get("thinking", part.get("reasoning", part.get("text"))))
            elif kind == "refusal" and isinstance(part.get("refusal"), str):
                refusals.append(part["refusal"])
            elif isinstance(part.get("text"), str):
                texts.append(part["text"])
            elif isinstance(part.get("text"), dict) and isinstance(part["text"].get("value"), str):
                texts.append(part["text"]["value"])
    text = "".join(texts) if texts else None
    return text, "".join(refusals) or None, thoughts[0] if len(set(thoughts)) == 1 else "\n\n".join(thoughts) or None


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value if isinstance(value, list) else [value]
    return [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]


def _find_error(content: Any) -> Any:
    """Return what a body says is wrong, None if it says nothing: the forms of OpenAI, vLLM, FastAPI and others."""
    if not isinstance(content, dict):
        return None
    for key in ("error", "errors", "detail", "message"):
        if content.get(key):
            return content[key]
    return content if content.get("object") == "error" or content.get("type") == "error" else None


def _codes(content: Any) -> Iterator[str]:
    """Yield the codes, types and statuses of an error body, those of inner errors too."""
    waiting, level = [content], 0
    while waiting and level < 4:
        following: list[Any] = []
        for each in waiting:
            if isinstance(each, dict):
                yield from (
                    str(each[key]) for key in ("code", "type", "status") if isinstance(each.get(key), str | int)
                )
                following += [each.get(key) for key in ("error", "innererror", "inner_error", "errors")]
            elif isinstance(each, list):
                following += each[:5]
        waiting, level = following, level + 1


def _words(status: int, content: Any, body: bytes, secret: str | None) -> str:
    error = _find_error(content)
    words = (
        _error_words(error, secret)
        if error is not None
        else clean(body[:_SHOWN_BYTES].decode("utf-8", "replace"), secret)
    )
    return f"status {status}: {words}"[:MAX_REASON] if words else f"status {status}"


def _error_words(error: Any, secret: str | None) -> str:
    """Return the message in an error, or the error as JSON."""
    if isinstance(error, dict):
        inner = next((error[key] for key in ("message", "error", "detail") if isinstance(error.get(key), str)), None)
        code = next((error[key] for key in ("code", "type") if isinstance(error.get(key), str)), None)
        error = error if inner is None else inner if code is None or code in inner else f"{inner} ({code})"
    return clean(repair(_show(error)), secret)


def _show(value: Any) -> str:
    try:
        return value if isinstance(value, str) else json.dumps(value)
    except (ValueError, RecursionError):
        return "a value that is nested too deeply"


def _end(reason: str, advice: tuple[str, str]) -> Outcome:
    return Outcome("end", reason, advice=advice)


def _causes(problem: BaseException) -> Iterator[BaseException]:
    """Yield ``problem`` and what it was raised from, for eight levels."""
    cause: BaseException | None = problem
    for _ in range(8):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__
