"""Clusters: what the prompts are about, in a few words each, and where each lies on a map.

Spherical k-means on the unit vectors gives the clusters, the words that set a cluster apart give it its label, and
t-SNE gives a sample of the rows their places on a map; every other row is placed among its neighbours in that sample.
The stored rows are all that a later version needs: a cluster's centre is the mean of the vectors it holds, and the map
is their positions. So rows of earlier versions never move, and later rows come to where they belong.

All is done on one thread, in order of the prompts' ids, so that sums have one order and the bytes are the same.
"""

from dataclasses import dataclass
from math import sqrt
from warnings import catch_warnings, simplefilter

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from seas_data import progress, recipe

Vectors = NDArray[np.float32]
Numbers = NDArray[np.int64]

TERMS = 4
NEIGHBOURS = 5
_SCHEMA = {"prompt_id": pl.String(), "cluster": pl.Int32(), "label": pl.String(), "x": pl.Float32(), "y": pl.Float32()}
_ROWS_PER_CENTRE = 256  # more teach k-means nothing: as in FAISS (Johnson et al., arXiv 1702.08734)
_ROWS_PER_LABEL = 500
_CHARACTERS_PER_ROW = 2_000
_BLOCK = 4_096
_SHARPNESS = 0.05  # of a row's neighbours on the map, one whose cosine is lower by this weighs a factor e less
# Runs of letters, of which the invisible ones (Hangul fillers) are none, with at most two marks on each; Han in pairs.
_WORD = r"\p{Han}{2}|(?:[\p{L}--[\p{Han}\x{115F}\x{1160}\x{3164}\x{FFA0}]]\p{M}{0,2}){3,}"


@dataclass(frozen=True)
class Placed:
    """The rows of earlier versions: ``rows`` has the columns of tables.Clusters, ``vectors`` (n, d) is aligned."""

    rows: pl.DataFrame
    vectors: Vectors


def clusters(
    texts: pl.DataFrame, vectors: Vectors, settings: recipe.Clusters, earlier: Placed | None = None
) -> pl.DataFrame:
    """Return the cluster, its label and the position of each row of ``texts``: the columns of tables.Clusters.

    ``texts`` (prompt_id, text) are the payload or the whole text, ``vectors`` of shape (n, d) their unit vectors, from
    one embedder. Clusters are numbered from 0 by size. With ``earlier`` rows, ``texts`` are the new rows alone: each
    joins the cluster whose centre is nearest and is placed among the earlier rows.
    """
    order = texts["prompt_id"].arg_sort().to_numpy()
    rows, ordered = texts[order], np.ascontiguousarray(vectors[order], dtype=np.float32)
    if rows.height == 0:
        return pl.DataFrame(schema=_SCHEMA)
    with threadpool_limits(1), progress.bar(3, "clusters and map", "steps") as bar:
        if earlier is not None and earlier.rows.height:
            cluster, names, positions = _join(ordered, earlier, settings)
        else:
            cluster = _spherical_k_means(ordered, settings.count or round(sqrt(rows.height / 10)))
            bar.update(1)
            names = _names(rows, cluster)
            bar.update(1)
            positions = _map(ordered, cluster, settings.fit_rows)
    return (
        rows.select("prompt_id", cluster=pl.Series(cluster))
        .join(names, on="cluster", how="left", maintain_order="left")
        .with_columns(x=pl.Series(positions[:, 0]), y=pl.Series(positions[:, 1]))[np.argsort(order)]
        .select(pl.col(name).cast(dtype) for name, dtype in _SCHEMA.items())
    )


def _join(vectors: Vectors, earlier: Placed, settings: recipe.Clusters) -> tuple[Numbers, pl.DataFrame, Vectors]:
    """Return the nearest of the earlier clusters for each row, the clusters' labels, and the rows' places."""
    order = earlier.rows["prompt_id"].arg_sort().to_numpy()
    old, theirs = earlier.rows[order], earlier.vectors[order]
    numbers, cluster = np.unique(old["cluster"].to_numpy(), return_inverse=True)
    centres = np.stack([theirs[cluster == number].mean(axis=0, dtype=np.float64) for number in range(len(numbers))])
    few = _sample(cluster, settings.fit_rows)
    positions = _place(vectors, theirs[few], old.select("x", "y").to_numpy()[few])
    names = old.unique("cluster", keep="first", maintain_order=True).select("cluster", "label")
    return numbers[_nearest(vectors, centres)], names.cast({"cluster": pl.Int64}), positions


def _spherical_k_means(vectors: Vectors, count: int) -> Numbers:
    """Return the cluster of each row, 0 for the largest: k-means whose centres are put back on the unit sphere."""
    count = min(max(count, 2), len(vectors))
    teachers = vectors[: count * _ROWS_PER_CENTRE]  # ids are hashes, so the first rows by id are a random sample
    with catch_warnings():
        simplefilter("ignore", ConvergenceWarning)  # fewer different vectors than centres: some clusters stay empty
        model = KMeans(count, n_init=1, max_iter=50, random_state=0).fit(teachers)
    cluster = _nearest(vectors, model.cluster_centers_)
    _, first, cluster, sizes = np.unique(cluster, return_index=True, return_inverse=True, return_counts=True)
    number = np.empty_like(first)
    number[np.lexsort((first, -sizes))] = np.arange(len(first))
    return number[cluster]


def _nearest(vectors: Vectors, centres: NDArray[np.floating]) -> Numbers:
    lengths = np.linalg.norm(centres, axis=1, keepdims=True)
    unit = (centres / np.maximum(lengths, 1e-12)).astype(np.float32).T
    blocks = range(0, len(vectors), _BLOCK)
    return np.concatenate([(vectors[start : start + _BLOCK] @ unit).argmax(axis=1) for start in blocks])


def _names(rows: pl.DataFrame, cluster: Numbers) -> pl.DataFrame:
    """Return each ``cluster``'s ``label``: its first words by class-based TF-IDF, frequency · log(1 + words / total).

    Frequency is how many of the cluster's rows have the word, so that one row cannot shout; total is that of all
    clusters, and words the mean number of words of a cluster. Source: Grootendorst (2022), BERTopic, arXiv 2203.05794.
    """
    texts = rows.select("text", cluster=pl.Series(cluster)).group_by("cluster", maintain_order=True)
    word = pl.col("text").str.slice(0, _CHARACTERS_PER_ROW).str.normalize("NFKC").str.to_lowercase()
    found = (
        texts.head(_ROWS_PER_LABEL)
        .select("cluster", word=word.str.extract_all(_WORD).list.eval(pl.element().str.slice(0, 24)).list.unique())
        .explode("word")
        .filter(pl.col("word").is_not_null() & ~pl.col("word").is_in(sorted(ENGLISH_STOP_WORDS)))
        .group_by("cluster", "word")
        .agg(frequency=pl.len())
    )
    words = found["frequency"].sum() / max(found["cluster"].n_unique(), 1)
    weight = pl.col("frequency") * (1 + words / pl.col("frequency").sum().over("word")).log()
    labels = (
        found.sort("cluster", weight.round(9), "word", descending=[False, True, False])
        .group_by("cluster", maintain_order=True)
        .agg(label=pl.col("word").head(TERMS).str.join(", "))
    )
    every = pl.DataFrame({"cluster": np.unique(cluster)})
    return every.join(labels, on="cluster", how="left").with_columns(pl.col("label").fill_null("no words"))


def _map(vectors: Vectors, cluster: Numbers, fit_rows: int) -> Vectors:
    """Return the rows' places: a sample's by t-SNE, the others' among it."""
    few = _sample(cluster, fit_rows)
    fitted = _fit(vectors[few])
    positions = _place(vectors, vectors[few], fitted)
    positions[few] = fitted
    return positions


def _sample(cluster: Numbers, count: int) -> Numbers:
    """Return at most ``count`` rows, the same share of each cluster, each cluster's first row before all others."""
    order = np.argsort(cluster, kind="stable")
    sizes = np.bincount(cluster)
    rank = np.arange(len(cluster)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    share = rank / np.repeat(sizes, sizes)
    return np.sort(order[np.argsort(share, kind="stable")[:count]])


def _fit(vectors: Vectors) -> Vectors:
    """Return t-SNE's places of ``vectors``, started from their first two principal components, which a few rows get."""
    n, dimensions = vectors.shape
    if not np.ptp(vectors, axis=0).any():
        return np.zeros((n, 2), dtype=np.float32)
    reduced = PCA(min(50, n, dimensions), svd_solver="full").fit_transform(vectors.astype(np.float64))
    start = np.zeros((n, 2), dtype=np.float32)
    start[:, : reduced.shape[1]] = reduced[:, :2]
    if n < 10:
        return start
    start *= 1e-4 / start[:, 0].std()
    perplexity = min(30.0, (n - 1) / 3)
    # angle 0.8 is twice as fast as 0.5 and keeps as many neighbours; 500 rounds keep as many as 1,000
    tsne = TSNE(init=start, perplexity=perplexity, angle=0.8, max_iter=500, random_state=0, n_jobs=1)
    return np.asarray(tsne.fit_transform(reduced.astype(np.float32)), dtype=np.float32)


def _place(vectors: Vectors, fitted: Vectors, positions: Vectors) -> Vectors:
    """Return the mean of the positions of each row's nearest ``fitted`` rows, weighted by how near they are."""
    count = min(NEIGHBOURS, len(fitted))
    places = np.empty((len(vectors), 2), dtype=np.float32)
    for start in range(0, len(vectors), _BLOCK):
        cosines = torch.from_numpy(vectors[start : start + _BLOCK] @ fitted.T)
        near, nearest = (found.numpy() for found in cosines.topk(count, dim=1))
        weights = np.exp((near - near[:, :1]) / _SHARPNESS)
        weights /= weights.sum(axis=1, keepdims=True)
        places[start : start + _BLOCK] = np.einsum("rk,rkd->rd", weights, positions[nearest])
    return places
