"""Greedy selection: keep one prompt of each family of duplicates, and a limited number per template.

Rows are taken in rank order: rows of earlier versions, rows that a person keeps, then by source priority and id. A row
is dropped because of a **kept** neighbour, because it would bridge the split, or because its template is full;
otherwise it is kept for good. So every duplicate has a kept witness over the threshold. Similarity is not transitive:
keeping one row per connected component would drop rows that resemble nothing kept.

Of several kept neighbours the witness is the surest: an exact copy before a near duplicate before a semantic one, then
the highest score, then the best rank.

Rows of opposite kinds (exactly one of the two is adversarial) never drop each other, not even as exact copies: a
harmless prompt that looks like an attack is worth more than either alone. If both are kept, they are flagged
``contrast_pair``. Nor do rows with different system turns, or only one with a system turn, unless
``curation.drop_other_system_turns`` says so.

The pass runs over *nodes* instead of rows: the rows of one text, one side (adversarial or not), one template and one
system turn, which it cannot distinguish. A node is decided when its first row has its turn: if it is kept, its first
row is kept and the others are exact duplicates of that row; if it is dropped, all its rows are dropped for the same
reason.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.curate.dedup.edges import EDGE_REASONS, edge_threshold, is_duplicate
from seas_data.curate.outcome import Outcome, build_decisions
from seas_data.recipe import Curation

_NODE = ["text_digest", "adversarial", "template_id", "system_digest"]
_KEPT, _BRIDGE, _FULL = -1, -2, -3  # outcome of a node; a value >= 0 is the row of its edge to a kept neighbour
_DETAILS = {
    "exact_duplicate": "the same text",
    "disguised": "the same text, disguised",
    "near_duplicate": "alike by characters",
    "semantic_duplicate": "alike by meaning",
    "related": "alike in wrapper or request",
}


def select(
    prompts: pl.DataFrame,
    edges: pl.DataFrame,
    templates: pl.DataFrame,
    settings: Curation,
    *,
    earlier: pl.Series | None = None,
    manual_keeps: pl.Series | None = None,
    bridges: pl.DataFrame | None = None,
    disguised: pl.Series | None = None,
) -> Outcome:
    """Return the rows of ``prompts`` to keep, with a decision for each dropped row and for each contrast pair.

    ``edges`` are exact scores; an edge holds for all rows with the texts of its two prompts. Rows of ``earlier``
    versions and ``manual_keeps`` (ids that a person keeps) are never dropped, but count towards their template's limit.
    ``bridges``: rows without an allowed side of the split, from ``find_bridges``; unless they duplicate a kept row,
    they are dropped as ``split_bridge``. A bridge that a person keeps is always dropped as ``split_bridge``, because it
    would leak the test set; this is the only reason that overrides a manual keep. ``disguised``: ids that rank last, so
    that the plain text is kept.

    Input columns: of ``prompts``: ``prompt_id``, ``text_digest``, ``kind``, ``priority`` and, if there are
    conversations, ``system_digest``; of ``edges``: ``prompt_id``, ``neighbour_id``, ``reason``
    (``edges.EDGE_REASONS``), ``score``; of ``templates``: ``prompt_id``, ``template_id``.
    Output columns: the input's; decisions as in ``outcome.DECISION_COLUMNS`` (step ``select``).
    """
    given, bridge_rows = prompts, _or_empty(bridges)
    refused_keeps = bridge_rows.clear()
    if manual_keeps is not None:
        refused_keeps = bridge_rows.filter(pl.col("prompt_id").is_in(manual_keeps.implode()))
        manual_keeps = manual_keeps.filter(~manual_keeps.is_in(refused_keeps["prompt_id"].implode()))
    if "system_digest" not in prompts.columns or settings.drop_other_system_turns:
        prompts = prompts.with_columns(system_digest=pl.lit(None, pl.String))
    rows = _ranked(prompts, templates, earlier, manual_keeps, disguised)
    nodes = (
        rows.group_by(_NODE, maintain_order=True)
        .agg(pl.col("prompt_id", "unit").first(), pl.col("frozen").sum())
        .with_row_index("node")
        .with_columns(pl.col("node").cast(pl.Int64))
    )
    rows = rows.join(nodes.select("node", *_NODE), on=_NODE, nulls_equal=True, maintain_order="left")
    node_edges = _connect_nodes(edges, rows, nodes)
    duplicates = node_edges.filter("same_side", "same_system", is_duplicate(settings)).sort(
        "second_node", "reason", "score", "first_node", descending=[False, False, True, False]
    )
    bridge_nodes = rows.join(bridge_rows, on="prompt_id", maintain_order="left").unique(
        "node", keep="first", maintain_order=True
    )
    outcome, template_witness = _decide(nodes, duplicates, bridge_nodes["node"], settings.templates.max_per_template)

    drop_reasons = _drop_reasons(nodes, outcome, template_witness, duplicates, bridge_nodes, settings)
    rows = rows.with_columns(
        node_kept=pl.Series(outcome == _KEPT).gather(rows["node"]), first_id=nodes["prompt_id"].gather(rows["node"])
    )
    is_kept = pl.col("frozen") | (pl.col("node_kept") & (pl.col("prompt_id") == pl.col("first_id")))
    copies = rows.filter(~is_kept, "node_kept").select(
        "prompt_id",
        witness_id="first_id",
        reason=pl.lit("exact_duplicate"),
        score=pl.lit(1.0),
        threshold=pl.lit(1.0),
    )
    dropped = rows.filter(~pl.col("node_kept")).select("prompt_id", "node").join(drop_reasons, on="node")
    kept = rows.filter(is_kept)
    decisions = pl.concat(
        [
            *(
                build_decisions(rows.join(refused_keeps, on="prompt_id", how="anti"), step="select", decision="drop")
                for rows in (copies, dropped)
            ),
            build_decisions(refused_keeps, step="select", decision="drop", reason="split_bridge"),
            build_decisions(
                _flag_contrasts(node_edges, kept, settings), step="select", decision="flag", reason="contrast_pair"
            ),
        ]
    )
    return Outcome(
        kept=given.filter(pl.col("prompt_id").is_in(kept["prompt_id"].implode())),
        decisions=decisions.sort("prompt_id", "reason", "witness_id"),
    )


def _ranked(
    prompts: pl.DataFrame,
    templates: pl.DataFrame,
    earlier: pl.Series | None,
    manual_keeps: pl.Series | None,
    disguised: pl.Series | None,
) -> pl.DataFrame:
    """Return the rows in rank order with the columns the pass needs; ``unit`` numbers the texts."""

    def is_in(ids: pl.Series | None) -> pl.Expr:
        return pl.lit(False) if ids is None else pl.col("prompt_id").is_in(ids.implode())

    return (
        prompts.select(
            "prompt_id",
            "text_digest",
            "system_digest",
            "priority",
            unit=pl.col("text_digest").rank("dense").cast(pl.Int64),
            adversarial=pl.col("kind") == "adversarial",
            earlier=is_in(earlier),
            manual_keeps=is_in(manual_keeps),
            disguised=is_in(disguised),
        )
        .join(templates.select("prompt_id", "template_id"), on="prompt_id", how="left")
        .with_columns(frozen=pl.col("earlier") | pl.col("manual_keeps"))
        .sort(
            *("earlier", "manual_keeps", "disguised", "priority", "prompt_id"),
            descending=[True, True, False, False, False],
        )
    )


def _connect_nodes(edges: pl.DataFrame, rows: pl.DataFrame, nodes: pl.DataFrame) -> pl.DataFrame:
    """Return similar nodes: ``first_node``, ``second_node`` (in rank order), ``reason``, ``score``, ``same_side``,
    ``same_system``.
    """
    units = rows.select("prompt_id", "unit")
    sides = nodes.select("unit", "node", "adversarial", "system_digest")
    pairs = (
        edges.select("prompt_id", "neighbour_id", pl.col("reason").cast(EDGE_REASONS), pl.col("score").cast(pl.Float32))
        .join(units, on="prompt_id")
        .join(units, left_on="neighbour_id", right_on="prompt_id", suffix="_right")
        .select("unit", "unit_right", "reason", "score")
    )
    several = sides.filter(pl.len().over("unit") > 1)
    copies = several.join(several, on="unit").filter(pl.col("node") < pl.col("node_right"))
    shape = {
        "first_node": pl.min_horizontal("node", "node_right"),
        "second_node": pl.max_horizontal("node", "node_right"),
        "reason": pl.col("reason"),
        "score": pl.col("score"),
        "same_side": pl.col("adversarial") == pl.col("adversarial_right"),
        "same_system": pl.col("system_digest").eq_missing(pl.col("system_digest_right")),
    }
    return pl.concat(
        [
            pairs.join(sides, on="unit")
            .join(sides, left_on="unit_right", right_on="unit", suffix="_right")
            .select(**shape),
            copies.with_columns(
                reason=pl.lit("exact_duplicate", dtype=EDGE_REASONS), score=pl.lit(1.0, dtype=pl.Float32)
            ).select(**shape),
        ]
    )


def _decide(
    nodes: pl.DataFrame, duplicates: pl.DataFrame, bridges: pl.Series, max_per_template: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the outcome of each node (a row of ``duplicates``, or a code) and its template's first kept node.

    ``duplicates`` is sorted by ``second_node``, so each node's edges to earlier nodes are adjacent, the surest first.
    """
    count = nodes.height
    bounds = np.searchsorted(duplicates["second_node"].to_numpy(), np.arange(count + 1)).tolist()
    first_node = duplicates["first_node"].to_numpy()
    template = (nodes["template_id"].rank("dense").cast(pl.Int64) - 1).fill_null(-1).to_list()
    frozen = nodes["frozen"].to_list()
    bridge_nodes = np.zeros(count, dtype=np.bool_)
    bridge_nodes[bridges.to_numpy()] = True
    kept = np.zeros(count, dtype=np.bool_)
    outcome = np.full(count, _KEPT, dtype=np.int64)
    template_witness = np.full(count, -1, dtype=np.int64)
    template_counts: dict[int, int] = {}
    first: dict[int, int] = {}
    for node in range(count):
        wrapper = template[node]
        if not frozen[node]:
            start, end = bounds[node], bounds[node + 1]
            if start < end:
                kept_neighbours = kept[first_node[start:end]]
                place = int(kept_neighbours.argmax())
                if kept_neighbours[place]:
                    outcome[node] = start + place
                    continue
            if bridge_nodes[node]:
                outcome[node] = _BRIDGE
                continue
            if max_per_template is not None and wrapper >= 0 and template_counts.get(wrapper, 0) >= max_per_template:
                outcome[node], template_witness[node] = _FULL, first.get(wrapper, -1)
                continue
        kept[node] = True
        if wrapper >= 0:
            template_counts[wrapper] = template_counts.get(wrapper, 0) + max(1, frozen[node])
            first.setdefault(wrapper, node)
    return outcome, template_witness


def _drop_reasons(
    nodes: pl.DataFrame,
    outcome: NDArray[np.int64],
    template_witness: NDArray[np.int64],
    duplicates: pl.DataFrame,
    bridge_nodes: pl.DataFrame,
    settings: Curation,
) -> pl.DataFrame:
    """Return the decision columns of each dropped node."""
    ids = nodes["prompt_id"]
    alike = np.flatnonzero(outcome >= 0)
    drop_edges = duplicates[outcome[alike]]
    full = np.flatnonzero(outcome == _FULL)
    first_kept = pl.Series(template_witness[full])
    shape = ["node", "reason", "witness_id", "score", "threshold", "detail"]
    return pl.concat(
        [
            drop_edges.select(
                _rounded("score"),
                _rounded(edge_threshold(settings).alias("threshold")),
                pl.col("reason").cast(pl.String),
                node=pl.Series(alike),
                witness_id=ids.gather(drop_edges["first_node"]),
                detail=pl.lit(None, dtype=pl.String),
            ).select(shape),
            pl.DataFrame({"node": full}, schema={"node": pl.Int64})
            .with_columns(
                reason=pl.lit("template_cap"),
                witness_id=ids.gather(first_kept.replace(-1, None)),
                score=pl.lit(None, dtype=pl.Float64),
                threshold=pl.lit(settings.templates.max_per_template, dtype=pl.Float64),
                detail=nodes["template_id"].gather(full),
            )
            .select(shape),
            bridge_nodes.filter(pl.Series(outcome == _BRIDGE).gather(bridge_nodes["node"]))
            .with_columns(reason=pl.lit("split_bridge"))
            .select(shape),
        ]
    )


def _flag_contrasts(node_edges: pl.DataFrame, kept: pl.DataFrame, settings: Curation) -> pl.DataFrame:
    """Return both directions of each pair of similar kept rows of opposite kinds.

    Pairs of two rows of earlier versions are left out: they were flagged in their own version.
    """
    rows = kept.select("node", "prompt_id", "earlier")
    pairs = (
        node_edges.filter(~pl.col("same_side"), pl.col("score") >= edge_threshold(settings, "group"))
        .join(rows, left_on="first_node", right_on="node")
        .join(rows, left_on="second_node", right_on="node", suffix="_right")
        .filter(~(pl.col("earlier") & pl.col("earlier_right")))
        .select(
            "prompt_id",
            _rounded("score"),
            _rounded(edge_threshold(settings, "group").alias("threshold")),
            witness_id="prompt_id_right",
            detail=pl.col("reason").cast(pl.String).replace_strict(_DETAILS, return_dtype=pl.String),
        )
    )
    reversed_pairs = pairs.rename({"prompt_id": "witness_id", "witness_id": "prompt_id"}).select(pairs.columns)
    return pl.concat([pairs, reversed_pairs])


def _rounded(column: str | pl.Expr) -> pl.Expr:
    """Return a Float32 score as a readable Float64: 0.8 instead of 0.800000012."""
    return (pl.col(column) if isinstance(column, str) else column).cast(pl.Float64).round(6)


def _or_empty(bridges: pl.DataFrame | None) -> pl.DataFrame:
    if bridges is not None:
        return bridges
    text, number = pl.String(), pl.Float64()
    return pl.DataFrame(
        schema={"prompt_id": text, "witness_id": text, "score": number, "threshold": number, "detail": text}
    )
