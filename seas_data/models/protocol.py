"""What every backend does: it answers requests, a row each, in parts that outlive a killed run.

Requests are a frame with ``request_id`` and either ``messages`` (a list of role and content, which the model's chat
template makes a text of) or ``text`` (sent as it is). Answers are a frame with the columns of ``ANSWERS``. What all
requests of a call have in common (template keywords, where the verdict of a guard's answer stands) is an ``Asking``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import polars as pl
from pydantic import Field

from seas_data.errors import SeasDataError
from seas_data.recipe.base import Strict

ANSWERS: Final = pl.Schema(
    {
        "request_id": pl.String(),
        "sample": pl.Int32(),  # 0 to n - 1 of the request
        "text": pl.String(),  # null: the request failed
        "finish_reason": pl.String(),  # stop | length | error
        "tokens": pl.Int32(),  # generated, the end mark not counted; null where a server does not say
        "error": pl.String(),
        "score": pl.Float64(),  # the probability of unsafe, where a decision was asked for and the backend gives it
    }
)


class Sampling(Strict):
    """How answers are drawn from a model. The defaults are the paper's."""

    temperature: float = Field(default=0.8, ge=0)
    """0 takes the likeliest token each time."""
    top_p: float = Field(default=0.9, gt=0, le=1)
    max_new_tokens: int = Field(default=2048, ge=1)
    seed: int = Field(default=0, ge=0)


@dataclass(frozen=True)
class Decision:
    """Which token of an answer decides, and which words it may be; its probabilities give the score.

    It is the first token that is one of the words (or, unless ``exact``, an unmistakable beginning of one) where what
    was written before it matches ``after`` to its end; with ``after`` None the very first token, whatever was written.
    """

    unsafe: tuple[str, ...]
    safe: tuple[str, ...]
    after: str | None = r"\A\s*"
    exact: bool = False


@dataclass(frozen=True)
class Asking:
    """How requests become text."""

    template: Mapping[str, Any] = field(default_factory=dict)
    """Keywords for the chat template."""
    as_parts: bool = False
    """Contents as lists of typed parts, which some chat templates want."""
    generation_prompt: bool = True
    begin: str = ""
    """What stands before a bare text: its beginning-of-text mark. Servers put one there themselves."""
    decision: Decision | None = None


class Generator(Protocol):
    """A model that answers requests."""

    @property
    def name(self) -> str:
        """What rows call it: R0, T1, a judge's model."""
        ...

    @property
    def digest(self) -> str:
        """The SHA-256 of its checkpoint, or of its name and what the server says of it."""
        ...

    @property
    def how(self) -> dict[str, Any]:
        """What decides how it answers besides that and the sampling: its precision, or what a server is sent along."""
        ...

    def generate(
        self,
        requests: pl.DataFrame,
        sampling: Sampling,
        samples: int,
        folder: Path,
        label: str,
        asking: Asking | None = None,
    ) -> pl.DataFrame:
        """Answer each of ``requests`` ``samples`` times; return the columns of ``ANSWERS``, sorted by id and sample.

        Parts go to ``folder`` as they are done, and parts that are there are not computed again. ``label`` is what the
        progress bar says. Raises SeasDataError where no request can be answered.
        """
        ...


def check_requests(requests: pl.DataFrame) -> str:
    """Return which column holds what is asked, messages or text; raise SeasDataError if the frame is no requests."""
    columns = [name for name in ("messages", "text") if name in requests.columns]
    if "request_id" not in requests.columns or len(columns) != 1:
        raise SeasDataError(
            f"requests have the columns {', '.join(requests.columns)}; give request_id and either messages or text"
        )
    if twice := requests.height - requests["request_id"].n_unique():
        raise SeasDataError(f"{twice} requests have an id that another one has; give each its own")
    return columns[0]


def greedy(max_new_tokens: int) -> Sampling:
    """Return how a judge is sampled: the likeliest token each time."""
    return Sampling(temperature=0, top_p=1, max_new_tokens=max_new_tokens)
