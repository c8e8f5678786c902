"""Conversations: the canonical form of prompts with several turns, their flat rendering, and their ids.

A prompt is a list of messages (``role`` system, user or assistant, and ``content``) that ends with the user turn to
answer. A prompt of a single user turn is plain: its text is that turn, and its ``messages`` are null.
``curate.turns`` has the texts by which prompts with several turns are compared.

Rendering: each turn is a line ``[[role]]`` and its content below it; an empty line separates the turns. In a content,
``[[system]]``, ``[[user]]`` and ``[[assistant]]`` (in any letters that ``normalise`` makes equal to these) get a
backslash before them, in addition to any that they have. A single user turn is rendered as its content alone, unless
the content begins with such a mark. So different conversations have different texts, also after ``normalise``: a user
who writes ``[[assistant]]`` does not make an assistant turn.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import polars as pl

from seas_data.tables.ids import messages as messages_of
from seas_data.text import content_id

KNOWN_ROLES: Final = frozenset({"system", "user", "assistant"})
"""The roles of turns."""
MESSAGES: Final = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
"""The type of a column of conversations."""
MIN_ASKING_CHARACTERS: Final = 20


class Message(NamedTuple):
    """A turn of a conversation; ``role`` is system, user or assistant."""

    role: str
    content: str


Turn = Message | Mapping[str, Any]


def as_messages(turns: Iterable[Turn]) -> list[Message]:
    """Return the turns, such as the dictionaries that a frame returns, as ``Message``."""
    return [each if isinstance(each, Message) else Message(each["role"], each["content"]) for each in turns]


def canonical(turns: Iterable[Turn]) -> list[Message]:
    """Return the turns of a prompt in the form that is stored and hashed: without system turns that have no text.

    Raises ValueError if they are not an optional system turn first, then user and assistant turns in alternation from
    a user turn to a user turn, each with text.
    """
    messages = [each for each in as_messages(turns) if each.role != "system" or each.content.strip()]
    roles = [each.role for each in messages]
    if not KNOWN_ROLES.issuperset(roles):
        raise ValueError("a turn whose role is not system, user or assistant")
    if "system" in roles[1:]:
        raise ValueError("a system turn that is not the first turn")
    others = roles[1:] if roles[:1] == ["system"] else roles
    if not others or others[-1] != "user":
        raise ValueError("the last turn is not the user's")
    if others != ["user", "assistant"] * (len(others) // 2) + ["user"]:
        raise ValueError("the turns of user and assistant do not alternate")
    if not all(each.content.strip() for each in messages):
        raise ValueError("a turn without text")
    return messages


def render(messages: Sequence[Turn]) -> str:
    """Return the flat text of a canonical conversation, which no other conversation has."""
    messages = as_messages(messages)
    if is_single_turn(messages) and not _BEGINS_WITH_MARK.match(messages[0].content):
        return messages[0].content
    return "\n\n".join(f"[[{role}]]\n{_MARK.sub(_ESCAPE, content)}" for role, content in messages)


def stored_messages(messages: Sequence[Turn]) -> list[dict[str, str]] | None:
    """Return the value of the column ``messages``: null if the text alone says it, because it is the only turn."""
    messages = as_messages(messages)
    if is_single_turn(messages) and render(messages) == messages[0].content:
        return None
    return [each._asdict() for each in messages]


def turns_of(text: str, messages: Sequence[Turn] | None) -> list[Message]:
    """Return the turns of a prompt from its columns ``text`` and ``messages``."""
    return [Message("user", text)] if messages is None else as_messages(messages)


def without_system(messages: Sequence[Turn]) -> list[Message]:
    """Return the turns without the system turn."""
    return [each for each in as_messages(messages) if each.role != "system"]


def is_single_turn(messages: Sequence[Turn]) -> bool:
    """Return whether the conversation is one user turn."""
    return [each.role for each in as_messages(messages)] == ["user"]


def compared_text(messages: Sequence[Turn]) -> str:
    """Return the flat text of a conversation without its system turn."""
    return render(without_system(messages))


def mark_asking(turns: Sequence[Message]) -> list[tuple[Message, bool]]:
    """Return each turn and whether it asks: the last turn of the user, and every other one that is not short.

    A turn with fewer than ``MIN_ASKING_CHARACTERS`` characters, such as "hello", opens many conversations.
    """
    last = len(turns) - 1
    return [
        (turn, turn.role == "user" and (number == last or len(turn.content.strip()) >= MIN_ASKING_CHARACTERS))
        for number, turn in enumerate(turns)
    ]


def asked_texts(messages: Sequence[Turn]) -> list[str]:
    """Return the texts that may not be in training if this prompt is held out: of all its turns, and what it asks."""
    turns = as_messages(messages)
    whole = [render(turns), compared_text(turns)]
    return list(dict.fromkeys([*whole, *(turn.content for turn, asks in mark_asking(turns) if asks)]))


def whole_texts(text: str, messages: Sequence[Turn] | None) -> list[str]:
    """Return the texts of a whole prompt: its flat text and, of a conversation, that without the system turn."""
    return [text] if messages is None else list(dict.fromkeys([text, compared_text(messages)]))


def all_texts(text: str, messages: Sequence[Turn] | None) -> list[str]:
    """Return the texts of a whole prompt and of each of its turns."""
    return [text] if messages is None else every_text(messages)


def every_text(messages: Sequence[Turn]) -> list[str]:
    """Return all texts that may make a prompt a copy of another: of all its turns, and each turn."""
    turns = as_messages(messages)
    return list(dict.fromkeys([render(turns), compared_text(turns), *(turn.content for turn in turns)]))


def prompt_id(source: str, source_id: str, text: str, messages: Sequence[Turn] | None = None) -> str:
    """Return the id of a prompt of a source: a hash of its source, its id there, and its text or its turns."""
    if messages is None:
        return content_id("prompt", source, source_id, text)
    turns = as_messages(messages)
    if is_single_turn(turns):
        return content_id("prompt", source, source_id, turns[0].content)
    return content_id("conversation", source, source_id, json.dumps(turns, ensure_ascii=False, separators=(",", ":")))


def prompt_ids(rows: pl.DataFrame) -> pl.Series:
    """Return ``prompt_id`` of each row. Input columns: ``source``, ``source_id``, ``text``, ``messages``."""
    columns = rows.select("source", "source_id", "text", "messages")
    return pl.Series("prompt_id", [prompt_id(*row) for row in columns.iter_rows()], dtype=pl.String)


def messages_column(text: str = "text", messages: str = "messages") -> pl.Expr:
    """Return all turns of each prompt as messages, as models are asked them. A text that is null gives null."""
    single = messages_of("user", text)
    return pl.coalesce(pl.col(messages), pl.when(pl.col(text).is_not_null()).then(single))


def all_turns(prompts: pl.DataFrame) -> pl.Expr:
    """Return ``messages_column`` for ``prompts``, which may lack ``messages`` if none is a conversation."""
    return messages_column() if "messages" in prompts.columns else messages_of("user", "text")


def optional_columns(prompts: pl.DataFrame) -> list[pl.Expr]:
    """Return the columns ``messages``, ``goal`` and ``kind`` of ``prompts``, null where they have none."""
    return [
        pl.col(name) if name in prompts.columns else pl.lit(None, kind).alias(name)
        for name, kind in (("messages", MESSAGES), ("goal", pl.String()), ("kind", pl.String()))
    ]


def request_column(text: str = "text", messages: str = "messages") -> pl.Expr:
    """Return the last user turn of each prompt: what is to be answered."""
    return pl.coalesce(pl.col(messages).list.last().struct.field("content"), pl.col(text))


def user_text_column(text: str = "text", messages: str = "messages") -> pl.Expr:
    """Return the words of the user in each prompt: its user turns, one a line."""
    turns = pl.col(messages).list.eval(
        pl.element().struct.field("content").filter(pl.element().struct.field("role") == "user")
    )
    return pl.coalesce(turns.list.join("\n"), pl.col(text))


def plain_columns(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return ``text`` and ``messages`` of prompts that are single user turns. A null text gives nulls."""
    looks_rendered = texts.str.contains(r"\A\s*\[\[").fill_null(False)
    if not looks_rendered.any():
        return texts.rename("text"), pl.repeat(None, len(texts), dtype=MESSAGES, eager=True).rename("messages")
    turns = [[Message("user", text)] if marked else None for text, marked in zip(texts, looks_rendered, strict=True)]
    rendered = [text if each is None else render(each) for text, each in zip(texts, turns, strict=True)]
    stored = [None if each is None else stored_messages(each) for each in turns]
    return pl.Series("text", rendered, dtype=pl.String), pl.Series("messages", stored, dtype=MESSAGES)


_ROLE = r"\[\[(?:sy(?:st|[\ufb05\ufb06])em|user|a(?:ss|[\xdf\u1e9e])i(?:st|[\ufb05\ufb06])ant)\]\]"
"""A mark, also with the letters (long s and ligatures) that case folding makes equal to it."""
_MARK = re.compile(rf"\\*{_ROLE}", re.IGNORECASE)
_ESCAPE = r"\\\g<0>"
_BEGINS_WITH_MARK = re.compile(rf"\s*{_ROLE}(?!\S)", re.IGNORECASE)
