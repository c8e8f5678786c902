"""Logs of inspect_ai: ``.eval`` archives, with whole or chunked samples, and ``.json`` files.

Only the target's model, the sample's id, epoch, input, messages, output, scores, error and attachments are read, and of
its metadata the keys that the recipe names. Each epoch of a sample is an attempt with one answer.

Tested with files that inspect_ai 0.3.285 wrote; archives may be compressed with zstd, or unfinished.

- Takes: the messages up to the last turn of the user, ``input`` as ``goal`` where it differs, the output, the scores,
  and of ``metadata`` the keys that you name. The judge of a scorer is ``inspect:SCORER``.
- Leaves: events, the store, usage, tool calls, what the model thought, the configuration.
- Cannot know: which value of a scorer means unsafe; without ``unsafe_values`` or ``threshold`` every verdict is
  ``unparsed``. Example: ``log_options: {scorers: [model_graded_qa], unsafe_values: {model_graded_qa: [C]}, metadata:
  {risk: category}}``.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from seas_data.conversation import Message
from seas_data.errors import SeasDataError
from seas_data.sources.logs.formats import LogFormat
from seas_data.sources.logs.json_files import json_values
from seas_data.sources.logs.records import (
    FinishReason,
    LogAnswer,
    LogAttempt,
    LogOptions,
    LogRecord,
    LogSkipped,
    LogVerdict,
)
from seas_data.sources.logs.values import (
    identifier,
    items,
    mapping,
    number_or_none,
    proportion_or_none,
    require_known_format,
    text_or_none,
    verdict_of_value,
    wanted,
)
from seas_data.sources.logs.zip_members import MemberError, ZipMembers, open_zip

Resolve = Callable[[str], str]

_ATTACHMENT: Final = "attachment://"
_SAMPLE: Final = re.compile(r"samples/(?P<name>.+)_epoch_\d+(?:\.json|/sample\.json)")
_FINISH_REASONS: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "max_tokens": "length",
    "model_length": "length",
    "content_filter": "filter",
    "unknown": "other",
    "tool_calls": "other",
}
_NEWEST_FORMAT: Final = 2
_MAX_REFERENCES: Final = 1_000_000


def read_inspect(path: Path, options: LogOptions) -> Iterator[LogRecord]:
    """Yield the samples of a log. Raises SeasDataError if it is no log of inspect_ai, or breaks off."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as problem:
        raise SeasDataError(f"{path} cannot be read ({problem.strerror}); give a file") from problem
    yield from (_read_eval if start == b"PK\x03\x04" else _read_json)(path, options)


def _read_json(path: Path, options: LogOptions) -> Iterator[LogRecord]:
    target, samples = None, False
    for keys, value in json_values(path, lambda keys: keys in ((), ("samples",))):
        if keys == ("version",):
            require_known_format(path, value, _NEWEST_FORMAT)
        elif keys == ("eval",):
            target = text_or_none(mapping(value).get("model"))
        elif keys[:1] == ("samples",) and len(keys) == 2:
            samples = True
            yield _attempt(f"{path.name}:{'/'.join(map(str, keys))}", value, mapping(value), target, options)
    if not samples and target is None:
        raise SeasDataError(f"{path} is no log of inspect_ai: it has no eval and no samples; give a .eval or .json log")


def _read_eval(path: Path, options: LogOptions) -> Iterator[LogRecord]:
    with open_zip(path) as members:
        target = _target(path, members)
        for name in members.names():
            if not _SAMPLE.fullmatch(name):
                continue
            location = f"{path.name}:{name}"
            try:
                sample = _member(members, name)
                shell, attachments = mapping(sample), mapping(mapping(sample).get("attachments"))
                if name.endswith("/sample.json"):
                    shell, attachments = _whole(members, name.removesuffix("sample.json"), shell)
            except MemberError as problem:
                yield LogSkipped(location, "unreadable", f"the sample cannot be read: {problem}")
                continue
            yield _attempt(location, sample, {**shell, "attachments": attachments}, target, options)


def _target(path: Path, members: ZipMembers) -> str | None:
    """Return the target's name from the header or, in a log that was not finished, from its journal."""
    for name in ("header.json", "_journal/start.json"):
        if name in members:
            try:
                header = mapping(_member(members, name))
            except MemberError as problem:
                raise SeasDataError(f"{path} has a {name} that cannot be read: {problem}; get the log again") from None
            require_known_format(path, header.get("version"), _NEWEST_FORMAT)
            return text_or_none(mapping(header.get("eval")).get("model"))
    raise SeasDataError(f"{path} is no log of inspect_ai: it has no header.json and no _journal/start.json")


def _member(members: ZipMembers, name: str) -> Any:
    try:
        return json.loads(members.read(name))
    except (ValueError, RecursionError):
        raise MemberError("it is no JSON") from None


def _whole(members: ZipMembers, prefix: str, shell: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a chunked sample with its messages, and its attachments by number."""
    chunks = {kind: _chunks(members, f"{prefix}{kind}/") for kind in ("messages", "attachments")}
    wanted_messages: list[int] = []
    for reference in items(shell.get("message_refs")):
        match reference:
            case [int(start), int(end)] if 0 <= start <= end <= start + _MAX_REFERENCES:
                wanted_messages += range(start, end)
            case int(start):
                wanted_messages.append(start)
            case _:
                raise MemberError("its message_refs are no ranges")
        if len(wanted_messages) > _MAX_REFERENCES:
            raise MemberError(f"it has more than {_MAX_REFERENCES:,} messages")
    messages = _items_at(members, chunks["messages"], wanted_messages)
    whole = {**shell, "messages": [messages.get(each) for each in wanted_messages]}
    named = [int(each) for each in re.findall(r"attachment://(\d{1,9})(?!\w)", json.dumps(whole))]
    found = _items_at(members, chunks["attachments"], sorted(set(named)))
    if f"{prefix}metadata.json" in members:
        whole["metadata"] = _member(members, f"{prefix}metadata.json")
    return whole, {str(number): text for number, text in found.items() if isinstance(text, str)}


def _chunks(members: ZipMembers, prefix: str) -> list[tuple[int, str]]:
    found, start = [], 0
    while (name := f"{prefix}{start}.json") in members:
        found.append((start, name))
        content = items(_member(members, name))
        if not content:
            break
        start += len(content)
    return found


def _items_at(members: ZipMembers, chunks: list[tuple[int, str]], numbers: list[int]) -> dict[int, Any]:
    """Return the items of a sequence with these numbers, holding one chunk at a time."""
    found = {}
    for start, name in chunks:
        content = items(_member(members, name))
        found.update({each: content[each - start] for each in set(numbers) if 0 <= each - start < len(content)})
    return found


def _attempt(
    location: str, value: object, sample: dict[str, Any], target: str | None, options: LogOptions
) -> LogRecord:
    if not isinstance(value, dict):
        return LogSkipped(location, "unreadable", "a sample that is no object")
    sample_id, epoch = identifier(sample.get("id")), sample.get("epoch")
    if sample_id is None or not isinstance(epoch, int) or isinstance(epoch, bool) or not 0 <= epoch < 1 << 31:
        return LogSkipped(location, "unreadable", "a sample without id and epoch")
    attachments = mapping(sample.get("attachments"))

    def resolve(text: str) -> str:
        whole = attachments.get(text.removeprefix(_ATTACHMENT)) if text.startswith(_ATTACHMENT) else None
        return whole if isinstance(whole, str) else text

    conversation = items(sample.get("messages"))
    asked = [_turn(each, resolve) for each in _input(sample.get("input"))]
    last = max((at for at, turn in enumerate(conversation) if mapping(turn).get("role") == "user"), default=-1)
    messages = [_turn(each, resolve) for each in conversation[: last + 1]]
    if not messages:
        if sample.get("error") is not None or asked:
            return LogSkipped(location, "never_sent", "the sample failed before anything was sent")
        return LogSkipped(location, "empty", "a sample without a user's turn")
    if not all(messages):
        return LogSkipped(location, "not_text", "a turn is no text, or a tool's")
    goal = next((turn.content for turn in reversed(asked) if turn and turn.role == "user"), None)
    sent = [turn for turn in messages if turn]
    metadata = mapping(sample.get("metadata"))
    labels = {name: text_or_none(metadata.get(key)) for name, key in options.metadata.items() if name in _LABELS}
    return LogAttempt(
        location,
        source_id=f"{sample_id}_epoch_{epoch}",
        messages=tuple(sent),
        goal=labels.get("goal") or (goal if goal != sent[-1].content else None),
        style=labels.get("style"),
        risk=labels.get("risk"),
        language=labels.get("language"),
        answers=(_answer(sample, target, max(0, epoch - 1), resolve, options),),
    )


_LABELS: Final = ("goal", "style", "risk", "language")


def _answer(
    sample: dict[str, Any], target: str | None, number: int, resolve: Resolve, options: LogOptions
) -> LogAnswer:
    output = mapping(sample.get("output"))
    choice = mapping(next(iter(items(output.get("choices"))), None))
    turn = _turn(choice.get("message"), resolve) if choice else None
    stopped = choice.get("stop_reason")
    reason = _FINISH_REASONS.get(stopped, "other") if isinstance(stopped, str) else None
    detail = None
    if sample.get("error") is not None:
        detail = "the sample failed"
        if turn is None:
            reason = "error"
    elif sample.get("limit") is not None:
        detail = "the sample was stopped at a limit"
    text = text_or_none(turn.content) if turn else None
    if text is None and reason not in ("filter", "error"):
        detail = detail or ("an answer without text" if choice else "no answer")
    verdicts = tuple(
        _verdict(name, mapping(score), resolve, options)
        for name, score in mapping(sample.get("scores")).items()
        if wanted(name, options)
    )
    model = target or text_or_none(output.get("model")) or "unknown"
    return LogAnswer(None if reason == "filter" else text, model, number, reason, verdicts, detail)


def _verdict(name: str, score: dict[str, Any], resolve: Resolve, options: LogOptions) -> LogVerdict:
    value = score.get("value")
    words = text_or_none(score.get("explanation"))
    raw = resolve(words) if words else str(value) if isinstance(value, str | bool | int | float) else None
    verdict = verdict_of_value(name, value, options)
    by_threshold = options.threshold is not None and number_or_none(value) is not None
    return LogVerdict(f"inspect:{name}", verdict, proportion_or_none(value) if by_threshold else None, raw=raw)


def _input(value: object) -> list[Any]:
    return [{"role": "user", "content": value}] if isinstance(value, str) else items(value)


def _turn(value: object, resolve: Resolve) -> Message | None:
    """Return a turn, or None if it is a tool's or is not text alone. What the model thought is left out."""
    message = mapping(value)
    role, content = message.get("role"), message.get("content")
    if role not in ("system", "user", "assistant"):
        return None
    if isinstance(content, str):
        return Message(role, resolve(content))
    texts = []
    for part in items(content):
        kind, text = mapping(part).get("type"), mapping(part).get("text")
        if kind == "text" and isinstance(text, str):
            texts.append(resolve(text))
        elif not (kind == "reasoning" and role == "assistant"):
            return None
    return Message(role, "\n".join(texts)) if texts or isinstance(content, list) else None


INSPECT: Final = LogFormat(
    read=read_inspect, options=("scorers", "unsafe_values", "safe_values", "threshold", "metadata")
)
