"""Result of a curation step: the rows it keeps, and one decision for every row it drops or flags."""

from dataclasses import dataclass

import polars as pl

DECISION_COLUMNS: dict[str, pl.DataType] = {
    "prompt_id": pl.String(),
    "step": pl.String(),
    "decision": pl.String(),
    "reason": pl.String(),
    "witness_id": pl.String(),
    "score": pl.Float64(),
    "threshold": pl.Float64(),
    "detail": pl.String(),
}


@dataclass(frozen=True)
class Outcome:
    """Result of a curation step.

    ``kept``: the input rows without the dropped ones, same columns, same order. ``decisions``: one row per drop and
    flag, with the columns of ``DECISION_COLUMNS``; the version is added when they are stored in the ``decisions``
    table.
    """

    kept: pl.DataFrame
    decisions: pl.DataFrame


def build_decisions(rows: pl.DataFrame, *, step: str, decision: str, reason: str | None = None) -> pl.DataFrame:
    """Return ``rows`` as decisions; missing columns are null, and ``reason`` may be given once for all rows.

    Input columns: ``prompt_id`` and any of ``DECISION_COLUMNS``.
    Output columns: ``DECISION_COLUMNS``.
    """
    constants = {"step": step, "decision": decision} | ({"reason": reason} if reason else {})
    given = rows.with_columns(**{name: pl.lit(value) for name, value in constants.items()})
    return given.select(
        (pl.col(name) if name in given.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in DECISION_COLUMNS.items()
    )


def empty_decisions() -> pl.DataFrame:
    """Return an empty frame of decisions."""
    return pl.DataFrame(schema=DECISION_COLUMNS)


def without(prompts: pl.DataFrame, ids: pl.Series) -> pl.DataFrame:
    """Return the rows of ``prompts`` without those of ``ids`` (``prompt_id``); no copy if there are none."""
    return prompts if ids.is_empty() else prompts.filter(~pl.col("prompt_id").is_in(ids.implode()))
