"""Llama Guard 2, 3 (8B and 1B) and 4.

The input is rendered by the chat template of the checkpoint, which contains the policy; whether the user's or the
agent's last message is judged follows from the number of messages. 3-1B and 4 take contents as typed parts. The output
is ``safe``, or ``unsafe`` and on a second line the codes of the violated categories; 3 and 4 start with an empty line,
so the verdict is the second token. The score is its probability.

Source: the model cards in github.com/meta-llama/PurpleLlama.
"""

import re
from collections.abc import Mapping
from typing import Final

from seas_data.judges.guards import categories
from seas_data.judges.guards.guard import UNPARSED, Guard, Parsed, Question, Subject
from seas_data.models.protocol import PromptFormat, VerdictTokens

_HAZARDS_2: Final = (
    categories.VIOLENT,
    categories.NON_VIOLENT,
    categories.SEX_RELATED,
    categories.CHILD,
    categories.ADVICE,
    categories.PRIVACY,
    categories.PROPERTY,
    categories.WEAPONS,
    categories.HATE,
    categories.SELF_HARM,
    categories.SEXUAL,
)
_HAZARDS_3: Final = (
    *_HAZARDS_2[:4],
    categories.DEFAMATION,
    *_HAZARDS_2[4:],
    categories.ELECTIONS,
    categories.CODE,
)


def _number(hazards: tuple[str, ...]) -> dict[str, str]:
    return {f"S{number}": hazard for number, hazard in enumerate(hazards, 1)}


CODES_2: Final = _number(_HAZARDS_2)
CODES_3: Final = _number(_HAZARDS_3)
CODES_3_1B: Final = _number(_HAZARDS_3[:-1])
CODES_4: Final = _number(_HAZARDS_3)
_VERDICT_TOKENS: Final = VerdictTokens(unsafe=("unsafe",), safe=("safe",))


def parse(text: str, codes: Mapping[str, str]) -> Parsed:
    """Parse an output: a line ``safe``, or a line ``unsafe`` and optionally a line of codes.

    Blank lines around it and blanks around codes are ignored. Anything else, and a code not in ``codes``, is unparsed.
    """
    lines = [line.strip() for line in text.strip().splitlines()]
    if lines == ["safe"]:
        return Parsed("safe")
    if not lines or lines[0] != "unsafe" or len(lines) > 2:
        return UNPARSED
    listed = re.split(r"\s*,\s*", lines[1]) if len(lines) == 2 else []
    if any(code not in codes for code in listed):
        return UNPARSED
    return Parsed("unsafe", tuple(dict.fromkeys(codes[code] for code in listed)))


def _create_guard(codes: Mapping[str, str], *, typed_content: bool, generation_prompt: bool) -> Guard:
    prompt_format = PromptFormat(
        typed_content=typed_content, generation_prompt=generation_prompt, verdict_tokens=_VERDICT_TOKENS
    )

    def questions(_: Subject) -> tuple[Question, ...]:
        return (Question(prompt_format),)

    return Guard(questions=questions, parse=lambda text, _: parse(text, codes), max_new_tokens=48, takes_turns=True)


LLAMA_GUARD_2: Final = _create_guard(CODES_2, typed_content=False, generation_prompt=False)
LLAMA_GUARD_3: Final = _create_guard(CODES_3, typed_content=False, generation_prompt=False)
LLAMA_GUARD_3_1B: Final = _create_guard(CODES_3_1B, typed_content=True, generation_prompt=False)
LLAMA_GUARD_4: Final = _create_guard(CODES_4, typed_content=True, generation_prompt=True)
