"""Items to compare: each distinct text, and each distinct payload in a wrapper, once.

Rows with equal normalised text are one *unit*, represented by the row with the lowest id: a text with a thousand copies
is compared once. The *items* are the whole text of each unit and each distinct payload that templates wrap: a thousand
requests in each of five hundred wrappers are a thousand payloads, not half a million. The turns of conversations are
items too, each distinct one once.
"""

from dataclasses import dataclass

import polars as pl

from seas_data.curate.outcome import build_decisions
from seas_data.curate.turns import turn_texts
from seas_data.folding import leak_digest
from seas_data.similarity.embeddings import Embedded
from seas_data.text import normalise, text_digest


@dataclass(frozen=True)
class Items:
    """The units and items of a set of prompts.

    ``units``: one row per distinct normalised text, sorted by ``prompt_id`` (its representative), with ``text_digest``,
    ``leak_digest``, ``template_id`` and ``attack_style`` (or null), ``earlier`` (all its rows are of earlier versions)
    and ``payload_item`` (UInt32, the row of ``items`` with its payload, or null). The whole text of unit i is item i.
    ``items``: ``text``, ``language``, ``earlier``; the whole text of each unit, then each distinct normalised payload
    (in the spelling and language of its first unit), then each distinct normalised turn that is not the whole text of
    its unit. ``embeddings.embed_texts`` takes this frame.
    ``turns``: ``item``, ``unit`` (Int64), ``asks`` (see ``curate.turns``) and ``leak_digest`` of each turn of each
    unit.
    """

    units: pl.DataFrame
    items: pl.DataFrame
    turns: pl.DataFrame


def collect_items(prompts: pl.DataFrame, templates: pl.DataFrame, earlier: pl.Series | None = None) -> Items:
    """Return the units and items of ``prompts``.

    ``templates`` may contain plain prompts with nulls. ``earlier``: ids of rows of earlier versions; two of those are
    not compared again.

    Input columns: of ``prompts``: ``prompt_id``, ``text``, ``text_digest``, ``leak_digest``, ``language``,
    ``attack_style`` and, if there are conversations, ``messages``; of ``templates``: ``prompt_id``, ``template_id``,
    ``payload``.
    Output columns: see ``Items``.
    """
    ids = pl.Series([], dtype=pl.String) if earlier is None else earlier
    units = (
        prompts.select(
            "prompt_id",
            "text",
            "text_digest",
            "leak_digest",
            "language",
            "attack_style",
            earlier=pl.col("prompt_id").is_in(ids.implode()),
        )
        .sort("prompt_id")
        .with_columns(pl.col("earlier").all().over("text_digest"))
        .unique("text_digest", keep="first", maintain_order=True)
        .join(
            templates.select("prompt_id", "template_id", "payload"),
            on="prompt_id",
            how="left",
            maintain_order="left",
        )
        # A prompt of its wrapper only is its own payload: similar to its copies, unlike all prompts with a request.
        .with_columns(payload=pl.when(pl.col("template_id").is_not_null()).then(pl.coalesce("payload", "text")))
        .with_columns(normal=pl.col("payload").map_elements(normalise, return_dtype=pl.String))
    )
    payloads = (
        units.drop_nulls("normal")
        .group_by("normal", maintain_order=True)
        .agg(pl.col("payload", "language").first(), pl.col("earlier").all())
        .with_row_index("payload_item", offset=units.height)
    )
    turns, turn_items = _collect_turns(prompts, units, units.height + payloads.height)
    return Items(
        units=units.join(
            payloads.select("normal", "payload_item"), on="normal", how="left", maintain_order="left"
        ).select("prompt_id", "text_digest", "leak_digest", "template_id", "attack_style", "earlier", "payload_item"),
        items=pl.concat(
            [
                units.select("text", "language", "earlier"),
                payloads.select("language", "earlier", text="payload").select("text", "language", "earlier"),
                turn_items,
            ]
        ),
        turns=turns,
    )


def _collect_turns(prompts: pl.DataFrame, units: pl.DataFrame, first: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return ``turns`` and the items of the turns, which are numbered from ``first``."""
    numbers = units.select("text_digest", "language", "earlier").with_row_index("unit")
    turns = turn_texts(prompts).join(prompts.select("prompt_id", "text_digest"), on="prompt_id")
    turns = turns.with_columns(
        normal=pl.col("text").map_elements(normalise, return_dtype=pl.String),
        turn_digest=pl.col("text").map_elements(text_digest, return_dtype=pl.String),
        leak_digest=pl.col("text").map_elements(leak_digest, return_dtype=pl.String),
    ).filter(pl.col("turn_digest") != pl.col("text_digest"))
    turns = turns.join(numbers, on="text_digest").sort("unit", "normal", "text")
    items = (
        turns.group_by("normal", maintain_order=True)
        .agg(pl.col("text", "language").first(), pl.col("earlier").all())
        .with_row_index("item", offset=first)
    )
    rows = (
        turns.join(items.select("normal", "item"), on="normal")
        .group_by("item", "unit", "leak_digest")
        .agg(pl.col("asks").any())
        .sort("item", "unit", "leak_digest")
    )
    rows = rows.select(pl.col("item", "unit").cast(pl.Int64), "asks", "leak_digest")
    return rows, items.select("text", "language", "earlier")


def flag_not_embeddable(
    prompts: pl.DataFrame, items: Items, embedded: Embedded, earlier: pl.Series | None = None
) -> pl.DataFrame:
    """Return a ``not_embeddable`` flag for each row of ``prompts`` with an item that has no vector.

    ``embedded``: the embeddings of ``items.items``. Rows of ``earlier`` versions were flagged in their own version. The
    detail is the embedder's; for a wrapped prompt it says whether the whole text or the payload lacks a vector, and for
    a conversation with a vector that a turn of it has none.

    Input columns: ``prompt_id``, ``text_digest``.
    Output columns: ``outcome.DECISION_COLUMNS`` (step ``edges``).
    """
    lookup = embedded.lookup.select("detail", embedded=pl.col("model").is_not_null())
    whole, payload = lookup.head(items.units.height), lookup[items.units["payload_item"]]
    details = (
        pl.DataFrame(
            {
                "text_digest": items.units["text_digest"],
                "wrapped": items.units["payload_item"].is_not_null(),
                "embedded": whole["embedded"],
                "detail": whole["detail"],
                "payload_embedded": payload["embedded"],
                "payload_detail": payload["detail"],
            }
        )
        .filter(~pl.col("embedded") | (pl.col("wrapped") & ~pl.col("payload_embedded")))
        .select(
            "text_digest",
            detail=pl.when(~pl.col("wrapped"))
            .then("detail")
            .when("embedded")
            .then(pl.format("payload {}; the whole text is embedded", "payload_detail"))
            .when("payload_embedded")
            .then(pl.format("{}; its payload is embedded", "detail"))
            .otherwise(pl.format("{}; payload {}", "detail", "payload_detail")),
        )
    )
    turns = items.turns.with_columns(lookup[items.turns["item"]]).filter(~pl.col("embedded")).sort("unit", "detail")
    turns = turns.unique("unit", keep="first", maintain_order=True)
    of_turns = turns.select(
        text_digest=items.units["text_digest"].gather(turns["unit"]), detail=pl.format("a turn: {}", "detail")
    )
    details = pl.concat([details, of_turns.join(details, on="text_digest", how="anti")])
    rows = prompts.select("prompt_id", "text_digest").join(details, on="text_digest")
    if earlier is not None:
        rows = rows.filter(~pl.col("prompt_id").is_in(earlier.implode()))
    return build_decisions(rows.sort("prompt_id"), step="edges", decision="flag", reason="not_embeddable")
