"""From the records of a log to raw rows, answers and verdicts, in parts so that memory is bounded by the texts."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

import polars as pl

from seas_data import progress
from seas_data.conversation import MESSAGES, Message, canonical
from seas_data.sources.answers import ANSWERS, VERDICTS, AnswerRows
from seas_data.sources.logs.records import LogAnswer, LogAttempt, LogRecord, LogSkipped, LogVerdict
from seas_data.sources.raw_rows import FAULT_SCHEMA, ROW_SCHEMA, RawRows, is_valid_unicode, row_digest

_ROWS: Final = {**ROW_SCHEMA, "goal": pl.String(), "location": pl.String(), "messages": MESSAGES}
_FAULTS: Final = {**FAULT_SCHEMA, "location": pl.String()}
_PART: Final = 20_000


def collect_records(records: Iterable[LogRecord], title: str) -> tuple[RawRows, AnswerRows]:
    """Return the attempts as raw rows, with ``goal``, ``location`` and ``messages``, and their answers and verdicts.

    ``kind`` of a row is the attempt's category, for ``kind_map``. Text with half a surrogate pair cannot be stored: an
    attempt with one is set aside, an answer with one becomes a failed answer. A verdict on an answer without text is
    ``unparsed``.
    """
    rows, faults = _Rows(_ROWS), _Rows(_FAULTS)
    answers, verdicts = _Rows(ANSWERS), _Rows(VERDICTS)
    with progress.bar(None, f"reading {title}", "records") as bar:
        for ordinal, record in enumerate(records, start=1):
            bar.update(1)
            turns = record if isinstance(record, LogSkipped) else _turns(record)
            if isinstance(turns, LogSkipped):
                faults.append(_fault(ordinal, turns))
                continue
            assert isinstance(record, LogAttempt)
            rows.append(_row(ordinal, record, turns))
            for answer in map(_checked, record.answers):
                source_id = f"{_clean(record.source_id)}/{answer.sample}"
                about = (source_id, _clean(record.location), _clean(answer.model))
                number = answers.height
                answers.append((ordinal, number, *about, answer.text, answer.finish_reason, _clean(answer.detail)))
                for each in answer.verdicts:
                    verdicts.append((number, *_verdict(each)))
    raw = RawRows(title, rows.frame(), faults.frame())
    return raw, AnswerRows(answers.frame(), verdicts.frame(), {})


def _fault(ordinal: int, skipped: LogSkipped) -> tuple[Any, ...]:
    location = _clean(skipped.location)
    digest = row_digest(f"{location}\n{skipped.reason}")
    return ordinal, ordinal, skipped.reason, _clean(skipped.detail) or None, digest, location


def _row(ordinal: int, attempt: LogAttempt, turns: list[Message]) -> tuple[Any, ...]:
    risk = _clean(attempt.risk)
    labels = (risk, _clean(attempt.style), risk, _clean(attempt.language), _clean(attempt.goal))
    messages = [turn._asdict() for turn in turns] if len(turns) > 1 else None
    place = (_clean(attempt.location), messages)
    return ordinal, ordinal, turns[-1].content, _clean(attempt.source_id), *labels, *place


def _checked(answer: LogAnswer) -> LogAnswer:
    """Return an answer that can be stored. Without a text no verdict counts: its judge saw nothing of the answer."""
    if answer.text is not None and is_valid_unicode(answer.text):
        return answer
    if answer.text is not None:
        answer = replace(answer, text=None, finish_reason="error", detail="half a surrogate pair")
    return replace(
        answer, verdicts=tuple(replace(each, verdict="unparsed", score=None, refusal=None) for each in answer.verdicts)
    )


def _verdict(verdict: LogVerdict) -> tuple[Any, ...]:
    categories = [_clean(name) for name in verdict.categories]
    said = (_clean(verdict.judge), verdict.verdict, verdict.score)
    return *said, categories, verdict.refusal, _clean(verdict.raw)


class _Rows:
    """Rows of a schema, turned into frames part by part."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.height = 0
        self._schema = schema
        self._waiting: list[tuple[Any, ...]] = []
        self._parts = [pl.DataFrame(schema=schema)]

    def append(self, row: tuple[Any, ...]) -> None:
        self._waiting.append(row)
        self.height += 1
        if len(self._waiting) == _PART:
            self._flush()

    def frame(self) -> pl.DataFrame:
        self._flush()
        return pl.concat(self._parts)

    def _flush(self) -> None:
        self._parts.append(pl.DataFrame(self._waiting, schema=self._schema, orient="row"))
        self._waiting = []


def _turns(attempt: LogAttempt) -> list[Message] | LogSkipped:
    """Return the turns of an attempt in their canonical form, or why it cannot become a prompt."""
    if not attempt.messages or attempt.messages[-1].role != "user":
        return LogSkipped(attempt.location, "unreadable", "the last turn is not the user's")
    if not all(is_valid_unicode(turn.content) for turn in attempt.messages):
        return LogSkipped(attempt.location, "undecodable", "half a surrogate pair")
    if len(attempt.messages) == 1:
        return list(attempt.messages)
    if not all(turn.content.strip() or turn.role == "system" for turn in attempt.messages):
        return LogSkipped(attempt.location, "empty", "a turn without text")
    try:
        return canonical(attempt.messages)
    except ValueError as problem:
        return LogSkipped(attempt.location, "several_turns", str(problem))


def _clean(text: str | None) -> str | None:
    """Return ``text`` with a replacement for half surrogate pairs, which cannot be stored."""
    return text if text is None or is_valid_unicode(text) else text.encode("utf-8", "replace").decode()
