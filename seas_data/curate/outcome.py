"""What a step of curation returns: the rows it keeps, and a row for every decision it took."""

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
    """``kept``: the input's rows less the dropped ones, same columns, same order.

    ``decisions``: one row for each drop and each flag, with the columns of ``DECISION_COLUMNS``; the version is added
    when they are stored.
    """

    kept: pl.DataFrame
    decisions: pl.DataFrame


def decisions(rows: pl.DataFrame, *, step: str, decision: str, reason: str | None = None) -> pl.DataFrame:
    """Return ``rows`` as decisions: columns it lacks are null (``reason`` may be given once for all rows)."""
    constants = {"step": step, "decision": decision} | ({"reason": reason} if reason else {})
    given = rows.with_columns(**{name: pl.lit(value) for name, value in constants.items()})
    return given.select(
        (pl.col(name) if name in given.columns else pl.lit(None)).cast(dtype).alias(name)
        for name, dtype in DECISION_COLUMNS.items()
    )


def no_decisions() -> pl.DataFrame:
    """Return the empty ledger."""
    return pl.DataFrame(schema=DECISION_COLUMNS)
