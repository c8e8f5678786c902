"""Request ids: prompts that make the same request in different wrappers, or with and without a wrapper, or under
different system turns, or in different languages.

Such prompts are not duplicates (they are the easy and the hard forms of one request); they share a ``request_id``.
Similarity is not transitive: following it from pair to pair would chain different requests together. So every request
has an *anchor*, and every prompt with that request is similar to the anchor itself or makes the request in its words.

The request of a prompt is its payload, or the whole text of a plain prompt. Plain texts are processed before payloads,
and those with the most similar partners first. Each joins the best anchor among its partners (anchors of earlier
versions before plain texts before payloads; then the surest measure, the highest score, the lowest digest), or becomes
an anchor if it has none.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.text import content_id, text_digest

_MEASURES = ["exact_duplicate", "near_duplicate", "semantic_duplicate"]


def assign_request_ids(
    prompts: pl.DataFrame, templates: pl.DataFrame, pairs: pl.DataFrame, earlier_requests: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Return the request ids of the prompts that share a request across wrappers, sorted by ``prompt_id``.

    Every row of ``pairs`` counts, so it must reach the duplicate thresholds. Rows of earlier versions keep their
    request; if its anchor is gone, they replace it. A prompt has a request only if the same request occurs in another
    wrapper, or both in a wrapper and without one, or so under another system turn, or in another language.

    Input columns: of ``prompts``: ``prompt_id``, ``text_digest``, ``language`` (if known), ``system_digest`` (if there
    are conversations); of ``templates``: ``prompt_id``, ``template_id``, ``payload`` (wrapped prompts); of ``pairs``:
    ``prompt_id``, ``neighbour_id``, ``reason``, ``score`` (see ``edges.Edges``); of ``earlier_requests``:
    ``prompt_id``, ``request_id`` (or null).
    Output columns: ``prompt_id``, ``request_id``.
    """
    rows = _digest_requests(prompts, templates, earlier_requests)
    nodes = (
        rows.group_by("digest")
        .agg(pl.col("earlier_id").min(), plain=pl.col("template_id").is_null().any())
        .sort("digest")
        .with_columns(own=pl.col("digest").map_elements(lambda digest: content_id("request", digest), pl.String))
        .with_row_index("node")
    )
    anchored = (pl.col("earlier_id") == pl.col("own")).any().over("earlier_id")
    nodes = nodes.with_columns(
        earlier_anchor=pl.col("earlier_id").is_not_null() & ((pl.col("earlier_id") == pl.col("own")) | ~anchored)
    )
    anchor = _choose_anchors(nodes, _link_nodes(rows, nodes, pairs))
    assigned = nodes.select(
        "digest", request_id=pl.coalesce(pl.col("earlier_id").gather(anchor), pl.col("own").gather(anchor))
    )
    return (
        rows.join(assigned, on="digest")
        .filter(
            (pl.struct("template_id", "system_digest").n_unique().over("request_id") > 1)
            | ((pl.col("digest").n_unique() > 1) & (pl.col("language").n_unique() > 1)).over("request_id")
        )
        .select("prompt_id", "request_id")
        .sort("prompt_id")
    )


def _digest_requests(
    prompts: pl.DataFrame, templates: pl.DataFrame, earlier_requests: pl.DataFrame | None
) -> pl.DataFrame:
    """Return ``prompt_id``, ``digest`` (of its request), ``template_id``, ``system_digest``, ``language`` and
    ``earlier_id`` (its earlier request).
    """
    if "system_digest" not in prompts.columns:
        prompts = prompts.with_columns(system_digest=pl.lit(None, pl.String))
    if "language" not in prompts.columns:
        prompts = prompts.with_columns(language=pl.lit(None, pl.String))
    payloads = templates.select("payload").drop_nulls().unique()
    digests = payloads.with_columns(payload_digest=pl.col("payload").map_elements(text_digest, pl.String))
    wrapped = templates.drop_nulls("template_id").join(digests, on="payload", how="left")
    earlier = (
        pl.DataFrame(schema={"prompt_id": pl.String, "request_id": pl.String})
        if earlier_requests is None
        else earlier_requests
    )
    return (
        prompts.select("prompt_id", "text_digest", "system_digest", "language")
        .join(wrapped.select("prompt_id", "template_id", "payload_digest"), on="prompt_id", how="left")
        .join(earlier.select("prompt_id", earlier_id="request_id"), on="prompt_id", how="left")
        .select(
            "prompt_id",
            digest=pl.coalesce("payload_digest", "text_digest"),
            template_id="template_id",
            system_digest="system_digest",
            language="language",
            earlier_id="earlier_id",
        )
    )


def _link_nodes(rows: pl.DataFrame, nodes: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Return ``node``, ``other`` for both directions of each pair of nodes, the best anchors first."""
    node_of = rows.join(nodes, on="digest").select("prompt_id", "node", "plain", "earlier_anchor")
    one_way = pairs.select("prompt_id", "neighbour_id", "reason", "score")
    other_way = one_way.select("reason", "score", prompt_id="neighbour_id", neighbour_id="prompt_id")
    return (
        pl.concat([one_way, other_way.select(one_way.columns)])
        .join(node_of.select("prompt_id", "node"), on="prompt_id")
        .join(node_of.rename({"prompt_id": "neighbour_id", "node": "other"}), on="neighbour_id")
        .filter(pl.col("node") != pl.col("other"))
        .with_columns(measure=pl.col("reason").cast(pl.String).cast(pl.Enum(_MEASURES)).to_physical())
        .sort(
            "node",
            "earlier_anchor",
            "plain",
            "measure",
            "score",
            "other",
            descending=[False, True, True, False, True, False],
        )
        .unique(["node", "other"], keep="first", maintain_order=True)
        .select("node", "other")
    )


def _choose_anchors(nodes: pl.DataFrame, links: pl.DataFrame) -> NDArray[np.int64]:
    """Return the anchor of each node: the node itself if it is an anchor or was placed by an earlier version."""
    anchor = np.arange(nodes.height)
    is_anchor = nodes["earlier_anchor"].to_list()
    degrees = links.group_by("node").agg(pl.len().alias("degree"), "other")
    order = (
        nodes.filter(pl.col("earlier_id").is_null())
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
