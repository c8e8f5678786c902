"""Verdicts as pairs need them: one a response, from one judge, and the unsafe rate of a prompt.

A verdict that does not parse is neither safe nor unsafe. It is never put on a side of a pair and counts in no rate.
"""

import polars as pl

from seas_data.errors import SeasDataError


def judged(verdicts: pl.DataFrame, *, judge: str | None = None, refusal_judge: str | None = None) -> pl.DataFrame:
    """Return one row a response: response_id, verdict (safe, unsafe, unparsed or null), score and refusal (or null).

    ``verdicts`` has the columns response_id, judge, verdict, score and refusal. The verdict and its score are those of
    ``judge``, the refusal class that of ``refusal_judge``; neither need be named where only one judge gave any. Raises
    SeasDataError if it is not clear whose to take.
    """
    harm = _of_one(verdicts.filter(pl.col("verdict").is_not_null()), judge, "pairs.judge")
    refusal = _of_one(verdicts.filter(pl.col("refusal").is_not_null()), refusal_judge, "pairs.refusal_judge")
    return harm.select("response_id", "verdict", pl.col("score").cast(pl.Float64)).join(
        refusal.select("response_id", "refusal"), on="response_id", how="full", coalesce=True
    )


def judge_of(verdicts: pl.DataFrame, judge: str | None) -> str | None:
    """Return whose verdicts ``judged`` takes: ``judge``, or the only one there is."""
    rows = _of_one(verdicts.filter(pl.col("verdict").is_not_null()), judge, "pairs.judge")
    return None if rows.is_empty() else str(rows["judge"][0])


def refusal_judge_of(verdicts: pl.DataFrame, judge: str | None) -> str | None:
    """Return whose refusal classes ``judged`` takes: those of ``judge``, or of the only one there is."""
    rows = _of_one(verdicts.filter(pl.col("refusal").is_not_null()), judge, "pairs.refusal_judge")
    return None if rows.is_empty() else str(rows["judge"][0])


def rates(responses: pl.DataFrame, judged: pl.DataFrame) -> pl.DataFrame:
    """Return for each prompt that has responses: prompt_id, valid (verdicts that parsed) and unsafe (of those)."""
    return (
        responses.select("response_id", "prompt_id")
        .join(judged.select("response_id", "verdict"), on="response_id", how="left")
        .group_by("prompt_id")
        .agg(valid=pl.col("verdict").is_in(["safe", "unsafe"]).sum(), unsafe=(pl.col("verdict") == "unsafe").sum())
        .with_columns(pl.col("valid", "unsafe").cast(pl.Int64))
        .sort("prompt_id")
    )


def answers_to(prompts: pl.DataFrame, responses: pl.DataFrame) -> pl.DataFrame:
    """Return the responses to ``prompts``, less their texts; raise SeasDataError if they come from several models."""
    answers = responses.select(pl.exclude("text")).join(prompts.select("prompt_id"), on="prompt_id", how="semi")
    models = answers["model"].unique().sort().to_list() if "model" in answers.columns else []
    if len(models) > 1:
        raise SeasDataError(
            f"the responses come from {len(models)} models ({', '.join(map(str, models[:3]))}): a pair compares the "
            "answers of one, so pass those of one"
        )
    return answers


def _of_one(verdicts: pl.DataFrame, judge: str | None, setting: str) -> pl.DataFrame:
    judges = verdicts["judge"].unique().sort().to_list()
    if judge is not None and judges and judge not in judges:
        raise SeasDataError(f"{setting} is {judge}, which judged none of these responses; {_names(judges)} did")
    if judge is None and len(judges) > 1:
        raise SeasDataError(f"{_names(judges)} judged these responses; say in {setting} whose verdicts count")
    rows = verdicts if judge is None else verdicts.filter(pl.col("judge") == judge)
    if twice := rows.height - rows["response_id"].n_unique():
        raise SeasDataError(f"{twice} responses have two verdicts of the judge {judges[0]}; keep one of each")
    return rows


def _names(judges: list[str]) -> str:
    return " and ".join(judges)
