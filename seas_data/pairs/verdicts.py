"""Verdicts for pairs: one verdict per response, from one judge, and the unsafe counts of each prompt.

An unparsed verdict is neither safe nor unsafe: it is on no side of a pair and counts in no rate.
"""

import polars as pl

from seas_data.errors import SeasDataError


def select_verdicts(
    verdicts: pl.DataFrame, *, judge: str | None = None, refusal_judge: str | None = None
) -> pl.DataFrame:
    """Return one row per response: the verdict of ``judge`` and the refusal class of ``refusal_judge``.

    A judge that is None is the only judge that gave any verdict (or refusal class).

    Input columns: response_id, judge, verdict, score, refusal.
    Output columns: response_id, verdict (safe, unsafe, unparsed or null), score (probability of unsafe, 0 to 1),
    refusal (or null).

    Raises SeasDataError if several judges gave verdicts and none is named, if the named judge gave none, or if a
    response has two verdicts of one judge.
    """
    harm = _one_judge(verdicts.filter(pl.col("verdict").is_not_null()), judge, "pairs.judge")
    refusal = _one_judge(verdicts.filter(pl.col("refusal").is_not_null()), refusal_judge, "pairs.refusal_judge")
    return harm.select("response_id", "verdict", pl.col("score").cast(pl.Float64)).join(
        refusal.select("response_id", "refusal"), on="response_id", how="full", coalesce=True
    )


def resolve_judge(verdicts: pl.DataFrame, judge: str | None) -> str | None:
    """Return the judge whose verdicts ``select_verdicts`` takes: ``judge``, or the only one; None without verdicts."""
    rows = _one_judge(verdicts.filter(pl.col("verdict").is_not_null()), judge, "pairs.judge")
    return None if rows.is_empty() else str(rows["judge"][0])


def resolve_refusal_judge(verdicts: pl.DataFrame, judge: str | None) -> str | None:
    """Return the judge whose refusal classes ``select_verdicts`` takes: ``judge``, or the only one."""
    rows = _one_judge(verdicts.filter(pl.col("refusal").is_not_null()), judge, "pairs.refusal_judge")
    return None if rows.is_empty() else str(rows["judge"][0])


def count_unsafe(responses: pl.DataFrame, judged: pl.DataFrame) -> pl.DataFrame:
    """Return the verdict counts of each prompt that has responses.

    Output columns: prompt_id, valid (number of parsed verdicts), unsafe (number of those that are unsafe).
    """
    return (
        responses.select("response_id", "prompt_id")
        .join(judged.select("response_id", "verdict"), on="response_id", how="left")
        .group_by("prompt_id")
        .agg(valid=pl.col("verdict").is_in(["safe", "unsafe"]).sum(), unsafe=(pl.col("verdict") == "unsafe").sum())
        .with_columns(pl.col("valid", "unsafe").cast(pl.Int64))
        .sort("prompt_id")
    )


def select_responses(prompts: pl.DataFrame, responses: pl.DataFrame) -> pl.DataFrame:
    """Return the responses to ``prompts``, without text. Raises SeasDataError if they come from several models."""
    answers = responses.select(pl.exclude("text")).join(prompts.select("prompt_id"), on="prompt_id", how="semi")
    models = answers["model"].unique().sort().to_list() if "model" in answers.columns else []
    if len(models) > 1:
        raise SeasDataError(
            f"the responses come from {len(models)} models ({', '.join(map(str, models[:3]))}), but a pair compares "
            "responses of one model; pass the responses of one"
        )
    return answers


def _one_judge(verdicts: pl.DataFrame, judge: str | None, setting: str) -> pl.DataFrame:
    judges = verdicts["judge"].unique().sort().to_list()
    if judge is not None and judges and judge not in judges:
        raise SeasDataError(f"{setting} is {judge}, which judged none of these responses; set it to {_names(judges)}")
    if judge is None and len(judges) > 1:
        raise SeasDataError(f"several judges judged these responses; set {setting} to {_names(judges)}")
    rows = verdicts if judge is None else verdicts.filter(pl.col("judge") == judge)
    if twice := rows.height - rows["response_id"].n_unique():
        raise SeasDataError(f"{twice} responses have two verdicts of the judge {judges[0]}; keep one per response")
    return rows


def _names(judges: list[str]) -> str:
    return " or ".join(judges)
