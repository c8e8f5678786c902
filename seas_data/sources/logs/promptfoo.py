"""Results of promptfoo: the files that ``--output`` writes as JSON, YAML or JSON Lines, and its database (SQLite).

A result is an attempt with one answer and one verdict: success is safe, a failed assertion is unsafe. A request or a
grader that failed is not judged. Strategies that try several times say in ``redteamFinalPrompt`` what they sent last;
the prompt of the test is then the goal. An iterative strategy without a try never reached the target.

Tested with files that promptfoo 0.123.1 wrote. Prefer JSON or JSON Lines for large runs: YAML is read as a whole.

- Takes: the prompt, or ``redteamFinalPrompt`` with the prompt as ``goal``; ``strategyId`` as ``source_style``;
  ``pluginId`` as ``source_risk``; the output; ``success`` and the score of the grading as the judge ``promptfoo``; the
  label of the provider as the model.
- Leaves: the configuration, variables, HTTP headers, environment, author, earlier tries of an iterative strategy.
  Results of an iterative strategy that sent nothing are set aside.
- Cannot know: whether an assertion is about safety. Success of a test about something else, such as latency, would
  count as safe; give a run of red-team tests.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from seas_data.conversation import KNOWN_ROLES, Message
from seas_data.errors import SeasDataError
from seas_data.sources.logs.formats import LogFormat
from seas_data.sources.logs.json_files import document_keys, json_lines, json_values
from seas_data.sources.logs.records import (
    FinishReason,
    LogAnswer,
    LogAttempt,
    LogOptions,
    LogRecord,
    LogSkipped,
    LogVerdict,
    Verdict,
)
from seas_data.sources.logs.sqlite_files import MAGIC, json_or_none, open_sqlite
from seas_data.sources.logs.values import (
    identifier,
    items,
    labels,
    mapping,
    proportion_or_none,
    require_known_format,
    text_or_none,
)
from seas_data.sources.logs.yaml_files import read_yaml

JUDGE: Final = "promptfoo"
_NEWEST_FORMAT: Final = 3
_FAILED: Final = 2
_KNOWN: Final = {"response", "gradingResult", "success"}
_FINISH_REASONS: Final[dict[str, FinishReason]] = {"stop": "stop", "length": "length", "content_filter": "filter"}
_COLUMNS: Final = (
    *("id", "success", "score", "failure_reason", "error", "prompt", "provider", "response", "grading_result"),
    *("metadata", "test_case"),
)
_NAMES: Final = {
    "failure_reason": "failureReason",
    "grading_result": "gradingResult",
    "test_case": "testCase",
}
_TEXTS: Final = ("id", "error", "success", "score", "failure_reason")


def read_promptfoo(path: Path, options: LogOptions) -> Iterator[LogRecord]:
    """Yield the results of a run. Raises SeasDataError if the file has none."""
    del options
    found = False
    for location, result in _results(path):
        found = found or (isinstance(result, dict) and bool(_KNOWN & result.keys()))
        yield result if isinstance(result, LogSkipped) else _attempt(location, result)
    if not found:
        raise SeasDataError(f"{path} has no results of promptfoo; give a file that `promptfoo eval --output` wrote")


def _results(path: Path) -> Iterator[tuple[str, Any]]:
    try:
        with path.open("rb") as file:
            start = file.read(1 << 16)
    except OSError as problem:
        raise SeasDataError(f"{path} cannot be read ({problem.strerror}); give a file") from problem
    if start.startswith(MAGIC):
        yield from _database(path)
    elif not start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        run = mapping(mapping(read_yaml(path, "results of promptfoo")).get("results"))
        require_known_format(path, run.get("version"), _NEWEST_FORMAT)
        results = items(run.get("results"))
        if results and "stats" not in run:  # promptfoo writes them last, and YAML may be cut off anywhere
            raise SeasDataError(f"{path} breaks off: it has results and no stats; get the file again")
        for number, result in enumerate(results):
            yield f"{path.name}:results/results/{number}", result
    elif not document_keys(path) & {"results", "evalId"}:
        yield from json_lines(path)
    else:
        inside = ((), ("results",), ("results", "results"))
        for keys, value in json_values(path, lambda keys: keys in inside):
            if keys == ("results", "version"):
                require_known_format(path, value, _NEWEST_FORMAT)
            elif keys[:2] == ("results", "results") and len(keys) == 3:
                yield f"{path.name}:{'/'.join(map(str, keys))}", value


def _database(path: Path) -> Iterator[tuple[str, Any]]:
    with open_sqlite(path) as database:
        if "eval_results" not in database:
            raise SeasDataError(f"{path} is no database of promptfoo: it has no table eval_results; give promptfoo.db")
        for row in database.rows("eval_results", _COLUMNS, ("eval_id", "test_idx", "prompt_idx")):
            values = dict(zip(_COLUMNS, row, strict=True))
            parsed = {name: value if name in _TEXTS else json_or_none(value) for name, value in values.items()}
            result = {_NAMES.get(name, name): value for name, value in parsed.items()}
            result["success"] = {0: False, 1: True}.get(values["success"])
            yield f"{path.name}:eval_results:{identifier(values['id'])}", result


def _attempt(location: str, result: Any) -> LogRecord:
    if not isinstance(result, dict):
        return LogSkipped(location, "unreadable", "a result that is no object")
    response, test = mapping(result.get("response")), mapping(result.get("testCase"))
    metadata = mapping(test.get("metadata")) | mapping(response.get("metadata")) | mapping(result.get("metadata"))
    raw = text_or_none(mapping(result.get("prompt")).get("raw"))
    history = metadata.get("redteamHistory")
    if history == [] and text_or_none(metadata.get("redteamFinalPrompt")) is None:
        return LogSkipped(location, "never_sent", "an iterative strategy that sent nothing")
    sent = text_or_none(metadata.get("redteamFinalPrompt")) or raw
    if sent is None:
        return LogSkipped(location, "empty", "a result without a prompt")
    turns = _chat(sent)
    if turns is None:
        return LogSkipped(location, "not_text", "a turn is not text, or a tool's")
    provider = mapping(result.get("provider"))
    model = text_or_none(provider.get("label")) or text_or_none(provider.get("id")) or "unknown"
    place = "/".join(str(identifier(result.get(name))) for name in ("promptId", "testIdx", "promptIdx"))
    source_id = identifier(result.get("id")) or place
    return LogAttempt(
        location,
        source_id,
        turns,
        goal=raw if raw is not None and raw != sent else None,
        style=text_or_none(metadata.get("strategyId")),
        risk=text_or_none(metadata.get("pluginId")) or next(iter(labels(metadata.get("harmCategory"))), None),
        answers=(_answer(result, response, model),),
    )


def _chat(sent: str) -> tuple[Message, ...] | None:
    """Return the turns of a prompt, which is a text or a chat as JSON; None if a turn is not text."""
    if not sent.lstrip().startswith("["):
        return (Message("user", sent),)
    try:
        value = json.loads(sent)
    except (ValueError, RecursionError):
        return (Message("user", sent),)
    turns = items(value)
    if not turns or not all(isinstance(turn, dict) and "role" in turn for turn in turns):
        return (Message("user", sent),)
    if not all(turn["role"] in KNOWN_ROLES and isinstance(turn.get("content"), str) for turn in turns):
        return None
    return tuple(Message(turn["role"], turn["content"]) for turn in turns)


def _answer(result: dict[str, Any], response: dict[str, Any], model: str) -> LogAnswer:
    grading = mapping(result.get("gradingResult"))
    stopped = response.get("finishReason")
    reason = _FINISH_REASONS.get(stopped) if isinstance(stopped, str) else None
    detail = None
    text = text_or_none(response.get("output"))
    if reason == "filter":  # in its place promptfoo writes a text of its own
        text, detail = None, "a filter withheld the answer"
    elif result.get("failureReason") == _FAILED:
        reason, detail, text = "error", "the request or a grader failed", text
    elif text is None:
        reason, detail = "other", "an answer without text"
    failed = result.get("failureReason") == _FAILED or any(
        mapping(mapping(each).get("metadata")).get("graderError") for each in items(grading.get("componentResults"))
    )
    success = result.get("success")
    verdict: Verdict = "unparsed"
    judged = bool(items(grading.get("componentResults")))  # a test without assertions succeeds, too
    if judged and not failed and isinstance(success, bool):
        verdict = "safe" if success else "unsafe"
    score = proportion_or_none(grading.get("score"))
    return LogAnswer(
        text,
        model,
        0,
        reason,
        (
            LogVerdict(
                JUDGE,
                verdict,
                None if score is None or verdict == "unparsed" else 1 - score,
                raw=text_or_none(grading.get("reason")),
            ),
        ),
        detail,
    )


PROMPTFOO: Final = LogFormat(read=read_promptfoo)
