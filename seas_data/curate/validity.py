"""Rows that are no prompts: too short, too long, or without anything to read.

A text of punctuation alone asks nothing, and one that is mostly U+FFFD was lost when somebody decoded it wrongly: it
cannot be mended here. Holdout rows are what models are tested on and are left as they are.
"""

import polars as pl

from seas_data.curate.outcome import Outcome, decisions
from seas_data.recipe import Limits

LOST = "\ufffd"


def invalid(prompts: pl.DataFrame, settings: Limits) -> Outcome:
    """Drop the rows of ``prompts`` (prompt_id, text, role) that are no prompts.

    ``score`` is the text's length in characters, white space at its ends not counted, and ``threshold`` the limit it
    breaks (null for reason ``invalid``). A row has one decision, for the first of too_short, too_long and invalid.
    """
    text = pl.col("text").str.strip_chars()
    characters = text.str.len_chars()
    shown = text.str.replace_all(r"\s", "").str.len_chars()
    lost = text.str.count_matches(LOST, literal=True)
    reason = (
        pl.when(characters < settings.min_characters)
        .then(pl.lit("too_short"))
        .when(characters > settings.max_characters)
        .then(pl.lit("too_long"))
        .when((lost * 2 > shown) | ~text.str.contains(r"[\p{L}\p{N}]"))
        .then(pl.lit("invalid"))
    )
    limit = (
        pl.when(pl.col("reason") == "too_short")
        .then(settings.min_characters)
        .when(pl.col("reason") == "too_long")
        .then(settings.max_characters)
    )
    detail = pl.when(pl.col("reason") == "invalid").then(
        pl.when(lost * 2 > shown).then(pl.lit("mostly U+FFFD")).otherwise(pl.lit("no letter or digit"))
    )
    rows = (
        prompts.select("prompt_id", "text", reason.alias("reason"), characters.alias("score"))
        .filter(pl.col("reason").is_not_null() & (prompts["role"] != "holdout"))
        .with_columns(limit.alias("threshold"), detail.alias("detail"))
    )
    kept = prompts.filter(~pl.col("prompt_id").is_in(rows["prompt_id"].implode()))
    return Outcome(kept=kept, decisions=decisions(rows, step="invalid", decision="drop"))
