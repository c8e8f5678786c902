"""From the records of a log to raw rows, answers and verdicts, in parts so that memory is bounded by the texts."""

from collections.abc import Iterable
from typing import Any, Final

import polars as pl

from seas_data import progress
from seas_data.sources.answers import ANSWERS, VERDICTS, AnswerRows
from seas_data.sources.conversations import Message
from seas_data.sources.logs.records import LogAttempt, LogRecord, LogSkipped
from seas_data.sources.raw_rows import FAULT_SCHEMA, ROW_SCHEMA, RawRows, is_valid_unicode, row_digest

_ROWS: Final = {**ROW_SCHEMA, "goal": pl.String(), "location": pl.String()}
_FAULTS: Final = {**FAULT_SCHEMA, "location": pl.String()}
_PART: Final = 20_000


def collect_records(records: Iterable[LogRecord], title: str) -> tuple[RawRows, AnswerRows]:
    """Return the attempts as raw rows, with ``goal`` and ``location``, and their answers and verdicts.

    ``kind`` of a row is the attempt's category, for ``kind_map``. Text with half a surrogate pair cannot be stored: an
    attempt with one is set aside, an answer with one becomes a failed answer without a verdict.
    """
    rows, faults = _Rows(_ROWS), _Rows(_FAULTS)
    answers, verdicts = _Rows(ANSWERS), _Rows(VERDICTS)
    with progress.bar(None, f"reading {title}", "records") as bar:
        for ordinal, record in enumerate(records, start=1):
            bar.update(1)
            skipped = record if isinstance(record, LogSkipped) else _unusable(record)
            if skipped is not None:
                location = _clean(skipped.location)
                digest = row_digest(f"{location}\n{skipped.reason}")
                detail = _clean(skipped.detail) or None
                faults.append((ordinal, ordinal, skipped.reason, detail, digest, location))
                continue
            assert isinstance(record, LogAttempt)
            risk, style, language = _clean(record.risk), _clean(record.style), _clean(record.language)
            source_id, location = _clean(record.source_id), _clean(record.location)
            text = record.messages[-1].content
            row = (ordinal, ordinal, text, source_id, risk, style, risk, language, _clean(record.goal), location)
            rows.append(row)
            for answer in record.answers:
                number = answers.height
                valid = answer.text is None or is_valid_unicode(answer.text)
                answers.append(
                    (
                        ordinal,
                        number,
                        f"{source_id}/{answer.sample}",
                        location,
                        _clean(answer.model),
                        answer.text if valid else None,
                        answer.finish_reason if valid else "error",
                        _clean(answer.detail) if valid else "half a surrogate pair",
                    )
                )
                for each in answer.verdicts:
                    verdict = each.verdict if valid else "unparsed"
                    categories = [str(_clean(name)) for name in each.categories]
                    judged = (number, _clean(each.judge), verdict, each.score, categories, each.refusal)
                    verdicts.append((*judged, _clean(each.raw)))
    raw = RawRows(title, rows.frame(), faults.frame())
    return raw, AnswerRows(answers.frame(), verdicts.frame(), {})


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


def _unusable(attempt: LogAttempt) -> LogSkipped | None:
    """Return why an attempt cannot become a prompt, or None."""
    if not attempt.messages or attempt.messages[-1].role != "user":
        return LogSkipped(attempt.location, "unreadable", "the last turn is not the user's")
    if not all(is_valid_unicode(turn.content) for turn in attempt.messages):
        return LogSkipped(attempt.location, "undecodable", "half a surrogate pair")
    if _is_conversation(attempt.messages):
        return LogSkipped(attempt.location, "unreadable", f"{len(attempt.messages)} turns, and one can be read")
    return None


def _is_conversation(messages: tuple[Message, ...]) -> bool:
    return len(messages) > 1


def _clean(text: str | None) -> str | None:
    """Return ``text`` with a replacement for half surrogate pairs, which cannot be stored."""
    return text if text is None or is_valid_unicode(text) else text.encode("utf-8", "replace").decode()
