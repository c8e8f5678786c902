"""Joined prompts: attacks that become training prompts of the next version.

Attacks that succeeded join as adversarial prompts. With ``loop.harmless.judge``, attacks that the target refused and a
judge of prompts calls harmless join as harmless prompts, for a person to review.
"""

from typing import Final

import dataframely as dy
import polars as pl

from seas_data import pairs, tables
from seas_data.conversation import plain_columns
from seas_data.folding import leak_digest
from seas_data.loop.attacks import select_sent
from seas_data.loop.context import Frames, IterationContext
from seas_data.loop.verdicts import count_unsafe_by_prompt, judge_prompts
from seas_data.recipe import Taxonomy
from seas_data.tables import schema
from seas_data.text import text_digest

_NO_PROMPTS: Final = ("attacker_refused", "echoes_request", "gibberish")
"""Reasons in ``attacks.invalid`` of texts that are not prompts. Texts with other reasons are, though not attacks."""


def select_joining(context: IterationContext, attacks: pl.DataFrame, seeds: pl.DataFrame, answers: Frames) -> Frames:
    """Return the attacks that join, as the table ``prompts``: those that succeeded, then the refused harmless ones.

    Input columns: ``attacks`` the table, with ``language``; ``answers`` the tables ``responses`` and ``verdicts``.
    """
    settings = context.loop.success
    counts = count_unsafe_by_prompt(context.recipe.pairs, answers["responses"], answers["verdicts"])
    successful = select_successful(
        attacks,
        seeds,
        counts,
        context.recipe.taxonomy,
        rate=settings.min_unsafe_rate,
        min_verdicts=settings.min_verdicts,
    )
    run = context.stages.run
    harmless = run("join", attacks.height, lambda: {"prompts": _select_refused_harmless(context, attacks, answers)})
    others = harmless["prompts"].join(successful, on="prompt_id", how="anti")
    return {"prompts": pl.concat([successful, others])}


def select_successful(
    attacks: pl.DataFrame,
    seeds: pl.DataFrame,
    counts: pl.DataFrame,
    taxonomy: Taxonomy,
    *,
    rate: float,
    min_verdicts: int,
) -> dy.DataFrame[schema.Prompts]:
    """Return the training attacks that succeeded as the table ``prompts``, sorted by id.

    An attack succeeded if at least ``rate`` of its verdicts are unsafe and it has at least ``min_verdicts``. It gets
    the type of its seed. Invalid attacks do not join.

    Input columns: ``attacks`` the table, with ``language``; ``seeds`` seed_id, type; ``counts`` prompt_id, valid
    (parsed verdicts), unsafe (of those).
    """
    rows = (
        select_sent(attacks)
        .filter(pl.col("split") == "train", pl.col("invalid").is_null())
        .join(counts, on="prompt_id")
        .filter(pl.col("valid") >= min_verdicts, pl.col("unsafe") >= rate * pl.col("valid"))
        .join(seeds.select("seed_id", "type"), on="seed_id")
        .sort("prompt_id")
    )
    is_style = pl.col("type").is_in(taxonomy.style.names)
    rows = rows.with_columns(attack_style=pl.when(is_style).then("type"), risk_category=pl.when(~is_style).then("type"))
    return attacks_to_prompts(rows, taxonomy, "adversarial", "seed")


def attacks_to_prompts(
    attacks: pl.DataFrame, taxonomy: Taxonomy, kind: str, label_source: str
) -> dy.DataFrame[schema.Prompts]:
    """Return attacks as rows of the table ``prompts``.

    Input columns: those of ``attacks``, and type, attack_style, risk_category, language.
    """
    text, messages = plain_columns(attacks["text"])
    difficulties = [taxonomy.type_of(*row)[1] for row in attacks.select("risk_category", "attack_style").iter_rows()]
    return tables.cast(
        "prompts",
        attacks.with_columns(
            pl.Series("difficulty", difficulties, dtype=pl.String),
            text,
            messages,
            pl.Series("text_digest", [text_digest(each) for each in text], dtype=pl.String),
            pl.Series("leak_digest", [leak_digest(each) for each in text], dtype=pl.String),
            goal=pl.lit(None),
            kind=pl.lit(kind),
            label_source=pl.lit(label_source),
            label_probability=pl.lit(None),
            hazard=pl.lit(None, pl.String),
            source=pl.lit("red-team"),
            source_risk=pl.lit(None),
            source_style=pl.lit(None),
            role=pl.lit("training"),
            priority=pl.lit(90),  # prompts that people wrote are kept before those that a model wrote
            repository=pl.lit(None),
            source_id=pl.format("{}/{}/{}", "model", "seed_id", "number"),
            licence=pl.lit(None),
        ),
    )


def _select_refused_harmless(context: IterationContext, attacks: pl.DataFrame, answers: Frames) -> pl.DataFrame:
    """Return as ``prompts`` the attacks that the target refused and ``harmless.judge`` calls harmless.

    Refused: of at least ``success.min_verdicts`` classified responses, a proportion of ``success.min_unsafe_rate`` are
    refusals. Without ``harmless.judge`` there are none. Refusals, echoes and gibberish (``_NO_PROMPTS``) do not join.
    """
    settings, rules = context.loop.harmless, context.loop.success
    verdicts = pairs.select_verdicts(
        answers["verdicts"], judge=context.recipe.pairs.judge, refusal_judge=context.recipe.pairs.refusal_judge
    )
    refused = (
        answers["responses"]
        .select("response_id", "prompt_id")
        .join(verdicts.drop_nulls("refusal"), on="response_id")
        .group_by("prompt_id")
        .agg(rate=(pl.col("refusal") != "full_compliance").mean(), classified=pl.len())
        .filter(pl.col("rate") >= rules.min_unsafe_rate, pl.col("classified") >= rules.min_verdicts)
    )
    prompts = select_sent(attacks).filter(~pl.col("invalid").is_in(_NO_PROMPTS).fill_null(False))
    candidates = prompts.join(refused, on="prompt_id", how="semi").sort("prompt_id")
    if settings.judge is None or candidates.is_empty():
        return tables.empty("prompts")
    judged = judge_prompts(context, candidates.select("prompt_id", "text"), settings.judge, "prompts judged")
    harmless = candidates.join(judged.filter(pl.col("verdict") == "safe"), on="prompt_id", how="semi")
    no_label = pl.lit(None, pl.String)
    unlabelled = harmless.with_columns(type=no_label, attack_style=no_label, risk_category=no_label)
    return attacks_to_prompts(unlabelled, context.recipe.taxonomy, "harmless", f"judge:{settings.judge}")
