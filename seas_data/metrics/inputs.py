"""Inputs of metrics: what the evaluation of an iteration hands to every metric that is computed from it."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""Unit vectors, of shape (rows, dimensions)."""


@dataclass(frozen=True)
class MatrixAnswers:
    """Judged responses to the evaluation attacks: every red team against every target, on the same seeds."""

    answers: pl.DataFrame
    """One row per response and judge: red_team, target, judge, seed_id, prompt_id, invalid (the attack's, or null),
    verdict (safe, unsafe, unparsed or null)."""
    iteration: int | None = None
    """Only cells with R or T of this iteration are new, earlier versions have the others. None: all cells are new."""

    def new_answers(self) -> pl.DataFrame:
        """Return the rows of ``answers`` that belong to new cells."""
        if self.iteration is None:
            return self.answers
        red_team, target = f"R{self.iteration}", f"T{self.iteration}"
        return self.answers.filter((pl.col("red_team") == red_team) | (pl.col("target") == target))


@dataclass(frozen=True)
class TargetAnswers:
    """Judged responses of one target to the named sets: test, harmless, general and the holdout sources."""

    target: str
    answers: pl.DataFrame
    """One row per response and judge: set, kind, type, difficulty, prompt_id, response_id, text, judge, verdict,
    refusal."""
    expected: pl.DataFrame
    """The table ``expected``: prompt_id, answer (the words that a right answer contains)."""


@dataclass(frozen=True)
class RedTeamAttacks:
    """Evaluation attacks of one red team, as prompts: what they are, not what they achieve."""

    red_team: str
    attacks: pl.DataFrame
    """The table ``attacks`` (prompt_id, seed_id, text, reason, invalid and the rest), with the seed's ``type``."""
    types: pl.DataFrame | None = None
    """prompt_id, predicted: the type that each sent attack was classified as, or null. None if nothing classifies."""
    vectors: Vectors | None = None
    """Unit vectors of the sent attacks. None without an embedder."""
    train_vectors: Vectors | None = None
    """Unit vectors of the adversarial prompts of ``train``, by the same embedder."""
    phrases: pl.DataFrame | None = None
    """Phrases of the sent attacks (``sandbox.grammar.parse_prompts``), with prompt_id and seed_id. None outside the
    sandbox."""


@dataclass(frozen=True)
class JoinedAttacks:
    """Attacks that joined the training prompts in one iteration."""

    iteration: int
    vectors: Vectors
    """Unit vectors of the attacks that joined."""
    earlier_vectors: Vectors
    """Unit vectors of the adversarial prompts that the parent version keeps, by the same embedder."""


MetricInput = MatrixAnswers | TargetAnswers | RedTeamAttacks | JoinedAttacks
