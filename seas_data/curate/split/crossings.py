"""Check of a split: pairs that are on different sides although they must stay together."""

import polars as pl

from seas_data.curate.dedup.edges import must_stay_together
from seas_data.recipe import Curation


def find_crossings(
    kept: pl.DataFrame, splits: pl.DataFrame, edges: pl.DataFrame, templates: pl.DataFrame, settings: Curation
) -> pl.DataFrame:
    """Return the pairs that cross the split: duplicates of any kinds, copies, rows of one template or of one group.

    The holdout side is not checked here; the contamination step covers it.

    Input columns: of ``kept``: ``prompt_id``, ``text_digest``; of ``splits``: ``prompt_id``, ``split``, ``group_id``;
    of ``edges`` (between kept rows, see ``edges.restrict_to_kept``): ``prompt_id``, ``neighbour_id``, ``reason``,
    ``score``; of ``templates``: ``prompt_id``, ``template_id``.
    Output columns: ``prompt_id``, ``neighbour_id``, ``split``, ``neighbour_split``, ``reason`` (of the edge, or
    ``template``, ``group``), ``score``; empty for a correct split.
    """
    rows = (
        kept.select("prompt_id", "text_digest")
        .join(splits.filter(pl.col("split") != "holdout"), on="prompt_id")
        .join(templates.select("prompt_id", "template_id"), on="prompt_id", how="left")
    )
    side = rows.select("prompt_id", "split")
    columns = ["prompt_id", "neighbour_id", "split", "neighbour_split", "reason", "score"]
    crossing = [
        edges.filter(must_stay_together(settings))
        .join(side, on="prompt_id")
        .join(side.rename({"prompt_id": "neighbour_id", "split": "neighbour_split"}), on="neighbour_id")
        .filter(pl.col("split") != pl.col("neighbour_split"))
        .select(*columns[:4], pl.col("reason").cast(pl.String), pl.col("score").cast(pl.Float64).round(6))
    ]
    for key, reason in (("text_digest", "exact_duplicate"), ("template_id", "template"), ("group_id", "group")):
        # One row per side represents all rows with the key.
        representatives = rows.drop_nulls(key).group_by(key, "split").agg(pl.col("prompt_id").min())
        crossing.append(
            representatives.join(representatives, on=key)
            .filter(pl.col("split") < pl.col("split_right"))
            .select(
                "prompt_id",
                "split",
                neighbour_id="prompt_id_right",
                neighbour_split="split_right",
                reason=pl.lit(reason),
                score=pl.lit(None, dtype=pl.Float64),
            )
            .select(columns)
        )
    return pl.concat(crossing).sort("reason", "prompt_id", "neighbour_id")
