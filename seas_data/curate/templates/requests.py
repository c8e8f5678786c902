"""Requests: prompts that ask the same thing in different ways, in different wrappers or with and without one.

They are no duplicates (they are the easy and the hard forms of one request) but a fact about them: they share a
``request_id``. Likeness is no equivalence: followed from pair to pair it would chain unlike requests together. So every
request has an *anchor*, and whatever has the request is like the anchor itself or asks it in the same words.

What is asked is a payload, or all of a plain prompt. Plain texts are looked at first, then payloads, those with the
most likes first. Each joins its best anchor, if there is one among its likes (those of earlier versions before plain
texts before payloads; then the surest measure, the highest score, the smallest digest), and otherwise becomes one.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.text import content_id, text_digest

_CERTAINTY = ["exact_duplicate", "near_duplicate", "semantic_duplicate"]


def requests(
    prompts: pl.DataFrame, templates: pl.DataFrame, pairs: pl.DataFrame, known: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Return ``prompt_id``, ``request_id`` of the prompts that share a request across wrappers, sorted by prompt.

    ``prompts``: ``prompt_id``, ``text_digest``. ``templates``: ``prompt_id``, ``template_id``, ``payload`` of wrapped
    prompts. ``pairs``: ``prompt_id``, ``neighbour_id``, ``reason`` (of edges), ``score``; each of them counts, so they
    must be over the thresholds at which two prompts ask the same. ``known``: ``prompt_id``, ``request_id`` (or null) of
    rows of earlier versions, which keep their requests; where the anchor of one is gone its rows stand in for it.

    A prompt has a request only if the same is asked in another wrapper, or once in a wrapper and once without.
    """
    rows = _asked(prompts, templates, known)
    nodes = (
        rows.group_by("asked")
        .agg(pl.col("known").min(), plain=pl.col("template_id").is_null().any())
        .sort("asked")
        .with_columns(own=pl.col("asked").map_elements(lambda asked: content_id("request", asked), pl.String))
        .with_row_index("node")
    )
    anchored = (pl.col("known") == pl.col("own")).any().over("known")
    nodes = nodes.with_columns(
        earlier_anchor=pl.col("known").is_not_null() & ((pl.col("known") == pl.col("own")) | ~anchored)
    )
    anchor = _anchors(nodes, _links(rows, nodes, pairs))
    placed = nodes.select("asked", request_id=pl.coalesce(pl.col("known").gather(anchor), pl.col("own").gather(anchor)))
    return (
        rows.join(placed, on="asked")
        .filter(pl.col("template_id").fill_null("").n_unique().over("request_id") > 1)
        .select("prompt_id", "request_id")
        .sort("prompt_id")
    )


def _asked(prompts: pl.DataFrame, templates: pl.DataFrame, known: pl.DataFrame | None) -> pl.DataFrame:
    """Return ``prompt_id``, ``asked`` (the digest of what it asks), ``template_id`` and ``known`` (its request)."""
    payloads = templates.select("payload").drop_nulls().unique()
    digests = payloads.with_columns(digest=pl.col("payload").map_elements(text_digest, pl.String))
    wrapped = templates.drop_nulls("template_id").join(digests, on="payload", how="left")
    earlier = pl.DataFrame(schema={"prompt_id": pl.String, "request_id": pl.String}) if known is None else known
    return (
        prompts.select("prompt_id", "text_digest")
        .join(wrapped.select("prompt_id", "template_id", "digest"), on="prompt_id", how="left")
        .join(earlier.select("prompt_id", known="request_id"), on="prompt_id", how="left")
        .select("prompt_id", asked=pl.coalesce("digest", "text_digest"), template_id="template_id", known="known")
    )


def _links(rows: pl.DataFrame, nodes: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Return ``node``, ``other`` for both directions of each pair of nodes, the best anchors first."""
    node_of = rows.join(nodes, on="asked").select("prompt_id", "node", "plain", "earlier_anchor")
    one_way = pairs.select("prompt_id", "neighbour_id", "reason", "score")
    other_way = one_way.select("reason", "score", prompt_id="neighbour_id", neighbour_id="prompt_id")
    return (
        pl.concat([one_way, other_way.select(one_way.columns)])
        .join(node_of.select("prompt_id", "node"), on="prompt_id")
        .join(node_of.rename({"prompt_id": "neighbour_id", "node": "other"}), on="neighbour_id")
        .filter(pl.col("node") != pl.col("other"))
        .with_columns(certainty=pl.col("reason").cast(pl.String).cast(pl.Enum(_CERTAINTY)).to_physical())
        .sort(
            "node",
            "earlier_anchor",
            "plain",
            "certainty",
            "score",
            "other",
            descending=[False, True, True, False, True, False],
        )
        .unique(["node", "other"], keep="first", maintain_order=True)
        .select("node", "other")
    )


def _anchors(nodes: pl.DataFrame, links: pl.DataFrame) -> NDArray[np.int64]:
    """Return the anchor of each node, itself if it is one (or has been placed by an earlier version)."""
    anchor = np.arange(nodes.height)
    is_anchor = nodes["earlier_anchor"].to_list()
    degrees = links.group_by("node").agg(pl.len().alias("degree"), "other")
    order = (
        nodes.filter(pl.col("known").is_null())
        .join(degrees, on="node")
        .sort("plain", "degree", "node", descending=[True, True, False])
    )
    for node, others in order.select("node", "other").iter_rows():
        chosen = next((other for other in others if is_anchor[other]), None)
        if chosen is None:
            is_anchor[node] = True
        else:
            anchor[node] = chosen
    return anchor
