"""Edges: which prompts are alike, by characters and by meaning, and in what respect.

What is compared are items (see ``items``): whole texts and payloads. One near pass and one semantic pass for each
embedder go over all of them together; what a pair of items means depends on what they are:

===========================  =============================  ================================
                             same template                  different templates, or none
===========================  =============================  ================================
whole text - whole text      not compared: the wrapper       duplicates
                             would make all of them alike
payload - payload            duplicates                     the same request, differently put
payload - whole text         nothing                        with a plain text: the same request
===========================  =============================  ================================

A pair of payloads becomes one duplicate edge for each template that holds both, but a single request edge.

Two kinds of pairs reach a duplicate threshold and are no duplicates; they are ``related``, which keeps them on one side
of the split and drops neither. *The same request as another attack*: embeddings see what is asked and hardly how, so a
question and the same question with "begin with: Of course" have almost one vector; a semantic duplicate must have the
same attack style, or both none. *Different requests in wrappers that are nearly the same*: compared whole, two long
stories that differ in a sentence make all that they wrap alike; prompts of two templates are duplicates only if their
payloads are.

Every edge here reaches the group threshold of its measure, which keeps two prompts on one side of the split; those that
also reach the duplicate threshold (``is_duplicate``) are grounds for a drop.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.curate.dedup.items import Items
from seas_data.recipe import Curation
from seas_data.similarity import cosine_neighbours, near_duplicates
from seas_data.similarity.cosine_neighbours import Pairs
from seas_data.similarity.embeddings import Embedded

EDGE_REASONS = pl.Enum(["exact_duplicate", "near_duplicate", "semantic_duplicate", "related"])
"""The measures, the surest first; and what reaches a duplicate threshold without being a duplicate."""

_PAIR_COLUMNS: dict[str, pl.DataType] = {
    "left": pl.Int64(),
    "right": pl.Int64(),
    "reason": EDGE_REASONS,
    "score": pl.Float32(),
}


@dataclass(frozen=True)
class Edges:
    """Pairs of unit representatives, ``prompt_id < neighbour_id``, each pair once, with its ``reason`` and ``score``.

    ``duplicates`` look alike (from the group threshold up). ``requests`` ask alike inside different wrappers, or with
    and without one; they are to be followed from edge to edge, because the units that wrap one payload are joined only
    to the first of them (reason ``exact_duplicate``). A pair alike by both measures has the near score if that makes it
    a duplicate, otherwise the semantic one.
    """

    duplicates: pl.DataFrame
    requests: pl.DataFrame


def find(compared: Items, embedded: Embedded | None, settings: Curation) -> Edges:
    """Return the edges among ``compared``; a measure whose settings are null is left out.

    ``embedded``: what the embedders made of ``compared.items``, row for row (may be None when ``settings.semantic``
    is). Items that no embedder sees have no semantic edges.
    """
    blocks = np.full(compared.items.height, -1, dtype=np.int64)
    blocks[: compared.units.height] = _template_codes(compared)
    earlier = compared.items["earlier"].to_numpy()
    passes = [pl.DataFrame(schema=_PAIR_COLUMNS)]
    if settings.near is not None:
        low = min(settings.near.group, settings.near.duplicate)
        found = near_duplicates.find_pairs(compared.items["text"].to_list(), low, blocks=blocks, earlier=earlier)
        passes.append(_measured("near_duplicate", found))
    if settings.semantic is not None and embedded is not None:
        low = min(settings.semantic.group, settings.semantic.duplicate)
        for model in sorted(embedded.matrices):
            seen = (embedded.lookup["model"] == model).fill_null(False).arg_true().to_numpy().astype(np.int64)
            vectors = embedded.matrices[model][embedded.lookup["row"].gather(seen).to_numpy()]
            found = cosine_neighbours.find_pairs(vectors, low, blocks=blocks[seen], earlier=earlier[seen])
            passes.append(_measured("semantic_duplicate", Pairs(seen[found.left], seen[found.right], found.score)))
    # One row for a pair of items: a near duplicate first, then the semantic score, then a merely near one.
    preference = (
        pl.when(pl.col("reason") == "semantic_duplicate").then(1).when(is_duplicate(settings)).then(0).otherwise(2)
    )
    ordered = pl.concat(passes).sort("left", "right", preference)
    alike = ordered.filter(pl.any_horizontal(pl.col("left", "right").ne_missing(pl.col("left", "right").shift())))
    duplicates = _duplicates(compared, alike, with_near=settings.near is not None)
    return Edges(
        duplicates=_as_edges(
            compared, _set_apart(compared, duplicates, alike.filter(is_duplicate(settings)), settings)
        ),
        requests=_as_edges(compared, _requests(compared, alike)),
    )


def threshold(settings: Curation, level: Literal["duplicate", "group"] = "duplicate") -> pl.Expr:
    """Return the threshold (Float32) of an edge's ``reason``; null if its measure is not in the settings.

    It is Float32 because scores are: 0.7 as a Float64 is more than the Float32 nearest to it.
    """
    chosen = {"exact_duplicate": 1.0}
    for reason, measure in (("near_duplicate", settings.near), ("semantic_duplicate", settings.semantic)):
        if measure is not None:
            # Duplicates are always of one group, whatever the settings say.
            chosen[reason] = measure.duplicate if level == "duplicate" else min(measure.group, measure.duplicate)
    if level == "group":
        chosen["related"] = min(chosen.values())
    return pl.col("reason").cast(pl.String).replace_strict(chosen, default=None, return_dtype=pl.Float32)


def is_duplicate(settings: Curation) -> pl.Expr:
    """Return whether an edge (``reason``, ``score``) reaches the duplicate threshold of its measure."""
    return (pl.col("score").cast(pl.Float32) >= threshold(settings)).fill_null(False)


def holds_together(settings: Curation) -> pl.Expr:
    """Return whether an edge reaches a duplicate threshold, duplicate or only related: never to cross the split."""
    return is_duplicate(settings) | (pl.col("reason").cast(pl.String) == "related")


def among(edges: pl.DataFrame, prompts: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    """Return the edges of which both texts are kept, each end now the kept row of that text with the smallest id.

    ``prompts`` (``prompt_id``, ``text_digest``) holds every row that ``edges`` names; ``kept`` is some of its rows.
    Steps that come after the selection see only kept rows, and so take their edges in this form.
    """
    standing = kept.group_by("text_digest").agg(pl.col("prompt_id").min().alias("kept_id"))
    place = prompts.select("prompt_id", "text_digest").join(standing, on="text_digest").select("prompt_id", "kept_id")
    ends = edges.join(place, on="prompt_id").join(
        place.rename({"prompt_id": "neighbour_id", "kept_id": "kept_neighbour_id"}), on="neighbour_id"
    )
    return ends.select(
        prompt_id=pl.min_horizontal("kept_id", "kept_neighbour_id"),
        neighbour_id=pl.max_horizontal("kept_id", "kept_neighbour_id"),
        reason="reason",
        score="score",
    ).sort("prompt_id", "neighbour_id")


def _template_codes(compared: Items) -> NDArray[np.int64]:
    """Number the units by template; -1 where there is none."""
    codes: NDArray[np.int64] = (compared.units["template_id"].rank("dense").cast(pl.Int64) - 1).fill_null(-1).to_numpy()
    return codes


def _measured(reason: str, found: Pairs) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "left": found.left,
            "right": found.right,
            "reason": pl.Series([reason], dtype=EDGE_REASONS).new_from_index(0, len(found.left)),
            "score": found.score,
        },
        schema=_PAIR_COLUMNS,
    )


def _wrapped(compared: Items) -> pl.DataFrame:
    """Return ``item``, ``unit``, ``template_id`` of each payload in each unit that wraps it, in the units' order."""
    return (
        compared.units.with_row_index("unit")
        .drop_nulls("payload_item")
        .select(pl.col("payload_item").cast(pl.Int64).alias("item"), pl.col("unit").cast(pl.Int64), "template_id")
    )


def _duplicates(compared: Items, alike: pl.DataFrame, *, with_near: bool) -> pl.DataFrame:
    """Return pairs of units: whole texts (never of one template) and the payloads that a template holds both of."""
    payloads, wrapped = compared.units.height, _wrapped(compared)
    within = alike.filter((pl.col("left") >= payloads) & (pl.col("right") >= payloads))
    if with_near:
        # A payload that a template wraps twice (in texts that differ in their wrapper's spelling) is like itself.
        twice = wrapped.filter(pl.len().over("item", "template_id") > 1)["item"].unique(maintain_order=True)
        itself = Pairs(twice.to_numpy(), twice.to_numpy(), np.ones(len(twice), dtype=np.float32))
        within = pl.concat([within, _measured("near_duplicate", itself)])
    expanded = (
        within.join(wrapped, left_on="left", right_on="item")
        .join(wrapped, left_on=["right", "template_id"], right_on=["item", "template_id"], suffix="_right")
        .filter((pl.col("left") != pl.col("right")) | (pl.col("unit") < pl.col("unit_right")))
    )
    return pl.concat(
        [
            alike.filter(pl.col("right") < payloads),
            expanded.select("reason", "score", left="unit", right="unit_right").select(list(_PAIR_COLUMNS)),
        ]
    )


def _set_apart(compared: Items, pairs: pl.DataFrame, same: pl.DataFrame, settings: Curation) -> pl.DataFrame:
    """Return ``pairs`` of units with those as ``related`` that reach a threshold and are no duplicates (see the top).

    ``same``: the pairs of items that reach a duplicate threshold.
    """
    units = compared.units.select("attack_style", "template_id", payload="payload_item").with_row_index("unit")
    ends = (
        pairs.with_columns(pl.col("left", "right").cast(pl.UInt32))
        .join(units, left_on="left", right_on="unit", maintain_order="left")
        .join(units, left_on="right", right_on="unit", maintain_order="left", suffix="_right")
    )
    first, second = pl.min_horizontal("payload", "payload_right"), pl.max_horizontal("payload", "payload_right")
    width = compared.items.height
    known = same.select(pl.col("left") * width + pl.col("right")).to_series().implode()
    other_attack = (pl.col("reason") == "semantic_duplicate") & pl.col("attack_style").ne_missing(
        pl.col("attack_style_right")
    )
    other_request = (
        pl.col("template_id").ne(pl.col("template_id_right"))
        & pl.col("payload").ne(pl.col("payload_right"))
        & ~(first.cast(pl.Int64) * width + second).is_in(known)
    ).fill_null(False)
    apart = is_duplicate(settings) & (other_attack | other_request)
    related = pl.when(apart).then(pl.lit("related", dtype=EDGE_REASONS)).otherwise("reason").alias("reason")
    return ends.with_columns(related).select(pl.col(name).cast(kind) for name, kind in _PAIR_COLUMNS.items())


def _requests(compared: Items, alike: pl.DataFrame) -> pl.DataFrame:
    """Return pairs of units, of different templates or one of them plain, that follow a request through wrappers."""
    payloads, wrapped = compared.units.height, _wrapped(compared)
    # The first unit in the first and in the last template that wraps a payload: two payloads are in different wrappers
    # unless all of these are one template.
    ends = (
        wrapped.sort("item", "template_id", "unit")
        .unique(["item", "template_id"], keep="first", maintain_order=True)
        .group_by("item", maintain_order=True)
        .agg(
            first=pl.col("unit").first(),
            last=pl.col("unit").last(),
            low=pl.col("template_id").first(),
            high=pl.col("template_id").last(),
        )
    )
    same = wrapped.join(ends.select("item", "first", "low"), on="item").filter(pl.col("template_id") != pl.col("low"))
    crossing = (
        alike.filter(pl.col("left") >= payloads)
        .join(ends, left_on="left", right_on="item")
        .join(ends, left_on="right", right_on="item", suffix="_right")
        .filter((pl.col("low") != pl.col("high_right")) | (pl.col("low_right") != pl.col("high")))
        .with_columns(forward=pl.col("low") != pl.col("high_right"))
        .select(
            left=pl.when("forward").then("first").otherwise("last"),
            right=pl.when("forward").then("last_right").otherwise("first_right"),
            reason="reason",
            score="score",
        )
    )
    plain = compared.units["template_id"].is_null().arg_true().cast(pl.Int64)
    with_plain = (
        alike.filter((pl.col("right") >= payloads) & pl.col("left").is_in(plain.implode()))
        .join(ends.select("item", "first"), left_on="right", right_on="item")
        .select("left", "reason", "score", right="first")
    )
    copies = same.select(
        left="first",
        right="unit",
        reason=pl.lit("exact_duplicate", dtype=EDGE_REASONS),
        score=pl.lit(1.0, dtype=pl.Float32),
    )
    return pl.concat([frame.select(list(_PAIR_COLUMNS)) for frame in (copies, crossing, with_plain)])


def _as_edges(compared: Items, pairs: pl.DataFrame) -> pl.DataFrame:
    """Return pairs of units as edges of their representatives, less those of two units of earlier versions."""
    ids, earlier = compared.units["prompt_id"], compared.units["earlier"]
    ordered = pairs.select(
        left=pl.min_horizontal("left", "right"),
        right=pl.max_horizontal("left", "right"),
        reason="reason",
        score="score",
    ).sort("left", "right")
    ordered = ordered.filter(~(earlier.gather(ordered["left"]) & earlier.gather(ordered["right"])))
    return ordered.select(
        prompt_id=ids.gather(ordered["left"]), neighbour_id=ids.gather(ordered["right"]), reason="reason", score="score"
    )
