"""Reports of garak (``*.report.jsonl``, also those before conversations came) and its hit logs (``*.hitlog.jsonl``).

garak writes each attempt when it is answered and again when it is judged; the judged one counts. An answer is unsafe by
a detector if its score reaches the threshold of the run. A score of null is not a verdict. Multi-turn probes can send
other turns for each answer; then each answer is an attempt of its own.

Tested with files that garak 0.17.1 wrote.

- Takes: the prompt, its language, the probe (``source_style``), the intent (``source_risk``), the outputs, the scores
  of the detectors, the name of the target. The judge of a detector is ``garak:DETECTOR``.
- Leaves: the settings of the run, notes, ``goal`` (it is the same for a whole probe), translations.
- Cannot know: the threshold of the run, which garak 0.17.1 leaves out of its setup line. Without it 0.5 counts,
  garak's default. If you ran with another, set ``log_options: {threshold: 0.7}``. A hit log has hits only, so it has
  no safe answers to pair with.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from seas_data.conversation import Message
from seas_data.errors import SeasDataError
from seas_data.sources.logs.formats import LogFormat
from seas_data.sources.logs.json_files import json_lines
from seas_data.sources.logs.records import LogAnswer, LogAttempt, LogOptions, LogRecord, LogSkipped, LogVerdict
from seas_data.sources.logs.values import (
    identifier,
    items,
    mapping,
    number_or_none,
    proportion_or_none,
    text_or_none,
    wanted,
)

_NEW, _ANSWERED, _JUDGED = 0, 1, 2
_ENTRY_TYPES: Final = {"start_run setup", "init", "attempt", "eval", "completion", "digest", "payload_init"}
DEFAULT_THRESHOLD: Final = 0.5


@dataclass
class _Run:
    """What the report says of the whole run, as far as it was read."""

    target: str = "unknown"
    threshold: float = DEFAULT_THRESHOLD
    known: bool = False
    unfinished: dict[str, None] = field(default_factory=dict)


class _NotTextError(Exception):
    """A turn that is not text."""


def read_garak(path: Path, options: LogOptions) -> Iterator[LogRecord]:
    """Yield the attempts of a report or the hits of a hit log. Raises SeasDataError if the file is neither."""
    run, skipped = _Run(), 0
    for location, line in json_lines(path):
        if isinstance(line, LogSkipped):
            skipped += 1
            yield line
        elif "entry_type" not in line and {"prompt", "output", "detector"} <= line.keys():
            run.known = True
            yield from _hit(location, line, options)
        else:
            yield from _entry(location, line, run, options)
    if not run.known:
        found = f"; {skipped:,} of its lines cannot be read" if skipped else ""
        raise SeasDataError(
            f"{path} is no report and no hit log of garak{found}; give a .report.jsonl or .hitlog.jsonl"
        )
    if run.unfinished:
        for location, line in json_lines(path):
            if not isinstance(line, LogSkipped) and _attempt_id(line) in run.unfinished:
                run.unfinished.pop(_attempt_id(line))
                yield from _attempts(location, line, run, options)


def _attempt_id(line: dict[str, Any]) -> str:
    return identifier(line.get("uuid")) or ""


def _entry(location: str, line: dict[str, Any], run: _Run, options: LogOptions) -> Iterator[LogRecord]:
    kind = line.get("entry_type")
    run.known = run.known or (isinstance(kind, str) and kind in _ENTRY_TYPES)
    if kind == "start_run setup":
        name = text_or_none(line.get("plugins.target_name")) or text_or_none(line.get("plugins.model_name"))
        threshold = number_or_none(line.get("run.eval_threshold"))
        run.target = name or run.target
        run.threshold = run.threshold if threshold is None else threshold
    elif kind == "attempt":
        attempt_id, status = _attempt_id(line), line.get("status")
        if not attempt_id:
            yield LogSkipped(location, "unreadable", "an attempt without uuid")
        elif status == _JUDGED:
            run.unfinished.pop(attempt_id, None)
            yield from _attempts(location, line, run, options)
        elif status == _ANSWERED:
            run.unfinished[attempt_id] = None
        elif status == _NEW:
            yield LogSkipped(location, "never_sent", "an attempt that was not sent")
        else:
            yield LogSkipped(location, "unreadable", "an attempt without a known status")


def _attempts(location: str, line: dict[str, Any], run: _Run, options: LogOptions) -> Iterator[LogRecord]:
    """Yield the attempt of a line, or one for each answer if other turns led to each."""
    attempt_id = _attempt_id(line)
    outputs = items(line.get("outputs"))
    try:
        asked, language = _turns(line.get("prompt"))
        histories = [_history(each, asked) for each in items(line.get("conversations")) if _answered(each)]
    except _NotTextError as problem:
        yield LogSkipped(location, "not_text", str(problem))
        return
    if len(histories) != len(outputs):
        histories = [asked] * len(outputs)
    style, risk = text_or_none(line.get("probe_classname")), text_or_none(line.get("intent"))
    answers: dict[tuple[Message, ...], list[LogAnswer]] = {}
    for at, (history, output) in enumerate(zip(histories, outputs, strict=True)):
        verdicts = tuple(
            _verdict(name, items(scores)[at] if at < len(items(scores)) else None, run.threshold, options)
            for name, scores in mapping(line.get("detector_results")).items()
            if wanted(name, options)
        )
        answers.setdefault(history, []).append(_answer(output, run.target, at, verdicts))
    if not outputs:
        answers[asked] = []
    for number, (history, found) in enumerate(answers.items()):
        source_id = attempt_id if len(answers) == 1 else f"{attempt_id}#{number}"
        yield LogAttempt(location, source_id, history, style=style, risk=risk, language=language, answers=tuple(found))


def _hit(location: str, line: dict[str, Any], options: LogOptions) -> Iterator[LogRecord]:
    attempt_id, number, detector = identifier(line.get("attempt_id")), line.get("attempt_idx"), line.get("detector")
    if attempt_id is None or not isinstance(detector, str):
        yield LogSkipped(location, "unreadable", "a hit without attempt_id or detector")
        return
    try:
        messages, language = _turns(line.get("prompt"))
    except _NotTextError as problem:
        yield LogSkipped(location, "not_text", str(problem))
        return
    sample = number if isinstance(number, int) and 0 <= number < 1 << 31 else 0
    score = proportion_or_none(line.get("score"))
    verdict = LogVerdict(f"garak:{detector}", "unsafe" if score is not None else "unparsed", score)
    generator = text_or_none(line.get("generator"))
    target = generator.partition(" ")[2] or generator if generator else "unknown"
    verdicts = (verdict,) if wanted(detector, options) else ()
    answer = _answer(line.get("output"), target, sample, verdicts)
    yield LogAttempt(
        location, attempt_id, messages, style=text_or_none(line.get("probe")), language=language, answers=(answer,)
    )


def _verdict(detector: str, score: object, threshold: float, options: LogOptions) -> LogVerdict:
    value = proportion_or_none(score)
    if value is None:
        return LogVerdict(f"garak:{detector}", "unparsed")
    least = threshold if options.threshold is None else options.threshold
    return LogVerdict(f"garak:{detector}", "unsafe" if value >= least else "safe", value)


def _answer(output: object, target: str, number: int, verdicts: tuple[LogVerdict, ...]) -> LogAnswer:
    text = output if isinstance(output, str) else mapping(output).get("text")
    if isinstance(text, str) and text.strip():
        return LogAnswer(text, target, number, verdicts=verdicts)
    if mapping(output).get("data_path") is not None:
        return LogAnswer(None, target, number, "other", verdicts, "an answer that is not text")
    if text == "":
        return LogAnswer(None, target, number, "other", verdicts, "an answer without text")
    return LogAnswer(None, target, number, "error", verdicts, "the generator returned nothing")


def _answered(conversation: object) -> bool:
    return any(mapping(turn).get("role") == "assistant" for turn in items(mapping(conversation).get("turns")))


def _history(conversation: object, asked: tuple[Message, ...]) -> tuple[Message, ...]:
    """Return the turns of a conversation before its last answer; ``asked`` if they are not ended by the user's."""
    turns = items(mapping(conversation).get("turns"))
    last = max(at for at, turn in enumerate(turns) if mapping(turn).get("role") == "assistant")
    messages = tuple(_turn(turn) for turn in turns[:last])
    return messages if messages and messages[-1].role == "user" else asked


def _turns(prompt: object) -> tuple[tuple[Message, ...], str | None]:
    """Return the turns of a prompt, which older reports hold as a text, and the language of the last one."""
    if isinstance(prompt, str):
        return (Message("user", prompt),), None
    value = mapping(prompt)
    if "turns" not in value:
        return (_turn({"role": "user", "content": prompt}),), text_or_none(value.get("lang"))
    turns = items(value["turns"])
    languages = [text_or_none(mapping(mapping(turn).get("content")).get("lang")) for turn in turns]
    language = languages[-1] if languages else None
    return tuple(_turn(turn) for turn in turns), None if language == "*" else language


def _turn(value: object) -> Message:
    turn = mapping(value)
    role, content = turn.get("role"), turn.get("content")
    text = content if isinstance(content, str) else mapping(content).get("text")
    if mapping(content).get("data_path") is not None or mapping(content).get("data_type") is not None:
        raise _NotTextError("a turn has an attachment that is not text")
    if not isinstance(text, str):
        raise _NotTextError("a turn without text")
    if role not in ("system", "user", "assistant"):
        raise _NotTextError("a turn of another role than system, user and assistant")
    return Message(str(role), text)


GARAK: Final = LogFormat(read=read_garak, options=("scorers", "threshold"))
