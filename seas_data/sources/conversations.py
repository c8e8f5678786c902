"""Preference and instruction rows: the one strict reader of ``loop.preferences`` and ``loop.instructions``.

Files are JSON Lines, a JSON array or Parquet. The shapes of rows that public sets have are read as one: plain texts;
lists of messages (``role`` and ``content``, or ShareGPT's ``from`` and ``value``) whose content is a text or a list of
text parts; sides that hold the whole conversation, with or without a prompt beside them; and the dialogues of HH-RLHF,
which are one text with "Human:" and "Assistant:" before each turn.

Every record becomes a row, or a set-aside row with its line and reason. Nothing is guessed: two sides without a common
prompt, or a side that is not one answer, are set aside.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from seas_data import tables
from seas_data.console import say
from seas_data.conversation import MESSAGES, Message
from seas_data.errors import SeasDataError
from seas_data.sources.compression import decode_file
from seas_data.sources.jsonl import iterate_records
from seas_data.sources.messages import read_messages
from seas_data.sources.parquet_size import require_bounded_parquet
from seas_data.sources.raw_rows import InvalidLineError, is_valid_unicode, label_as_text, list_faults, row_digest
from seas_data.text import content_id, printable

MAX_UNREADABLE_PROPORTION: Final = 0.01
"""A file with more unreadable rows than this, and more than one, is refused. Repeated rows do not count."""

_MIN_REPEATED_PROMPT: Final = 12
"""A prompt with fewer characters than this, at the start of both answers, may be chance."""


_PROMPTS: Final = ("prompt", "conversations", "question", "instruction")
_ANSWERS: Final = ("completion", "messages", "conversations", "output", "response", "answer")


@dataclass(frozen=True)
class ConversationRows:
    """The rows of a file, and the records that could not become one.

    Attributes:
        rows: source, source_id, prompt, chosen, rejected; or prompt, completion. All but the first two are lists of
            messages (role, content).
        set_aside: the table ``set_aside``.
        path: the file.
    """

    rows: pl.DataFrame
    set_aside: pl.DataFrame
    path: Path

    def print_set_aside(self) -> None:
        """Print how many records were set aside, why and where; nothing if there are none."""
        if self.set_aside.height:
            say(
                f"{self.set_aside.height:,} of {self.rows.height + self.set_aside.height:,} rows of {self.path} are "
                f"set aside: {_describe(self.set_aside)}"
            )


def read_preferences(path: str | Path) -> ConversationRows:
    """Read preference pairs. Output columns: source, source_id, prompt, chosen, rejected.

    A row needs ``chosen`` and ``rejected``. ``prompt`` (or ``conversations``, the turns before them, ``question`` or
    ``instruction``) may be left out if both hold the whole conversation. ``system`` is a system message before it.
    Without ``source_id``, the id is a digest of the row, and a repeated row is set aside; without ``source``, it is
    ``preferences``.

    Raises SeasDataError if the file cannot be read, gives no row, or has too many unreadable rows.
    """
    names = ("source", "source_id", *_PROMPTS, "input", "system", "chosen", "rejected")
    return _read(Path(path), "preferences", names, ("chosen", "rejected"), _preference)


def read_instructions(path: str | Path) -> ConversationRows:
    """Read instructions with their responses. Output columns: prompt, completion.

    A row has ``prompt`` and ``completion``, or the whole conversation in ``messages`` or ``conversations``, whose last
    turn is the response to imitate; or ``question`` or ``instruction`` (with ``input``) and ``output``, ``response`` or
    ``answer``. ``system`` is a system message before it.

    Raises SeasDataError if the file cannot be read, gives no row, or has too many unreadable rows.
    """
    names = (*_PROMPTS, "input", "system", *_ANSWERS)
    return _read(Path(path), "instructions", names, ("completion",), _instruction)


def _preference(record: dict[str, Any]) -> dict[str, Any]:
    prompt = _prompt(record, _PROMPTS)
    chosen, rejected = read_messages(record, "chosen", "assistant"), read_messages(record, "rejected", "assistant")
    shared, (chosen, rejected) = _split(prompt, {"chosen": chosen, "rejected": rejected})
    row = {"prompt": _with_system(record, shared), "chosen": chosen, "rejected": rejected}
    source_id, source = record.get("source_id"), label_as_text(record.get("source"))
    if source_id is None:
        source_id = content_id("preference", json.dumps(row, ensure_ascii=False))
    elif type(source_id) is not int or abs(source_id) >= 1 << 63:
        source_id = label_as_text(source_id)
    if not is_valid_unicode(f"{source_id}{source}"):
        raise InvalidLineError("undecodable", "source or source_id has an unpaired surrogate")
    return {"source": "preferences" if source is None else source, "source_id": source_id, **row}


def _instruction(record: dict[str, Any]) -> dict[str, Any]:
    name = next((each for each in _ANSWERS if record.get(each) is not None), "completion")
    answer = read_messages(record, name, "assistant")
    prompt = [] if name in ("messages", "conversations") else _prompt(record, ("prompt", "question", "instruction"))
    shared, (answer,) = _split(prompt, {name: answer})
    return {"prompt": _with_system(record, shared), "completion": answer}


def _split(prompt: list[Message], sides: dict[str, list[Message]]) -> tuple[list[Message], list[list[Message]]]:
    """Return the prompt and each side without it. ``prompt`` is empty if the row has none.

    Raises InvalidLineError if the sides do not share a prompt, or what follows it is not one answer.
    """
    conversations = {name: side for name, side in sides.items() if side[0].role != "assistant"}
    whole = list(conversations.values())
    if whole:
        shared = whole[0][:-1]
        for side in whole[1:]:
            shared = _common_prefix(shared, side[:-1])
        named = " and ".join(conversations)
        if not shared:
            if alone := [name for name, side in conversations.items() if len(side) == 1]:
                raise InvalidLineError("unreadable", f"{alone[0]} is one {sides[alone[0]][0].role} turn, not an answer")
            raise InvalidLineError("unreadable", f"{named} share no prompt")
        prompt = _reconcile(prompt, shared, named)
        sides = {name: side[len(shared) :] if side[0].role != "assistant" else side for name, side in sides.items()}
    elif not prompt:
        raise InvalidLineError("empty", f"there is no prompt, and {' and '.join(sides)} hold no conversation")
    elif len(prompt) == 1 and len(sides) > 1:
        sides = _without_repeated_prompt(prompt[0].content.strip(), sides)
    for name, side in sides.items():
        if [turn.role for turn in side] != ["assistant"]:
            turns = ", ".join(turn.role for turn in side[:6])
            raise InvalidLineError("unreadable", f"{name} is not one answer after the shared prompt: {turns}")
    _check_prompt(prompt)
    return prompt, list(sides.values())


def _common_prefix(one: list[Message], other: list[Message]) -> list[Message]:
    for at, (turn, turn_of_other) in enumerate(zip(one, other, strict=False)):
        if turn.role != turn_of_other.role or turn.content.strip() != turn_of_other.content.strip():
            return one[:at]
    return one[: min(len(one), len(other))]


def _reconcile(prompt: list[Message], shared: list[Message], sides: str) -> list[Message]:
    """Return the fuller of the row's prompt and the prompt that its sides share.

    Raises InvalidLineError if neither contains the other.
    """
    ours, theirs = ([(turn.role, turn.content.strip()) for turn in turns] for turns in (prompt, shared))
    if all(turn in theirs for turn in ours):
        return shared
    if ours[-len(theirs) :] == theirs:
        return prompt
    raise InvalidLineError("unreadable", f"the prompt is not the one that {sides} begin with")


def _without_repeated_prompt(prompt: str, sides: dict[str, list[Message]]) -> dict[str, list[Message]]:
    """Return the sides without the text of the prompt, if each of them begins with it and goes on after it."""
    texts = [side[0].content.strip() for side in sides.values()]
    if len(prompt) < _MIN_REPEATED_PROMPT or any(len(side) > 1 for side in sides.values()):
        return sides
    if not all(text.startswith(prompt) and text[len(prompt) :].strip() for text in texts):
        return sides
    return {name: [Message("assistant", text[len(prompt) :].strip())] for name, text in zip(sides, texts, strict=True)}


def _check_prompt(prompt: list[Message]) -> None:
    """Raise InvalidLineError unless ``prompt`` is user and assistant turns in turn, ending with the user's.

    A system turn may come first.
    """
    turns = [turn.role for turn in prompt if turn.role != "system"]
    if any(turn.role == "system" for turn in prompt[1:]):
        raise InvalidLineError("unreadable", "a system turn that is not the first")
    if not turns or turns[-1] != "user":
        raise InvalidLineError("unreadable", "the prompt does not end with a user turn")
    if turns != ["user", "assistant"] * (len(turns) // 2) + ["user"]:
        raise InvalidLineError("unreadable", "the turns of the prompt do not alternate")


def _prompt(record: dict[str, Any], names: tuple[str, ...]) -> list[Message]:
    """Return the turns of the first of the columns ``names`` that the row has; an instruction's input follows it."""
    name = next((each for each in names if record.get(each) is not None), None)
    if name is None:
        return []
    turns = read_messages(record, name, "user")
    if name == "instruction" and str(record.get("input") or "").strip():
        text = "\n\n".join(turn.content for turn in (turns[-1], *read_messages(record, "input", "user")))
        turns = [*turns[:-1], turns[-1]._replace(content=text)]
    return turns


def _with_system(record: dict[str, Any], prompt: list[Message]) -> list[Message]:
    """Return ``prompt`` after the system message of the row's own column, if it has one."""
    if prompt[0].role == "system" or not str(record.get("system") or "").strip():
        return prompt
    return [*read_messages(record, "system", "system"), *prompt]


def _read(
    path: Path, source: str, names: tuple[str, ...], sides: tuple[str, ...], convert: Callable[[dict[str, Any]], Any]
) -> ConversationRows:
    rows: list[dict[str, Any]] = []
    set_aside: list[tuple[str, str, str, str, str]] = []
    keys: dict[str, None] = {}
    seen: set[str] = set()
    for number, digest, record in _records(path, names):
        error = record if isinstance(record, InvalidLineError) else None
        if not isinstance(record, InvalidLineError):
            keys.update(dict.fromkeys(record))
            try:
                row = convert(record)
                derived = "source_id" in row and record.get("source_id") is None
                if derived and row["source_id"] in seen:
                    error = InvalidLineError("repeated", "an earlier row is the same")
                else:
                    seen.update([row["source_id"]] if derived else [])
                    rows.append(row)
            except InvalidLineError as problem:
                error = problem
            except RecursionError:
                error = InvalidLineError("unreadable", "values nested too deep")
        if error is not None:
            set_aside.append((source, f"{path.name}:{number}", error.reason, error.detail, digest))
    columns = tables.TABLES["set_aside"].column_names()
    aside = tables.cast("set_aside", pl.DataFrame(set_aside, dict.fromkeys(columns, pl.String), orient="row"))
    _require_readable(path, source, len(rows), aside, sides, keys)
    kinds = {name: MESSAGES for name in rows[0] if not name.startswith("source")}
    frame = pl.DataFrame(
        {
            name: pl.Series(
                name, [[turn._asdict() for turn in row[name]] for row in rows] if name in kinds else _ids(rows, name)
            )
            for name in rows[0]
        },
        schema_overrides=kinds,
    )
    return ConversationRows(frame, aside, path)


def _ids(rows: list[dict[str, Any]], name: str) -> list[Any]:
    """Return the values of a column: all integers, or all texts."""
    values = [row[name] for row in rows]
    return values if all(isinstance(value, int) for value in values) else [str(value) for value in values]


def _records(path: Path, names: tuple[str, ...]) -> Iterator[tuple[int, str, dict[str, Any] | InvalidLineError]]:
    """Yield the number, the digest and the keys ``names`` of each record, or why it cannot be read."""
    if not path.is_file():
        raise SeasDataError(f"there is no file {path}; set the path to a JSONL or Parquet file")
    try:
        with path.open("rb") as file:
            if file.read(4) == b"PAR1":
                yield from _parquet_records(path, names)
                return
        text = decode_file(path, "utf-8")
        lines = list(iterate_records(text, path.name))
        if len(lines) == 1 and lines[0].content is not None and not set(names) & set(lines[0].content):
            lines = list(iterate_records(text, path.name, names[-1]))  # one object that holds the list of rows
        for line in lines:
            error = line.error or InvalidLineError("unreadable", "not a JSON object")
            yield line.number, row_digest(line.text), error if line.content is None else line.content
    except (OSError, pa.ArrowException, UnicodeDecodeError) as problem:  # the last: a damaged name of a column
        reason = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise SeasDataError(f"{path} cannot be read: {reason}") from problem


def _parquet_records(
    path: Path, names: tuple[str, ...]
) -> Iterator[tuple[int, str, dict[str, Any] | InvalidLineError]]:
    with pq.ParquetFile(path) as file:
        available = [name for name in file.schema_arrow.names if name in names]
        require_bounded_parquet(path, available)
        others = dict.fromkeys(name for name in file.schema_arrow.names if name not in names)
        number = 0
        for batch in file.iter_batches(batch_size=4096, columns=available):
            for at in range(batch.num_rows):
                number += 1
                try:
                    record = {name: batch.column(name)[at].as_py() for name in available}
                    yield number, row_digest(json.dumps(record, default=str)), {**others, **record}
                except (UnicodeDecodeError, ValueError, OverflowError, RecursionError):
                    error = InvalidLineError("undecodable", "a value that is invalid in its type, such as UTF-8")
                    yield number, row_digest(f"{path.name}:{number}"), error


def _require_readable(
    path: Path, source: str, count: int, aside: pl.DataFrame, sides: tuple[str, ...], keys: dict[str, None]
) -> None:
    """Raise SeasDataError if the file gives no row, or too many of its records could not be read."""
    unread = aside.filter(pl.col("reason") != "repeated")
    total = count + aside.height
    allowed = max(1, int(MAX_UNREADABLE_PROPORTION * total))
    if count and unread.height <= allowed:
        return
    shapes = "prompt and completion, or messages" if sides == ("completion",) else "prompt, chosen and rejected"
    shown = list_faults([repr(printable(key[:40].encode(errors="replace").decode())) for key in keys]).replace(";", ",")
    found = f"; its columns are {shown}" if keys and not set(sides) & set(keys) else ""
    if not total:
        raise SeasDataError(f"{path} has no rows; loop.{source} needs rows with {shapes}")
    if not count:
        raise SeasDataError(
            f"no row of {path} can be used as loop.{source}, which needs {shapes}: {_describe(unread)}{found}"
        )
    raise SeasDataError(
        f"{unread.height:,} of {total:,} rows of {path} cannot be used as loop.{source}, and at most {allowed:,} may "
        f"be unusable: {_describe(unread)}; correct or remove them"
    )


def _describe(aside: pl.DataFrame) -> str:
    """Return the number of rows for each reason, and the first places."""
    counts = Counter(aside["reason"].to_list())
    places = aside.select("location", "detail").head(5).rows()
    return (
        f"{', '.join(f'{reason} {count:,}' for reason, count in counts.most_common())} "
        f"({'; '.join(f'{place} {detail}' for place, detail in places)})"
    )
