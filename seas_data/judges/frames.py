"""Frames that every kind of judge takes and returns."""

from collections.abc import Collection, Sequence
from typing import Final

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.models.control_tokens import NEUTRALISED

CUT_OFF: Final = "the judge's answer was cut off"
VERDICT_COLUMNS: Final[dict[str, pl.DataType]] = {
    "verdict": pl.String(),
    "categories": pl.List(pl.String()),
    "score": pl.Float64(),
    "refusal": pl.String(),
    "raw": pl.String(),
    "detail": pl.String(),
}
"""The columns of a verdict: those of the table ``verdicts`` without its ids."""


def to_requests(rows: pl.DataFrame, column: str, contents: Sequence[object]) -> pl.DataFrame:
    """Return requests for a model: ``request_id`` of ``rows`` with ``contents`` as the column messages or text."""
    messages = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))
    series = pl.Series(column, contents, pl.String if column == "text" else messages)
    return rows.select("request_id").with_columns(series)


def answer_details(answers: pl.DataFrame, changed: Collection[str] = ()) -> pl.Series:
    """Return what is unusual about each of a judge's answers (the columns of ``ANSWER_SCHEMA``), null if nothing is.

    ``changed``: the ids of requests whose texts the judge neutralised itself.
    """
    noted = (pl.col("note") == NEUTRALISED).fill_null(value=False)
    details = pl.concat_list(
        pl.when(pl.col("request_id").is_in(list(changed)) & ~noted).then(pl.lit(NEUTRALISED)),
        pl.col("note"),
        pl.when(pl.col("finish_reason") == "length").then(pl.lit(CUT_OFF)),
        pl.col("error"),
    ).list.drop_nulls()
    return answers.select(
        detail=pl.when(details.list.len() > 0).then(details.list.join("; ")).otherwise(None)
    ).to_series()


def require_answers(answers: pl.DataFrame, label: str) -> pl.DataFrame:
    """Return ``answers``; raise SeasDataError if every request failed, because then the settings are wrong."""
    if answers.height and answers["text"].null_count() == answers.height:
        raise SeasDataError(
            f"the judge {label} answered none of {answers.height} requests: {answers['error'][0]}; check its model"
        )
    return answers
