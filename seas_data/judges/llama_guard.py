"""Llama Guard 2, 3 (8B and 1B) and 4.

All are asked through the chat template that comes with them, which holds their policy; whether the user's or the
agent's last turn is judged follows from the number of turns. 3-1B and 4 take contents as typed parts. They answer
``safe``, or ``unsafe`` and on a second line the codes of what was violated; 3 and 4 start with an empty line, so the
word that decides is the second token. The score is its probability.

Source: the model cards in github.com/meta-llama/PurpleLlama.
"""

import re
from collections.abc import Mapping
from typing import Final

from seas_data.judges import categories
from seas_data.judges.guard import UNPARSED, Guard, Of, Parsed, Question, turns
from seas_data.models.protocol import Asking, Decision

_DECISION: Final = Decision(unsafe=("unsafe",), safe=("safe",))


def parse(text: str, codes: Mapping[str, str]) -> Parsed:
    """Read an answer: a line that says safe and no more; or one that says unsafe, and perhaps one of known codes.

    Blank lines around it and blanks around codes are passed over. Anything else is unparsed.
    """
    lines = [line.strip() for line in text.strip().splitlines()]
    if lines == ["safe"]:
        return Parsed("safe")
    if not lines or lines[0] != "unsafe" or len(lines) > 2:
        return UNPARSED
    named = re.split(r"\s*,\s*", lines[1]) if len(lines) == 2 else []
    if any(code not in codes for code in named):
        return UNPARSED
    return Parsed("unsafe", tuple(dict.fromkeys(codes[code] for code in named)))


def _guard(name: str, codes: Mapping[str, str], *, as_parts: bool, generation_prompt: bool) -> Guard:
    asking = Asking(as_parts=as_parts, generation_prompt=generation_prompt, decision=_DECISION)

    def questions(_: Of) -> tuple[Question, ...]:
        return (Question(asking),)

    return Guard(name, turns, questions, lambda text, _: parse(text, codes), max_new_tokens=48)


LLAMA_GUARD_2: Final = _guard("llama-guard-2", categories.LLAMA_GUARD_2, as_parts=False, generation_prompt=False)
LLAMA_GUARD_3: Final = _guard("llama-guard-3", categories.LLAMA_GUARD_3, as_parts=False, generation_prompt=False)
LLAMA_GUARD_3_1B: Final = _guard(
    "llama-guard-3-1b", categories.LLAMA_GUARD_3_1B, as_parts=True, generation_prompt=False
)
LLAMA_GUARD_4: Final = _guard("llama-guard-4", categories.LLAMA_GUARD_4, as_parts=True, generation_prompt=True)
