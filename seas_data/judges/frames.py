"""Frames that every kind of judge takes and returns."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.models.control_tokens import NEUTRALISED
from seas_data.models.thinking import LONE_CLOSING, NO_FINAL

CLIPPED: Final = "the response was cut after {} tokens"
NOT_CLIPPED: Final = "the response was not cut after {} tokens: the judge's model has no tokenizer"
CUT_OFF: Final = "the judge's answer was cut off"
NO_GOAL: Final = "not judged: the prompt has no goal"
ONLY_ATTACKS: Final = "not judged: the prompt is not an attack"
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


def answer_details(
    answers: pl.DataFrame,
    changed: Collection[str] = (),
    *,
    one_token: bool = False,
    notes: Mapping[str, str] | None = None,
) -> pl.Series:
    """Return what is unusual about each of a judge's answers (the columns of ``ANSWER_SCHEMA``), null if nothing is.

    ``changed``: the ids of requests whose texts the judge neutralised itself. ``one_token``: an answer has one token,
    and is not cut off by its limit. ``notes``: what else is unusual, by the id of the request.
    """
    own = notes or {}
    noted = (pl.col("note") == NEUTRALISED).fill_null(value=False)
    details = pl.concat_list(
        pl.when(pl.col("request_id").is_in(list(changed)) & ~noted).then(pl.lit(NEUTRALISED)),
        pl.col("request_id").replace_strict(list(own), list(own.values()), default=None, return_dtype=pl.String),
        pl.col("note"),
        pl.when((pl.col("finish_reason") == "length") & pl.lit(not one_token)).then(pl.lit(CUT_OFF)),
        pl.col("error"),
    ).list.drop_nulls()
    return answers.select(
        detail=pl.when(details.list.len() > 0).then(details.list.join("; ")).otherwise(None)
    ).to_series()


def require_answers(answers: pl.DataFrame, label: str) -> pl.DataFrame:
    """Return ``answers``; raise SeasDataError if every request failed, because then the settings are wrong.

    An answer outside the final channel of the harmony format is no complete one: its ``finish_reason`` becomes other.
    """
    if answers.height and answers["text"].null_count() == answers.height:
        raise SeasDataError(
            f"the judge {label} answered none of {answers.height} requests: {answers['error'][0]}; check its model"
        )
    outside = pl.col("note").str.contains(NO_FINAL, literal=True).fill_null(value=False)
    return answers.with_columns(finish_reason=pl.when(outside).then(pl.lit("other")).otherwise("finish_reason"))


def rejoin_thinking(answers: pl.DataFrame) -> pl.DataFrame:
    """Return ``answers`` with their thinking in ``text`` again, for judges that do not think: it may hide a verdict."""
    thought = pl.col("thinking").str.contains(r"\S").fill_null(value=False)
    lone = pl.col("note").str.contains(LONE_CLOSING, literal=True).fill_null(value=False)
    opening = pl.when(lone).then(pl.lit("")).otherwise(pl.lit("<think>"))
    whole = pl.concat_str(opening, "thinking", pl.lit("</think>"), "text")
    return answers.with_columns(text=pl.when(thought).then(whole).otherwise("text"))


def not_judged(rows: pl.DataFrame, reason: str) -> pl.DataFrame:
    """Return ``request_id`` of ``rows`` and ``VERDICT_COLUMNS``: no verdict, with the reason as ``detail``."""
    columns = {name: pl.lit(None, dtype) for name, dtype in VERDICT_COLUMNS.items()}
    return rows.select("request_id", **columns | {"detail": pl.lit(reason)})
