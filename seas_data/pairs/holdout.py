"""What may never be trained on: the prompts of test, harmless and holdout, by their ids and by their texts.

Attacks are new texts, so their ids say little: an attack that comes out word for word like a test prompt is held out
too, and so is everything that grew from a seed with a held-out example.
"""

import polars as pl

from seas_data.text import text_digest


def held_out(prompts: pl.DataFrame, splits: pl.DataFrame) -> pl.DataFrame:
    """Return prompt_id and text_digest of every prompt that lies in a split other than ``train``.

    ``prompts`` and ``splits`` are the tables of a version. A prompt that curation dropped has no split: it is held out
    where its role is ``holdout``, for those keep their meaning whether or not a duplicate took their place.
    """
    elsewhere = splits.filter(pl.col("split") != "train").select("prompt_id")
    rows = prompts.filter(pl.col("role") == "holdout").select("prompt_id")
    return prompts.join(pl.concat([elsewhere, rows]), on="prompt_id", how="semi").select("prompt_id", "text_digest")


def withheld(prompts: pl.DataFrame, held_out: pl.DataFrame, seeds: pl.DataFrame | None = None) -> pl.Series:
    """Return the ids of those ``prompts`` (prompt_id, text and, with ``seeds``, seed_id) that are held out."""
    if held_out.is_empty():
        return pl.Series("prompt_id", [], dtype=pl.String)
    if "text_digest" not in prompts.columns:
        prompts = prompts.with_columns(
            text_digest=pl.Series([text_digest(text) for text in prompts["text"]], dtype=pl.String)
        )
    found = [
        prompts.join(held_out, on="prompt_id", how="semi"),
        prompts.join(held_out, on="text_digest", how="semi"),
    ]
    if seeds is not None:
        examples = seeds.select("seed_id", pl.col("example_ids").alias("prompt_id")).explode("prompt_id")
        tainted = examples.join(held_out, on="prompt_id", how="semi")
        found.append(prompts.join(tainted, on="seed_id", how="semi"))
    return pl.concat([part.select("prompt_id") for part in found])["prompt_id"].unique().sort()
