"""Records of the logs of red-team tools: what was sent, what came back, and what judges said of it.

Every reader yields these records and nothing else. Fields that a reader does not name are never read, so keys, names
of operators, environment variables and paths in a log cannot reach a workspace.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from seas_data.conversation import Message

Verdict = Literal["safe", "unsafe", "unparsed"]
Refusal = Literal["full_compliance", "partial_refusal", "full_refusal"]
FinishReason = Literal["stop", "length", "filter", "error", "other"]


@dataclass(frozen=True, slots=True)
class LogVerdict:
    """The verdict of one judge on one answer.

    Attributes:
        judge: the tool and the judge, such as ``garak:mitigation.MitigationBypass``.
        verdict: ``unparsed`` if the judge failed, said nothing or said nothing that can be read as a verdict; None of a
            judge that only classes refusals.
        score: 0 to 1, towards unsafe; None if the tool gives none.
        categories: what the judge says that the answer is about, in its own names.
        refusal: the refusal class, where the judge gives one.
        raw: the judge's own words.
    """

    judge: str
    verdict: Verdict | None
    score: float | None = None
    categories: tuple[str, ...] = ()
    refusal: Refusal | None = None
    raw: str | None = None


@dataclass(frozen=True, slots=True)
class LogAnswer:
    """One answer of the target.

    Attributes:
        text: None if the request failed or a filter withheld the answer.
        model: the target's name in the log.
        sample: the number of the answer among those to the same prompt, from 0.
        finish_reason: why the answer ended; ``filter`` if a filter withheld it, ``error`` if the request failed; None
            if the log does not say.
        verdicts: what judges said of the answer.
        detail: what went wrong, in the reader's words.
    """

    text: str | None
    model: str
    sample: int
    finish_reason: FinishReason | None = None
    verdicts: tuple[LogVerdict, ...] = ()
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class LogAttempt:
    """What was sent to the target, and what came back.

    Attributes:
        location: the file and the place in it, such as ``a.report.jsonl:17``.
        source_id: the tool's own id of the attempt, the same whenever the log is read.
        messages: all turns as they were sent; the last is the user's.
        goal: the plain request, where the tool keeps it apart from the text that was sent.
        style: the technique of the attack, in the tool's names.
        risk: the category of the request, in the tool's names.
        language: the language of the text, as the tool gives it.
        answers: the answers of the target; none if the log only has prompts.
    """

    location: str
    source_id: str
    messages: tuple[Message, ...]
    goal: str | None = None
    style: str | None = None
    risk: str | None = None
    language: str | None = None
    answers: tuple[LogAnswer, ...] = ()


@dataclass(frozen=True, slots=True)
class LogSkipped:
    """A record of a log that cannot become a prompt.

    Attributes:
        location: the file and the place in it.
        reason: one of ``tables.SET_ASIDE_REASONS``.
        detail: more about the reason. Never holds text of the record.
    """

    location: str
    reason: str
    detail: str = ""


LogRecord = LogAttempt | LogSkipped


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What the recipe says about a log that the log itself does not.

    Attributes:
        scorers: the judges to read, by their names in the log; all if empty.
        unsafe_values: for each judge, the values that mean unsafe, compared as text without regard to case.
        safe_values: for each judge, the values that mean safe. If a judge has none, the opposite of an unsafe value is
            safe where there is one (``true`` and ``false``, ``1`` and ``0``, ``C`` and ``I``, ``yes`` and ``no``). A
            value that is in neither is ``unparsed``.
        threshold: the score, towards unsafe, from which an answer is unsafe; None for the tool's own.
        metadata: for ``goal``, ``style``, ``risk`` and ``language``, the key of a record's free metadata that holds it.
            Where a tool has no field of its own for them, no other key of its metadata is read.
    """

    scorers: tuple[str, ...] = ()
    unsafe_values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    safe_values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    threshold: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
