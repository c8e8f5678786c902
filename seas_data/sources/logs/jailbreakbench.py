"""Attack artifacts of JailbreakBench (JSON), by their documented schema: ``parameters`` and ``jailbreaks``.

No file of this tool was at hand.

- Takes: ``goal``, ``prompt``, ``response``, ``category``, and ``jailbroken`` as the judge ``jailbreakbench``.
- Leaves: everything else. An entry without a prompt was never submitted and is set aside.
- Cannot know: what another judge would say.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from seas_data.conversation import Message
from seas_data.errors import SeasDataError
from seas_data.sources.logs.formats import LogFormat
from seas_data.sources.logs.json_files import json_values
from seas_data.sources.logs.records import LogAnswer, LogAttempt, LogOptions, LogRecord, LogSkipped, LogVerdict, Verdict
from seas_data.sources.logs.values import identifier, mapping, text_or_none

_VERDICTS: Final[dict[object, Verdict]] = {True: "unsafe", False: "safe"}


def read_jailbreakbench(path: Path, options: LogOptions) -> Iterator[LogRecord]:
    """Yield the attempts of an artifact. Raises SeasDataError if the file has none."""
    del options
    parameters: dict[str, Any] = {}
    for keys, value in json_values(path, lambda keys: not keys):
        if keys == ("parameters",):
            parameters = mapping(value)
    found = False
    for keys, value in json_values(path, lambda keys: keys in ((), ("jailbreaks",))):
        if keys[:1] == ("jailbreaks",) and len(keys) == 2:
            found = True
            yield _attempt(f"{path.name}:{'/'.join(map(str, keys))}", str(keys[1]), mapping(value), parameters)
    if not found:
        raise SeasDataError(f"{path} has no jailbreaks; give an attack artifact of JailbreakBench")


def _attempt(location: str, number: str, value: dict[str, Any], parameters: dict[str, Any]) -> LogRecord:
    prompt = text_or_none(value.get("prompt"))
    if prompt is None:
        return LogSkipped(location, "never_sent", "no attack was submitted")
    text, judged = text_or_none(value.get("response")), value.get("jailbroken")
    verdict = _VERDICTS[judged] if isinstance(judged, bool) else "unparsed"
    goal = text_or_none(value.get("goal"))
    return LogAttempt(
        location,
        identifier(value.get("index")) or number,
        (Message("user", prompt),),
        goal=goal if goal != prompt else None,
        style=text_or_none(parameters.get("method")),
        risk=text_or_none(value.get("category")) or text_or_none(value.get("behavior")),
        answers=(
            LogAnswer(
                text,
                text_or_none(parameters.get("model")) or "unknown",
                0,
                None if text else "other",
                (LogVerdict("jailbreakbench", verdict),),
                None if text else "an answer without text",
            ),
        ),
    )


JAILBREAKBENCH: Final = LogFormat(read=read_jailbreakbench)
