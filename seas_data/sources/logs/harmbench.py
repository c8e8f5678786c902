"""Results of HarmBench (JSON), by its documented schema: behaviours, and for each the completions with a label.

A file has ``{behaviour: [completion]}`` or ``{behaviour: {model: completion or list}}``; ``label`` 1 is unsafe, 0 safe.

No file of this tool was at hand.

- Takes: the prompt (test case), the generation, and ``label`` and ``advbench_label`` as the judges ``harmbench:label``
  and ``harmbench:advbench_label``. The id of the behaviour is ``source_risk``.
- Leaves: everything else. Test cases with pictures are set aside.
- Cannot know: the model, in a file without models. Set ``target``.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from seas_data.conversation import Message
from seas_data.errors import SeasDataError
from seas_data.sources.logs.formats import LogFormat
from seas_data.sources.logs.json_files import json_values
from seas_data.sources.logs.records import LogAnswer, LogAttempt, LogOptions, LogRecord, LogSkipped, LogVerdict, Verdict
from seas_data.sources.logs.values import items, mapping, text_or_none, wanted

_LABELS: Final = ("label", "advbench_label")
_VERDICTS: Final[dict[object, Verdict]] = {0: "safe", 1: "unsafe"}


def read_harmbench(path: Path, options: LogOptions) -> Iterator[LogRecord]:
    """Yield the completions of a file. Raises SeasDataError if it has none."""
    found = False
    for keys, value in json_values(path, lambda keys: not keys):
        if len(keys) != 1 or not isinstance(keys[0], str):
            continue
        for model, number, completion in _completions(value):
            found = True
            location = "/".join([f"{path.name}:{keys[0]}", *([model] if model else []), str(number)])
            yield _attempt(location, keys[0], model, number, completion, options)
    if not found:
        raise SeasDataError(f"{path} has no completions of HarmBench; give a file of completions or results")


def _completions(value: object) -> Iterator[tuple[str | None, int, dict[str, Any]]]:
    for number, each in enumerate(items(value)):
        if "generation" in mapping(each) or "test_case" in mapping(each):
            yield None, number, each
    for model, each in mapping(value).items():
        for number, completion in enumerate(items(each) or [each]):
            if "generation" in mapping(completion) or "test_case" in mapping(completion):
                yield model, number, completion


def _attempt(
    location: str, behaviour: str, model: str | None, number: int, completion: dict[str, Any], options: LogOptions
) -> LogRecord:
    sent = completion.get("test_case")
    if not isinstance(sent, str):
        return LogSkipped(location, "not_text", "a test case that is not text")
    text = text_or_none(completion.get("generation"))
    verdicts = tuple(
        LogVerdict(f"harmbench:{name}", _verdict(completion[name]))
        for name in _LABELS
        if name in completion and wanted(name, options)
    )
    answer = LogAnswer(
        text, model or "unknown", number, None if text else "other", verdicts, None if text else "no text"
    )
    source_id = "/".join([behaviour, *([model] if model else []), str(number)])
    return LogAttempt(location, source_id, (Message("user", sent),), risk=behaviour, answers=(answer,))


def _verdict(label: object) -> Verdict:
    whole = isinstance(label, int | float) and not isinstance(label, bool)
    return _VERDICTS.get(label, "unparsed") if whole else "unparsed"


HARMBENCH: Final = LogFormat(read=read_harmbench, options=("scorers",))
