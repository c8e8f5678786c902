"""Answers and verdicts that a source brings: from what its reader found to rows of the tables.

A reader gives ``AnswerRows``: answers by the ordinal of the row or attempt that they belong to, and verdicts by the
answer. Here each answer gets the prompt of its row, an id, and its number among the answers to that prompt. Models are
the targets that the source names; they become rows of ``checkpoints``, so that every response has one.
"""

import re
from dataclasses import dataclass
from typing import Final

import dataframely as dy
import polars as pl

from seas_data import tables
from seas_data.recipe import Source
from seas_data.tables import schema
from seas_data.tables.ids import row_ids

ANSWERS: Final = {
    "ordinal": pl.Int64(),  # of the row of the source
    "answer": pl.Int64(),  # the number of the answer in the source
    "source_id": pl.String(),
    "location": pl.String(),
    "model": pl.String(),
    "text": pl.String(),
    "finish_reason": pl.String(),
    "detail": pl.String(),
}
VERDICTS: Final = {
    "answer": pl.Int64(),
    "judge": pl.String(),
    "verdict": pl.String(),
    "score": pl.Float64(),
    "categories": pl.List(pl.String()),
    "refusal": pl.String(),
    "raw": pl.String(),
}


@dataclass(frozen=True)
class AnswerRows:
    """What a reader found: ``answers`` (``ANSWERS``) and ``verdicts`` on them (``VERDICTS``)."""

    answers: pl.DataFrame
    verdicts: pl.DataFrame
    unmapped: dict[str, int]
    """Values of verdicts that the source's map has no entry for, with their numbers."""


@dataclass(frozen=True)
class AnswerTables:
    """The rows of the tables ``responses``, ``verdicts`` and ``checkpoints`` that a source brings."""

    responses: pl.DataFrame
    verdicts: pl.DataFrame
    checkpoints: pl.DataFrame
    unmapped: dict[str, int]


def no_answers() -> AnswerTables:
    """Return the tables without rows, of a source that brings prompts only."""
    return AnswerTables(tables.empty("responses"), tables.empty("verdicts"), tables.empty("checkpoints"), {})


def build_answers(name: str, source: Source, ordinals: pl.DataFrame, found: AnswerRows) -> AnswerTables:
    """Return the answers in ``found`` as rows of the tables. Answers to rows that became no prompt are left out.

    Of two verdicts of one judge on one answer, equal ones count once; different ones are ``unparsed``.

    Input columns of ``ordinals``: ordinal, prompt_id.
    """
    answers = found.answers.join(ordinals.select("ordinal", "prompt_id"), on="ordinal", maintain_order="left")
    models = pl.col("model") if source.target is None else pl.lit(source.target)
    answers = answers.with_columns(model=models, source=pl.lit(name))
    answers = answers.with_columns(
        pl.Series("model", [_model_name(name, model) for model in answers["model"]], dtype=pl.String)
    )
    parts = ("prompt_id", "source", "source_id", "model", "text")
    answers = answers.with_columns(row_ids("response", answers, *parts).alias("response_id"))
    distinct = answers.unique("response_id", keep="first", maintain_order=True)
    responses = distinct.with_columns(
        pl.int_range(pl.len()).over("prompt_id", "model").alias("sample"),
        tokens=pl.lit(None),
        settings_id=pl.lit(None),
        thinking=pl.lit(None),
    )
    return AnswerTables(
        tables.cast("responses", responses).sort("response_id"),
        _distinct_verdicts(found.verdicts.join(answers.select("answer", "response_id"), on="answer")),
        _checkpoints(responses["model"].unique().sort()),
        found.unmapped,
    )


def _distinct_verdicts(verdicts: pl.DataFrame) -> dy.DataFrame[schema.Verdicts]:
    key = ["response_id", "judge"]
    differ = pl.col("verdict").n_unique().over(key) > 1
    rows = verdicts.sort("answer", maintain_order=True).with_columns(
        verdict=pl.when(differ).then(pl.lit("unparsed")).otherwise("verdict"),
        score=pl.when(~differ).then("score"),
    )
    return tables.cast("verdicts", rows.unique(key, keep="first", maintain_order=True).sort(key))


def _checkpoints(models: pl.Series) -> dy.DataFrame[schema.Checkpoints]:
    """Return the targets as rows of ``checkpoints``: what made them is unknown."""
    rows = pl.DataFrame({"model": models}).with_columns(
        role=pl.lit("target"),
        iteration=pl.lit(0),
        digest=pl.lit(None),
        parent=pl.lit(None),
        method=pl.lit("logged"),
        rows=pl.lit(0),
        statement=pl.lit(None),
    )
    return tables.cast("checkpoints", rows)


def _model_name(source: str, model: str | None) -> str:
    """Return the name of a target without folders of a machine, and not that of a checkpoint of the loop (T0, R1)."""
    name = (model or "").strip()
    if _PATH.match(name):
        name = re.split(r"[\\/]+", name.rstrip("\\/"))[-1]
    if not name:
        return f"{source}:unknown"
    return f"{source}:{name}" if _CHECKPOINT.fullmatch(name) else name


_PATH: Final = re.compile(r"[/~.\\]|[A-Za-z]:[\\/]|\w+://")
_CHECKPOINT: Final = re.compile(r"[RT]\d+")
