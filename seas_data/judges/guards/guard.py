"""The definition of a guard: how it is prompted about a response (or a prompt alone) and how its output is parsed.

An output has exactly the form that the guard's makers published, or it is *unparsed*, which counts as neither safe nor
unsafe. Parsers elsewhere search for ``unsafe`` anywhere in the output and call everything else safe, so malformed
output passes as safe.

To add a guard, write a module beside this one with a parser and a ``Guard``, and register it in ``pyproject.toml``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from seas_data.conversation import Message as ConversationTurn
from seas_data.conversation import Turn, as_messages, render
from seas_data.models.chat_template import Message
from seas_data.models.protocol import PromptFormat

Subject = Literal["response", "prompt"]
"""What is judged: a response to its prompt, or a prompt alone."""
Verdict = Literal["safe", "unsafe", "unparsed"]
Refusal = Literal["full_compliance", "full_refusal", "partial_refusal"]


@dataclass(frozen=True)
class Parsed:
    """The content of a guard's output."""

    verdict: Verdict
    categories: tuple[str, ...] = ()
    """Canonical names; see ``categories``."""
    refusal: Refusal | None = None
    score: float | None = None
    """The probability of unsafe, if the output states one; otherwise it is that of the verdict's token."""


UNPARSED: Final = Parsed("unparsed")


@dataclass(frozen=True)
class Question:
    """One prompt that a guard gets for each row. Most guards have one question; ShieldGemma has one per policy."""

    prompt_format: PromptFormat
    categories: tuple[str, ...] = ()
    """The categories of a row that this question finds unsafe, if the output does not name them."""


def to_messages(prompt: str, response: str | None) -> list[Message]:
    """Return the user's message and, if there is a response, the assistant's."""
    user: list[Message] = [{"role": "user", "content": prompt}]
    return user if response is None else [*user, {"role": "assistant", "content": response}]


def to_turns(messages: Sequence[Turn], response: str | None) -> list[Message]:
    """Return the user and assistant turns of a conversation, and the response to it if there is one.

    Guards take no system turn: it stands before the first user turn, as in the flat text of a conversation.
    """
    turns = as_messages(messages)
    if turns[0].role == "system":
        turns = [ConversationTurn("user", render(turns[:2])), *turns[2:]]
    answer: list[Message] = [] if response is None else [{"role": "assistant", "content": response}]
    return [*(turn._asdict() for turn in turns), *answer]


@dataclass(frozen=True, kw_only=True)
class Guard:
    """A safety classifier. Its name is that of its entry point."""

    questions: Callable[[Subject], Sequence[Question]]
    """Return the questions about a response or about a prompt."""
    parse: Callable[[str, Subject], Parsed]
    """Parse the output to one question."""
    max_new_tokens: int | None
    """The longest well-formed output. A longer one is cut off and therefore unparsed. None for a guard that always
    thinks: the output may be as long as the model's context allows."""
    to_input: Callable[[str, str | None], list[Message] | str] = to_messages
    """Return the messages, or the bare text, for a prompt and its response (None: the prompt is judged).

    With ``needs_goal`` it gets the goal in place of the prompt."""
    takes_turns: bool = False
    """The messages may be a conversation (``to_turns``), of which the last turn is judged. Other guards get the flat
    text of a conversation as the prompt."""
    bare_text: bool = False
    """The input is a bare text, which a chat server cannot carry."""
    quotes: tuple[str, ...] | None = None
    """The guard writes the texts into a message of its own, between tags of these names, if any. No text can end its
    quotation: control tokens and tags of these names get a blank inside. Where the published message has labels without
    tags, a text can imitate them. None: each text is a message."""
    moderates: bool = False
    """The input is sent to an endpoint for moderations, and the output is the JSON of its result."""
    max_response_tokens: int | None = None
    """A longer response is cut after so many tokens of the guard's own tokenizer before it is judged."""
    needs_goal: bool = False
    """The guard asks about the plain request behind an attack. A row without one is not judged."""
    judges_prompts: bool = True
    """The guard can judge a prompt without a response."""
    only_attacks: str | None = None
    """Why the guard cannot judge responses to harmless prompts; None if it can."""
    needs_policy: bool = False
    """The recipe gives the policy that the guard judges by."""
    classifies_refusals: bool = False
    """The output also says whether a response is a refusal."""
    needs_logits: bool = False
    """The verdict compares the logits of two tokens, which servers do not return."""
    configure: Callable[..., "Guard"] | None = None
    """Return the guard for the recipe's ``options``, which are keyword arguments validated by their annotations."""

    @property
    def backends(self) -> str:
        """The backends that can run the guard, for messages and docs."""
        if self.needs_logits:
            return "transformers"
        if self.moderates:
            return "http with endpoint: moderations"
        return "transformers, http with endpoint: completions" if self.bare_text else "transformers, http"
