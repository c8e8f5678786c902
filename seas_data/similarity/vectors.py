"""Embeddings: the unit vector of every text that an embedder really sees, computed once and kept in the workspace.

``embed`` takes the texts of a build and the recipe's embedders and gives an ``Embedded``: for each text which model saw
it and which row of that model's matrix is its vector, or why no model did. An embedder sees a text when it was declared
for its language, knows its tokens, and reads it to the end; a vector of anything else would make texts alike that are
not (an English model calls most Chinese questions the same). Vectors of different models are never in one matrix,
because they cannot be compared.

A text's vector is a pure function of the text (see ``encoder``) and is stored as soon as it is there, so a build that
was killed goes on where it was, and one that finds everything stored never loads a model.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.recipe import Embedder
from seas_data.similarity import encoder, vector_store
from seas_data.similarity.encoder import Model
from seas_data.text import encoded_share

PART_SECONDS = 20.0
PART_ROWS = 50_000


@dataclass(frozen=True)
class Embedded:
    """What the embedders made of some texts.

    ``sight``: one row for each input row, in the input's order, with the columns ``text``, ``language``, ``model`` (the
    key of the model that embedded it, or null), ``row`` (Int64, its row of ``matrices[model]``; equal texts share one),
    and, where there is no model, ``reason`` (``language`` | ``unknown_tokens`` | ``truncated``) and ``detail`` (a few
    words for the ledger, such as ``truncated: 412 of 256 tokens``).
    ``matrices``: for each model key the float32 unit vectors, (distinct texts, dimensions).
    """

    sight: pl.DataFrame
    matrices: dict[str, NDArray[np.float32]]


def embed(texts: pl.DataFrame, embedders: list[Embedder], folder: Path) -> Embedded:
    """Return the vectors of ``texts`` (columns ``text``, ``language``), computing and storing those not in ``folder``.

    For each text the first embedder declared for its language is asked. Raises SeasDataError if a model cannot be
    had, or its vectors not be stored.
    """
    speaks = {
        language: number for number, one in reversed(list(enumerate(embedders))) for language in reversed(one.languages)
    }
    rows = texts.select(pl.col("text", "language").cast(pl.String)).with_row_index("place")
    asked = rows["language"].replace_strict(speaks, default=None, return_dtype=pl.Int64)
    models = {number: encoder.find(embedders[number]) for number in asked.drop_nulls().unique().sort()}
    asked_of = pl.DataFrame(
        [(number, model.key, embedders[number].max_unknown) for number, model in models.items()],
        schema={"asked": pl.Int64, "model": pl.String, "limit": pl.Float64},
        orient="row",
    )
    rows = rows.with_columns(asked=asked).join(asked_of, on="asked", how="left", maintain_order="left")
    sights, matrices = [_not_spoken(rows.filter(pl.col("model").is_null()), speaks)], {}
    for model in {model.key: model for model in models.values()}.values():
        sight, matrices[model.key] = _embed_by(model, rows.filter(model=model.key), folder / model.key)
        sights.append(sight)
    return Embedded(pl.concat(sights).sort("place").drop("place"), matrices)


_SIGHT = ("place", "text", "language", "model", "row", "reason", "detail")
_REASON = (
    pl.when(pl.col("unknown") > pl.col("limit"))
    .then(pl.lit("unknown_tokens"))
    .when(pl.col("tokens") > pl.col("longest"))
    .then(pl.lit("truncated"))
)
_DETAIL = (
    pl.when(pl.col("unknown") > pl.col("limit"))
    .then(pl.format("unknown_tokens: {} % is unknown or encoded", (pl.col("unknown") * 100).round(1)))
    .when(pl.col("tokens") > pl.col("longest"))
    .then(pl.format("truncated: {} of {} tokens", "tokens", "longest"))
)


def _not_spoken(rows: pl.DataFrame, languages: Iterable[str]) -> pl.DataFrame:
    spoken = pl.lit(f"none of {', '.join(sorted(languages))}")
    return rows.with_columns(
        row=pl.lit(None, pl.Int64),
        reason=pl.lit("language"),
        detail=pl.format("language: {} is {}", pl.col("language").fill_null("an unstated one"), spoken),
    ).select(_SIGHT)


def _embed_by(model: Model, rows: pl.DataFrame, folder: Path) -> tuple[pl.DataFrame, NDArray[np.float32]]:
    """Return what ``model`` sees of ``rows``, and the vectors of what it sees, one for each distinct text."""
    # A model may be declared twice, with another limit for some languages: the looser one says what is embedded.
    distinct = rows.group_by("text", maintain_order=True).agg(pl.col("limit").max())
    distinct = distinct.with_columns(vector_store.text_keys(distinct["text"]))
    counts, matrix = _vectors(model, distinct, folder)
    counted = distinct.join(counts, on="key", how="left", maintain_order="left")
    numbered = counted.filter(_REASON.is_null()).select("text").with_row_index("row")
    sight = (
        rows.join(counted.drop("key", "limit"), on="text", how="left", maintain_order="left")
        .join(numbered, on="text", how="left", maintain_order="left")
        .with_columns(reason=_REASON, detail=_DETAIL, row=pl.col("row").cast(pl.Int64))
        .with_columns(pl.when(pl.col("reason").is_null()).then(pl.col("model", "row")))
    )
    return sight.select(_SIGHT), matrix


def _vectors(model: Model, distinct: pl.DataFrame, folder: Path) -> tuple[pl.DataFrame, NDArray[np.float32]]:
    """Return token counts of the texts ``distinct``, and the vectors of those seen in order, stored or computed."""
    counts = vector_store.token_counts(folder)
    # Texts that were never counted have no reason either, so they are candidates.
    candidates = distinct.join(counts, on="key", how="left", maintain_order="left").filter(_REASON.is_null())
    stored, matrix = vector_store.vectors(folder, candidates["key"])
    missing = np.flatnonzero(~stored)
    if not missing.size:
        return counts, matrix
    loaded = encoder.load(model)
    texts = candidates[missing]
    tokens = encoder.tokenise(loaded, texts["text"].to_list())
    lengths, unknown = encoder.counts(loaded, tokens)
    # What is encoded is made of known tokens and says nothing all the same.
    unknown = np.maximum(unknown, [encoded_share(text) for text in texts["text"]])
    texts = texts.with_columns(
        uncounted=pl.col("tokens").is_null(), tokens=lengths, unknown=unknown, longest=pl.lit(loaded.longest)
    )
    counts = pl.concat([counts, vector_store.add_token_counts(folder, texts.filter("uncounted"))])
    seen = texts.select(_REASON.is_null()).to_series().to_numpy()
    if not stored.any():
        matrix = np.empty((len(candidates), loaded.dimensions), np.float32)
    for rows, vectors in _in_parts(encoder.encode(loaded, tokens, np.flatnonzero(seen))):
        vector_store.add_vectors(folder, texts["key"][rows], vectors)
        matrix[missing[rows]] = vectors
    stored[missing[seen]] = True
    return counts, matrix if stored.all() else matrix[stored]


def _in_parts(batches: Iterator[encoder.Batch]) -> Iterator[encoder.Batch]:
    """Join ``batches`` to what is worth a file: some seconds of work, which is what a killed build loses."""
    waiting: list[encoder.Batch] = []
    count, since = 0, time.monotonic()
    for batch in batches:
        waiting.append(batch)
        count += len(batch[0])
        if count >= PART_ROWS or time.monotonic() - since > PART_SECONDS:
            yield _joined(waiting)
            waiting, count, since = [], 0, time.monotonic()
    if waiting:
        yield _joined(waiting)


def _joined(batches: list[encoder.Batch]) -> encoder.Batch:
    return np.concatenate([rows for rows, _ in batches]), np.concatenate([vectors for _, vectors in batches])
