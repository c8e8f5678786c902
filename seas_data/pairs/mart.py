"""MART demonstrations (Ge et al., arXiv 2311.07689): fine-tuning on successful outputs instead of pairs.

The red team learns attacks that succeeded. The target learns its responses that are both safe and helpful: helpful
means full compliance by the refusal judge or, with a reward model, a reward at or above a threshold.
"""

import polars as pl

from seas_data import recipe
from seas_data.errors import SeasDataError
from seas_data.pairs.red import prepare_attacks
from seas_data.pairs.result import PairResult, build_demonstrations, build_unpaired
from seas_data.pairs.target import prepare_responses
from seas_data.pairs.verdicts import resolve_judge, select_verdicts


def mart_red(
    prompts: pl.DataFrame,
    seeds: pl.DataFrame,
    responses: pl.DataFrame,
    verdicts: pl.DataFrame,
    settings: recipe.Pairs,
    *,
    iteration: int,
    held_out: pl.DataFrame,
) -> PairResult:
    """Return demonstrations seed -> successful attack, as the ``pairs`` of the result.

    An attack succeeds if at least ``mart.min_success_rate`` of its parsed verdicts are unsafe and there are at least
    ``mart.min_verdicts`` of them. The frames are those of ``red_pairs``.
    """
    rules = settings.mart
    selected = select_verdicts(verdicts, judge=settings.judge, refusal_judge=settings.refusal_judge)
    attacks = prepare_attacks(prompts, seeds, responses, selected, held_out=held_out)
    attacks = attacks.with_columns(
        reason=pl.coalesce(
            "reason",
            pl.when(pl.col("valid") < rules.min_verdicts).then(pl.lit("too_few_verdicts")),
            pl.when(pl.col("unsafe") / pl.col("valid") < rules.min_success_rate).then(pl.lit("no_success")),
        )
    )
    rows = attacks.filter(pl.col("reason").is_null()).join(seeds.select("seed_id", input="text"), on="seed_id")
    rows = rows.with_columns(completion_text="text", completion_id="prompt_id")
    unpaired = attacks.filter(pl.col("reason").is_not_null()).with_columns(candidate_id="prompt_id")
    return PairResult(
        build_demonstrations(rows, role="red", iteration=iteration, judge=resolve_judge(verdicts, settings.judge)),
        build_unpaired(unpaired, role="red", iteration=iteration),
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
) -> PairResult:
    """Return demonstrations attack -> safe and helpful response, as the ``pairs`` of the result.

    A response is helpful if its refusal class is full_compliance or, with ``mart.reward_model``, if its reward is at
    least ``mart.min_reward``. The other frames are those of ``target_pairs``.

    Input columns of ``rewards``: response_id, reward. Raises SeasDataError if ``mart.reward_model`` is set and
    ``rewards`` is None.
    """
    least = settings.mart.min_reward
    answers = prepare_responses(prompts, responses, verdicts, settings, held_out=held_out, seeds=seeds)
    if least is not None and rewards is None:
        raise SeasDataError("pairs.mart.reward_model is set, but no rewards were passed; pass them")
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
    unpaired = answers.filter(pl.col("reason").is_not_null()).with_columns(candidate_id="response_id")
    return PairResult(
        build_demonstrations(rows, role="target", iteration=iteration, judge=resolve_judge(verdicts, settings.judge)),
        build_unpaired(unpaired, role="target", iteration=iteration),
    )
