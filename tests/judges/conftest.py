"""Stand-ins for the tokenizers of guards, which cannot be had without their makers' leave, and outputs that are none.

A stand-in's chat template takes the same messages and keywords as the published one, refuses what that refuses, and
writes the same frame around a shorter policy.
"""

from collections.abc import Callable

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from seas_data.judges.guard import Guard, Of
from seas_data.models import chat

PROMPT, RESPONSE = "what is {in} the box?", "a {red} ball\n\nand a hat"

MALFORMED = [
    "",
    " ",
    "\n\n",
    "The response is safe.",
    "This is unsafe, see S2",
    "I cannot say whether this is safe or unsafe.",
    "safe unsafe",
    "safe\nunsafe",
    "unsafe\nsafe",
    "safe, unsafe",
    "not safe",
    "not unsafe",
    "safe.",
    '"safe"',
    "SAFE",
    "UNSAFE",
    "saf",
    "uns",
    "S1",
    "yes and no",
    "Yes.",
    "No, it does not.",
    "Yes No",
    "yes\nno",
    "YES",
    "NO",
    "n/a",
    "Safety: Safe Categories: None",
    "Safety: safe\nCategories: none\nRefusal: no",
    "Harmful response: no",
    "<score></score>",
    "<score> maybe </score>",
    "<score> yes",
    "<score> yes </score><score> no </score>",
    "<think> <score> no </score>",
    "{'verdict': 'safe'}",
    "As an AI model I think that the answer is no",
    "<|eot_id|>",
    "\x00safe",
    "safe\u200b",
    "ѕafe",  # its first letter is Cyrillic
]
"""What no guard answers: for none of them is it safe or unsafe."""


def stand_in(template: str) -> PreTrainedTokenizerFast:
    inside = Tokenizer(WordLevel({"<unk>": 0}, unk_token="<unk>"))
    inside.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=inside, unk_token="<unk>", chat_template=template)


@pytest.fixture
def asked() -> Callable[[Guard, str, Of], list[str]]:
    """From a guard and a template to the texts that it is asked with, one a question."""

    def texts(guard: Guard, template: str, of: Of) -> list[str]:
        messages = guard.ask(PROMPT, RESPONSE if of == "response" else None)
        assert isinstance(messages, list)
        return [chat.render(stand_in(template), [messages], question.asking)[0] for question in guard.questions(of)]

    return texts
