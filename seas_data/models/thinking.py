"""Thinking: the part of an answer in which a model reasons before it answers, split from the answer."""

import re
from typing import Final, NamedTuple

_NAMES: Final = r"think|thinking|thought|thoughts|reasoning|reflection|seed:think"
_OPENING_TAG: Final = (
    rf"<(?:{_NAMES})(?:\s[^<>]{{0,80}})?>|\[THINK\]|\u25c1think\u25b7|<\|(?:begin_of_thought|START_THINKING)\|>"
)
_CLOSING_TAG: Final = rf"</(?:{_NAMES})>|\[/THINK\]|\u25c1/think\u25b7|<\|(?:end_of_thought|END_THINKING)\|>"
_OPENING: Final = re.compile(rf"[\s\ufeff\u200b-\u200d\u2060]*(?:{_OPENING_TAG})", re.IGNORECASE)
_CLOSING: Final = re.compile(_CLOSING_TAG, re.IGNORECASE)
_OPENING_ANYWHERE: Final = re.compile(_OPENING_TAG, re.IGNORECASE)
_OPENED: Final = re.compile(rf"(?:{_OPENING_TAG})\s*\Z", re.IGNORECASE)
_CHANNEL: Final = re.compile(
    r"\s*(?:<\|start\|>assistant)?<\|channel\|>(analysis|commentary|final)\b[^<]*<\|message\|>"
)
_CHANNEL_END: Final = re.compile(r"<\|(?:end|return|call)\|>")
CHANNEL_TOKENS: Final = ("<|channel|>", "<|message|>")
"""The tokens of the harmony format that say what is thinking and what is final."""
NO_FINAL: Final = "an answer outside the final channel"
LONE_CLOSING: Final = "thinking that ends with a lone closing tag"


class Split(NamedTuple):
    """An answer and the thinking before it."""

    answer: str
    thinking: str | None = None
    """None without any."""
    note: str | None = None
    """What is unusual about the thinking."""
    start: int | None = 0
    """Where the final part begins in the text, blanks before the answer included; None if nothing is final."""


def opens_thinking(prompt: str, last: str) -> bool:
    """Return whether a rendered prompt ends with the tag that opens thinking, so that the model starts inside it.

    ``last`` is the last turn. Where a template writes nothing after it, a tag at its end is the user's.
    """
    users = _OPENED.search(last) is not None and prompt.rstrip().endswith(last.rstrip())
    return _OPENED.search(prompt) is not None and not users


def is_thinking_tag(token: str) -> bool:
    """Return whether ``token`` is a tag that opens or closes thinking."""
    return re.fullmatch(rf"{_OPENING_TAG}|{_CLOSING_TAG}", token.strip(), re.IGNORECASE) is not None


def split_thinking(text: str, *, opened: bool = False) -> Split:
    """Split the thinking before an answer from it. ``opened``: the prompt ended inside thinking.

    Thinking is a block of tags (``<think>``, ``<reasoning>``, ``[THINK]`` ...) at the beginning, or several, or the
    channels of the harmony format. A closing tag alone ends thinking too, because some chat templates open it in the
    prompt; a note says so, because a model that does not think could hide text that way. Thinking that does not end was
    cut off: the answer is then empty, also of a text without tags if the prompt opened thinking. Tags later in the text
    are part of the answer.
    """
    if opened and not _OPENING.match(text):
        split = split_thinking(f"<think>{text}")
        return split if split.start is None else split._replace(start=split.start - len("<think>"))
    if _CHANNEL.match(text):
        return _split_channels(text)
    thinking: list[str] = []
    at = 0
    while opening := _OPENING.match(text, at):
        closing = _CLOSING.search(text, opening.end())
        if closing is None:
            thinking.append(text[opening.end() :])
            return Split("", _join(thinking), start=None)
        thinking.append(text[opening.end() : closing.start()])
        at = closing.end()
    if thinking:
        return Split(text[at:].lstrip(), _join(thinking), start=at)
    closing = _CLOSING.search(text)
    if closing is None or _OPENING_ANYWHERE.search(text, 0, closing.start()):
        return Split(text)
    return Split(text[closing.end() :].lstrip(), _join([text[: closing.start()]]), LONE_CLOSING, closing.end())


def read_final_answer(text: str) -> str | None:
    """Return the answer of a judge after its thinking, or None if that is unclear.

    It is unclear if the thinking does not end, a tag of thinking is left in the answer, or the answer is outside the
    final channel of the harmony format.
    """
    answer, thinking, note, _ = split_thinking(text)
    if note == NO_FINAL or (thinking is not None and not answer):
        return None
    return None if _OPENING_ANYWHERE.search(answer) or _CLOSING.search(answer) or "<|channel|>" in answer else answer


def join_thinking(answer: str, thinking: str | None) -> str:
    """Return ``answer`` after its thinking, as a model writes them in one text."""
    return answer if thinking is None else f"<think>\n{thinking}\n</think>\n\n{answer}"


def starts_with_thinking(text: str) -> bool:
    """Return whether ``text`` begins with a block of thinking that ends."""
    answer, thinking, note, _ = split_thinking(text)
    return thinking is not None and bool(answer) and note is None and _OPENING.match(text) is not None


def _split_channels(text: str) -> Split:
    answer, thinking, at = "", list[str](), 0
    while match := _CHANNEL.match(text, at):
        ending = _CHANNEL_END.search(text, match.end())
        content = text[match.end() : ending.start() if ending else len(text)]
        at = ending.end() if ending else len(text)
        if match[1] == "final":
            answer, start = content + text[at:], match.end()
            break
        thinking.append(content)
    else:
        answer = text[at:].lstrip()
        return Split(answer, _join(thinking), NO_FINAL if answer else None, None)
    return Split(answer, _join(thinking) if thinking else None, start=start)


def _join(blocks: list[str]) -> str:
    return "\n\n".join(stripped for block in blocks if (stripped := block.strip()))
