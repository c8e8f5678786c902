"""Values of a log: text or nothing, numbers or nothing, and which values of a judge mean unsafe."""

import math
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any, Final

from seas_data.sources.logs.records import (
    LogAnswer,
    LogAttempt,
    LogOptions,
    LogRecord,
    LogSkipped,
    LogVerdict,
    Verdict,
)
from seas_data.sources.raw_rows import is_valid_unicode

Reader = Callable[[Path, LogOptions], Iterator[LogRecord]]

_OPPOSITES: Final = {"true": "false", "1": "0", "1.0": "0.0", "c": "i", "yes": "no", "pass": "fail", "p": "f"}
_OPPOSITE: Final = {**_OPPOSITES, **{right: left for left, right in _OPPOSITES.items()}}


def text_or_none(value: object) -> str | None:
    """Return ``value`` if it is text with more than white space, else None."""
    return value if isinstance(value, str) and value.strip() else None


def mapping(value: object) -> dict[str, Any]:
    """Return ``value`` if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """Return ``value`` if it is a JSON list, else an empty one."""
    return value if isinstance(value, list) else []


def number_or_none(value: object) -> float | None:
    """Return ``value`` if it is a finite number, else None. A boolean is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def proportion_or_none(value: object) -> float | None:
    """Return ``value`` if it is a number from 0 to 1, else None."""
    number = number_or_none(value)
    return number if number is not None and 0 <= number <= 1 else None


def identifier(value: object) -> str | None:
    """Return an id, as text, if ``value`` is a text or a whole number; else None."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 1 << 63 else None
    return text_or_none(value)


def labels(value: object) -> tuple[str, ...]:
    """Return the texts of a list, or the one text."""
    found = [value] if isinstance(value, str) else items(value)
    return tuple(each for each in found if isinstance(each, str) and each.strip())


def verdict_of_value(judge: str, value: object, options: LogOptions) -> Verdict:
    """Return what ``value`` of ``judge`` means by the recipe: unsafe, safe or, if it does not say, unparsed.

    A number is compared with ``options.threshold`` if the recipe lists no values for the judge.
    """
    unsafe = {each.strip().casefold() for each in options.unsafe_values.get(judge, ())}
    safe = {each.strip().casefold() for each in options.safe_values.get(judge, ())}
    if not unsafe and not safe:
        number = number_or_none(value)
        if number is None or options.threshold is None:
            return "unparsed"
        return "unsafe" if number >= options.threshold else "safe"
    if not isinstance(value, str | bool | int | float):
        return "unparsed"
    text = str(value).strip().casefold()
    if text in unsafe:
        return "unparsed" if text in safe else "unsafe"
    return "safe" if text in (safe or {_OPPOSITE.get(each, each) for each in unsafe} - unsafe) else "unparsed"


def wanted(judge: str, options: LogOptions) -> bool:
    """Return whether the recipe reads this judge."""
    return not options.scorers or judge in options.scorers


def validated(read: Reader) -> Reader:
    """Return ``read`` with what no reader may yield set aside: texts that are no Unicode, prompts without text.

    A verdict on an answer without text is ``unparsed``: its judge saw nothing of what the target would have answered.
    """

    @wraps(read)
    def checked(path: Path, options: LogOptions) -> Iterator[LogRecord]:
        for record in read(path, options):
            yield _validate(record) if isinstance(record, LogAttempt) else record

    return checked


def _validate(attempt: LogAttempt) -> LogRecord:
    if not attempt.messages or attempt.messages[-1].role != "user":
        return LogSkipped(attempt.location, "unreadable", "the turns that were sent do not end with the user's")
    if not all(turn.content.strip() for turn in attempt.messages):
        return LogSkipped(attempt.location, "empty", "a turn without text")
    if not all(is_valid_unicode(text) for text in _texts(attempt)):
        return LogSkipped(attempt.location, "undecodable", "an unpaired surrogate")
    if all(answer.text is not None or not answer.verdicts for answer in attempt.answers):
        return attempt
    answers = tuple(_unjudged(answer) if answer.text is None else answer for answer in attempt.answers)
    return LogAttempt(**{name: getattr(attempt, name) for name in LogAttempt.__slots__} | {"answers": answers})


def _unjudged(answer: LogAnswer) -> LogAnswer:
    verdicts = tuple(
        LogVerdict(each.judge, "unparsed", categories=each.categories, raw=each.raw) for each in answer.verdicts
    )
    return LogAnswer(None, answer.model, answer.sample, answer.finish_reason, verdicts, answer.detail)


def _texts(attempt: LogAttempt) -> Iterator[str]:
    values: list[str | None] = [attempt.source_id, attempt.goal, attempt.style, attempt.risk, attempt.language]
    values += [turn.content for turn in attempt.messages]
    for answer in attempt.answers:
        values += [answer.text, answer.model, answer.detail]
        for verdict in answer.verdicts:
            values += [verdict.judge, verdict.raw, *verdict.categories]
    return (value for value in values if value is not None)
