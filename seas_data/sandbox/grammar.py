"""Grammar of the sandbox: parse a prompt into its phrases, and decide whether it is a whole attack and of which style.

It uses texts only, not the leak probabilities of a world.
"""

from functools import cache

import polars as pl

from seas_data.sandbox.phrases import (
    ATTRIBUTES,
    CLOSERS,
    MODIFIERS,
    OPENERS,
    PASSWORD_ASKS,
    PASSWORD_QUESTIONS,
    SEPARATOR,
    VAULTS,
    Phrases,
)


def parse_prompts(texts: pl.Series) -> pl.DataFrame:
    """Parse ``texts``; return one row each, in order.

    Output columns: valid (a whole attack: opener, modifier, password ask, closer), kind (adversarial; harmless for a
    look-alike; null without a whole wrapper), style (the opener's, whatever follows it), opener, modifier, ask, closer,
    held_out (whether any phrase is held out of training). A part that is not a phrase of its place is null, and a text
    with more than four parts is not whole.
    """
    names = ("opener", "modifier", "ask", "closer")
    split = pl.col("text").str.split(SEPARATOR)
    parts = pl.DataFrame({"text": texts.cast(pl.String)}).select(
        split.list.len().alias("count"),
        *(split.list.get(number, null_on_oob=True).str.strip_chars().alias(name) for number, name in enumerate(names)),
    )
    for name in names:
        parts = parts.join(_phrase_tables()[name], on=name, how="left", maintain_order="left")
    whole = (pl.col("count") == 4) & pl.all_horizontal(
        pl.col(name).is_not_null() for name in ("style", "modifier_held_out", "ask_kind", "closer_held_out")
    )
    held_out = pl.any_horizontal(pl.col("opener_held_out", "modifier_held_out", "ask_held_out", "closer_held_out"))
    return parts.select(
        (whole & (pl.col("ask_kind") == "adversarial")).fill_null(False).alias("valid"),
        pl.when(whole).then("ask_kind").alias("kind"),
        "style",
        *(pl.when(pl.col(f"{name}_held_out").is_not_null()).then(name).alias(name) for name in names),
        (whole & held_out.fill_null(False)).fill_null(False).alias("held_out"),
    )


@cache
def _phrase_tables() -> dict[str, pl.DataFrame]:
    """Return for each place of the wrapper its phrases and whether each is held out; openers with their style."""
    openers = [_phrase_table("opener", phrases).with_columns(style=pl.lit(style)) for style, phrases in OPENERS.items()]
    harmless = [ask.format(vault) for attribute in ATTRIBUTES for ask in attribute.asks for vault in VAULTS]
    harmless += [question.text for question in PASSWORD_QUESTIONS]
    attacks = [
        (ask.format(vault), number >= PASSWORD_ASKS.known)
        for number, ask in enumerate(PASSWORD_ASKS.all)
        for vault in VAULTS
    ]
    asks = pl.DataFrame(
        {
            "ask": [ask for ask, _ in attacks] + harmless,
            "ask_held_out": [held_out for _, held_out in attacks] + [False] * len(harmless),
            "ask_kind": ["adversarial"] * len(attacks) + ["harmless"] * len(harmless),
        }
    )
    return {
        "opener": pl.concat(openers),
        "modifier": _phrase_table("modifier", MODIFIERS),
        "ask": asks,
        "closer": _phrase_table("closer", CLOSERS),
    }


def _phrase_table(name: str, phrases: Phrases) -> pl.DataFrame:
    held_out = [number >= phrases.known for number in range(len(phrases.all))]
    return pl.DataFrame({name: phrases.all, f"{name}_held_out": held_out})
