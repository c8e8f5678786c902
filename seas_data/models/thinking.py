"""Thinking: the part of an answer in which a model reasons before it answers, split from the answer."""

import re
from typing import Final

_NAMES: Final = r"think|thinking|thought|thoughts|reasoning|reflection|seed:think"
_OPENING: Final = re.compile(rf"\s*(?:<({_NAMES})>|\[(THINK)\])", re.IGNORECASE)
_CLOSING: Final = re.compile(rf"</(?:{_NAMES})>|\[/THINK\]", re.IGNORECASE)
_CHANNEL: Final = re.compile(
    r"\s*(?:<\|start\|>assistant)?<\|channel\|>(analysis|commentary|final)\b[^<]*<\|message\|>"
)
_CHANNEL_END: Final = re.compile(r"<\|(?:end|return|call)\|>")


def split_thinking(text: str) -> tuple[str, str | None]:
    """Return the answer in ``text`` and the thinking before it (None without any).

    Thinking is a block of tags (``<think>``, ``<reasoning>``, ``[THINK]`` ...) at the beginning, or several, or the
    channels of the harmony format. A closing tag alone ends thinking too, because some chat templates open it in the
    prompt. Thinking that does not end was cut off: the answer is then empty. Tags later in the text are part of the
    answer.
    """
    if _CHANNEL.match(text):
        return _split_channels(text)
    thinking: list[str] = []
    rest = text
    while opening := _OPENING.match(rest):
        closing = _CLOSING.search(rest, opening.end())
        if closing is None:
            thinking.append(rest[opening.end() :])
            return "", _join(thinking)
        thinking.append(rest[opening.end() : closing.start()])
        rest = rest[closing.end() :]
    closing = None if thinking else _CLOSING.search(rest)
    if closing is not None:
        head = rest[: closing.start()]
        if not re.search(rf"<({_NAMES})>|\[THINK\]", head, re.IGNORECASE):
            thinking.append(head)
            rest = rest[closing.end() :]
    return (rest.lstrip(), _join(thinking)) if thinking else (text, None)


def join_thinking(answer: str, thinking: str | None) -> str:
    """Return ``answer`` after its thinking, as a model writes them in one text."""
    return answer if thinking is None else f"<think>\n{thinking}\n</think>\n\n{answer}"


def _split_channels(text: str) -> tuple[str, str | None]:
    answer, thinking, rest = "", list[str](), text
    while match := _CHANNEL.match(rest):
        ending = _CHANNEL_END.search(rest, match.end())
        content = rest[match.end() : ending.start() if ending else len(rest)]
        rest = rest[ending.end() :] if ending else ""
        if match[1] == "final":
            answer = content + rest
            break
        thinking.append(content)
    else:
        answer = rest.lstrip()
    return answer, _join(thinking) if thinking else None


def _join(blocks: list[str]) -> str:
    return "\n\n".join(stripped for block in blocks if (stripped := block.strip()))
