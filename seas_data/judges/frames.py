"""Frames that every kind of judge takes and returns."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from seas_data.errors import SeasDataError

VERDICT_COLUMNS: Final[dict[str, pl.DataType]] = {
    "verdict": pl.String(),
    "categories": pl.List(pl.String()),
    "score": pl.Float64(),
    "refusal": pl.String(),
    "raw": pl.String(),
}
"""The columns of a verdict: those of the table ``verdicts`` without its ids."""


def to_requests(rows: pl.DataFrame, column: str, contents: Sequence[object]) -> pl.DataFrame:
    """Return requests for a model: ``request_id`` of ``rows`` with ``contents`` as the column messages or text."""
    messages = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
    series = pl.Series(column, contents, pl.String if column == "text" else messages)
    return rows.select("request_id").with_columns(series)


def require_answers(answers: pl.DataFrame, label: str) -> pl.DataFrame:
    """Return ``answers``; raise SeasDataError if every request failed, because then the settings are wrong."""
    if answers.height and answers["text"].null_count() == answers.height:
        raise SeasDataError(
            f"the judge {label} answered none of {answers.height} requests: {answers['error'][0]}; check its model"
        )
    return answers
