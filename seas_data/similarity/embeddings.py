"""Embeddings of a build's texts: computed once per text, stored in the workspace, only for texts the model can read.

``embed_texts`` returns for each text which model embedded it and which rows of that model's matrix are its vectors, or
why no model did. A text has one vector if the model reads it to the end, otherwise one per window (see ``windows``). A
model embeds a text if it was declared for the text's language and knows the tokens of each window: any other vector
would make unrelated texts similar (an English model gives most Chinese questions nearly the same vector). Vectors of
different models are not comparable and are never in one matrix.

Texts of different embedders are compared by a later embedder that reads both languages, which embeds both
(``embed_across``): in a chain of an English model and one for all languages, a German question is compared with the
English ones by the second.

A vector is a pure function of the text (see ``encoder``) and is stored as soon as it is computed, so a killed build
resumes where it stopped, and a build that finds all vectors stored never loads a model.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.errors import SeasDataError
from seas_data.recipe import Embedder
from seas_data.similarity import encoder, vector_parts, vector_store
from seas_data.similarity.encoder import Encoder, Model
from seas_data.similarity.windows import count_windows, list_windows, write_means
from seas_data.store.parts import LOCAL, Engine
from seas_data.store.shared_matrix import Matrix, choose_rows
from seas_data.text import encoded_proportion

PART_ROWS = 50_000
PART_TOKENS = {"cpu": 250_000, "cuda": 5_000_000}
"""A part is written at this many texts or tokens, half a minute of work of two cores: what a killed build loses."""


@dataclass(frozen=True)
class Embedded:
    """Embeddings of a list of texts.

    ``lookup``: one row per input row, in the same order: ``model`` (key of the model that embedded the text, or null),
    ``row`` and ``windows`` (Int64, its first row in ``matrices[model]`` and the number of its rows; equal texts share
    them), ``mean`` (Int64, the row of its single vector: that of its only window, or the normalised mean of its
    windows) and, without a model, ``reason`` (``language`` | ``unknown_tokens`` | ``truncated``) and ``detail`` (a
    short explanation for the decisions table, such as ``language: fr is none of en``).
    ``matrices``: for each model key the float32 unit vectors, first of the windows of distinct texts, then the means;
    in a file if they are many (see ``file_array``).
    """

    lookup: pl.DataFrame
    matrices: dict[str, NDArray[np.float32]]

    def windows_of(self, model: str, among: NDArray[np.bool_] | None = None) -> tuple[NDArray[np.int64], Matrix]:
        """Return the row of ``lookup`` and the vector of each window that ``model`` embedded, in order.

        ``among``: which rows of ``lookup`` are wanted (by default, all).
        """
        texts = self.lookup.select("model", "row", "windows").with_row_index("text")
        texts = (texts if among is None else texts.filter(pl.Series(among))).filter(model=model)
        windows = texts.select(
            pl.col("text").cast(pl.Int64), row=pl.int_ranges("row", pl.col("row") + pl.col("windows"))
        ).explode("row")
        return windows["text"].to_numpy(), choose_rows(self.matrices[model], windows["row"].to_numpy())


def embed_texts(texts: pl.DataFrame, embedders: list[Embedder], folder: Path, engine: Engine = LOCAL) -> Embedded:
    """Return the embeddings of ``texts``, computing (on ``engine``) and storing those that ``folder`` lacks.

    Each text is embedded by the first of ``embedders`` that is declared for its language.

    Input columns: ``text``, ``language``.

    Raises SeasDataError if a model could not be loaded or its vectors could not be stored.
    """
    return _embed(texts, _choose_embedders(texts["language"], embedders), embedders, folder, engine)


def _embed(
    texts: pl.DataFrame, embedder: pl.Series, embedders: list[Embedder], folder: Path, engine: Engine
) -> Embedded:
    """Return the embeddings of ``texts`` by the given numbers of ``embedders``; null for texts without one."""
    rows = texts.select(pl.col("text", "language").cast(pl.String)).with_row_index("position")
    models = _locate_models(rows["language"], embedder, embedders)
    models_table = pl.DataFrame(
        [(number, model.key, embedders[number].max_unknown_proportion) for number, model in models.items()],
        schema={"embedder": pl.Int64, "model": pl.String, "limit": pl.Float64},
        orient="row",
    )
    rows = rows.with_columns(embedder=embedder).join(models_table, on="embedder", how="left", maintain_order="left")
    lookups, matrices = [_without_embedder(rows.filter(pl.col("model").is_null()), embedders)], {}
    distinct = {model.key: model for model in models.values()}
    by_model = {key: (model, rows.filter(model=key)) for key, model in distinct.items()}
    del rows  # not needed while vectors are read, when memory is highest
    while by_model:
        key = next(iter(by_model))
        lookup, matrices[key] = _embed_with(*by_model.pop(key), folder / key, engine)
        lookups.append(lookup)
    return Embedded(pl.concat(lookups).sort("position").drop("position"), matrices)


def require_models(languages: pl.Series, embedders: list[Embedder]) -> None:
    """Find the models that embed texts of ``languages`` (one for each text) and compare them, or download them.

    Raises SeasDataError if one is missing: before hours of other work, if texts are embedded after it.
    """
    chosen = _choose_embedders(languages, embedders)
    _locate_models(languages.cast(pl.String), chosen, embedders)
    for each in embedders[1:]:
        read = chosen.is_not_null() & _reads(languages, each)
        if chosen.filter(read).n_unique() > 1:  # see embed_across
            encoder.locate_model(each, _describe(languages.cast(pl.String).filter(read)))


def _locate_models(languages: pl.Series, embedder: pl.Series, embedders: list[Embedder]) -> dict[int, Model]:
    return {
        number: encoder.locate_model(embedders[number], _describe(languages.filter(embedder == number)))
        for number in embedder.drop_nulls().unique().sort()
    }


def embed_across(
    texts: pl.DataFrame, embedded: Embedded, embedders: list[Embedder], folder: Path, engine: Engine = LOCAL
) -> list[Embedded]:
    """Return the embeddings by which texts of different models are compared: one ``Embedded`` per later embedder.

    It has the texts of ``texts`` that were embedded (``embedded``, row for row) and whose language its embedder reads,
    also those that another model embedded first. Embedders that read texts of fewer than two models are left out.

    Input columns: ``text``, ``language``.

    Raises SeasDataError as ``embed_texts`` does.
    """
    across = []
    for each in embedders[1:]:
        read = embedded.lookup["model"].is_not_null() & _reads(texts["language"], each)
        if embedded.lookup.filter(read)["model"].n_unique() < 2:
            continue
        chosen = pl.select(pl.when(read).then(pl.lit(0, pl.Int64))).to_series()
        across.append(_embed(texts, chosen, [each], folder, engine))
    return across


def _choose_embedders(languages: pl.Series, embedders: list[Embedder]) -> pl.Series:
    """Return the number of the first embedder that is declared for each language, or null."""
    chosen = pl.Series([None], dtype=pl.Int64).new_from_index(0, len(languages))
    for number, each in reversed(list(enumerate(embedders))):
        chosen = pl.select(
            pl.when(_reads(languages, each)).then(pl.lit(number, pl.Int64)).otherwise(chosen)
        ).to_series()
    return chosen


def _reads(languages: pl.Series, embedder: Embedder) -> pl.Series:
    if embedder.languages == "all":
        return pl.Series([True]).new_from_index(0, len(languages))
    return languages.cast(pl.String).is_in(embedder.languages).fill_null(False)


def _describe(languages: pl.Series) -> str:
    """Return the number of texts and the most frequent of their languages, for a message."""
    counts = languages.fill_null("no known language").value_counts().sort("count", "language", descending=[True, False])
    named = ", ".join(f"{language} {count:,}" for language, count in counts.head(5).rows())
    others = f" and {counts.height - 5} more" if counts.height > 5 else ""
    return f"1 text ({counts['language'][0]})" if len(languages) == 1 else f"{len(languages):,} texts ({named}{others})"


_LOOKUP_COLUMNS = ("position", "model", "row", "windows", "mean", "reason", "detail")
_REASON = (
    pl.when(pl.col("unknown") > pl.col("limit"))
    .then(pl.lit("unknown_tokens"))
    .when(pl.col("windows") == 0)
    .then(pl.lit("truncated"))
)
_DETAIL = (
    pl.when(pl.col("unknown") > pl.col("limit"))
    .then(
        pl.format(
            "unknown_tokens: {} %{} is unknown or encoded",
            (pl.col("unknown") * 100).round(1),
            pl.when(pl.col("windows") > 1).then(pl.lit(" of a window")).otherwise(pl.lit("")),
        )
    )
    .when(pl.col("windows") == 0)
    .then(pl.format("truncated: {} tokens are too many windows of {}", "tokens", "longest"))
)


def _without_embedder(rows: pl.DataFrame, embedders: list[Embedder]) -> pl.DataFrame:
    languages = {name for each in embedders if each.languages != "all" for name in each.languages}
    supported = pl.lit(f"none of {', '.join(sorted(languages))}")
    stated = pl.col("language").fill_null("an unstated one")
    details = rows.select("language").unique().with_columns(detail=pl.format("language: {} is {}", stated, supported))
    return (
        rows.join(details, on="language", how="left", nulls_equal=True, maintain_order="left")
        .with_columns(pl.lit(None, pl.Int64).alias(name) for name in ("row", "windows", "mean"))
        .with_columns(reason=pl.lit("language"))
        .select(_LOOKUP_COLUMNS)
    )


def _embed_with(
    model: Model, rows: pl.DataFrame, folder: Path, engine: Engine
) -> tuple[pl.DataFrame, NDArray[np.float32]]:
    """Return the lookup rows of ``rows`` for ``model``, and its vectors (see ``Embedded``)."""
    load = cache(partial(encoder.load_encoder, model))
    # A model may be declared twice with different limits; the looser limit decides what is embedded.
    distinct = rows.group_by("text", maintain_order=True).agg(pl.col("limit").max())
    distinct = distinct.with_columns(vector_store.compute_text_keys(distinct["text"]))
    counted = distinct.hstack(_token_counts(load, distinct, folder))
    is_seen = _REASON.is_null()
    is_long = is_seen & (pl.col("windows") > 1)
    seen = counted.filter(is_seen)
    windows = int(seen["windows"].sum())
    seen_windows = pl.when(is_seen).then("windows").otherwise(0)
    placed = counted.with_columns(row=pl.when(is_seen).then(seen_windows.cum_sum() - seen_windows)).select(
        *("text", "tokens", "unknown", "longest", "windows", "row"),
        mean=pl.when(is_long).then(windows - 1 + is_long.cum_sum().cast(pl.Int64)).otherwise("row"),
    )
    del distinct, counted
    long = placed.filter(pl.col("mean") != pl.col("row"))  # only the mean of a long text is a row of its own
    matrix = _vectors(model, load, seen, long.height, folder, engine)
    write_means(matrix, long["row"].to_numpy(), long["windows"].to_numpy())
    lookup = (
        rows.join(placed, on="text", how="left", maintain_order="left")
        .with_columns(reason=_REASON, detail=_DETAIL)
        .with_columns(pl.when(pl.col("reason").is_null()).then(pl.col("model", "row", "windows", "mean")))
    )
    return lookup.select(_LOOKUP_COLUMNS), matrix


def _token_counts(load: Callable[[], Encoder], distinct: pl.DataFrame, folder: Path) -> pl.DataFrame:
    """Return the token counts (see ``vector_store``) of the texts ``distinct``, stored or computed, in their order."""
    counts = vector_store.read_token_counts(folder, distinct["key"])
    is_uncounted = counts["windows"].is_null()
    uncounted = distinct.filter(is_uncounted)
    if uncounted.is_empty():
        return counts
    loaded = load()
    texts = uncounted["text"].to_list()
    lengths, unknown = encoder.count_tokens(loaded, encoder.tokenise(loaded, texts))
    windows = count_windows(lengths, loaded.max_tokens, loaded.head + loaded.tail)
    # Encoded text (Base64 and the like) consists of known tokens but carries no meaning, so it counts as unknown.
    unknown = np.maximum(unknown, [encoded_proportion(text) for text in texts])
    new = uncounted.with_columns(tokens=lengths, longest=loaded.max_tokens, windows=windows)
    of_long = list_windows(new).filter(pl.len().over("text") > 1).group_by("text", maintain_order=True).agg("start")
    for row, starts in of_long.iter_rows():
        pieces = encoder.cut_windows(loaded, texts[row], starts)
        unknown[row] = max(unknown[row], *(max(share, encoded_proportion(piece)) for piece, share in pieces))
    new = new.with_columns(unknown=unknown)
    vector_store.write_token_counts(folder, new)
    place = is_uncounted.arg_true()  # rows in which all columns are null
    return counts.with_columns(each.scatter(place, new[each.name].cast(each.dtype)) for each in counts.get_columns())


def _vectors(
    model: Model, load: Callable[[], Encoder], seen: pl.DataFrame, more: int, folder: Path, engine: Engine
) -> NDArray[np.float32]:
    """Return the vectors of the windows of the texts ``seen``, stored or computed, and ``more`` rows for others."""
    windows = list_windows(seen)
    stored, matrix = vector_store.read_vectors(folder, windows["key"], more)
    if matrix is None and engine is not LOCAL:
        missing = windows.filter(~pl.Series(stored))
        of_texts = seen.select("text", tokens=pl.min_horizontal("tokens", "longest"))[missing["text"]]
        vector_parts.compute_vectors(engine, model, missing.select("key", "start").hstack(of_texts), folder)
        stored, matrix = vector_store.read_vectors(folder, windows["key"], more)
    if matrix is None:  # after an engine, what this machine does not see, usually nothing
        _store_vectors(load(), seen, windows.filter(~pl.Series(stored)), folder)
        stored, matrix = vector_store.read_vectors(folder, windows["key"], more)
    if matrix is None:
        raise SeasDataError(
            f"vectors of {int((~stored).sum()):,} texts that were stored in {folder} are not there or are damaged; "
            "check the disk, and run the command again"
        )
    return matrix


def _store_vectors(loaded: Encoder, seen: pl.DataFrame, missing: pl.DataFrame, folder: Path) -> None:
    """Compute and store the vectors of the windows ``missing`` (see ``list_windows``) of the texts ``seen``."""
    texts = missing["text"].unique(maintain_order=True)
    tokens = encoder.tokenise(loaded, seen["text"].gather(texts).to_list())
    start = missing["start"].to_numpy()
    text = np.searchsorted(texts.to_numpy(), missing["text"].to_numpy())
    first = encoder.find_first_equal(loaded, tokens, text, start)
    computed, copies = np.flatnonzero(first == np.arange(len(first))), np.flatnonzero(first != np.arange(len(first)))
    batches = encoder.encode(loaded, tokens, text[computed], start[computed])
    lengths = np.minimum(np.diff(tokens.starts)[text[computed]], loaded.max_tokens)
    place = np.empty(len(first), np.int64)
    for part, vectors in _group_into_parts(batches, lengths, PART_TOKENS[loaded.device.type]):
        place[computed[part]] = np.arange(len(part))
        copied = copies[np.isin(first[copies], computed[part])]
        keys = missing["key"][np.concatenate([computed[part], copied])]
        vector_store.write_vectors(folder, keys, np.concatenate([vectors, vectors[place[first[copied]]]]))


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
