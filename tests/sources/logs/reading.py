"""What tests of the readers of logs share: the fixtures that the real tools wrote, and counts of what was read."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from seas_data.sources.logs.formats import LogFormat
from seas_data.sources.logs.records import LogAnswer, LogAttempt, LogOptions, LogRecord, LogSkipped, LogVerdict

FIXTURES = Path(__file__).parent / "fixtures"
MARK = "planted-marker"
_BY_JUDGE = ("detector_results", "scores")
"""Objects whose keys are names of judges."""


def read(log: LogFormat, path: Path, **options: Any) -> list[LogRecord]:
    """Return the records of a log."""
    return list(log.read(path, LogOptions(**options)))


def attempts(records: list[LogRecord]) -> list[LogAttempt]:
    return [each for each in records if isinstance(each, LogAttempt)]


def skipped(records: list[LogRecord]) -> list[tuple[str, str]]:
    """Return the location and reason of each record that cannot be a prompt."""
    return [(each.location, each.reason) for each in records if isinstance(each, LogSkipped)]


def answers(records: list[LogRecord]) -> list[LogAnswer]:
    return [answer for attempt in attempts(records) for answer in attempt.answers]


def verdicts(records: list[LogRecord]) -> Counter[tuple[str | None, str, str]]:
    """Return how often each judge gave each verdict, by the style of the attempt."""
    return Counter(
        (attempt.style, verdict.judge, verdict.verdict)
        for attempt in attempts(records)
        for answer in attempt.answers
        for verdict in answer.verdicts
    )


def of_judge(answer: LogAnswer, judge: str) -> LogVerdict:
    return next(each for each in answer.verdicts if each.judge == judge)


def sent(attempt: LogAttempt) -> str:
    """Return the last turn that was sent."""
    return attempt.messages[-1].content


def with_planted_keys(value: Any) -> Any:
    """Return a JSON value with fields in every object that a tool could write and no reader names."""
    if isinstance(value, dict):
        more = {"api_key": f"{MARK}-key", "operator": f"{MARK}-person", "report_path": f"/home/{MARK}/run"}
        named = {key: each if key in _BY_JUDGE else with_planted_keys(each) for key, each in value.items()}
        return named | more | {"env": {"HOME": MARK}}
    return [with_planted_keys(each) for each in value] if isinstance(value, list) else value


def plant_lines(source: Path, target: Path) -> Path:
    """Write a JSON Lines log with planted fields."""
    lines = [json.dumps(with_planted_keys(json.loads(line))) for line in source.read_text().splitlines()]
    target.write_text("\n".join(lines) + "\n")
    return target
