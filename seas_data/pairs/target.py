"""Target and harmless pairs: of two responses to one prompt, the one that the target should have given.

*Target*: to an attack, a safe response is preferred to an unsafe one. *Harmless*: to a prompt that only looks like an
attack, a full answer is preferred to a refusal; without such pairs a target that is trained on attacks alone is free to
refuse whatever resembles one. A text that was judged to be on both sides is on neither.
"""

import polars as pl

from seas_data import recipe
from seas_data.pairs.choosing import capped, greedy
from seas_data.pairs.holdout import withheld
from seas_data.pairs.paired import Paired, compose, unused
from seas_data.pairs.verdicts import answers_to, judge_of, judged, refusal_judge_of
from seas_data.similarity.candidates import require_few


def target_pairs(
    prompts: pl.DataFrame,
    responses: pl.DataFrame,
    verdicts: pl.DataFrame,
    settings: recipe.Pairs,
    *,
    iteration: int,
    held_out: pl.DataFrame,
    seeds: pl.DataFrame | None = None,
) -> Paired:
    """Pair a safe with an unsafe response to each attack; a response that is in no pair is an ``unpaired`` candidate.

    ``prompts`` (prompt_id, seed_id, type, text) are the attacks, the other frames those of ``red_pairs``. With
    ``seeds`` (seed_id, example_ids) attacks that grew from a held-out example are left out too.
    """
    answers = answers_of(prompts, responses, verdicts, settings, held_out=held_out, seeds=seeds)
    kept, left_over = safe_against_unsafe(answers, settings.target)
    judge = judge_of(verdicts, settings.judge)
    return _paired("target", kept, left_over, prompts, responses, iteration, judge)


def safe_against_unsafe(answers: pl.DataFrame, rules: recipe.TargetPairs) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (matched, unpaired) of ``answers`` (the columns of ``answers_of``), as ``match`` does, capped."""
    safe, unsafe = pl.col("verdict") == "safe", pl.col("verdict") == "unsafe"
    answers = answers.with_columns(
        side=pl.when(safe).then(pl.lit("chosen")).when(unsafe).then(pl.lit("rejected")),
        grade=pl.when(safe).then("score").otherwise(-pl.col("score")),
    )
    matched, left_over = match(answers, rules.choose, rules.max_per_prompt, missing=("no_safe", "no_unsafe"))
    kept, dropped = capped(matched, rules.max_pairs, rules.balance)
    return kept, pl.concat([left_over, sides(dropped)], how="diagonal")


def harmless_pairs(
    prompts: pl.DataFrame,
    responses: pl.DataFrame,
    verdicts: pl.DataFrame,
    settings: recipe.Pairs,
    *,
    iteration: int,
    held_out: pl.DataFrame,
) -> Paired:
    """Pair a full answer with a refusal of each harmless prompt that was refused.

    ``prompts`` (prompt_id, text) are harmless prompts of ``train``. Preferred is a response that is judged safe and
    full compliance; rejected is a full refusal, or a partial one where no full one is left. ``judge`` of such a pair is
    who classed the refusals.
    """
    rules = settings.harmless or recipe.HarmlessPairs()
    answers = answers_of(prompts, responses, verdicts, settings, held_out=held_out)
    refused = pl.col("refusal").is_in(["full_refusal", "partial_refusal"])
    complied = pl.col("refusal") == "full_compliance"
    answers = answers.with_columns(
        side=pl.when(refused)
        .then(pl.lit("rejected"))
        .when(complied & (pl.col("verdict") == "safe"))
        .then(pl.lit("chosen")),
        grade=pl.when(refused).then((pl.col("refusal") == "partial_refusal").cast(pl.Float64)).otherwise("score"),
        reason=pl.coalesce(
            "reason",
            pl.when(pl.col("refusal").is_null()).then(pl.lit("unparsed")),
            pl.when(complied & (pl.col("verdict") == "unsafe")).then(pl.lit("unsafe")),
        ),
    )
    matched, left_over = match(answers, rules.choose, rules.max_per_prompt, missing=("no_compliance", "no_refusal"))
    kept, dropped = capped(matched.with_columns(margin=pl.lit(None, pl.Float64)), rules.max_pairs)
    left_over = pl.concat([left_over, sides(dropped)], how="diagonal")
    judge = refusal_judge_of(verdicts, settings.refusal_judge)
    return _paired("harmless", kept, left_over, prompts, responses, iteration, judge)


def answers_of(
    prompts: pl.DataFrame,
    responses: pl.DataFrame,
    verdicts: pl.DataFrame,
    settings: recipe.Pairs,
    *,
    held_out: pl.DataFrame,
    seeds: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return the responses to ``prompts`` with what was judged of them.

    Columns: response_id, prompt_id, seed_id, type, sample, characters, text_key (equal for equal texts), verdict,
    score, refusal, reason (null, or why the response cannot be in a pair).
    """
    text = pl.col("text").str.strip_chars()
    measured = responses.select(
        *(name for name in ("response_id", "prompt_id", "sample", "model") if name in responses.columns),
        characters=pl.col("text").str.len_chars().cast(pl.Int64),
        text_key=text.hash(),  # texts themselves take no part in the joins, which would copy them
        reason=pl.when(text.is_null()).then(pl.lit("failed")).when(text == "").then(pl.lit("empty")),
    )
    about = prompts.select(
        "prompt_id",
        *(pl.col(name) if name in prompts.columns else pl.lit(None, pl.String).alias(name) for name in _ABOUT),
        held=pl.col("prompt_id").is_in(withheld(prompts, held_out, seeds).implode()),
    )
    said = judged(verdicts, judge=settings.judge, refusal_judge=settings.refusal_judge)
    return (
        answers_to(prompts, measured)
        .join(about, on="prompt_id", how="left")
        .join(said, on="response_id", how="left")
        .with_columns(
            reason=pl.when("held")
            .then(pl.lit("held_out"))
            .when(pl.col("reason").is_not_null())
            .then("reason")
            .when(pl.col("verdict").is_null())
            .then(pl.lit("unjudged"))
            .when(pl.col("verdict") == "unparsed")
            .then(pl.lit("unparsed")),
        )
        .drop("held")
    )


_ABOUT = ("seed_id", "type")


def match(
    answers: pl.DataFrame, choose: recipe.Choice, most: int, *, missing: tuple[str, str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (matched, unpaired) of ``answers``: up to ``most`` pairs a prompt, no response in two of them.

    ``answers``: the columns of ``answers_of`` and side (chosen, rejected or null), grade (the lowest is taken first,
    null last). ``missing`` names the reasons of a prompt without a chosen and without a rejected side. ``matched``:
    chosen_id, rejected_id, prompt_id, seed_id, type, margin (the rejected score less the chosen one, or null).
    ``unpaired``: candidate_id, prompt_id, seed_id, reason.
    """
    order = ["grade", "sample", "response_id"] if choose == "score" else ["sample", "response_id"]
    answers = _able(answers.sort(["prompt_id", *order], nulls_last=True), missing)
    able = answers.filter(pl.col("reason").is_null()).select(*_ANSWER)
    chosen = able.filter(pl.col("side") == "chosen").drop("side")
    rejected = able.filter(pl.col("side") == "rejected").select("prompt_id", "response_id", "characters", "score")
    if choose == "length":
        sizes = [side.group_by("prompt_id").len() for side in (chosen, rejected)]
        product = pl.col("len").cast(pl.Int64) * pl.col("len_right").cast(pl.Int64)
        require_few(
            sizes[0].join(sizes[1], on="prompt_id").select(product.sum()).item(),
            "answers to one prompt can be chosen from by length",
            "set pairs.target.choose and pairs.harmless.choose to score or first, or pass fewer answers to a prompt",
        )
        apart = (pl.col("characters") - pl.col("characters_right")).abs()
        both = chosen.with_row_index("i").join(rejected.with_row_index("j"), on="prompt_id").sort(apart, "i", "j")
    else:
        place = pl.int_range(pl.len()).over("prompt_id").alias("place")
        both = chosen.with_columns(place).join(rejected.with_columns(place), on=["prompt_id", "place"])
        both = both.sort("prompt_id", "place").filter(pl.col("place") < most)
    both = both.with_columns(
        chosen_id="response_id",
        rejected_id="response_id_right",
        margin=pl.col("score_right") - pl.col("score"),
    )
    taken = greedy(both, "prompt_id", most)[0] if choose == "length" else both
    taken = taken.select("chosen_id", "rejected_id", "prompt_id", "seed_id", "type", "margin")
    used = sides(taken.with_columns(reason=pl.lit(None)))
    unpaired = answers.join(used, left_on="response_id", right_on="candidate_id", how="anti").select(
        "prompt_id", "seed_id", candidate_id="response_id", reason=pl.col("reason").fill_null("outranked")
    )
    return taken, unpaired


_ANSWER = ("response_id", "prompt_id", "seed_id", "type", "side", "characters", "score")


def _able(answers: pl.DataFrame, missing: tuple[str, str]) -> pl.DataFrame:
    """Give a reason to every answer that can be in no pair whatever is chosen; rows stay in their order."""
    texts = ["prompt_id", "text_key"]
    usable = pl.when(pl.col("reason").is_null()).then(pl.col("side"))
    answers = answers.with_columns(side=usable).with_columns(
        reason=pl.coalesce(
            "reason",
            pl.when(pl.col("side").drop_nulls().n_unique().over(texts) > 1).then(pl.lit("contradictory")),
            pl.when(~pl.struct(*texts, "side").is_first_distinct()).then(pl.lit("repeated")),
        )
    )
    answers = answers.with_columns(side=usable)
    has = {name: (pl.col("side") == name).any().over("prompt_id") for name in ("chosen", "rejected")}
    return answers.with_columns(
        reason=pl.coalesce(
            "reason",
            pl.when(~has["rejected"]).then(pl.lit(missing[1])),
            pl.when(~has["chosen"]).then(pl.lit(missing[0])),
        )
    )


def sides(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return both sides of ``pairs`` as (candidate_id and what there is of prompt_id, seed_id and reason)."""
    rest = [name for name in ("prompt_id", "seed_id", "reason") if name in pairs.columns]
    return pl.concat([pairs.select(pl.col(side).alias("candidate_id"), *rest) for side in ("chosen_id", "rejected_id")])


def _paired(
    role: str,
    kept: pl.DataFrame,
    left_over: pl.DataFrame,
    prompts: pl.DataFrame,
    responses: pl.DataFrame,
    iteration: int,
    judge: str | None,
) -> Paired:
    text = responses.select("response_id", "text")
    rows = (
        kept.join(prompts.select("prompt_id", input="text"), on="prompt_id", how="left")
        .join(text.rename({"response_id": "chosen_id", "text": "chosen_text"}), on="chosen_id", how="left")
        .join(text.rename({"response_id": "rejected_id", "text": "rejected_text"}), on="rejected_id", how="left")
    )
    pairs = compose(rows, role=role, iteration=iteration, judge=judge)
    return Paired(pairs, unused(left_over, role=role, iteration=iteration))
