"""Embeddings of a build's texts: computed once per text, stored in the workspace, only for texts the model can read.

``embed_texts`` returns for each text which model embedded it and which row of that model's matrix is its vector, or
why no model did. A model embeds a text if it was declared for the text's language, knows its tokens and reads it to
the end: any other vector would make unrelated texts similar (an English model gives most Chinese questions nearly the
same vector). Vectors of different models are not comparable and are never in one matrix.

A vector is a pure function of the text (see ``encoder``) and is stored as soon as it is computed, so a killed build
resumes where it stopped, and a build that finds all vectors stored never loads a model.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.recipe import Embedder
from seas_data.similarity import encoder, vector_parts, vector_store
from seas_data.similarity.encoder import Model
from seas_data.store.parts import LOCAL, Engine
from seas_data.text import encoded_proportion

PART_ROWS = 50_000
PART_TOKENS = {"cpu": 250_000, "cuda": 5_000_000}
"""A part is written at this many texts or tokens, half a minute of work of two cores: what a killed build loses."""


@dataclass(frozen=True)
class Embedded:
    """Embeddings of a list of texts.

    ``lookup``: one row per input row, in the same order: ``text``, ``language``, ``model`` (key of the model that
    embedded the text, or null), ``row`` (Int64, its row in ``matrices[model]``; equal texts share one) and, without a
    model, ``reason`` (``language`` | ``unknown_tokens`` | ``truncated``) and ``detail`` (a short explanation for the
    decisions table, such as ``truncated: 412 of 256 tokens``).
    ``matrices``: for each model key the float32 unit vectors, (distinct texts, dimensions).
    """

    lookup: pl.DataFrame
    matrices: dict[str, NDArray[np.float32]]


def embed_texts(texts: pl.DataFrame, embedders: list[Embedder], folder: Path, engine: Engine = LOCAL) -> Embedded:
    """Return the embeddings of ``texts``, computing (on ``engine``) and storing those that ``folder`` lacks.

    Each text is embedded by the first of ``embedders`` that is declared for its language.

    Input columns: ``text``, ``language``.

    Raises SeasDataError if a model could not be loaded or its vectors could not be stored.
    """
    embedder_of = {
        language: number for number, one in reversed(list(enumerate(embedders))) for language in reversed(one.languages)
    }
    rows = texts.select(pl.col("text", "language").cast(pl.String)).with_row_index("position")
    embedder = rows["language"].replace_strict(embedder_of, default=None, return_dtype=pl.Int64)
    models = {number: encoder.locate_model(embedders[number]) for number in embedder.drop_nulls().unique().sort()}
    models_table = pl.DataFrame(
        [(number, model.key, embedders[number].max_unknown_proportion) for number, model in models.items()],
        schema={"embedder": pl.Int64, "model": pl.String, "limit": pl.Float64},
        orient="row",
    )
    rows = rows.with_columns(embedder=embedder).join(models_table, on="embedder", how="left", maintain_order="left")
    lookups, matrices = [_without_embedder(rows.filter(pl.col("model").is_null()), embedder_of)], {}
    for model in {model.key: model for model in models.values()}.values():
        lookup, matrices[model.key] = _embed_with(model, rows.filter(model=model.key), folder / model.key, engine)
        lookups.append(lookup)
    return Embedded(pl.concat(lookups).sort("position").drop("position"), matrices)


_LOOKUP_COLUMNS = ("position", "text", "language", "model", "row", "reason", "detail")
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


def _without_embedder(rows: pl.DataFrame, languages: Iterable[str]) -> pl.DataFrame:
    supported = pl.lit(f"none of {', '.join(sorted(languages))}")
    return rows.with_columns(
        row=pl.lit(None, pl.Int64),
        reason=pl.lit("language"),
        detail=pl.format("language: {} is {}", pl.col("language").fill_null("an unstated one"), supported),
    ).select(_LOOKUP_COLUMNS)


def _embed_with(
    model: Model, rows: pl.DataFrame, folder: Path, engine: Engine
) -> tuple[pl.DataFrame, NDArray[np.float32]]:
    """Return the lookup rows of ``rows`` for ``model``, and its vectors, one per distinct embedded text."""
    # A model may be declared twice with different limits; the looser limit decides what is embedded.
    distinct = rows.group_by("text", maintain_order=True).agg(pl.col("limit").max())
    distinct = distinct.with_columns(vector_store.compute_text_keys(distinct["text"]))
    counts, matrix = _vectors(model, distinct, folder, engine)
    counted = distinct.join(counts, on="key", how="left", maintain_order="left")
    numbered = counted.filter(_REASON.is_null()).select("text").with_row_index("row")
    lookup = (
        rows.join(counted.drop("key", "limit"), on="text", how="left", maintain_order="left")
        .join(numbered, on="text", how="left", maintain_order="left")
        .with_columns(reason=_REASON, detail=_DETAIL, row=pl.col("row").cast(pl.Int64))
        .with_columns(pl.when(pl.col("reason").is_null()).then(pl.col("model", "row")))
    )
    return lookup.select(_LOOKUP_COLUMNS), matrix


def _vectors(
    model: Model, distinct: pl.DataFrame, folder: Path, engine: Engine
) -> tuple[pl.DataFrame, NDArray[np.float32]]:
    """Return the token counts of the texts ``distinct`` and the vectors of the embedded ones, stored or computed."""
    counts = vector_store.read_token_counts(folder)
    # Texts without stored counts have no reason either, so they are candidates.
    candidates = distinct.join(counts, on="key", how="left", maintain_order="left").filter(_REASON.is_null())
    stored, matrix = vector_store.read_vectors(folder, candidates["key"])
    missing = np.flatnonzero(~stored)
    if not missing.size:
        return counts, matrix
    loaded = encoder.load_encoder(model)
    texts = candidates[missing]
    tokens = encoder.tokenise(loaded, texts["text"].to_list())
    lengths, unknown = encoder.count_tokens(loaded, tokens)
    # Encoded text (Base64 and the like) consists of known tokens but carries no meaning, so it counts as unknown.
    unknown = np.maximum(unknown, [encoded_proportion(text) for text in texts["text"]])
    texts = texts.with_columns(
        uncounted=pl.col("tokens").is_null(), tokens=lengths, unknown=unknown, longest=pl.lit(loaded.max_tokens)
    )
    counts = pl.concat([counts, vector_store.write_token_counts(folder, texts.filter("uncounted"))])
    seen = texts.select(_REASON.is_null()).to_series().to_numpy()
    if engine is not LOCAL:
        vector_parts.compute_vectors(engine, model, texts.filter(seen), folder)
        return _vectors(model, distinct, folder, LOCAL)  # computes here what this machine does not see, usually nothing
    if not stored.any():
        matrix = np.empty((len(candidates), loaded.dimensions), np.float32)
    batches = encoder.encode(loaded, tokens, np.flatnonzero(seen))
    for rows, vectors in _group_into_parts(batches, lengths, PART_TOKENS[loaded.device.type]):
        vector_store.write_vectors(folder, texts["key"][rows], vectors)
        matrix[missing[rows]] = vectors
    stored[missing[seen]] = True
    return counts, matrix if stored.all() else matrix[stored]


def _group_into_parts(
    batches: Iterator[encoder.Batch], lengths: NDArray[np.int64], max_tokens: int
) -> Iterator[encoder.Batch]:
    """Group ``batches`` into parts worth a file. The time they take has no influence, so neither have the cores."""
    pending: list[encoder.Batch] = []
    count = tokens = 0
    for batch in batches:
        pending.append(batch)
        count += len(batch[0])
        tokens += int(lengths[batch[0]].sum())
        if count >= PART_ROWS or tokens >= max_tokens:
            yield _concatenate(pending)
            pending, count, tokens = [], 0, 0
    if pending:
        yield _concatenate(pending)


def _concatenate(batches: list[encoder.Batch]) -> encoder.Batch:
    return np.concatenate([rows for rows, _ in batches]), np.concatenate([vectors for _, vectors in batches])
