"""What became of the requests to a model: a line for every stage, and the end of the run if too many failed."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from seas_data.console import say
from seas_data.errors import SeasDataError
from seas_data.models.protocol import Generator, PromptFormat, Sampling
from seas_data.text import printable


class CheckedGenerator:
    """A generator that reports each call on standard error and ends the run if too many requests failed."""

    def __init__(self, generator: Generator, max_failed_proportion: float) -> None:
        self.generator, self.max_failed_proportion = generator, max_failed_proportion

    @property
    def name(self) -> str:
        """The model's name in the tables."""
        return self.generator.name

    @property
    def digest(self) -> str:
        """The digest of the model."""
        return self.generator.digest

    @property
    def backend_settings(self) -> dict[str, Any]:
        """What else affects the answers."""
        return self.generator.backend_settings

    def clip(self, texts: Sequence[str], max_tokens: int) -> list[str] | None:
        """Return ``texts``, each cut after ``max_tokens`` tokens; see ``protocol.Generator``."""
        return self.generator.clip(texts, max_tokens)

    def generate(
        self,
        requests: pl.DataFrame,
        sampling: Sampling,
        samples: int,
        folder: Path,
        label: str,
        prompt_format: PromptFormat | None = None,
    ) -> pl.DataFrame:
        """Answer each request; see ``protocol.Generator``.

        Raises SeasDataError if more than ``max_failed_proportion`` of the requests failed, and more than one.
        """
        answers = self.generator.generate(requests, sampling, samples, folder, label, prompt_format)
        counts = count_answers(answers)
        if counts.total:
            say(f"{label}: {counts.describe()}")
        require_few_failures(counts, label, self.max_failed_proportion)
        return answers


@dataclass(frozen=True)
class AnswerCounts:
    """How many requests were answered, cut off, refused by a filter or failed, and the most frequent reasons."""

    answered: int
    cut_off: int
    filtered: int
    failed: int
    reasons: Sequence[str] = ()
    """Why requests failed, the most frequent first."""
    notes: Sequence[str] = ()
    """What is unusual about answers."""
    thinking: int = 0

    @property
    def total(self) -> int:
        """All requests."""
        return self.answered + self.cut_off + self.filtered + self.failed

    def describe(self) -> str:
        """Return the counts as one line."""
        line = f"{self.answered} answered, {self.cut_off} cut off, {self.filtered} refused by a filter, "
        line += f"{self.failed} failed" + (f" ({'; '.join(self.reasons)})" if self.failed else "")
        if self.thinking:
            line += f"; {self.thinking} with thinking, which is not judged"
            rare = self.thinking < (self.answered + self.cut_off + self.filtered) / 2
            line += " (few: such tags may hide text; set thinking: keep if this model does not think)" if rare else ""
        return line + (f"; noted: {'; '.join(self.notes)}" if self.notes else "")


def count_answers(answers: pl.DataFrame) -> AnswerCounts:
    """Return the counts of ``answers`` (the columns of ``ANSWER_SCHEMA``)."""
    reasons = answers["finish_reason"].fill_null("stop")
    failed = answers.filter(reasons == "error")
    return AnswerCounts(
        answered=int(reasons.is_in(["stop", "other"]).sum()),
        cut_off=int((reasons == "length").sum()),
        filtered=int((reasons == "filter").sum()),
        failed=failed.height,
        reasons=_most_frequent(failed["error"].fill_null("no reason given").to_list()),
        notes=_most_frequent(answers["note"].drop_nulls().to_list()),
        thinking=answers["thinking"].count(),
    )


def require_few_failures(counts: AnswerCounts, label: str, limit: float) -> None:
    """Raise SeasDataError if more than ``limit`` of the requests failed: more than one of them, or all."""
    allowed = max(1.0, limit * counts.total)
    if counts.failed and (counts.failed > allowed or counts.failed == counts.total):
        raise SeasDataError(
            f"{label}: {counts.failed} of {counts.total} requests failed ({'; '.join(counts.reasons)}), more than "
            f"loop.max_failed_proportion ({limit:g}) allows; correct the cause and rerun the command, which asks only "
            "the failed ones again"
        )


def _most_frequent(texts: Sequence[str]) -> list[str]:
    """Return the three most frequent of ``texts``, whatever their numbers, each with its count."""
    kinds = Counter(re.sub(r"\d{4,}", "#", printable(text)[:160]) for text in texts)
    shown = [f"{count} x {text}" for text, count in kinds.most_common(3)]
    others = len(texts) - sum(count for _, count in kinds.most_common(3))
    return shown + ([f"{others} x other reasons"] if others else [])
