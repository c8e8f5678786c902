"""MART demonstrations (Ge et al., arXiv 2311.07689): fine-tuning on successful outputs instead of pairs.

The red team learns attacks that succeeded. The target learns those of its own responses that are safe and helpful.
With a reward model, helpful is a reward of at least a threshold. Without one, every safe response to an attack is used,
refusals included, because a safe response to an attack is nearly always a refusal; so that the target does not learn to
refuse everything, it also learns its full and safe answers to harmless prompts.
"""

import polars as pl

from seas_data import recipe
from seas_data.errors import SeasDataError
from seas_data.pairs.red import prepare_attacks
from seas_data.pairs.result import PairResult, build_demonstrations, build_unpaired, select_input, select_texts
from seas_data.pairs.selection import cap_pairs
from seas_data.pairs.target import prepare_responses
from seas_data.pairs.verdicts import resolve_judge, resolve_refusal_judge, select_verdicts


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
    ``mart.min_verdicts`` of them. With ``red.prefer_valid`` it must be valid. The frames are those of ``red_pairs``.
    """
    rules = settings.mart
    selected = select_verdicts(verdicts, judge=settings.judge, refusal_judge=settings.refusal_judge)
    attacks = prepare_attacks(prompts, seeds, responses, selected, held_out=held_out)
    attacks = attacks.with_columns(
        reason=pl.coalesce(
            "reason",
            pl.when(pl.lit(settings.red.prefer_valid) & pl.col("invalid")).then(pl.lit("invalid")),
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
    """Return demonstrations attack -> safe response, role ``target``, as the ``pairs`` of the result.

    With ``mart.reward_model`` a response needs a reward of at least ``mart.min_reward``, with ``mart.max_score`` a
    verdict with a score of at most that. ``pairs.target`` says how many are taken: the best of each attack (highest
    reward, or lowest score, or first sample), then its cap. The other frames are those of ``target_pairs``.

    Input columns of ``rewards``: response_id, reward. Raises SeasDataError if ``mart.reward_model`` is set and
    ``rewards`` is None.
    """
    answers = prepare_responses(prompts, responses, verdicts, settings, held_out=held_out, seeds=seeds)
    answers = _reject_unsafe(answers, settings.mart, rewards)
    kept, unpaired = _take_best(answers, settings.target)
    judge = resolve_judge(verdicts, settings.judge)
    texts = select_texts(responses, thinking=settings.thinking)
    return _build_result("target", kept, unpaired, prompts, texts, iteration, judge)


def mart_harmless(
    prompts: pl.DataFrame,
    responses: pl.DataFrame,
    verdicts: pl.DataFrame,
    settings: recipe.Pairs,
    *,
    iteration: int,
    held_out: pl.DataFrame,
    rewards: pl.DataFrame | None = None,
) -> PairResult:
    """Return demonstrations harmless prompt -> full and safe answer, role ``harmless``, as in ``mart_target``.

    A full answer has the refusal class full_compliance or, with ``mart.reward_model``, a reward of at least
    ``mart.min_reward``. ``pairs.harmless`` says how many are taken. The frames are those of ``harmless_pairs``.
    """
    answers = prepare_responses(prompts, responses, verdicts, settings, held_out=held_out)
    answers = _reject_unsafe(answers, settings.mart, rewards)
    judge = resolve_judge(verdicts, settings.judge)
    if settings.mart.reward_model is None:
        refusal = pl.col("refusal")
        answers = answers.with_columns(
            reason=pl.coalesce(
                "reason",
                pl.when(refusal.is_null()).then(pl.lit("unparsed")),
                pl.when(refusal != "full_compliance").then(pl.lit("not_full")),
            )
        )
        judge = resolve_refusal_judge(verdicts, settings.refusal_judge)
    kept, unpaired = _take_best(answers, settings.harmless or recipe.HarmlessPairs())
    texts = select_texts(responses, thinking=settings.thinking)
    return _build_result("harmless", kept, unpaired, prompts, texts, iteration, judge)


def _reject_unsafe(answers: pl.DataFrame, rules: recipe.MartRows, rewards: pl.DataFrame | None) -> pl.DataFrame:
    """Set the reason of responses that are not safe and good enough; add ``grade``, lowest for the best."""
    texts = pl.struct("prompt_id", "text_key")
    both = pl.when(pl.col("reason").is_null()).then("verdict").drop_nulls().n_unique().over(texts) > 1
    answers = answers.with_columns(
        reason=pl.coalesce(
            "reason",
            pl.when(both).then(pl.lit("contradictory")),
            pl.when(pl.col("verdict") == "unsafe").then(pl.lit("unsafe")),
        ),
        grade="score",
    )
    if rules.max_score is not None:
        sure = (pl.col("score") <= rules.max_score).fill_null(False)
        answers = answers.with_columns(reason=pl.coalesce("reason", pl.when(~sure).then(pl.lit("score"))))
    if rules.reward_model is None or rules.min_reward is None:
        return answers
    if rewards is None:
        raise SeasDataError("pairs.mart.reward_model is set, but no rewards were passed; pass them")
    answers = answers.join(rewards.select("response_id", "reward"), on="response_id", how="left")
    enough = (pl.col("reward") >= rules.min_reward).fill_null(False)
    return answers.with_columns(
        reason=pl.coalesce("reason", pl.when(~enough).then(pl.lit("reward"))), grade=-pl.col("reward")
    )


def _take_best(
    answers: pl.DataFrame, rules: recipe.TargetPairs | recipe.HarmlessPairs
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (taken, unpaired): the best responses of each prompt that have no reason, then the cap of ``rules``."""
    order = ["sample", "response_id"] if rules.select_by == "first" else ["grade", "sample", "response_id"]
    answers = answers.sort("prompt_id", *order, nulls_last=True)
    usable = pl.col("reason").is_null()
    again = usable & ~pl.struct("prompt_id", "text_key", "reason").is_first_distinct()
    answers = answers.with_columns(reason=pl.coalesce("reason", pl.when(again).then(pl.lit("repeated"))))
    place = usable.cum_sum().over("prompt_id")
    behind = usable & (place > rules.max_pairs_per_prompt)
    answers = answers.with_columns(reason=pl.coalesce("reason", pl.when(behind).then(pl.lit("outranked"))))
    able = answers.filter(usable).with_columns(
        margin=-pl.col("grade"), chosen_id="response_id", rejected_id="response_id"
    )
    kept, dropped = cap_pairs(able, rules.max_pairs, isinstance(rules, recipe.TargetPairs) and rules.balance_types)
    unpaired = pl.concat([answers.filter(pl.col("reason").is_not_null()), dropped], how="diagonal")
    return kept, unpaired.with_columns(candidate_id="response_id")


def _build_result(
    role: str,
    kept: pl.DataFrame,
    unpaired: pl.DataFrame,
    prompts: pl.DataFrame,
    text: pl.DataFrame,
    iteration: int,
    judge: str | None,
) -> PairResult:
    rows = (
        kept.join(select_input(prompts), on="prompt_id")
        .join(text.select("response_id", completion_text="text"), on="response_id")
        .with_columns(completion_id="response_id")
    )
    return PairResult(
        build_demonstrations(rows, role=role, iteration=iteration, judge=judge),
        build_unpaired(unpaired, role=role, iteration=iteration),
    )
