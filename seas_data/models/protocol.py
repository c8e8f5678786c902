"""The interface of every backend: requests in, one row per answer out, cached in batches that survive a killed run.

Requests are a frame with ``request_id`` and either ``messages`` (a list of role and content, rendered by the model's
chat template) or ``text`` (sent unchanged). Answers are a frame with the columns of ``ANSWER_SCHEMA``. What all
requests of one call have in common (template keywords, where a guard's verdict is in its output) is a ``PromptFormat``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import polars as pl
from pydantic import Field

from seas_data.errors import SeasDataError
from seas_data.recipe.base import StrictModel

ANSWER_SCHEMA: Final = pl.Schema(
    {
        "request_id": pl.String(),
        "sample": pl.Int32(),  # 0 to n - 1 of the request
        "text": pl.String(),  # without thinking; null if the request failed, or if a filter left no text
        "finish_reason": pl.String(),  # stop | length | other | filter (refused by a server's filter) | error (failed)
        "tokens": pl.Int32(),  # generated tokens without the end token; null if a server does not report them
        "error": pl.String(),  # why the request failed or was refused by a filter
        "score": pl.Float64(),  # probability of unsafe, if verdict tokens were given and the backend reports it
        "thinking": pl.String(),  # what the model thought before the answer; null without thinking
        "note": pl.String(),  # what is unusual about an answer: repaired text, another model, an unknown finish reason
    }
)


NO_LIMIT: Final = 2**31 - 1
"""``max_new_tokens`` of answers that may be as long as the model's context allows: a server is sent no limit."""


class Sampling(StrictModel):
    """How answers are sampled. The defaults are the paper's."""

    temperature: float = Field(default=0.8, ge=0)
    """0 always takes the likeliest token."""
    top_p: float = Field(default=0.9, gt=0, le=1)
    max_new_tokens: int = Field(default=2048, ge=1)
    seed: int = Field(default=0, ge=0)


@dataclass(frozen=True)
class VerdictTokens:
    """The words that give a guard's verdict, and where in its output; their probabilities give the score.

    The verdict token is the first token of the output's final part, after any thinking, that is one of the words (or,
    unless ``exact``, an unambiguous beginning of one) at a position where the final part before it matches ``after`` at
    its end. If ``after`` is None, it is the first token of the final part, whatever that is.
    """

    unsafe: tuple[str, ...]
    safe: tuple[str, ...]
    after: str | None = r"\A\s*"
    exact: bool = False


@dataclass(frozen=True)
class PromptFormat:
    """How requests are rendered as text."""

    template_kwargs: Mapping[str, Any] = field(default_factory=dict)
    """Keywords for the chat template."""
    typed_content: bool = False
    """Contents are lists of typed parts, which some chat templates require."""
    generation_prompt: bool = True
    bos: str = ""
    """The beginning-of-text token, put before a bare ``text``. Servers add their own."""
    contents_as_text: bool = False
    """Control tokens inside the contents of messages are read as text, or neutralised where a server tokenises."""
    own_contents: tuple[str, ...] = ()
    """With ``contents_as_text``: contents that the judge wrote itself, whose control tokens count."""
    verdict_tokens: VerdictTokens | None = None


class Generator(Protocol):
    """A model that answers requests."""

    @property
    def name(self) -> str:
        """The model's name in the tables: R0, T1, a judge's model."""
        ...

    @property
    def digest(self) -> str:
        """The SHA-256 of the checkpoint, or of the model's name and the server's description of it."""
        ...

    @property
    def backend_settings(self) -> dict[str, Any]:
        """What else affects the answers: the precision, or the options sent to a server."""
        ...

    def generate(
        self,
        requests: pl.DataFrame,
        sampling: Sampling,
        samples: int,
        folder: Path,
        label: str,
        prompt_format: PromptFormat | None = None,
    ) -> pl.DataFrame:
        """Answer each request ``samples`` times.

        Args:
            requests: the requests to answer.
            sampling: temperature, top-p, token limit and seed.
            samples: answers per request.
            folder: the generation cache. Finished batches are written to it, and batches found in it are not computed.
            label: the text of the progress bar.
            prompt_format: how requests are rendered; by default, the chat template without keywords.

        Input columns: ``request_id`` (unique), and either ``messages`` or ``text``.
        Output columns: those of ``ANSWER_SCHEMA``, sorted by ``request_id`` and ``sample``.

        Raises SeasDataError if no request can be answered.
        """
        ...

    def clip(self, texts: Sequence[str], max_tokens: int) -> list[str] | None:
        """Return ``texts``, each cut after ``max_tokens`` of the model's tokens; None if its tokenizer is not known.

        Special tokens that the tokenizer adds to a text are counted and not returned.
        """
        ...


def get_content_column(requests: pl.DataFrame) -> str:
    """Return the column with the content of the requests, ``messages`` or ``text``.

    Raises SeasDataError if the frame lacks ``request_id``, has none or both of these columns, or has duplicate ids.
    """
    columns = [name for name in ("messages", "text") if name in requests.columns]
    if "request_id" not in requests.columns or len(columns) != 1:
        raise SeasDataError(
            f"requests have the columns {', '.join(requests.columns)}; give request_id and either messages or text"
        )
    if duplicates := requests.height - requests["request_id"].n_unique():
        raise SeasDataError(f"{duplicates} requests have the request_id of another one; make the ids unique")
    return columns[0]


def greedy_sampling(max_new_tokens: int | None) -> Sampling:
    """Return the sampling settings of judges: always the likeliest token. None: answers of any length."""
    return Sampling(temperature=0, top_p=1, max_new_tokens=max_new_tokens or NO_LIMIT)
