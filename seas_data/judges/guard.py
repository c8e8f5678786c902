"""What a guard is: how it is asked about a response (or a prompt alone) and how strictly its answer is read.

An answer either has exactly the form that the guard's makers published, or it is *unparsed*: a state of its own, that
counts as neither safe nor unsafe. Parsers in the wild look for ``unsafe`` anywhere in the text and call all else safe,
so that garbage passes for safe.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from seas_data.errors import SeasDataError
from seas_data.models.chat import Message
from seas_data.models.protocol import Asking
from seas_data.recipe import ModelHttp, ModelInProcess

Of = Literal["response", "prompt"]
"""What is judged: the response, in the light of its prompt, or a prompt alone."""
Verdict = Literal["safe", "unsafe", "unparsed"]
Refusal = Literal["full_compliance", "full_refusal", "partial_refusal"]


@dataclass(frozen=True)
class Parsed:
    """What a guard's answer says."""

    verdict: Verdict
    categories: tuple[str, ...] = ()
    """Canonical names, as ``categories`` has them."""
    refusal: Refusal | None = None


UNPARSED: Final = Parsed("unparsed")


@dataclass(frozen=True)
class Question:
    """One of the questions that a guard is asked of each row; most have one, ShieldGemma one a policy."""

    asking: Asking
    categories: tuple[str, ...] = ()
    """What a row is that this question finds unsafe, where the answer itself does not say."""


@dataclass(frozen=True)
class Guard:
    """A safety classifier."""

    name: str
    ask: Callable[[str, str | None], list[Message] | str]
    """From a prompt and a response (None: the prompt is judged) to messages, or to the bare text that it completes."""
    questions: Callable[[Of], Sequence[Question]]
    parse: Callable[[str, Of], Parsed]
    max_new_tokens: int
    completes: bool = False
    """It wants a bare text, which a chat cannot carry."""
    refusals: bool = False
    """It says whether a response is a refusal, too."""
    needs_logits: bool = False
    """Its verdict is a comparison of two tokens' logits, which servers do not show."""


def check(guard: Guard, model: ModelInProcess | ModelHttp) -> None:
    """Raise SeasDataError if ``model`` is a backend that cannot serve ``guard``, and say which one can."""
    if not isinstance(model, ModelHttp):
        return
    if guard.needs_logits:
        raise SeasDataError(
            f"{guard.name} is read from the logits of Yes and No, which a server does not show; give its model "
            "backend: transformers"
        )
    if guard.completes and model.form == "chat":
        raise SeasDataError(
            f"{guard.name} completes a bare text, which a chat would wrap in a template; give its model form: "
            "completion, or backend: transformers"
        )


def turns(prompt: str, response: str | None) -> list[Message]:
    """Return the user's turn and, if there is a response, the assistant's."""
    asked: list[Message] = [{"role": "user", "content": prompt}]
    return asked if response is None else [*asked, {"role": "assistant", "content": response}]
