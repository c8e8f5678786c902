"""Stand-ins for the tokenizers of guards, which are gated, and malformed outputs.

A stand-in's chat template takes the same messages and keywords as the published one, rejects what that rejects, and
writes the same text around a shorter policy.
"""

from collections.abc import Callable

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from seas_data.judges.guards import Guard, Subject
from seas_data.models import chat_template

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
"""Outputs that are unparsed for every guard."""


def stand_in(template: str) -> PreTrainedTokenizerFast:
    inside = Tokenizer(WordLevel({"<unk>": 0}, unk_token="<unk>"))
    inside.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=inside, unk_token="<unk>", chat_template=template)


@pytest.fixture
def render() -> Callable[[Guard, str, Subject], list[str]]:
    """From a guard and a chat template to the rendered texts, one per question."""

    def texts(guard: Guard, template: str, subject: Subject) -> list[str]:
        messages = guard.to_input(PROMPT, RESPONSE if subject == "response" else None)
        assert isinstance(messages, list)
        tokenizer = stand_in(template)
        return [
            chat_template.render_conversations(tokenizer, [messages], question.prompt_format)[0]
            for question in guard.questions(subject)
        ]

    return texts
