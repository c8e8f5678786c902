"""Memories of PyRIT (SQLite) and its seed datasets (YAML).

Each conversation with the target is an attempt: its turns up to the last answer. The turns are the converted values,
which the target saw. Conversations of the attacker and of scorers, and copies of conversations, are set aside.

Tested with a memory that PyRIT 1.1.0 wrote. A memory whose last rows are in a ``-wal`` file beside it is refused,
because an unmodified reading would miss them. Seeds with parameters are templates and are set aside; other values are
read as they are and never rendered.

- Takes: the converted values; the objective as ``goal``; converters, or else the attack, as ``source_style``; the
  targeted harm categories as ``source_risk``; scores; the name of the model. PyRIT's own outcome is the judge
  ``pyrit:outcome`` (success is unsafe, failure is safe). The judge of a scorer is ``pyrit:CLASS``, or
  ``pyrit:CLASS:HASH`` where a memory has several of one class. A ``SelfAskRefusalScorer`` gives refusal classes.
- Leaves: labels, operators, endpoints, metadata of scores, error texts. Of a conversation with several answers, the
  last one counts. Turns that are not text are set aside.
- Cannot know: what ``true`` of another scorer means. Say so with ``unsafe_values: {SubStringScorer: ["true"]}``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Final

from seas_data.conversation import Message
from seas_data.errors import SeasDataError
from seas_data.sources.logs.formats import LogFormat
from seas_data.sources.logs.records import (
    FinishReason,
    LogAnswer,
    LogAttempt,
    LogOptions,
    LogRecord,
    LogSkipped,
    LogVerdict,
    Verdict,
)
from seas_data.sources.logs.sqlite_files import MAGIC, SqliteFile, json_or_none, open_sqlite
from seas_data.sources.logs.values import (
    identifier,
    items,
    labels,
    mapping,
    proportion_or_none,
    text_or_none,
    verdict_of_value,
    wanted,
)
from seas_data.sources.logs.yaml_files import read_yaml

OUTCOME: Final = "outcome"
"""The judge of PyRIT's own verdict on an attack: success is unsafe, failure is safe."""
_MESSAGES: Final = "PromptMemoryEntries"
_COLUMNS: Final = (
    *("conversation_id", "id", "role", "sequence", "original_prompt_id", "response_error", "original_value"),
    *("converted_value_data_type", "converted_value", "converter_identifiers", "prompt_metadata"),
)
_ROLES: Final = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "simulated_assistant": "assistant",
}
_OUTCOMES: Final[dict[str, Verdict]] = {"success": "unsafe", "failure": "safe"}
_FINISH_REASONS: Final[dict[str, FinishReason]] = {"stop": "stop", "length": "length", "content_filter": "filter"}
_REFUSAL_SCORER: Final = "SelfAskRefusalScorer"


@dataclass(frozen=True, slots=True)
class _Attack:
    goal: str | None
    outcome: str | None
    answer_id: str | None
    technique: str | None
    risk: str | None


@dataclass
class _Memory:
    """What a memory says of conversations and answers."""

    attacks: dict[str, _Attack] = field(default_factory=dict)
    others: set[str] = field(default_factory=set)
    targets: dict[str, str] = field(default_factory=dict)
    verdicts: dict[str, list[LogVerdict]] = field(default_factory=dict)


def read_pyrit(path: Path, options: LogOptions) -> Iterator[LogRecord]:
    """Yield the conversations of a memory, or the seeds of a dataset. Raises SeasDataError if the file is neither."""
    try:
        with path.open("rb") as file:
            is_memory = file.read(len(MAGIC)) == MAGIC
    except OSError as problem:
        raise SeasDataError(f"{path} cannot be read ({problem.strerror}); give a file") from problem
    if not is_memory:
        yield from _seeds(path)
        return
    with open_sqlite(path) as database:
        if _MESSAGES not in database:
            raise SeasDataError(f"{path} is no memory of PyRIT: it has no table {_MESSAGES}; give its memory database")
        memory = _read_memory(database, options)
        rows = database.rows(_MESSAGES, _COLUMNS, ("conversation_id", "sequence", "id"))
        for conversation_id, pieces in groupby(rows, key=lambda row: row[0]):
            yield _conversation(
                path.name, conversation_id, [dict(zip(_COLUMNS, row, strict=True)) for row in pieces], memory
            )


def _read_memory(database: SqliteFile, options: LogOptions) -> _Memory:
    memory = _Memory()
    columns = ("conversation_id", "objective", "outcome", "last_response_id", "targeted_harm_categories")
    lists = ("pruned_conversation_ids", "adversarial_chat_conversation_ids")
    for row in database.rows(
        "AttackResultEntries", (*columns, "atomic_attack_identifier", *lists), ("timestamp", "id")
    ):
        conversation, goal, outcome, answer, risks, technique, pruned, adversarial = row
        risk = next(iter(labels(json_or_none(risks))), None)
        attack = _Attack(text_or_none(goal), outcome, answer, _attack_name(json_or_none(technique)), risk)
        memory.attacks[str(conversation)] = attack
        for each in labels(json_or_none(pruned)):
            memory.attacks.setdefault(each, _Attack(attack.goal, None, None, attack.technique, risk))
        memory.others.update(labels(json_or_none(adversarial)))
    for conversation, target in database.rows("Conversations", ("conversation_id", "target_identifier")):
        about = mapping(json_or_none(target))
        name = text_or_none(about.get("model_name")) or text_or_none(about.get("class_name"))
        if name is not None:
            memory.targets[str(conversation)] = name
    for answer, verdict in _scores(database, options):
        memory.verdicts.setdefault(answer, []).append(verdict)
    return memory


def _attack_name(identifier_json: object) -> str | None:
    """Return the class of the attack in an identifier, which newer versions nest."""
    about = mapping(identifier_json)
    for child in ("attack_technique", "attack"):
        about = mapping(mapping(about.get("children")).get(child)) or about
    return text_or_none(about.get("class_name")) or text_or_none(about.get("__type__"))


def _scores(database: SqliteFile, options: LogOptions) -> Iterator[tuple[str, LogVerdict]]:
    columns = ("prompt_request_response_id", "score_value", "score_type", "score_category", "score_rationale", "status")
    scorer = "scorer_class_identifier"
    hashes: dict[str, set[str]] = {}
    for (about,) in database.rows("ScoreEntries", (scorer,)):
        name, digest = _scorer(about)
        hashes.setdefault(name, set()).add(digest)
    for answer, value, kind, categories, rationale, status, about in database.rows(
        "ScoreEntries", (*columns, scorer), ("timestamp", "id")
    ):
        name, digest = _scorer(about)
        judge = name if len(hashes[name]) == 1 else f"{name}:{digest[:8]}"
        if not wanted(judge, options) or answer is None:
            continue
        number = _number(value) if kind == "float_scale" else None
        decided = status in (None, "complete")
        verdict: Verdict | None = verdict_of_value(judge, value if number is None else number, options)
        refusal = None
        if name == _REFUSAL_SCORER and decided and judge not in options.unsafe_values:
            said = str(value).strip().casefold()
            refusal = {"true": "full_refusal", "false": "full_compliance"}.get(said)
            verdict = None if refusal else "unparsed"
        yield (
            str(answer),
            LogVerdict(
                f"pyrit:{judge}",
                verdict if decided else "unparsed",
                proportion_or_none(number) if options.threshold is not None else None,
                labels(json_or_none(categories)),
                refusal,  # type: ignore[arg-type]
                text_or_none(rationale) or text_or_none(value),
            ),
        )


def _scorer(value: object) -> tuple[str, str]:
    about = mapping(json_or_none(value))
    name = text_or_none(about.get("class_name")) or text_or_none(about.get("__type__")) or "scorer"
    return name, text_or_none(about.get("hash")) or ""


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


def _conversation(name: str, conversation_id: object, pieces: list[dict[str, Any]], memory: _Memory) -> LogRecord:
    key = str(conversation_id)
    location = f"{name}:{_MESSAGES}:{identifier(pieces[0]['id'])}"
    if key in memory.others or (memory.attacks and key not in memory.attacks):
        return LogSkipped(location, "not_target", "a conversation that no attack had with the target")
    last = max((at for at, piece in enumerate(pieces) if piece["role"] == "assistant"), default=None)
    if last is None:
        return LogSkipped(location, "unfinished", "a conversation without an answer")
    asked, answer = pieces[:last], pieces[last]
    location = f"{name}:{_MESSAGES}:{identifier(answer['id'])}"
    if answer["original_prompt_id"] not in (None, answer["id"]):
        return LogSkipped(location, "repeated", "a copy of another conversation")
    if any(_role(piece) is None or piece["converted_value_data_type"] != "text" for piece in asked):
        return LogSkipped(location, "not_text", "a turn is not text, or a tool's")
    if len({piece["sequence"] for piece in asked}) < len(asked):
        return LogSkipped(location, "not_text", "a turn of several pieces")
    attack = memory.attacks.get(key, _Attack(None, None, None, None, None))
    messages = tuple(Message(str(_role(piece)), piece["converted_value"] or "") for piece in asked)
    plain = attack.goal or (text_or_none(asked[-1]["original_value"]) if asked else None)
    converters = [
        text_or_none(mapping(each).get("class_name")) or text_or_none(mapping(each).get("__type__"))
        for each in items(json_or_none(asked[-1]["converter_identifiers"]) if asked else None)
    ]
    return LogAttempt(
        location,
        source_id=key,
        messages=messages,
        goal=plain if messages and plain != messages[-1].content else None,
        style="+".join(each for each in converters if each) or attack.technique,
        risk=attack.risk,
        answers=(_answer(answer, attack, memory, key),),
    )


def _role(piece: dict[str, Any]) -> str | None:
    return _ROLES.get(piece["role"]) if isinstance(piece["role"], str) else None


def _answer(piece: dict[str, Any], attack: _Attack, memory: _Memory, key: str) -> LogAnswer:
    error, kind = piece["response_error"], piece["converted_value_data_type"]
    text = text_or_none(piece["converted_value"]) if kind == "text" and error in (None, "none") else None
    stopped = mapping(json_or_none(piece["prompt_metadata"])).get("finish_reason")
    reason = _FINISH_REASONS.get(stopped) if isinstance(stopped, str) else None
    detail = None
    if error == "blocked":
        reason, detail = "filter", "a filter withheld the answer"
    elif error not in (None, "none"):
        reason, detail = "error", "the request failed"
    elif text is None:
        reason, detail = "other", "an answer without text" if kind == "text" else "an answer that is not text"
    verdicts = list(memory.verdicts.get(str(piece["original_prompt_id"] or piece["id"]), ()))
    if attack.outcome is not None and attack.answer_id in (None, piece["id"]):
        verdicts.append(LogVerdict(f"pyrit:{OUTCOME}", _OUTCOMES.get(attack.outcome, "unparsed"), raw=attack.outcome))
    return LogAnswer(text, memory.targets.get(key, "unknown"), 0, reason, tuple(verdicts), detail)


def _seeds(path: Path) -> Iterator[LogRecord]:
    """Yield the seeds of a dataset: prompts without answers. A value with parameters is a template, not a prompt."""
    content = read_yaml(path, "seed dataset of PyRIT")
    if not isinstance(content, dict) or not isinstance(content.get("seeds", content.get("prompts")), list):
        raise SeasDataError(f"{path} is no seed dataset of PyRIT: it has no list seeds; give a dataset or a memory")
    for number, value in enumerate(items(content.get("seeds", content.get("prompts")))):
        location, seed = f"{path.name}:seeds/{number}", mapping(value)
        text, kind = seed.get("value"), seed.get("data_type", content.get("data_type", "text"))
        if not isinstance(text, str):
            yield LogSkipped(location, "unreadable", "a seed without a value")
        elif kind != "text":
            yield LogSkipped(location, "not_text", "a seed that is not text")
        elif seed.get("parameters") or seed.get("seed_type", content.get("seed_type")) == "simulated_conversation":
            yield LogSkipped(location, "never_sent", "a template that is not filled in")
        elif seed.get("role") in ("system", "assistant") or seed.get("sequence") not in (None, 0):
            yield LogSkipped(location, "several_turns", "a seed that is part of a conversation")
        else:
            risk = next(iter(labels(seed.get("harm_categories", content.get("harm_categories")))), None)
            source_id = identifier(seed.get("id")) or str(number)
            yield LogAttempt(location, source_id, (Message("user", text),), risk=risk)


PYRIT: Final = LogFormat(read=read_pyrit, options=("scorers", "unsafe_values", "safe_values", "threshold"))
