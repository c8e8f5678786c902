"""Edges: pairs of prompts that are similar by characters or by meaning, and what each pair means.

Items (see ``items``) are compared: whole texts and payloads. One near pass, and one semantic pass per embedder, cover
all of them together; the meaning of a pair depends on its items:

===========================  =============================  ================================
                             same template                  different templates, or none
===========================  =============================  ================================
whole text - whole text      not compared: the wrapper      duplicates
                             would make all of them alike
payload - payload            duplicates                     the same request in other words
payload - whole text         no edge                        with a plain text: the same request
===========================  =============================  ================================

A pair of payloads becomes one duplicate edge per template that contains both, but a single request edge.

Two texts that are equal only in their folded form (``disguise``) are ``related``, too, so a disguised copy is on the
side of the plain text; with ``curation.drop_disguised`` they are duplicates (``disguised``). A text with a hidden
payload and whatever resembles it are always ``related``.

Conversations of which one has a turn that the other asks are ``related``, too (``turn_links``).

Five more kinds of pairs reach a duplicate threshold without being duplicates. They are ``related``, which keeps them
on one side of the split and drops neither. *Negations*: one text negates the other (``negation``). *The same request as
another attack*: embeddings capture the request and hardly its form, so a question and the same question with "begin
with: Of course" have almost one vector; a semantic duplicate must have the same attack style, or both none. *Different
requests in nearly identical wrappers*: as whole texts, two long stories that differ in a sentence make all their
prompts similar; prompts of two templates are duplicates only if their payloads are, and two texts of several windows,
of which one has no template, only if no word of them differs (``long_texts``). *Translations*: semantic duplicates
in different languages make the same request (``curation.semantic.translations``).

Every edge reaches the group threshold of its measure, which keeps two prompts on one side of the split; edges that also
reach the duplicate threshold (``is_duplicate``) can cause a drop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.curate.dedup.items import Items
from seas_data.curate.dedup.long_texts import find_different_words
from seas_data.curate.dedup.negation import find_negations
from seas_data.curate.dedup.semantic_pairs import compare_meaning
from seas_data.curate.dedup.turn_links import link_turns
from seas_data.folding import has_hidden_payload
from seas_data.metrics.rows import metric_frame
from seas_data.recipe import Curation
from seas_data.similarity import near_duplicates
from seas_data.similarity.cosine_neighbours import Pairs
from seas_data.similarity.embeddings import Embedded
from seas_data.store.parts import Parts

EDGE_REASONS = pl.Enum(["exact_duplicate", "disguised", "near_duplicate", "semantic_duplicate", "related"])
"""The measures, the surest first, and ``related``: pairs over a duplicate threshold that are not duplicates."""

_PAIR_COLUMNS: dict[str, pl.DataType] = {
    "left": pl.Int64(),
    "right": pl.Int64(),
    "reason": EDGE_REASONS,
    "score": pl.Float32(),
}


@dataclass(frozen=True)
class Edges:
    """Pairs of unit representatives: ``prompt_id`` < ``neighbour_id``, ``reason``, ``score``; each pair once.

    ``duplicates``: similar pairs, from the group threshold up. ``requests``: similar requests in different wrappers, or
    with and without one; follow these from edge to edge, because units with equal payloads are joined only to the first
    of them (reason ``exact_duplicate``). A pair similar by both measures has the near score if that makes it a
    duplicate, else the semantic one.

    ``metrics``: if not all pairs were compared by meaning, ``semantic_recall`` of each model at both thresholds.
    """

    duplicates: pl.DataFrame
    requests: pl.DataFrame
    metrics: pl.DataFrame


def find_edges(
    items: Items,
    embedded: Embedded | None,
    settings: Curation,
    parts: Parts | None = None,
    across: Sequence[Embedded] = (),
) -> Edges:
    """Return the edges among ``items``; a measure whose settings are null is skipped.

    ``embedded``: the embeddings of ``items.items``, row for row (None only if ``settings.semantic`` is null). Items
    without a vector have no semantic edges; those of long texts are verified window by window (``windows``). ``parts``
    computes and stores the slow parts of both passes. ``across``: further embeddings of the items, by which those are
    compared that different models of ``embedded`` embedded (``embeddings.embed_across``).

    Output columns: see ``Edges``. Sources: see ``near_duplicates`` (Jaccard by MinHash) and ``cosine_neighbours``.
    """
    blocks = np.full(items.items.height, -1, dtype=np.int64)
    blocks[: items.units.height] = _template_codes(items)
    earlier = items.items["earlier"].to_numpy()
    passes, metrics = [pl.DataFrame(schema=_PAIR_COLUMNS)], [metric_frame([])]
    if settings.near is not None:
        floor = min(settings.near.group_threshold, settings.near.duplicate_threshold)
        pairs_found = near_duplicates.find_pairs(
            items.items["text"], floor, blocks=blocks, earlier=earlier, parts=parts
        )
        passes.append(_as_pairs("near_duplicate", pairs_found))
    if settings.semantic is not None and embedded is not None:
        # Texts that one model embedded have been compared by it.
        first_model = (embedded.lookup["model"].rank("dense").cast(pl.Int64) - 1).fill_null(-1).to_numpy()
        for each, their_blocks in [(embedded, blocks), *((later, first_model) for later in across)]:
            for model in sorted(each.matrices):
                pairs_found, measured = compare_meaning(each, model, their_blocks, earlier, settings.semantic, parts)
                in_template = (blocks[pairs_found.left] == blocks[pairs_found.right]) & (blocks[pairs_found.left] >= 0)
                passes.append(_as_pairs("semantic_duplicate", pairs_found).filter(~pl.Series(in_template)))
                metrics.append(measured)
    # One row per pair of items: a near duplicate first, then the semantic score, then a near score below its threshold.
    preference = (
        pl.when(pl.col("reason") == "semantic_duplicate").then(1).when(is_duplicate(settings)).then(0).otherwise(2)
    )
    ordered = pl.concat(passes).sort("left", "right", preference)
    similar = ordered.filter(pl.any_horizontal(pl.col("left", "right").ne_missing(pl.col("left", "right").shift())))
    duplicates = _find_duplicates(items, similar, with_near=settings.near is not None)
    translations = _find_translations(items, duplicates, settings)
    marked = _mark_related(items, duplicates, translations, similar.filter(is_duplicate(settings)), settings)
    marked = _mark_different_words(items, marked, embedded, settings)
    disguised = _add_disguised(items, marked, settings)
    return Edges(
        duplicates=_as_edges(items, _add_turn_links(items, disguised, similar, settings)),
        requests=_as_edges(items, pl.concat([_find_requests(items, similar), translations])),
        metrics=pl.concat(metrics),
    )


def edge_threshold(settings: Curation, level: Literal["duplicate", "group"] = "duplicate") -> pl.Expr:
    """Return the threshold (Float32) of an edge's ``reason``, or null if its measure is disabled.

    Float32 because scores are: as a Float64, 0.7 is greater than the Float32 nearest to it.
    """
    thresholds = {"exact_duplicate": 1.0, "disguised": 1.0}
    for reason, measure in (("near_duplicate", settings.near), ("semantic_duplicate", settings.semantic)):
        if measure is not None:
            # Duplicates always share a group, even if the group threshold is the higher one.
            thresholds[reason] = (
                measure.duplicate_threshold
                if level == "duplicate"
                else min(measure.group_threshold, measure.duplicate_threshold)
            )
    if level == "group":
        thresholds["related"] = min(thresholds.values())
    return pl.col("reason").cast(pl.String).replace_strict(thresholds, default=None, return_dtype=pl.Float32)


def is_duplicate(settings: Curation) -> pl.Expr:
    """Return whether an edge (``reason``, ``score``) reaches the duplicate threshold of its measure."""
    return (pl.col("score").cast(pl.Float32) >= edge_threshold(settings)).fill_null(False)


def must_stay_together(settings: Curation) -> pl.Expr:
    """Return whether an edge, duplicate or related, reaches a duplicate threshold and may not cross the split."""
    return is_duplicate(settings) | (pl.col("reason").cast(pl.String) == "related")


def restrict_to_kept(edges: pl.DataFrame, prompts: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    """Return the edges whose two texts are kept, each end replaced by the kept row of its text with the lowest id.

    Steps after the selection see kept rows only, so they take edges in this form.

    Input columns: of ``edges``: ``prompt_id``, ``neighbour_id``, ``reason``, ``score``; of ``prompts`` (every row named
    in ``edges``) and ``kept`` (a subset): ``prompt_id``, ``text_digest``.
    Output columns: those of ``edges``.
    """
    representative = kept.group_by("text_digest").agg(pl.col("prompt_id").min().alias("kept_id"))
    kept_id_of = (
        prompts.select("prompt_id", "text_digest").join(representative, on="text_digest").select("prompt_id", "kept_id")
    )
    ends = edges.join(kept_id_of, on="prompt_id").join(
        kept_id_of.rename({"prompt_id": "neighbour_id", "kept_id": "kept_neighbour_id"}), on="neighbour_id"
    )
    return ends.select(
        prompt_id=pl.min_horizontal("kept_id", "kept_neighbour_id"),
        neighbour_id=pl.max_horizontal("kept_id", "kept_neighbour_id"),
        reason="reason",
        score="score",
    ).sort("prompt_id", "neighbour_id")


def _template_codes(items: Items) -> NDArray[np.int64]:
    """Return the units' templates as numbers, -1 for none."""
    codes: NDArray[np.int64] = (items.units["template_id"].rank("dense").cast(pl.Int64) - 1).fill_null(-1).to_numpy()
    return codes


def _as_pairs(reason: str, pairs_found: Pairs) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "left": pairs_found.left,
            "right": pairs_found.right,
            "reason": pl.Series([reason], dtype=EDGE_REASONS).new_from_index(0, len(pairs_found.left)),
            "score": pairs_found.score,
        },
        schema=_PAIR_COLUMNS,
    )


def _wrapped_payloads(items: Items) -> pl.DataFrame:
    """Return ``item``, ``unit``, ``template_id`` of each payload in each unit that wraps it, in unit order."""
    return (
        items.units.with_row_index("unit")
        .drop_nulls("payload_item")
        .select(pl.col("payload_item").cast(pl.Int64).alias("item"), pl.col("unit").cast(pl.Int64), "template_id")
    )


def _find_duplicates(items: Items, similar: pl.DataFrame, *, with_near: bool) -> pl.DataFrame:
    """Return pairs of units: whole texts of different templates, and payloads within one template."""
    payloads, wrapped = items.units.height, _wrapped_payloads(items)
    within = similar.filter((pl.col("left") >= payloads) & (pl.col("right") >= payloads))
    if with_near:
        # A payload that a template wraps twice (with two spellings of the wrapper) forms a pair with itself.
        repeated = wrapped.filter(pl.len().over("item", "template_id") > 1)["item"].unique(maintain_order=True)
        self_pairs = Pairs(repeated.to_numpy(), repeated.to_numpy(), np.ones(len(repeated), dtype=np.float32))
        within = pl.concat([within, _as_pairs("near_duplicate", self_pairs)])
    expanded = (
        within.join(wrapped, left_on="left", right_on="item")
        .join(wrapped, left_on=["right", "template_id"], right_on=["item", "template_id"], suffix="_right")
        .filter((pl.col("left") != pl.col("right")) | (pl.col("unit") < pl.col("unit_right")))
    )
    return pl.concat(
        [
            similar.filter(pl.col("right") < payloads),
            expanded.select("reason", "score", left="unit", right="unit_right").select(list(_PAIR_COLUMNS)),
        ]
    )


def _find_translations(items: Items, pairs: pl.DataFrame, settings: Curation) -> pl.DataFrame:
    """Return those of ``pairs`` of units that are semantic duplicates in different languages, if they are kept."""
    languages = items.items["language"].head(items.units.height)
    kept = settings.semantic is not None and settings.semantic.translations == "keep"
    candidates = pairs.filter(pl.lit(kept), pl.col("reason") == "semantic_duplicate", is_duplicate(settings))
    return candidates.filter(languages.gather(candidates["left"]) != languages.gather(candidates["right"]))


def _mark_related(
    items: Items, pairs: pl.DataFrame, translations: pl.DataFrame, same: pl.DataFrame, settings: Curation
) -> pl.DataFrame:
    """Return ``pairs`` of units, with the reason ``related`` where a pair over the threshold is not a duplicate.

    ``translations``: those that are translations. ``same``: the pairs of items that reach a duplicate threshold.
    """
    translated = translations.select("left", "right", translated=pl.lit(True)).unique()
    over = pairs.with_row_index("pair").filter(is_duplicate(settings))
    over = over.join(translated, on=["left", "right"], how="left", maintain_order="left")
    texts, languages = (items.items[name].head(items.units.height) for name in ("text", "language"))
    hidden = pl.Series("hidden", [has_hidden_payload(text) for text in texts], dtype=pl.Boolean)
    units = items.units.select("attack_style", "template_id", hidden, payload="payload_item").with_row_index("unit")
    ends = (
        over.with_columns(pl.col("left", "right").cast(pl.UInt32))
        .join(units, left_on="left", right_on="unit", maintain_order="left")
        .join(units, left_on="right", right_on="unit", maintain_order="left", suffix="_right")
    )
    first, second = pl.min_horizontal("payload", "payload_right"), pl.max_horizontal("payload", "payload_right")
    width = items.items.height
    duplicate_pairs = same.select(pl.col("left") * width + pl.col("right")).to_series().implode()
    other_attack = (pl.col("reason") == "semantic_duplicate") & pl.col("attack_style").ne_missing(
        pl.col("attack_style_right")
    )
    other_request = (
        pl.col("template_id").ne(pl.col("template_id_right"))
        & pl.col("payload").ne(pl.col("payload_right"))
        & ~(first.cast(pl.Int64) * width + second).is_in(duplicate_pairs)
    ).fill_null(False)
    hides = pl.col("hidden") | pl.col("hidden_right")
    is_translation = (pl.col("reason") == "semantic_duplicate") & pl.col("translated").fill_null(False)
    is_related = other_attack | other_request | hides | is_translation
    related, rest = ends.filter(is_related)["pair"], ends.filter(~is_related).select("pair", "left", "right")
    del over, ends
    if settings.separate_negations:
        related = pl.concat([related, rest.filter(find_negations(rest, texts, languages))["pair"]])
    return _relate(pairs, related)


def _relate(pairs: pl.DataFrame, rows: pl.Series) -> pl.DataFrame:
    """Return ``pairs`` with the reason ``related`` in the given rows (UInt32)."""
    chosen = pl.int_range(pl.len(), dtype=pl.UInt32).is_in(rows.implode())
    related = pl.lit("related", dtype=EDGE_REASONS)
    return pairs.with_columns(reason=pl.when(chosen).then(related).otherwise("reason"))


def _mark_different_words(
    items: Items, pairs: pl.DataFrame, embedded: Embedded | None, settings: Curation
) -> pl.DataFrame:
    """Return ``pairs`` of units, with the reason ``related`` where long texts share a wrapper around other words."""
    if embedded is None:
        return pairs
    texts, wrapped = items.items["text"].head(items.units.height), items.units["template_id"].is_not_null()
    long = (embedded.lookup["windows"].head(len(texts)) > 1).fill_null(False)
    ends = [(long.gather(pairs[end]), wrapped.gather(pairs[end])) for end in ("left", "right")]
    compared = (ends[0][0] | ends[1][0]) & ~(ends[0][1] & ends[1][1])
    rows = pairs.with_row_index("pair").filter(compared, is_duplicate(settings), pl.col("reason") != "related")
    return _relate(pairs, rows.filter(find_different_words(rows, texts))["pair"])


def _add_disguised(items: Items, pairs: pl.DataFrame, settings: Curation) -> pl.DataFrame:
    """Return ``pairs`` with those of units whose texts differ only by a disguise.

    Each is related to the first of them. If the settings drop disguised copies, all pairs of them are duplicates, but
    those with a hidden payload.
    """
    units = items.units.select("leak_digest", text=items.items["text"].head(items.units.height))
    copies = units.with_row_index("unit").filter(pl.len().over("leak_digest") > 1)
    hides = pl.Series("hides", [has_hidden_payload(text) for text in copies["text"]], dtype=pl.Boolean)
    copies = copies.with_columns(hides)
    first = copies.select("leak_digest", pl.col("unit").first().over("leak_digest"))
    related = _pair_units(first.unique(maintain_order=True), copies, "related")
    plain = copies.filter(pl.lit(settings.drop_disguised), ~pl.col("hides"))
    disguised = pl.concat([_pair_units(plain, plain, "disguised"), related])
    disguised = disguised.unique(["left", "right"], keep="first", maintain_order=True)
    key, together = ["left", "right"], must_stay_together(settings)
    ordered = pairs.with_columns(left=pl.min_horizontal(key), right=pl.max_horizontal(key))
    found = ordered.filter(together).join(disguised.select(*key, copy="reason"), on=key)
    stays = found.filter((pl.col("reason") != "related") | (pl.col("copy") == "related"))
    new = disguised.join(stays, on=key, how="anti", maintain_order="left")
    return pl.concat([ordered.join(new, on=key, how="anti", maintain_order="left"), new])


def _add_turn_links(items: Items, pairs: pl.DataFrame, similar: pl.DataFrame, settings: Curation) -> pl.DataFrame:
    """Return ``pairs`` with those of units of which one has a turn that the other asks; over the threshold, related."""
    links = link_turns(items, similar)
    if links.is_empty():
        return pairs
    related = pl.lit("related", dtype=EDGE_REASONS)
    links = links.with_columns(reason=pl.when(is_duplicate(settings)).then(related).otherwise("reason"))
    key, together = ["left", "right"], must_stay_together(settings)
    ordered = pairs.with_columns(left=pl.min_horizontal(key), right=pl.max_horizontal(key))
    # A link that must stay together replaces a pair that need not; any other pair of the two units stays as it is.
    new = links.join(ordered.filter(together), on=key, how="anti", maintain_order="left")
    new = pl.concat([new.filter(together), new.filter(~together).join(ordered, on=key, how="anti")])
    return pl.concat([ordered.join(new, on=key, how="anti", maintain_order="left"), new.select(ordered.columns)])


def _pair_units(first: pl.DataFrame, second: pl.DataFrame, reason: str) -> pl.DataFrame:
    """Return the pairs of units with one leak digest: the first is of ``first``, the other, later, of ``second``."""
    pairs = first.join(second, on="leak_digest", maintain_order="left_right")
    return pairs.filter(pl.col("unit") < pl.col("unit_right")).select(
        left=pl.col("unit").cast(pl.Int64),
        right=pl.col("unit_right").cast(pl.Int64),
        reason=pl.lit(reason, dtype=EDGE_REASONS),
        score=pl.lit(1.0, dtype=pl.Float32),
    )


def _find_requests(items: Items, similar: pl.DataFrame) -> pl.DataFrame:
    """Return pairs of units of different templates, or one of them plain, that share a request."""
    payloads, wrapped = items.units.height, _wrapped_payloads(items)
    # The first unit in the first and in the last template of each payload: two payloads are in different wrappers
    # unless all of these templates are the same.
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
        similar.filter(pl.col("left") >= payloads)
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
    plain = items.units["template_id"].is_null().arg_true().cast(pl.Int64)
    with_plain = (
        similar.filter((pl.col("right") >= payloads) & pl.col("left").is_in(plain.implode()))
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


def _as_edges(items: Items, pairs: pl.DataFrame) -> pl.DataFrame:
    """Return pairs of units as edges of their representatives, without pairs of two units of earlier versions."""
    ids, earlier = items.units["prompt_id"], items.units["earlier"]
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
