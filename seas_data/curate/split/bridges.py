"""Bridges: later rows that would link the training side to a frozen test, harmless or holdout row.

After the first version the splits are frozen and all later rows go to ``train``. A later row linked to a row of another
side is dropped as ``split_bridge``. Dropping the directly linked rows is enough: rows linked through them are no longer
linked, and each dropped row has its own reason. Bridges are found before the greedy selection, so none of them is kept
or becomes the witness of another drop.
"""

import polars as pl

from seas_data.curate.dedup.edges import edge_threshold
from seas_data.curate.split.groups import grouping_columns
from seas_data.recipe import Curation

_LINKS = {
    "text_digest": "the same text as",
    "disguised": "the same text, disguised, as",
    "near_duplicate": "alike by characters to",
    "semantic_duplicate": "alike by meaning to",
    "related": "alike in wrapper or request to",
    "template_id": "the same template as",
    "request_id": "the same request as",
}


def find_bridges(
    prompts: pl.DataFrame,
    edges: pl.DataFrame,
    templates: pl.DataFrame,
    settings: Curation,
    earlier: pl.DataFrame,
) -> pl.DataFrame:
    """Return the later rows that are linked to an earlier row on a side other than ``train``, with their closest link.

    Links are, closest first: a copy of the text, the best edge, the template, the request (for
    ``settings.split.group_by_request``).

    Input columns: of ``prompts`` (all rows): ``prompt_id``, ``text_digest``; of ``edges`` (between representatives of
    texts): ``prompt_id``, ``neighbour_id``, ``reason``, ``score``; of ``templates``: ``prompt_id``, ``template_id`` and
    ``request_id``; of ``earlier``: ``prompt_id``, ``split``.
    Output columns: ``prompt_id``, ``witness_id`` (the earlier row), ``score``, ``threshold``, ``detail``.
    """
    keys = grouping_columns(settings)
    rows = prompts.select("prompt_id", "text_digest").join(
        templates.select("prompt_id", *keys), on="prompt_id", how="left"
    )
    frozen = rows.join(earlier.filter(pl.col("split") != "train").select("prompt_id", "split"), on="prompt_id")
    frozen = frozen.sort("prompt_id").rename({"prompt_id": "witness_id"})
    new_rows = rows.join(earlier, on="prompt_id", how="anti")

    links = [
        new_rows.drop_nulls(key)
        .join(frozen.unique(key, keep="first", maintain_order=True).select(key, "witness_id", "split"), on=key)
        .select("prompt_id", "witness_id", "split", order=pl.lit(order), link=pl.lit(_LINKS[key]))
        for order, key in zip((0, 2, 3), ("text_digest", *keys), strict=False)
    ]
    # An edge holds for all rows of its two texts, and a frozen row may not be the representative of its text.
    frozen_texts = (
        rows.select("prompt_id", "text_digest")
        .join(
            frozen.unique("text_digest", keep="first", maintain_order=True).select(
                "text_digest", "witness_id", "split"
            ),
            on="text_digest",
        )
        .drop("text_digest")
    )
    for end, other_end in (("prompt_id", "neighbour_id"), ("neighbour_id", "prompt_id")):
        links.append(
            edges.join(frozen_texts, left_on=other_end, right_on="prompt_id")
            .select("witness_id", "split", "reason", "score", prompt_id=end)
            .join(rows.select("prompt_id", "text_digest"), on="prompt_id")
            .drop("prompt_id")
            .join(new_rows.select("prompt_id", "text_digest"), on="text_digest")
            .select(
                "prompt_id",
                "witness_id",
                "split",
                pl.col("score").cast(pl.Float64).round(6),
                edge_threshold(settings, "group").cast(pl.Float64).round(6).alias("threshold"),
                order=pl.lit(1),
                link=pl.col("reason").cast(pl.String).replace_strict(_LINKS, return_dtype=pl.String),
            )
        )
    return (
        pl.concat(links, how="diagonal")
        .sort("prompt_id", "order", "score", "witness_id", descending=[False, False, True, False], nulls_last=True)
        .unique("prompt_id", keep="first", maintain_order=True)
        .select(
            "prompt_id",
            "witness_id",
            "score",
            "threshold",
            detail=pl.format("{} a row of the {} side", "link", "split"),
        )
    )
