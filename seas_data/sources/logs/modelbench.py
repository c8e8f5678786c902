"""Run journals of MLCommons' modelbench (JSON Lines), by their documented schema.

A journal has one event a line; the events of an item share its test, prompt_id and sut (the target). What was asked,
the response, and one translated annotation for each annotator make an attempt.

No file of this tool was at hand.

- Takes: the prompt, the response, and the annotation of each annotator as the judge ``modelbench:ANNOTATOR``
  (``is_safe``). The test is ``source_risk``.
- Leaves: everything else.
- Cannot know: the answers to items that the run did not finish.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from seas_data.conversation import Message
from seas_data.errors import SeasDataError
from seas_data.sources.logs.formats import LogFormat
from seas_data.sources.logs.json_files import json_lines
from seas_data.sources.logs.records import LogAnswer, LogAttempt, LogOptions, LogRecord, LogSkipped, LogVerdict, Verdict
from seas_data.sources.logs.values import identifier, mapping, text_or_none, wanted

_VERDICTS: Final[dict[bool, Verdict]] = {True: "safe", False: "unsafe"}
_QUEUED, _ANSWERED, _JUDGED, _DONE = (
    "queuing item",
    "translated sut response",
    "translated annotation",
    "measured item quality",
)
_EVENTS: Final = {_QUEUED, _ANSWERED, _JUDGED, _DONE, "starting run"}

_Key = tuple[str, str, str]


@dataclass
class _Item:
    """What the entries of the journal that were read state about an item."""

    location: str
    text: str | None = None
    response: str | None = None
    verdicts: dict[str, LogVerdict] = field(default_factory=dict)


def read_modelbench(path: Path, options: LogOptions) -> Iterator[LogRecord]:
    """Yield the items of a journal, each when it is measured. Raises SeasDataError if the file is no journal."""
    waiting: dict[_Key, _Item] = {}
    known = False
    for location, line in json_lines(path):
        if isinstance(line, LogSkipped):
            yield line
            continue
        event = line.get("message")
        known = known or (isinstance(event, str) and event in _EVENTS)
        key = _key(line)
        if event not in _EVENTS or key is None:
            continue
        item = waiting.setdefault(key, _Item(location))
        _add(item, str(event), location, line, options)
        if event == _DONE:
            yield _attempt(key, waiting.pop(key))
    if not known:
        raise SeasDataError(f"{path} is no run journal of modelbench; give a .jsonl journal")
    for key, item in waiting.items():
        yield _attempt(key, item)


def _key(line: dict[str, Any]) -> _Key | None:
    test, prompt, target = (identifier(line.get(name)) for name in ("test", "prompt_id", "sut"))
    return (test, prompt, target) if test is not None and prompt is not None and target is not None else None


def _add(item: _Item, event: str, location: str, line: dict[str, Any], options: LogOptions) -> None:
    if event == _QUEUED:
        item.text, item.location = text_or_none(line.get("prompt_text")), location
    elif event == _ANSWERED:
        item.response = text_or_none(line.get("response_text"))
    elif event == _JUDGED and (name := text_or_none(line.get("annotator"))) is not None and wanted(name, options):
        safe = mapping(line.get("annotation")).get("is_safe")
        verdict = _VERDICTS[safe] if isinstance(safe, bool) else "unparsed"
        item.verdicts[name] = LogVerdict(f"modelbench:{name}", verdict)


def _attempt(key: _Key, item: _Item) -> LogRecord:
    test, prompt, target = key
    if item.text is None:
        return LogSkipped(item.location, "unfinished", "an item whose prompt the journal does not have")
    verdicts = tuple(item.verdicts.values())
    missing = None if item.response is not None else "no response"
    answer = LogAnswer(item.response, target, 0, "other" if missing else None, verdicts, missing)
    answers = (answer,) if item.response is not None or verdicts else ()
    return LogAttempt(item.location, f"{test}/{prompt}", (Message("user", item.text),), risk=test, answers=answers)


MODELBENCH: Final = LogFormat(read=read_modelbench, options=("scorers",))
