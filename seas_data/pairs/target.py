"""Target and harmless pairs: of two responses to one prompt, the one that the target should give is chosen.

*Target*: a safe response to an attack is preferred to an unsafe one. *Harmless*: a full answer to a prompt that only
looks like an attack is preferred to a refusal; without such pairs, a target trained on attacks alone learns to refuse
everything that resembles one. A text that was judged both ways is on neither side.
"""

import polars as pl

from seas_data import recipe
from seas_data.folding import shows_nothing
from seas_data.pairs.holdout import find_held_out
from seas_data.pairs.result import PairResult, build_pairs, build_unpaired, select_input, select_texts
from seas_data.pairs.selection import cap_pairs, select_greedily
from seas_data.pairs.verdicts import resolve_judge, resolve_refusal_judge, select_responses, select_verdicts
from seas_data.similarity.candidate_pairs import require_pair_limit


def target_pairs(
    prompts: pl.DataFrame,
    responses: pl.DataFrame,
    verdicts: pl.DataFrame,
    settings: recipe.Pairs,
    *,
    iteration: int,
    held_out: pl.DataFrame,
    seeds: pl.DataFrame | None = None,
) -> PairResult:
    """Return preference pairs of a safe and an unsafe response to the same attack, role ``target``.

    Args:
        prompts: The attacks. Input columns: prompt_id, seed_id, type, text; messages, the turns of conversations, which
            are then the prompt of the pair.
        responses: Input columns: response_id, prompt_id, sample, text; optional model.
        verdicts: As in ``red_pairs``.
        settings: The recipe's ``pairs`` section.
        iteration: The iteration written to the rows.
        held_out: The result of ``select_held_out``.
        seeds: With it, attacks whose seed has a held-out example are held out too. Input columns: seed_id, example_ids.
    """
    answers = prepare_responses(prompts, responses, verdicts, settings, held_out=held_out, seeds=seeds)
    kept, unpaired = match_safe_and_unsafe(answers, settings.target)
    judge = resolve_judge(verdicts, settings.judge)
    texts = select_texts(responses, thinking=settings.thinking)
    return _build_result("target", kept, unpaired, prompts, texts, iteration, judge)


def match_safe_and_unsafe(answers: pl.DataFrame, rules: recipe.TargetPairs) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (matched, unpaired) as ``match_responses``, after the cap, for the output of ``prepare_responses``."""
    safe, unsafe = pl.col("verdict") == "safe", pl.col("verdict") == "unsafe"
    answers = answers.with_columns(
        side=pl.when(safe).then(pl.lit("chosen")).when(unsafe).then(pl.lit("rejected")),
        grade=pl.when(safe).then("score").otherwise(-pl.col("score")),
    )
    matched, unpaired = match_responses(
        answers, rules.select_by, rules.max_pairs_per_prompt, missing=("no_safe", "no_unsafe")
    )
    kept, dropped = cap_pairs(matched, rules.max_pairs, rules.balance_types)
    return kept, pl.concat([unpaired, _list_sides(dropped)], how="diagonal")


def harmless_pairs(
    prompts: pl.DataFrame,
    responses: pl.DataFrame,
    verdicts: pl.DataFrame,
    settings: recipe.Pairs,
    *,
    iteration: int,
    held_out: pl.DataFrame,
) -> PairResult:
    """Return preference pairs of a full answer and a refusal to the same harmless prompt, role ``harmless``.

    Chosen is a response that is judged safe and full_compliance; rejected is a full refusal, or a partial refusal if
    no full one is left. The ``judge`` of such a pair is the refusal judge.

    Input columns of ``prompts`` (harmless prompts of ``train``): prompt_id, text and, as in ``target_pairs``, messages.
    """
    rules = settings.harmless or recipe.HarmlessPairs()
    answers = prepare_responses(prompts, responses, verdicts, settings, held_out=held_out)
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
    matched, unpaired = match_responses(
        answers, rules.select_by, rules.max_pairs_per_prompt, missing=("no_compliance", "no_refusal")
    )
    kept, dropped = cap_pairs(matched.with_columns(margin=pl.lit(None, pl.Float64)), rules.max_pairs)
    unpaired = pl.concat([unpaired, _list_sides(dropped)], how="diagonal")
    judge = resolve_refusal_judge(verdicts, settings.refusal_judge)
    texts = select_texts(responses, thinking=settings.thinking)
    return _build_result("harmless", kept, unpaired, prompts, texts, iteration, judge)


def prepare_responses(
    prompts: pl.DataFrame,
    responses: pl.DataFrame,
    verdicts: pl.DataFrame,
    settings: recipe.Pairs,
    *,
    held_out: pl.DataFrame,
    seeds: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Return the responses to ``prompts`` with their verdicts.

    Output columns: response_id, prompt_id, seed_id, type, sample, characters, text_key (equal for equal texts),
    verdict, score, refusal, reason (why the response cannot be in a pair, or null).
    """
    text = pl.col("text").str.strip_chars()
    measured = responses.select(
        *(name for name in ("response_id", "prompt_id", "sample", "model") if name in responses.columns),
        characters=pl.col("text").str.len_chars().cast(pl.Int64),
        text_key=text.hash(),  # joins on the texts themselves would copy them
        reason=pl.when(text.is_null()).then(pl.lit("failed")).when(shows_nothing(text)).then(pl.lit("empty")),
    )
    about = prompts.select(
        "prompt_id",
        *(pl.col(name) if name in prompts.columns else pl.lit(None, pl.String).alias(name) for name in _ABOUT),
        held=pl.col("prompt_id").is_in(find_held_out(prompts, held_out, seeds).implode()),
    )
    selected = select_verdicts(verdicts, judge=settings.judge, refusal_judge=settings.refusal_judge)
    return (
        select_responses(prompts, measured)
        .join(about, on="prompt_id", how="left")
        .join(selected, on="response_id", how="left")
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


def match_responses(
    answers: pl.DataFrame, choose: recipe.SelectBy, most: int, *, missing: tuple[str, str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (matched, unpaired): up to ``most`` pairs per prompt, with no response in two pairs.

    Args:
        answers: The output of ``prepare_responses`` with two more columns: side (chosen, rejected or null) and grade
            (lowest first, null last).
        choose: The order in which responses are taken.
        most: Maximum pairs per prompt.
        missing: The reasons for a prompt without a chosen and without a rejected response.

    Output columns of matched: chosen_id, rejected_id, prompt_id, seed_id, type, margin (rejected score minus chosen
    score, or null). Output columns of unpaired: candidate_id, prompt_id, seed_id, reason.
    """
    order = ["grade", "sample", "response_id"] if choose == "score" else ["sample", "response_id"]
    answers = _reject_responses(answers.sort(["prompt_id", *order], nulls_last=True), missing)
    able = answers.filter(pl.col("reason").is_null()).select(*_ANSWER)
    chosen = able.filter(pl.col("side") == "chosen").drop("side")
    rejected = able.filter(pl.col("side") == "rejected").select("prompt_id", "response_id", "characters", "score")
    if choose == "length":
        sizes = [side.group_by("prompt_id").len() for side in (chosen, rejected)]
        product = pl.col("len").cast(pl.Int64) * pl.col("len_right").cast(pl.Int64)
        require_pair_limit(
            sizes[0].join(sizes[1], on="prompt_id").select(product.sum()).item(),
            "answers to one prompt can be chosen from by length",
            "set pairs.target.select_by and pairs.harmless.select_by to score or first, or pass fewer answers",
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
    taken = select_greedily(both, "prompt_id", most)[0] if choose == "length" else both
    taken = taken.select("chosen_id", "rejected_id", "prompt_id", "seed_id", "type", "margin")
    used = _list_sides(taken.with_columns(reason=pl.lit(None)))
    unpaired = answers.join(used, left_on="response_id", right_on="candidate_id", how="anti").select(
        "prompt_id", "seed_id", candidate_id="response_id", reason=pl.col("reason").fill_null("outranked")
    )
    return taken, unpaired


_ANSWER = ("response_id", "prompt_id", "seed_id", "type", "side", "characters", "score")


def _reject_responses(answers: pl.DataFrame, missing: tuple[str, str]) -> pl.DataFrame:
    """Set the reason of responses that can be in no pair, whatever the others are; row order is kept."""
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


def _list_sides(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return both sides of ``pairs``: candidate_id, and prompt_id, seed_id and reason if they are there."""
    rest = [name for name in ("prompt_id", "seed_id", "reason") if name in pairs.columns]
    return pl.concat([pairs.select(pl.col(side).alias("candidate_id"), *rest) for side in ("chosen_id", "rejected_id")])


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
        kept.join(select_input(prompts), on="prompt_id", how="left")
        .join(text.rename({"response_id": "chosen_id", "text": "chosen_text"}), on="chosen_id", how="left")
        .join(text.rename({"response_id": "rejected_id", "text": "rejected_text"}), on="rejected_id", how="left")
    )
    pairs = build_pairs(rows, role=role, iteration=iteration, judge=judge)
    return PairResult(pairs, build_unpaired(unpaired, role=role, iteration=iteration))
