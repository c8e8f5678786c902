"""Items to compare: each distinct text, and each distinct payload in a wrapper, once.

Rows with equal normalised text are one *unit*, represented by the row with the lowest id: a text with a thousand copies
is compared once. The *items* are the whole text of each unit and each distinct payload that templates wrap: a thousand
requests in each of five hundred wrappers are a thousand payloads, not half a million.
"""

from dataclasses import dataclass

import polars as pl

from seas_data.curate.outcome import build_decisions
from seas_data.similarity.embeddings import Embedded
from seas_data.text import normalise


@dataclass(frozen=True)
class Items:
    """The units and items of a set of prompts.

    ``units``: one row per distinct normalised text, sorted by ``prompt_id`` (its representative), with ``text_digest``,
    ``leak_digest``, ``template_id`` and ``attack_style`` (or null), ``earlier`` (all its rows are of earlier versions)
    and ``payload_item`` (UInt32, the row of ``items`` with its payload, or null). The whole text of unit i is item i.
    ``items``: ``text``, ``language``, ``earlier``; the whole text of each unit, then each distinct normalised payload
    (in the spelling and language of its first unit). ``embeddings.embed_texts`` takes this frame.
    """

    units: pl.DataFrame
    items: pl.DataFrame


def collect_items(prompts: pl.DataFrame, templates: pl.DataFrame, earlier: pl.Series | None = None) -> Items:
    """Return the units and items of ``prompts``.

    ``templates`` may contain plain prompts with nulls. ``earlier``: ids of rows of earlier versions; two of those are
    not compared again.

    Input columns: of ``prompts``: ``prompt_id``, ``text``, ``text_digest``, ``leak_digest``, ``language``,
    ``attack_style``; of ``templates``: ``prompt_id``, ``template_id``, ``payload``.
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
    return Items(
        units=units.join(
            payloads.select("normal", "payload_item"), on="normal", how="left", maintain_order="left"
        ).select("prompt_id", "text_digest", "leak_digest", "template_id", "attack_style", "earlier", "payload_item"),
        items=pl.concat(
            [
                units.select("text", "language", "earlier"),
                payloads.select("language", "earlier", text="payload").select("text", "language", "earlier"),
            ]
        ),
    )


def flag_not_embeddable(
    prompts: pl.DataFrame, items: Items, embedded: Embedded, earlier: pl.Series | None = None
) -> pl.DataFrame:
    """Return a ``not_embeddable`` flag for each row of ``prompts`` with an item that has no vector.

    ``embedded``: the embeddings of ``items.items``. Rows of ``earlier`` versions were flagged in their own version. The
    detail is the embedder's; for a wrapped prompt it says whether the whole text or the payload lacks a vector.

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
    rows = prompts.select("prompt_id", "text_digest").join(details, on="text_digest")
    if earlier is not None:
        rows = rows.filter(~pl.col("prompt_id").is_in(earlier.implode()))
    return build_decisions(rows.sort("prompt_id"), step="edges", decision="flag", reason="not_embeddable")
