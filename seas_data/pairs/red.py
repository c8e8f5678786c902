"""Red pairs: of two attacks of one seed, the one that drew more unsafe responses is preferred.

An attack's unsafe rate is taken over the verdicts that parsed, and only where there are enough of them. Two attacks
make a pair when their rates lie a margin apart, they are of one type, about as long as each other (or the model would
learn length), and not near-duplicates of each other (or it would learn a comma). Of a seed's possible pairs the one of
the greatest margin is taken, then the next that shares no attack with it.
"""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from seas_data import recipe
from seas_data.errors import SeasDataError
from seas_data.pairs.choosing import capped, greedy
from seas_data.pairs.holdout import withheld
from seas_data.pairs.paired import Paired, compose, unused
from seas_data.pairs.verdicts import answers_to, judge_of, judged, rates
from seas_data.similarity.candidates import require_few
from seas_data.similarity.shingles import jaccard, number, shingles
from seas_data.text import content_id

Texts = Callable[[pl.Series], Sequence[str]]


def red_pairs(
    prompts: pl.DataFrame,
    seeds: pl.DataFrame,
    responses: pl.DataFrame,
    verdicts: pl.DataFrame,
    settings: recipe.Pairs,
    *,
    iteration: int,
    held_out: pl.DataFrame,
) -> Paired:
    """Pair the attacks of each seed; a prompt that is in no pair is an ``unpaired`` candidate.

    Args:
        prompts: The attacks: prompt_id, seed_id, text; a type, where they have one of their own.
        seeds: seed_id, type, example_ids, text; the text is what the red team is asked.
        responses: response_id, prompt_id (of attacks and of others, which are passed over) of one target model.
        verdicts: response_id, judge, verdict, score, refusal.
        settings: The recipe's ``pairs``.
        iteration: Of the pairs.
        held_out: prompt_id, text_digest of what is never trained on (``held.held_out``).
    """
    said = judged(verdicts, judge=settings.judge, refusal_judge=settings.refusal_judge)
    attacks = attacks_of(prompts, seeds, responses, said, held_out=held_out)
    texts = dict(attacks.select("prompt_id", "text").iter_rows())
    matched, left_over = match(attacks, settings.red, lambda ids: [texts[i] for i in ids])
    text = attacks.select("prompt_id", "text")
    rows = (
        matched.join(seeds.select("seed_id", input="text"), on="seed_id", how="left")
        .join(text.rename({"prompt_id": "chosen_id", "text": "chosen_text"}), on="chosen_id", how="left")
        .join(text.rename({"prompt_id": "rejected_id", "text": "rejected_text"}), on="rejected_id", how="left")
    )
    pairs = compose(rows, role="red", iteration=iteration, judge=judge_of(verdicts, settings.judge))
    left_over = left_over.with_columns(prompt_id="candidate_id")
    if settings.red.shuffle:
        pairs = shuffled(pairs)
    return Paired(pairs, unused(left_over, role="red", iteration=iteration))


def attacks_of(
    prompts: pl.DataFrame,
    seeds: pl.DataFrame,
    responses: pl.DataFrame,
    judged: pl.DataFrame,
    *,
    held_out: pl.DataFrame,
) -> pl.DataFrame:
    """Return the attacks as ``match`` takes them, with their texts.

    Columns: prompt_id, seed_id, text, type (the seed's, where the attack has none of its own), valid, unsafe,
    characters, text_key (equal for equal texts), reason (null, or why it cannot be in a pair).
    """
    lost = prompts.join(seeds, on="seed_id", how="anti")
    if lost.height:
        raise SeasDataError(
            f"{lost.height} attacks name a seed that is not among the seeds passed (such as "
            f"{lost['seed_id'][0]}); pass the seeds that they were made from"
        )
    text = pl.col("text").str.strip_chars()
    own = pl.col("type") if "type" in prompts.columns else pl.lit(None, pl.String)
    columns = prompts.select("prompt_id", "seed_id", "text", own_type=own)
    return (
        columns.join(seeds.select("seed_id", "type"), on="seed_id", how="left")
        .join(rates(answers_to(prompts, responses), judged), on="prompt_id", how="left")
        .with_columns(
            pl.col("valid", "unsafe").fill_null(0),
            type=pl.coalesce("own_type", "type"),
            characters=pl.col("text").str.len_chars().cast(pl.Int64),
            text_key=text.hash(),
            reason=pl.when(pl.col("prompt_id").is_in(withheld(prompts, held_out, seeds).implode()))
            .then(pl.lit("held_out"))
            .when(text == "")
            .then(pl.lit("empty")),
        )
        .drop("own_type")
    )


def match(attacks: pl.DataFrame, settings: recipe.RedPairs, texts: Texts) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (matched, unpaired) of ``attacks``, of which no more is read than the columns of ``attacks_of``.

    ``matched``: seed_id, chosen_id, rejected_id, type, margin. ``unpaired``: candidate_id, seed_id, reason: the last
    hurdle that any pair of the attack came to. ``texts`` is asked for the texts of pairs about to be taken.
    """
    attacks = _able(attacks, settings)
    able = attacks.filter(pl.col("reason").is_null())
    possible = _hurdles(able, settings)
    usable = possible.filter(pl.col("hurdle") == "outranked").sort(
        ["margin", "chosen_id", "rejected_id"], descending=[True, False, False]
    )
    limit = settings.near_duplicate
    refuse = None if limit is None else lambda rows: _alike(rows, texts, limit)
    taken, alike = greedy(usable, "seed_id", settings.max_per_seed, refuse)
    kept, dropped = capped(taken, settings.max_pairs, settings.balance)
    reasons = pl.concat(
        [
            _sides(possible.join(alike, on=["chosen_id", "rejected_id"], how="anti")),
            _sides(alike.with_columns(hurdle=pl.lit("near_duplicate"))),
            _sides(dropped.with_columns(hurdle="reason")),
            able.select(_why_none().alias("hurdle"), candidate_id="prompt_id"),
            attacks.filter(pl.col("reason").is_not_null()).select(hurdle="reason", candidate_id="prompt_id"),
        ]
    )
    order = pl.col("hurdle").replace_strict(_ORDER, default=-1, return_dtype=pl.Int8)
    furthest = reasons.sort("candidate_id", order, descending=[False, True]).unique(
        "candidate_id", keep="first", maintain_order=True
    )
    unpaired = furthest.join(_sides(kept), on="candidate_id", how="anti").join(
        attacks.select(candidate_id="prompt_id", seed_id="seed_id"), on="candidate_id", how="left"
    )
    return (
        kept.select("seed_id", "chosen_id", "rejected_id", "type", "margin"),
        unpaired.select("candidate_id", "seed_id", reason="hurdle").sort("candidate_id"),
    )


# What a pair can fail at, in the order in which it is tried; what is not in here keeps an attack out of every pair.
_HURDLES = (
    *("alone", "no_safe", "no_unsafe", "margin", "other_type", "length_ratio", "near_duplicate", "outranked"),
    *("cap", "balance"),
)
_ORDER = {name: place for place, name in enumerate(_HURDLES)}


def _able(attacks: pl.DataFrame, settings: recipe.RedPairs) -> pl.DataFrame:
    """Give a reason to the attacks that can be in no pair whatever the others of their seed are."""
    rules = {
        "too_long": pl.col("characters") > settings.max_characters if settings.max_characters else pl.lit(False),
        "too_few_verdicts": pl.col("valid") < settings.min_verdicts,
    }
    for reason, applies in rules.items():
        attacks = attacks.with_columns(reason=pl.coalesce("reason", pl.when(applies).then(pl.lit(reason))))
    first = pl.col("prompt_id") == pl.col("prompt_id").min().over("seed_id", "text_key", "reason")
    return attacks.with_columns(reason=pl.coalesce("reason", pl.when(~first).then(pl.lit("repeated"))))


def _hurdles(able: pl.DataFrame, settings: recipe.RedPairs) -> pl.DataFrame:
    """Return every two attacks of a seed that lie the margin apart, and the first rule that they break as ``hurdle``.

    Rates are compared as fractions of integers, because 3/5 - 1/5 is less than 0.4 in floating point.
    """
    sizes = able.group_by("seed_id").len().sort("len", "seed_id", descending=[True, False])
    most = "" if sizes.is_empty() else f" (the seed {sizes['seed_id'][0]} has {sizes['len'][0]:,} attacks)"
    require_few(
        sizes.select(pl.col("len").cast(pl.Int64).pow(2).sum()).item(),
        f"attacks of one seed{most}",
        "pass fewer attacks of a seed",
    )
    columns = ["prompt_id", "seed_id", "type", "characters", "valid", "unsafe"]
    lead = pl.col("unsafe") * pl.col("valid_right") - pl.col("unsafe_right") * pl.col("valid")
    lengths = pl.max_horizontal("characters", "characters_right"), pl.min_horizontal("characters", "characters_right")
    ratio = settings.max_length_ratio
    return (
        able.lazy()
        .select(columns)
        .join(able.lazy().select(columns), on="seed_id")
        .with_columns(margin=lead / (pl.col("valid") * pl.col("valid_right")))
        .filter((pl.col("margin") > 0) & (pl.col("margin") >= settings.margin))
        .select(
            "seed_id",
            "type",
            "margin",
            chosen_id="prompt_id",
            rejected_id="prompt_id_right",
            hurdle=pl.when(pl.col("type").ne_missing(pl.col("type_right")))
            .then(pl.lit("other_type"))
            .when(pl.lit(ratio is not None) & (lengths[0] > (ratio or 1) * lengths[1]))
            .then(pl.lit("length_ratio"))
            .otherwise(pl.lit("outranked")),
        )
        .collect()
    )


def _why_none() -> pl.Expr:
    """Why an attack has no partner the margin away, from the attacks of its seed."""
    return (
        pl.when(pl.len().over("seed_id") == 1)
        .then(pl.lit("alone"))
        .when((pl.col("unsafe") == 0).all().over("seed_id"))
        .then(pl.lit("no_unsafe"))
        .when((pl.col("unsafe") == pl.col("valid")).all().over("seed_id"))
        .then(pl.lit("no_safe"))
        .otherwise(pl.lit("margin"))
    )


def _sides(pairs: pl.DataFrame) -> pl.DataFrame:
    return pl.concat([pairs.select("hurdle", candidate_id=side) for side in ("chosen_id", "rejected_id")])


def _alike(pairs: pl.DataFrame, texts: Texts, limit: float) -> pl.Series:
    """Return which ``pairs`` have a Jaccard similarity of character 5-grams of at least ``limit``."""
    both = [*texts(pairs["chosen_id"]), *texts(pairs["rejected_id"])]
    chosen, rejected = np.split(np.arange(len(both), dtype=np.int64), 2)
    return pl.Series(jaccard(number(shingles(both)), chosen, rejected) >= limit)


def shuffled(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return ``pairs`` with about half of them turned round, whichever way they point: a control that teaches nothing.

    A pair that was turned keeps its id, and its margin changes sign.
    """
    turn = pl.Series([int(content_id("turn", pair)[0], 16) % 2 == 1 for pair in pairs["pair_id"]], dtype=pl.Boolean)

    swapped = {name: name.replace("chosen", "rejected", 1) for name in pairs.columns if name.startswith("chosen")}
    swapped |= {other: name for name, other in swapped.items()}
    return pairs.with_columns(
        *(pl.when(turn).then(other).otherwise(name).alias(name) for name, other in swapped.items()),
        margin=pl.when(turn).then(-pl.col("margin")).otherwise("margin"),
    )
