"""Risk assessments of DeepTeam (JSON). A test case is an attempt with one answer; a score above 0 means that it passed.

Tested with a file that the red teamer of DeepTeam 1.0.10 wrote by ``RiskAssessment.save``, with a vulnerability and
attacks of ours.

- Takes: the input or the turns up to the last answer, the output, the technique (``source_style``), the vulnerability
  and its type as ``VULNERABILITY/TYPE`` (``source_risk``), and the score as the judge ``deepteam``: above 0 is safe, 0
  unsafe.
- Leaves: costs, CVSS scores, metadata, the overview.
- Cannot know: the name of the target. Set ``target``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from seas_data.conversation import KNOWN_ROLES, Message
from seas_data.errors import SeasDataError
from seas_data.sources.logs.formats import LogFormat
from seas_data.sources.logs.json_files import json_values
from seas_data.sources.logs.records import LogAnswer, LogAttempt, LogOptions, LogRecord, LogSkipped, LogVerdict, Verdict
from seas_data.sources.logs.values import items, mapping, number_or_none, text_or_none


def read_deepteam(path: Path, options: LogOptions) -> Iterator[LogRecord]:
    """Yield the test cases of an assessment. Raises SeasDataError if the file has none."""
    del options
    found = False
    for keys, value in json_values(path, lambda keys: keys in ((), ("test_cases",))):
        if keys[:1] == ("test_cases",) and len(keys) == 2:
            found = True
            yield _attempt(f"{path.name}:{'/'.join(map(str, keys))}", str(keys[1]), value)
    if not found:
        raise SeasDataError(f"{path} has no test_cases; give a file that RiskAssessment.save of DeepTeam wrote")


def _attempt(location: str, number: str, value: object) -> LogRecord:
    case = mapping(value)
    turns = items(case.get("turns"))
    if not all(
        mapping(turn).get("role") in KNOWN_ROLES and isinstance(mapping(turn).get("content"), str) for turn in turns
    ):
        return LogSkipped(location, "not_text", "a turn is not text, or a tool's")
    messages = [Message(turn["role"], turn["content"]) for turn in turns]
    output: object = case.get("actual_output")
    if messages:  # then the output may repeat the question
        last = max((at for at, turn in enumerate(messages) if turn.role == "assistant"), default=None)
        output = messages[last].content if last is not None else None
        messages = messages if last is None else messages[:last]
    elif isinstance(case.get("input"), str):
        messages = [Message("user", case["input"])]
    if not messages:
        return LogSkipped(location, "never_sent", "a test case without an attack")
    text = text_or_none(output)
    if output is None and text_or_none(case.get("error")) is not None:
        answer = LogAnswer(None, "unknown", 0, "error", (_verdict(case),), "the test case failed")
    elif text is None:
        answer = LogAnswer(None, "unknown", 0, "other", (_verdict(case),), "an answer without text")
    else:
        answer = LogAnswer(text, "unknown", 0, verdicts=(_verdict(case),))
    kinds = (text_or_none(case.get("vulnerability")), text_or_none(case.get("vulnerability_type")))
    return LogAttempt(
        location,
        number,
        tuple(messages),
        style=text_or_none(case.get("attack_method")),
        risk="/".join(each for each in kinds if each) or None,
        answers=(answer,),
    )


def _verdict(case: dict[str, Any]) -> LogVerdict:
    score = number_or_none(case.get("score"))
    verdict: Verdict = "unparsed"
    if score is not None and text_or_none(case.get("error")) is None:
        verdict = "safe" if score > 0 else "unsafe"
    return LogVerdict("deepteam", verdict, raw=text_or_none(case.get("reason")))


DEEPTEAM: Final = LogFormat(read=read_deepteam)
