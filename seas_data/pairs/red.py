"""Red pairs: of two attacks from one seed, the one that drew more unsafe responses is chosen.

An attack's unsafe rate is computed over its parsed verdicts, if there are enough of them. Two attacks can form a pair
if their rates differ by the margin, they have the same type, similar lengths (otherwise the model learns length), and
are not near duplicates (otherwise it learns punctuation). Of the candidate pairs of a seed, the one with the greatest
margin is taken first, then the next that shares no attack with it. An invalid attack (``attacks.invalid``) is never
chosen, unless ``pairs.red.prefer_valid`` is false.
"""

from collections.abc import Callable, Sequence

import numpy as np
import polars as pl

from seas_data import recipe
from seas_data.errors import SeasDataError
from seas_data.folding import shows_nothing
from seas_data.pairs.holdout import find_held_out
from seas_data.pairs.result import PairResult, build_pairs, build_unpaired
from seas_data.pairs.selection import cap_pairs, select_greedily
from seas_data.pairs.verdicts import count_unsafe, resolve_judge, select_responses, select_verdicts
from seas_data.similarity.candidate_pairs import require_pair_limit
from seas_data.similarity.shingles import build_shingles, compute_jaccard, number_values
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
) -> PairResult:
    """Return preference pairs of attacks from the same seed, role ``red``.

    Args:
        prompts: The attacks. Input columns: prompt_id, seed_id, text; optional type, which overrides the seed's, and
            invalid (why it is invalid, or null).
        seeds: Input columns: seed_id, type, example_ids, text (the request that the red team gets).
        responses: Responses of one target model. Input columns: response_id, prompt_id; rows of other prompts are
            ignored.
        verdicts: Input columns: response_id, judge, verdict, score, refusal.
        settings: The recipe's ``pairs`` section.
        iteration: The iteration written to the rows.
        held_out: The result of ``select_held_out``.

    Raises SeasDataError if an attack names a seed that is not in ``seeds``, or as ``select_verdicts`` does.
    """
    selected = select_verdicts(verdicts, judge=settings.judge, refusal_judge=settings.refusal_judge)
    attacks = prepare_attacks(prompts, seeds, responses, selected, held_out=held_out)
    texts = dict(attacks.select("prompt_id", "text").iter_rows())
    matched, unpaired = match_attacks(attacks, settings.red, lambda ids: [texts[i] for i in ids])
    text = attacks.select("prompt_id", "text")
    rows = (
        matched.join(seeds.select("seed_id", input="text"), on="seed_id", how="left")
        .join(text.rename({"prompt_id": "chosen_id", "text": "chosen_text"}), on="chosen_id", how="left")
        .join(text.rename({"prompt_id": "rejected_id", "text": "rejected_text"}), on="rejected_id", how="left")
    )
    pairs: pl.DataFrame = build_pairs(
        rows, role="red", iteration=iteration, judge=resolve_judge(verdicts, settings.judge)
    )
    unpaired = unpaired.with_columns(prompt_id="candidate_id")
    if settings.red.random_labels:
        pairs = shuffle_sides(pairs)
    return PairResult(pairs, build_unpaired(unpaired, role="red", iteration=iteration))


def prepare_attacks(
    prompts: pl.DataFrame,
    seeds: pl.DataFrame,
    responses: pl.DataFrame,
    judged: pl.DataFrame,
    *,
    held_out: pl.DataFrame,
) -> pl.DataFrame:
    """Return the attacks with everything that ``match_attacks`` reads, and their texts.

    Output columns: prompt_id, seed_id, text, type (the seed's if the attack has none), invalid (a
    boolean), valid and unsafe (counts of verdicts), characters, text_key (equal for equal texts), reason (why the
    attack cannot be in a pair, or null).
    """
    lost = prompts.join(seeds, on="seed_id", how="anti")
    if lost.height:
        raise SeasDataError(
            f"{lost.height} attacks name a seed that is not among the seeds passed (the first is "
            f"{lost['seed_id'][0]}); pass the seeds they were generated from"
        )
    text = pl.col("text").str.strip_chars()
    own, invalid = (
        pl.col(name) if name in prompts.columns else pl.lit(None, pl.String) for name in ("type", "invalid")
    )
    columns = prompts.select("prompt_id", "seed_id", "text", own_type=own, invalid=invalid.is_not_null())
    return (
        columns.join(seeds.select("seed_id", "type"), on="seed_id", how="left")
        .join(count_unsafe(select_responses(prompts, responses), judged), on="prompt_id", how="left")
        .with_columns(
            pl.col("valid", "unsafe").fill_null(0),
            type=pl.coalesce("own_type", "type"),
            characters=pl.col("text").str.len_chars().cast(pl.Int64),
            text_key=text.hash(),
            reason=pl.when(pl.col("prompt_id").is_in(find_held_out(prompts, held_out, seeds).implode()))
            .then(pl.lit("held_out"))
            .when(shows_nothing(text))
            .then(pl.lit("empty")),
        )
        .drop("own_type")
    )


def match_attacks(attacks: pl.DataFrame, settings: recipe.RedPairs, texts: Texts) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return (matched, unpaired) for ``attacks``, which have the output columns of ``prepare_attacks``.

    ``texts`` returns the texts of given prompt_id values; it is called only for pairs about to be taken.

    Output columns of matched: seed_id, chosen_id, rejected_id, type, margin. Output columns of unpaired: candidate_id,
    seed_id, reason: the last rule that any candidate pair of the attack reached.
    """
    attacks = _reject_attacks(attacks, settings)
    able = attacks.filter(pl.col("reason").is_null())
    possible = _candidate_pairs(able, settings)
    usable = possible.filter(pl.col("rejection_reason") == "outranked").sort(
        ["margin", "chosen_id", "rejected_id"], descending=[True, False, False]
    )
    limit = settings.near_duplicate_threshold
    refuse = None if limit is None else lambda rows: _are_near_duplicates(rows, texts, limit)
    taken, alike = select_greedily(usable, "seed_id", settings.max_pairs_per_seed, refuse)
    kept, dropped = cap_pairs(taken, settings.max_pairs, settings.balance_types)
    reasons = pl.concat(
        [
            _sides(possible.join(alike, on=["chosen_id", "rejected_id"], how="anti")),
            _sides(alike.with_columns(rejection_reason=pl.lit("near_duplicate"))),
            _sides(dropped.with_columns(rejection_reason="reason")),
            able.select(_no_partner_reason().alias("rejection_reason"), candidate_id="prompt_id"),
            attacks.filter(pl.col("reason").is_not_null()).select(rejection_reason="reason", candidate_id="prompt_id"),
        ]
    )
    order = pl.col("rejection_reason").replace_strict(_RANK, default=-1, return_dtype=pl.Int8)
    furthest = reasons.sort("candidate_id", order, descending=[False, True]).unique(
        "candidate_id", keep="first", maintain_order=True
    )
    unpaired = furthest.join(_sides(kept), on="candidate_id", how="anti").join(
        attacks.select(candidate_id="prompt_id", seed_id="seed_id"), on="candidate_id", how="left"
    )
    return (
        kept.select("seed_id", "chosen_id", "rejected_id", "type", "margin"),
        unpaired.select("candidate_id", "seed_id", reason="rejection_reason").sort("candidate_id"),
    )


# Reasons why a pair is rejected, in the order of the tests. Any other reason excludes an attack from every pair.
_REJECTION_ORDER = (
    *("alone", "no_safe", "no_unsafe", "margin", "other_type", "invalid", "length_ratio", "near_duplicate"),
    *("outranked", "cap", "balance"),
)
_RANK = {name: place for place, name in enumerate(_REJECTION_ORDER)}


def _reject_attacks(attacks: pl.DataFrame, settings: recipe.RedPairs) -> pl.DataFrame:
    """Set the reason of attacks that can be in no pair, whatever the other attacks of their seed are."""
    rules = {
        "too_long": pl.col("characters") > settings.max_characters if settings.max_characters else pl.lit(False),
        "too_few_verdicts": pl.col("valid") < settings.min_verdicts,
    }
    for reason, applies in rules.items():
        attacks = attacks.with_columns(reason=pl.coalesce("reason", pl.when(applies).then(pl.lit(reason))))
    first = pl.col("prompt_id") == pl.col("prompt_id").min().over("seed_id", "text_key", "reason")
    return attacks.with_columns(reason=pl.coalesce("reason", pl.when(~first).then(pl.lit("repeated"))))


def _candidate_pairs(able: pl.DataFrame, settings: recipe.RedPairs) -> pl.DataFrame:
    """Return every two attacks of a seed whose rates differ by the margin, with the first rule that they break.

    Rates are compared as fractions of integers, because 3/5 - 1/5 is less than 0.4 in floating point.

    Output columns: seed_id, type, margin, chosen_id, rejected_id, rejection_reason (``outranked`` if none is broken).
    """
    sizes = able.group_by("seed_id").len().sort("len", "seed_id", descending=[True, False])
    most = "" if sizes.is_empty() else f" (the seed {sizes['seed_id'][0]} has {sizes['len'][0]:,} attacks)"
    require_pair_limit(
        sizes.select(pl.col("len").cast(pl.Int64).pow(2).sum()).item(),
        f"attacks of one seed{most}",
        "pass fewer attacks of a seed",
    )
    columns = ["prompt_id", "seed_id", "type", "invalid", "characters", "valid", "unsafe"]
    lead = pl.col("unsafe") * pl.col("valid_right") - pl.col("unsafe_right") * pl.col("valid")
    lengths = pl.max_horizontal("characters", "characters_right"), pl.min_horizontal("characters", "characters_right")
    ratio = settings.max_length_ratio
    return (
        able.lazy()
        .select(columns)
        .join(able.lazy().select(columns), on="seed_id")
        .with_columns(margin=lead / (pl.col("valid") * pl.col("valid_right")))
        .filter((pl.col("margin") > 0) & (pl.col("margin") >= settings.min_margin))
        .select(
            "seed_id",
            "type",
            "margin",
            chosen_id="prompt_id",
            rejected_id="prompt_id_right",
            rejection_reason=pl.when(pl.col("type").ne_missing(pl.col("type_right")))
            .then(pl.lit("other_type"))
            .when(pl.lit(settings.prefer_valid) & pl.col("invalid"))
            .then(pl.lit("invalid"))
            .when(pl.lit(ratio is not None) & (lengths[0] > (ratio or 1) * lengths[1]))
            .then(pl.lit("length_ratio"))
            .otherwise(pl.lit("outranked")),
        )
        .collect()
    )


def _no_partner_reason() -> pl.Expr:
    """Return why no other attack of the seed differs from this one by the margin."""
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
    """Return the attacks of ``pairs`` to which the rule of the pair applies: only the chosen one can be ``invalid``."""
    chosen = pairs.select("rejection_reason", candidate_id="chosen_id")
    both = pairs.filter(pl.col("rejection_reason") != "invalid")
    return pl.concat([chosen, both.select("rejection_reason", candidate_id="rejected_id")])


def _are_near_duplicates(pairs: pl.DataFrame, texts: Texts, limit: float) -> pl.Series:
    """Return True for each of ``pairs`` whose Jaccard similarity of character 5-grams is at least ``limit``."""
    both = [*texts(pairs["chosen_id"]), *texts(pairs["rejected_id"])]
    chosen, rejected = np.split(np.arange(len(both), dtype=np.int64), 2)
    return pl.Series(compute_jaccard(number_values(build_shingles(both)), chosen, rejected) >= limit)


def shuffle_sides(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return ``pairs`` with chosen and rejected swapped in a random half of them: a control without a signal.

    A swapped pair keeps its id, and its margin changes sign.
    """
    turn = pl.Series([int(content_id("turn", pair)[0], 16) % 2 == 1 for pair in pairs["pair_id"]], dtype=pl.Boolean)

    swapped = {name: name.replace("chosen", "rejected", 1) for name in pairs.columns if name.startswith("chosen")}
    swapped |= {other: name for name, other in swapped.items()}
    return pairs.with_columns(
        *(pl.when(turn).then(other).otherwise(name).alias(name) for name, other in swapped.items()),
        margin=pl.when(turn).then(-pl.col("margin")).otherwise("margin"),
    )
