"""Messages: the one strict reader of the shapes in which public sets write the turns of a conversation.

Plain texts; lists of messages (``role`` and ``content``, or ShareGPT's ``from`` and ``value``) whose content is a text
or a list of text parts, also as an object of two lists; such lists as JSON in a text; and the dialogues of HH-RLHF,
which are one text with "Human:" and "Assistant:" before each turn. What is in none of these shapes raises
``InvalidLineError``.
"""

import json
import re
from typing import Any, Final, Literal

from seas_data.conversation import Message, canonical
from seas_data.folding import is_blank
from seas_data.sources.raw_rows import InvalidLineError, is_valid_unicode
from seas_data.text import printable

ROLES: Final = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "bard": "assistant",
    "model": "assistant",
}
"""Names of roles in public sets, and ours."""
_PAIRS: Final = (("role", "content"), ("from", "value"))
_TURN: Final = re.compile(r"(?:\A\s*|\r?\n\r?\n)(Human|Assistant):", re.MULTILINE)


Turn = Literal["first", "last", "all"]


def choose_turn(value: Any, name: str, turn: Turn | None) -> str | None:
    """Return the prompt in ``value``, the source's column ``name``: a text, or a conversation of which ``turn`` counts.

    ``first`` and ``last`` are user turns; ``all`` gives all turns up to the last one of the user as JSON, for
    ``turns_of_json``. Without ``turn`` a text is taken as it is, and of a conversation the only user turn.

    Raises InvalidLineError if there is a turn that ``turn`` says nothing about, or ``value`` is no conversation.
    """
    if value is None or (turn is None and isinstance(value, str)):
        return value
    turns = read_messages({name: value}, name, "user")
    users = [each.content for each in turns if each.role == "user"]
    if not users:
        raise InvalidLineError("unreadable", f"{name} has no turn of a user")
    if turn == "all":
        return json.dumps(check_prompt(turns[:-1] if turns[-1].role == "assistant" else turns), ensure_ascii=False)
    if turn is None and (len(users) > 1 or turns[0].role == "system"):
        raise InvalidLineError("unreadable", f"{name} is a conversation; set turn of the source to first, last or all")
    return users[-1 if turn == "last" else 0]


def turns_of_json(text: str) -> list[Message]:
    """Return the turns that ``choose_turn`` wrote for ``all``."""
    return [Message(role, content) for role, content in json.loads(text)]


def check_prompt(turns: list[Message]) -> list[Message]:
    """Return the turns of a prompt in their canonical form. Raises InvalidLineError if they cannot be a prompt."""
    try:
        return canonical(turns)
    except ValueError as problem:
        raise InvalidLineError("several_turns", str(problem)) from None


_TEMPLATE_MARK: Final = re.compile(
    r"\s*(<\|im_start\|>|<\|begin_of_text\|>|<\|start_header_id\|>|<start_of_turn>|<bos>|<s>|\[INST\]|<\|(?:user|system)\|>)"
)
"""What a conversation begins with that was rendered for a model. As an answer, it would be trained on as it is."""


def read_messages(record: dict[str, Any], name: str, role: str) -> list[Message]:
    """Return the turns in ``record[name]``; a plain text is one turn of ``role``.

    Raises InvalidLineError if it is neither text nor messages, or a turn has no text.
    """
    if record.get(name) is None:
        raise InvalidLineError("empty", f"there is no {name}")
    value = record[name]
    if isinstance(value, str):
        if role == "assistant" and (mark := _TEMPLATE_MARK.match(value)):
            raise InvalidLineError(
                "unreadable",
                f"{name} is a conversation in a chat template ({mark[1]}); give its messages or its answer",
            )
        value = _embedded_messages(value) or _dialogue(value, prompt=role == "user") or [Message(role, value)]
    if isinstance(value, dict):
        value = _messages_of_lists(value) or [value]
    if not isinstance(value, list):
        raise InvalidLineError("unreadable", f"{name} is a {_kind(value)}, not a text or messages")
    turns = [turn if isinstance(turn, Message) else _message(turn, name) for turn in value]
    turns = [turn for turn in turns if turn.role != "system" or not is_blank(turn.content)]
    if not turns or any(is_blank(turn.content) for turn in turns):
        raise InvalidLineError("empty", f"{name} has a turn without text" if turns else f"{name} has no turns")
    if not all(is_valid_unicode(turn.content) for turn in turns):
        raise InvalidLineError("undecodable", f"{name} has an unpaired surrogate")
    return turns


def _message(value: Any, name: str) -> Message:
    if not isinstance(value, dict):
        raise InvalidLineError("unreadable", f"{name} is a list of something else than messages (role, content)")
    role = value["role"] if value.get("role") is not None else value.get("from")
    content = value["content"] if value.get("content") is not None else value.get("value")
    if not isinstance(role, str) or role.strip().casefold() not in ROLES:
        shown = printable(str(role)[:40].encode(errors="replace").decode())
        raise InvalidLineError("unreadable", f"{name} has a turn with the role {shown!r}")
    if isinstance(content, list):
        content = "".join(_part(part, name) for part in content)
    if content is None:
        content = ""
    if not isinstance(content, str):
        raise InvalidLineError("unreadable", f"{name} has a turn whose content is a {_kind(content)}, not text")
    return Message(ROLES[role.strip().casefold()], content)


def _part(part: Any, name: str) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and part.get("type") in ("text", None) and isinstance(part.get("text"), str):
        return str(part["text"])
    raise InvalidLineError("unreadable", f"{name} has a part that is not text, such as an image")


def _embedded_messages(text: str) -> list[Any] | None:
    """Return the messages that ``text`` holds as JSON, as exports to CSV and Parquet write them, or None."""
    if not text.lstrip().startswith("["):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    both = [isinstance(turn, dict) and any(a in turn and b in turn for a, b in _PAIRS) for turn in value]
    return value if both and all(both) else None


def _messages_of_lists(value: dict[str, Any]) -> list[Any] | None:
    """Return the messages of an object of equally long lists, as `datasets` wrote a list of messages, or None."""
    for names in _PAIRS:
        lists = [value[name] for name in names if isinstance(value.get(name), list)]
        if len(lists) == 2 and len(lists[0]) == len(lists[1]):
            return [dict(zip(names, turn, strict=True)) for turn in zip(*lists, strict=True)]
    return None


def _dialogue(text: str, *, prompt: bool) -> list[Message] | None:
    """Return the turns of a text in the form of HH-RLHF, "Human: ... Assistant: ...", or None.

    A prompt may end with the "Assistant:" whose answer follows.
    """
    marks = list(_TURN.finditer(text))
    if not marks or text[: marks[0].start()].strip() or marks[0][1] != "Human" or marks[-1] is marks[0]:
        return None
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    turns = [
        Message(ROLES[mark[1].casefold()], text[mark.end() : end].strip())
        for mark, end in zip(marks, ends, strict=True)
    ]
    if prompt and turns[-1] == Message("assistant", ""):
        turns.pop()
    return turns


def _kind(value: Any) -> str:
    kinds = {bool: "boolean", int: "number", float: "number", dict: "object"}
    return kinds.get(type(value), type(value).__name__)
