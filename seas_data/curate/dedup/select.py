"""The greedy pass: keep one prompt of each family of duplicates, and no more of a template than it may hold.

Rows are taken in rank order: those of earlier versions, those that a person keeps, then by source priority and id. A
row is dropped for a **kept** neighbour, because it may not be kept (``barred``), or because its template is full;
otherwise it is kept, for good. So every duplicate has a kept witness over the threshold. Similarity is not transitive:
going through connected components instead would drop rows that resemble nothing kept.

Of several kept neighbours the witness is the surest: an exact copy before a near duplicate before a semantic one, then
the one with the highest score, then the one that ranks first.

Opposite kinds (exactly one of the two is adversarial) are never a reason to drop, exact copies included: a harmless
prompt that looks like an attack is worth more than either. Those that are both kept are flagged ``contrast_pair``.

The pass does not run over rows but over *nodes*: the rows of one text, one side (adversarial or not) and one template,
which it cannot tell apart. They share one fate, decided when the first of them has its turn: if the node is kept, its
first row is, and the others are exact duplicates of it; if it is dropped, they all are, and for the same reason.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.curate.dedup.edges import EDGE_REASONS, is_duplicate, threshold
from seas_data.curate.outcome import Outcome, decisions
from seas_data.recipe import Curation

_NODE = ["text_digest", "adversarial", "template_id"]
_KEPT, _BARRED, _FULL = -1, -2, -3  # a node's ground, where it is not an edge to a kept neighbour
_ALIKE = {
    "exact_duplicate": "the same text",
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
    forced: pl.Series | None = None,
    barred: pl.DataFrame | None = None,
) -> Outcome:
    """Return the rows of ``prompts`` that stay, and a decision for each that does not and for each contrast pair.

    ``prompts``: ``prompt_id``, ``text_digest``, ``kind``, ``priority``. ``edges``: ``prompt_id``, ``neighbour_id``,
    ``reason`` (``near_duplicate`` | ``semantic_duplicate``), ``score``, each verified; an edge holds for all rows that
    have the texts of its two. ``templates``: ``prompt_id``, ``template_id``. ``earlier``, ``forced``: ids of rows of
    earlier versions, and of those that a person keeps: never dropped, though they count towards their template.
    ``barred``: rows that the split could put on no side, from ``split.bridges``: unless they are duplicates of a kept
    row, they are dropped as ``split_bridge``. Nobody's wish to keep one makes the test set leak: those are dropped as
    ``split_bridge`` whatever else they are, which is the one reason that stands over a person's word.
    """
    shut_out = _no_rows(barred)
    refused = shut_out.clear()
    if forced is not None:
        refused = shut_out.filter(pl.col("prompt_id").is_in(forced.implode()))
        forced = forced.filter(~forced.is_in(refused["prompt_id"].implode()))
    rows = _ranked(prompts, templates, earlier, forced)
    nodes = (
        rows.group_by(_NODE, maintain_order=True)
        .agg(pl.col("prompt_id", "unit").first(), pl.col("frozen").sum())
        .with_row_index("node")
        .with_columns(pl.col("node").cast(pl.Int64))
    )
    rows = rows.join(nodes.select("node", *_NODE), on=_NODE, nulls_equal=True, maintain_order="left")
    joined = _between_nodes(edges, rows, nodes)
    duplicates = joined.filter("same_side", is_duplicate(settings)).sort(
        "later", "reason", "score", "sooner", descending=[False, False, True, False]
    )
    shut = rows.join(shut_out, on="prompt_id", maintain_order="left").unique("node", keep="first", maintain_order=True)
    ground, filler = _decide(nodes, duplicates, shut["node"], settings.templates.max_per_template)

    fates = _fates(nodes, ground, filler, duplicates, shut, settings)
    rows = rows.with_columns(
        node_kept=pl.Series(ground == _KEPT).gather(rows["node"]), first_id=nodes["prompt_id"].gather(rows["node"])
    )
    stays = pl.col("frozen") | (pl.col("node_kept") & (pl.col("prompt_id") == pl.col("first_id")))
    copies = rows.filter(~stays, "node_kept").select(
        "prompt_id",
        witness_id="first_id",
        reason=pl.lit("exact_duplicate"),
        score=pl.lit(1.0),
        threshold=pl.lit(1.0),
    )
    dropped = rows.filter(~pl.col("node_kept")).select("prompt_id", "node").join(fates, on="node")
    kept = rows.filter(stays)
    ledger = pl.concat(
        [
            *(
                decisions(rows.join(refused, on="prompt_id", how="anti"), step="select", decision="drop")
                for rows in (copies, dropped)
            ),
            decisions(refused, step="select", decision="drop", reason="split_bridge"),
            decisions(_contrasts(joined, kept, settings), step="select", decision="flag", reason="contrast_pair"),
        ]
    )
    return Outcome(
        kept=prompts.filter(pl.col("prompt_id").is_in(kept["prompt_id"].implode())),
        decisions=ledger.sort("prompt_id", "reason", "witness_id"),
    )


def _ranked(
    prompts: pl.DataFrame, templates: pl.DataFrame, earlier: pl.Series | None, forced: pl.Series | None
) -> pl.DataFrame:
    """Return the rows in rank order, with what the pass needs to know of each; ``unit`` numbers the texts."""

    def among(ids: pl.Series | None) -> pl.Expr:
        return pl.lit(False) if ids is None else pl.col("prompt_id").is_in(ids.implode())

    return (
        prompts.select(
            "prompt_id",
            "text_digest",
            "priority",
            unit=pl.col("text_digest").rank("dense").cast(pl.Int64),
            adversarial=pl.col("kind") == "adversarial",
            earlier=among(earlier),
            forced=among(forced),
        )
        .join(templates.select("prompt_id", "template_id"), on="prompt_id", how="left")
        .with_columns(frozen=pl.col("earlier") | pl.col("forced"))
        .sort("earlier", "forced", "priority", "prompt_id", descending=[True, True, False, False])
    )


def _between_nodes(edges: pl.DataFrame, rows: pl.DataFrame, nodes: pl.DataFrame) -> pl.DataFrame:
    """Return what is alike: ``sooner`` and ``later`` (nodes in rank order), ``reason``, ``score``, ``same_side``."""
    units = rows.select("prompt_id", "unit")
    sides = nodes.select("unit", "node", "adversarial")
    pairs = (
        edges.select("prompt_id", "neighbour_id", pl.col("reason").cast(EDGE_REASONS), pl.col("score").cast(pl.Float32))
        .join(units, on="prompt_id")
        .join(units, left_on="neighbour_id", right_on="prompt_id", suffix="_right")
        .select("unit", "unit_right", "reason", "score")
    )
    several = sides.filter(pl.len().over("unit") > 1)
    copies = several.join(several, on="unit").filter(pl.col("node") < pl.col("node_right"))
    shape = {
        "sooner": pl.min_horizontal("node", "node_right"),
        "later": pl.max_horizontal("node", "node_right"),
        "reason": pl.col("reason"),
        "score": pl.col("score"),
        "same_side": pl.col("adversarial") == pl.col("adversarial_right"),
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
    nodes: pl.DataFrame, duplicates: pl.DataFrame, barred: pl.Series, most: int | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each node its ground (a row of ``duplicates``, or why not one) and its template's first kept node.

    ``duplicates`` is sorted by ``later``, so that each node's edges to those before it are together, the surest first.
    """
    count = nodes.height
    bounds = np.searchsorted(duplicates["later"].to_numpy(), np.arange(count + 1)).tolist()
    sooner = duplicates["sooner"].to_numpy()
    template = (nodes["template_id"].rank("dense").cast(pl.Int64) - 1).fill_null(-1).to_list()
    frozen = nodes["frozen"].to_list()
    shut = np.zeros(count, dtype=np.bool_)
    shut[barred.to_numpy()] = True
    kept = np.zeros(count, dtype=np.bool_)
    ground = np.full(count, _KEPT, dtype=np.int64)
    filler = np.full(count, -1, dtype=np.int64)
    held: dict[int, int] = {}
    first: dict[int, int] = {}
    for node in range(count):
        wrapper = template[node]
        if not frozen[node]:
            start, end = bounds[node], bounds[node + 1]
            if start < end:
                found = kept[sooner[start:end]]
                place = int(found.argmax())
                if found[place]:
                    ground[node] = start + place
                    continue
            if shut[node]:
                ground[node] = _BARRED
                continue
            if most is not None and wrapper >= 0 and held.get(wrapper, 0) >= most:
                ground[node], filler[node] = _FULL, first.get(wrapper, -1)
                continue
        kept[node] = True
        if wrapper >= 0:
            held[wrapper] = held.get(wrapper, 0) + max(1, frozen[node])
            first.setdefault(wrapper, node)
    return ground, filler


def _fates(
    nodes: pl.DataFrame,
    ground: NDArray[np.int64],
    filler: NDArray[np.int64],
    duplicates: pl.DataFrame,
    shut: pl.DataFrame,
    settings: Curation,
) -> pl.DataFrame:
    """Return for each dropped node what the ledger says of its rows."""
    ids = nodes["prompt_id"]
    alike = np.flatnonzero(ground >= 0)
    grounds = duplicates[ground[alike]]
    full = np.flatnonzero(ground == _FULL)
    fillers = pl.Series(filler[full])
    shape = ["node", "reason", "witness_id", "score", "threshold", "detail"]
    return pl.concat(
        [
            grounds.select(
                _rounded("score"),
                _rounded(threshold(settings).alias("threshold")),
                pl.col("reason").cast(pl.String),
                node=pl.Series(alike),
                witness_id=ids.gather(grounds["sooner"]),
                detail=pl.lit(None, dtype=pl.String),
            ).select(shape),
            pl.DataFrame({"node": full}, schema={"node": pl.Int64})
            .with_columns(
                reason=pl.lit("template_cap"),
                witness_id=ids.gather(fillers.replace(-1, None)),
                score=pl.lit(None, dtype=pl.Float64),
                threshold=pl.lit(settings.templates.max_per_template, dtype=pl.Float64),
                detail=nodes["template_id"].gather(full),
            )
            .select(shape),
            shut.filter(pl.Series(ground == _BARRED).gather(shut["node"]))
            .with_columns(reason=pl.lit("split_bridge"))
            .select(shape),
        ]
    )


def _contrasts(joined: pl.DataFrame, kept: pl.DataFrame, settings: Curation) -> pl.DataFrame:
    """Return both directions of each pair of kept rows of opposite kinds that are alike, once in their life."""
    rows = kept.select("node", "prompt_id", "earlier")
    pairs = (
        joined.filter(~pl.col("same_side"), pl.col("score") >= threshold(settings, "group"))
        .join(rows, left_on="sooner", right_on="node")
        .join(rows, left_on="later", right_on="node", suffix="_right")
        .filter(~(pl.col("earlier") & pl.col("earlier_right")))
        .select(
            "prompt_id",
            _rounded("score"),
            _rounded(threshold(settings, "group").alias("threshold")),
            witness_id="prompt_id_right",
            detail=pl.col("reason").cast(pl.String).replace_strict(_ALIKE, return_dtype=pl.String),
        )
    )
    turned = pairs.rename({"prompt_id": "witness_id", "witness_id": "prompt_id"}).select(pairs.columns)
    return pl.concat([pairs, turned])


def _rounded(column: str | pl.Expr) -> pl.Expr:
    """Return a Float32 score as the Float64 that a person wrote or would write: 0.8 rather than 0.800000012."""
    return (pl.col(column) if isinstance(column, str) else column).cast(pl.Float64).round(6)


def _no_rows(barred: pl.DataFrame | None) -> pl.DataFrame:
    if barred is not None:
        return barred
    text, number = pl.String(), pl.Float64()
    return pl.DataFrame(
        schema={"prompt_id": text, "witness_id": text, "score": number, "threshold": number, "detail": text}
    )
