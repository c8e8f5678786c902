"""Rows of the table ``attacks``: one for everything that a red team generated, with a reason for what is set aside."""

import dataframely as dy
import polars as pl

from seas_data import tables
from seas_data.tables import schema
from seas_data.tables.ids import row_ids
from seas_data.text import normalise


def build_attacks(
    generated: pl.DataFrame, seeds: pl.DataFrame, *, model: str, iteration: int, settings_id: str
) -> pl.DataFrame:
    """Return the table ``attacks`` of what a red team generated to ``seeds``; nothing is set aside yet.

    Input columns: ``generated`` request_id (a seed_id), sample, text, finish_reason, tokens; ``seeds`` seed_id, split.
    """
    rows = generated.join(seeds.select(request_id="seed_id", split="split"), on="request_id", how="left")
    rows = rows.select(
        "finish_reason",
        "tokens",
        "split",
        seed_id="request_id",
        number="sample",
        text=pl.col("text").fill_null("").str.strip_chars(),
        model=pl.lit(model),
        iteration=pl.lit(iteration),
        settings_id=pl.lit(settings_id),
        reason=pl.lit(None, pl.String),
        invalid=pl.lit(None, pl.String),
    )
    rows = rows.with_columns(prompt_id=row_ids("attack", rows, "seed_id", "settings_id", "number", "text"))
    return tables.cast("attacks", rows.sort("seed_id", "number"))


def mark_set_aside(
    attacks: pl.DataFrame, seeds: pl.DataFrame, prompts: pl.DataFrame, *, repeats: bool = True
) -> dy.DataFrame[schema.Attacks]:
    """Return ``attacks`` with a ``reason`` for each one that is not sent to a target.

    Reasons: failed (no text was generated, or a filter refused), cut_off (the token limit was reached), empty; with
    ``repeats`` also repeats_example (the text of an example of its seed, ignoring case and white space) and repeated
    (the text of an earlier attack, in the order of seeds and numbers). The evaluation counts repeats, because dropping
    them would hide what a red team does.

    Input columns: ``attacks`` the table; ``seeds`` seed_id, example_ids; ``prompts`` prompt_id, text (the examples).
    """
    rows = attacks.sort("seed_id", "number").with_columns(
        normal=pl.col("text").map_elements(normalise, return_dtype=pl.String)
    )
    reason = (
        pl.when(pl.col("finish_reason").is_in(["error", "filter"]))
        .then(pl.lit("failed"))
        .when(pl.col("finish_reason") == "length")
        .then(pl.lit("cut_off"))
        .when(pl.col("normal") == "")
        .then(pl.lit("empty"))
    )
    rows = rows.with_columns(reason=reason)
    if repeats:
        examples = (
            seeds.select("seed_id", prompt_id="example_ids")
            .explode("prompt_id")
            .join(prompts.select("prompt_id", "text"), on="prompt_id")
            .select("seed_id", normal=pl.col("text").map_elements(normalise, return_dtype=pl.String), copy=pl.lit(True))
            .unique()
        )
        rows = rows.join(examples, on=["seed_id", "normal"], how="left", maintain_order="left")
        again = ~pl.struct("normal", pl.col("reason").is_null()).is_first_distinct()
        rows = rows.with_columns(
            reason=pl.coalesce(
                "reason",
                pl.when(pl.col("copy")).then(pl.lit("repeats_example")),
                pl.when(again).then(pl.lit("repeated")),
            )
        )
    return tables.cast("attacks", rows)


def select_sent(attacks: pl.DataFrame) -> pl.DataFrame:
    """Return the attacks that are not set aside, so that targets are asked them."""
    return attacks.filter(pl.col("reason").is_null())


def add_language(attacks: pl.DataFrame, seeds: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
    """Add the column ``language``: that of most examples of the attack's seed, or null if none has a language.

    A red team writes in the language that it is shown. Ties go to the first language by name.

    Input columns: ``attacks`` seed_id; ``seeds`` seed_id, example_ids; ``prompts`` prompt_id, language (the examples).
    """
    examples = seeds.select("seed_id", prompt_id="example_ids").explode("prompt_id")
    languages = examples.join(prompts.select("prompt_id", "language"), on="prompt_id").drop_nulls("language")
    most = (
        languages.group_by("seed_id", "language")
        .len()
        .sort("seed_id", "len", "language", descending=[False, True, False])
        .unique("seed_id", keep="first", maintain_order=True)
    )
    return attacks.join(most.select("seed_id", "language"), on="seed_id", how="left", maintain_order="left")
