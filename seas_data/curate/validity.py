"""Drop rows that cannot be prompts: too short, too long, or without a visible letter, digit or emoji.

A text of mostly U+FFFD was decoded wrongly before it came here and cannot be restored. Holdout rows are what models are
tested on and stay unchanged.
"""

import polars as pl

from seas_data.conversation import user_text_column
from seas_data.curate.outcome import build_decisions, empty_decisions
from seas_data.folding import shows_nothing
from seas_data.recipe import Limits

_ROWS_PER_PART = 100_000
REPLACEMENT_CHARACTER = "\ufffd"
_SYMBOLS = r"[\p{L}\p{N}\p{Extended_Pictographic}\x{249c}-\x{24e9}\x{1f110}-\x{1f1ff}]"
"""Letters, digits, emoji, and letters in brackets, circles, squares and flags, which Unicode counts as symbols."""


def find_invalid(prompts: pl.DataFrame, settings: Limits) -> pl.DataFrame:
    """Return the decisions to drop the rows of ``prompts`` that cannot be prompts, except holdout rows.

    A row has one decision, for the first of ``too_short``, ``too_long`` and ``invalid`` that applies. Its ``score`` is
    the length of the text in characters without surrounding white space, its ``threshold`` the violated limit (null for
    ``invalid``).

    Of a conversation the words of the user count, but for its greatest length, which is that of all turns.

    Input columns: ``prompt_id``, ``text``, ``role`` and, if there are conversations, ``messages``.
    Output columns: ``outcome.DECISION_COLUMNS`` (step ``invalid``).
    """
    parts = [_find_invalid(part, settings) for part in prompts.iter_slices(_ROWS_PER_PART)]
    return pl.concat([empty_decisions(), *parts])


def _find_invalid(prompts: pl.DataFrame, settings: Limits) -> pl.DataFrame:
    text = (user_text_column() if "messages" in prompts.columns else pl.col("text")).str.strip_chars()
    characters, all_characters = text.str.len_chars(), pl.col("text").str.strip_chars().str.len_chars()
    visible = text.str.replace_all(r"\s", "").str.len_chars()
    replaced = text.str.count_matches(REPLACEMENT_CHARACTER, literal=True)
    reason = (
        pl.when(characters < settings.min_characters)
        .then(pl.lit("too_short"))
        .when(all_characters > settings.max_characters)
        .then(pl.lit("too_long"))
        .when((replaced * 2 > visible) | ~text.str.contains(_SYMBOLS) | shows_nothing(text))
        .then(pl.lit("invalid"))
    )
    limit = (
        pl.when(pl.col("reason") == "too_short")
        .then(settings.min_characters)
        .when(pl.col("reason") == "too_long")
        .then(settings.max_characters)
    )
    detail = pl.when(pl.col("reason") == "invalid").then(
        pl.when(replaced * 2 > visible).then(pl.lit("mostly U+FFFD")).otherwise(pl.lit("no letter, digit or emoji"))
    )
    too_long = pl.col("reason") == "too_long"
    rows = (
        prompts.with_columns(reason.alias("reason"))
        .filter(pl.col("reason").is_not_null() & (pl.col("role") != "holdout"))
        .with_columns(
            limit.alias("threshold"),
            detail.alias("detail"),
            pl.when(too_long).then(all_characters).otherwise(characters).alias("score"),
        )
    )
    return build_decisions(rows, step="invalid", decision="drop")
