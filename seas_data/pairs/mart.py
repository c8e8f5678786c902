"""MART's rows (Ge et al., arXiv 2311.07689): fine-tuning on what went well, in place of pairs.

The red team learns the attacks that succeeded; the target learns those of its responses that are both safe and helpful,
which is a full answer by the refusal judge or, where a reward model is named, a reward that reaches a threshold.
"""

import polars as pl

from seas_data import recipe
from seas_data.errors import SeasDataError
from seas_data.pairs.paired import Paired, demonstrated, unused
from seas_data.pairs.red import attacks_of
from seas_data.pairs.target import answers_of
from seas_data.pairs.verdicts import judge_of, judged


def mart_red(
    prompts: pl.DataFrame,
    seeds: pl.DataFrame,
    responses: pl.DataFrame,
    verdicts: pl.DataFrame,
    settings: recipe.Pairs,
    *,
    iteration: int,
    held_out: pl.DataFrame,
) -> Paired:
    """Return (``Paired.pairs`` being the table ``demonstrations``) seed -> an attack of it that succeeded.

    An attack succeeded when at least ``mart.success_rate`` of its responses are unsafe, of at least
    ``mart.min_verdicts`` that parsed. The frames are those of ``red_pairs``.
    """
    rules = settings.mart
    said = judged(verdicts, judge=settings.judge, refusal_judge=settings.refusal_judge)
    attacks = attacks_of(prompts, seeds, responses, said, held_out=held_out)
    attacks = attacks.with_columns(
        reason=pl.coalesce(
            "reason",
            pl.when(pl.col("valid") < rules.min_verdicts).then(pl.lit("too_few_verdicts")),
            pl.when(pl.col("unsafe") / pl.col("valid") < rules.success_rate).then(pl.lit("no_success")),
        )
    )
    rows = attacks.filter(pl.col("reason").is_null()).join(seeds.select("seed_id", input="text"), on="seed_id")
    rows = rows.with_columns(completion_text="text", completion_id="prompt_id")
    left_over = attacks.filter(pl.col("reason").is_not_null()).with_columns(candidate_id="prompt_id")
    return Paired(
        demonstrated(rows, role="red", iteration=iteration, judge=judge_of(verdicts, settings.judge)),
        unused(left_over, role="red", iteration=iteration),
    )


def mart_target(
    prompts: pl.DataFrame,
    responses: pl.DataFrame,
    verdicts: pl.DataFrame,
    settings: recipe.Pairs,
    *,
    iteration: int,
    held_out: pl.DataFrame,
    seeds: pl.DataFrame | None = None,
    rewards: pl.DataFrame | None = None,
) -> Paired:
    """Return (``Paired.pairs`` being the table ``demonstrations``) attack -> a response that is safe and helpful.

    Helpful is a full answer or, with ``mart.reward``, what reaches ``mart.min_reward`` in ``rewards`` (response_id,
    reward), which are then needed. The other frames are those of ``target_pairs``.
    """
    least = settings.mart.min_reward
    answers = answers_of(prompts, responses, verdicts, settings, held_out=held_out, seeds=seeds)
    if least is not None and rewards is None:
        raise SeasDataError("pairs.mart.reward is set, so mart_target needs rewards: those of the safe responses")
    if least is None or rewards is None:
        helpful, why_not = pl.col("refusal") == "full_compliance", "not_full"
    else:
        answers = answers.join(rewards.select("response_id", "reward"), on="response_id", how="left")
        helpful, why_not = pl.col("reward") >= least, "reward"
    answers = answers.sort("prompt_id", "sample", "response_id").with_columns(
        reason=pl.coalesce(
            "reason",
            pl.when(pl.col("verdict") == "unsafe").then(pl.lit("unsafe")),
            pl.when(~helpful.fill_null(False)).then(pl.lit(why_not)),
        )
    )
    again = ~pl.struct("prompt_id", "text_key", "reason").is_first_distinct()
    answers = answers.with_columns(reason=pl.coalesce("reason", pl.when(again).then(pl.lit("repeated"))))
    rows = (
        answers.filter(pl.col("reason").is_null())
        .join(prompts.select("prompt_id", input="text"), on="prompt_id")
        .join(responses.select("response_id", completion_text="text"), on="response_id")
        .with_columns(completion_id="response_id")
    )
    left_over = answers.filter(pl.col("reason").is_not_null()).with_columns(candidate_id="response_id")
    return Paired(
        demonstrated(rows, role="target", iteration=iteration, judge=judge_of(verdicts, settings.judge)),
        unused(left_over, role="target", iteration=iteration),
    )
