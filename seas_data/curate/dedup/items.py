"""Items: what of the prompts is compared, so that a text, or a request in a wrapper, is looked at only once.

Rows whose normalised text is equal are one *unit*, represented by the row with the smallest id: a text with a thousand
copies is compared once. The *items* are the whole text of each unit and each distinct payload that templates wrap: a
thousand requests in each of five hundred wrappers are a thousand payloads, not half a million.
"""

from dataclasses import dataclass

import polars as pl

from seas_data.curate.outcome import decisions
from seas_data.similarity.embeddings import Embedded
from seas_data.text import normalise


@dataclass(frozen=True)
class Items:
    """What there is to compare.

    ``units``: one row for each distinct normalised text, sorted by ``prompt_id`` (its representative), with
    ``text_digest``, ``template_id`` and ``attack_style`` (or null), ``earlier`` (all its rows are of earlier versions)
    and ``payload_item`` (UInt32, the row of ``items`` that holds its payload, or null). Unit i's whole text is item i.
    ``items``: ``text``, ``language``, ``earlier``; the whole text of each unit, then each distinct normalised payload
    (in the spelling and language of its first unit). ``vectors.embed`` takes this frame.
    """

    units: pl.DataFrame
    items: pl.DataFrame


def collect(prompts: pl.DataFrame, templates: pl.DataFrame, earlier: pl.Series | None = None) -> Items:
    """Return what to compare of ``prompts``: ``prompt_id``, ``text``, ``text_digest``, ``language``, ``attack_style``.

    ``templates``: ``prompt_id``, ``template_id``, ``payload`` of the wrapped prompts (plain ones may be in it, with
    nulls). ``earlier``: the ids of the rows of earlier versions; two of those are never compared again.
    """
    ids = pl.Series([], dtype=pl.String) if earlier is None else earlier
    units = (
        prompts.select(
            "prompt_id",
            "text",
            "text_digest",
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
        # What is a wrapper and nothing else is its own payload: like its like, and unlike all that fill the wrapper.
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
        ).select("prompt_id", "text_digest", "template_id", "attack_style", "earlier", "payload_item"),
        items=pl.concat(
            [
                units.select("text", "language", "earlier"),
                payloads.select("language", "earlier", text="payload").select("text", "language", "earlier"),
            ]
        ),
    )


def unseen(
    prompts: pl.DataFrame, compared: Items, embedded: Embedded, earlier: pl.Series | None = None
) -> pl.DataFrame:
    """Return a ``not_embeddable`` flag for each row of ``prompts`` that has an item without a vector.

    ``embedded`` as in ``edges.find``. Rows of earlier versions were flagged in their own. The detail is the embedder's,
    and says of a wrapped prompt which of the two, its whole text or its payload, was not seen.
    """
    sight = embedded.lookup.select("detail", seen=pl.col("model").is_not_null())
    whole, payload = sight.head(compared.units.height), sight[compared.units["payload_item"]]
    details = (
        pl.DataFrame(
            {
                "text_digest": compared.units["text_digest"],
                "wrapped": compared.units["payload_item"].is_not_null(),
                "seen": whole["seen"],
                "detail": whole["detail"],
                "payload_seen": payload["seen"],
                "payload_detail": payload["detail"],
            }
        )
        .filter(~pl.col("seen") | (pl.col("wrapped") & ~pl.col("payload_seen")))
        .select(
            "text_digest",
            detail=pl.when(~pl.col("wrapped"))
            .then("detail")
            .when("seen")
            .then(pl.format("payload {}; the whole text is seen", "payload_detail"))
            .when("payload_seen")
            .then(pl.format("{}; its payload is seen", "detail"))
            .otherwise(pl.format("{}; payload {}", "detail", "payload_detail")),
        )
    )
    rows = prompts.select("prompt_id", "text_digest").join(details, on="text_digest")
    if earlier is not None:
        rows = rows.filter(~pl.col("prompt_id").is_in(earlier.implode()))
    return decisions(rows.sort("prompt_id"), step="edges", decision="flag", reason="not_embeddable")
