"""The final answer of a judge that thinks before it answers."""

import re
from typing import Final

_NAMES: Final = "think|thinking|thought|reasoning|reflection"
_OPENING: Final = re.compile(rf"<({_NAMES})>", re.IGNORECASE)
_CLOSING: Final = re.compile(rf"</({_NAMES})>", re.IGNORECASE)


def final_answer(text: str) -> str | None:
    """Return what follows the thinking in ``text``, all of it without thinking, or None if the thinking does not end.

    Some chat templates open the thinking in the prompt, so a closing tag alone also ends it.
    """
    *_, last = [0, *(match.end() for match in _CLOSING.finditer(text))]
    answer = text[last:]
    return None if _OPENING.search(answer) else answer
