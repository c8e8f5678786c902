"""Clusters of prompts by topic, a label of a few words for each, and positions on a map.

Spherical k-means on the unit vectors gives the clusters, class-based TF-IDF their labels, and t-SNE the map positions
of a sample of the rows; every other row is placed among its neighbours in that sample. The stored rows are all that a
later version needs: the centre of a cluster is the mean of its vectors, and the map is the stored positions. So rows
of earlier versions never move, and later rows are added to the existing clusters.

Everything runs on one thread, in order of the prompt ids, so sums have one order and the output bytes are
reproducible.
"""

from dataclasses import dataclass
from math import sqrt
from warnings import catch_warnings, simplefilter

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from seas_data import progress, recipe
from seas_data.store.shared_matrix import Matrix, as_matrix

Vectors = NDArray[np.float32]
Numbers = NDArray[np.int64]

LABEL_TERMS = 4
MAP_NEIGHBOURS = 5
_SCHEMA = {"prompt_id": pl.String(), "cluster": pl.Int32(), "label": pl.String(), "x": pl.Float32(), "y": pl.Float32()}
_ROWS_PER_CENTRE = 256  # more do not improve k-means; the limit of FAISS (Johnson et al., arXiv 1702.08734)
_ROWS_PER_LABEL = 500
_CHARACTERS_PER_ROW = 2_000
_ROWS_PER_BLOCK = 4_096
_COSINE_SCALE = 0.05  # a neighbour with a cosine lower by this has e times less weight
# Runs of letters without the invisible Hangul fillers, with at most two marks per letter; Han in pairs.
_WORD = r"\p{Han}{2}|(?:[\p{L}--[\p{Han}\x{115F}\x{1160}\x{3164}\x{FFA0}]]\p{M}{0,2}){3,}"


@dataclass(frozen=True)
class EarlierClusters:
    """Clusters of earlier versions: ``rows`` of the ``clusters`` table and their ``vectors`` (n, d), aligned."""

    rows: pl.DataFrame
    vectors: Vectors | Matrix


def cluster_prompts(
    texts: pl.DataFrame, vectors: Vectors | Matrix, settings: recipe.Clusters, earlier: EarlierClusters | None = None
) -> pl.DataFrame:
    """Return the cluster, its label and the map position of each row of ``texts``.

    ``vectors`` (n, d) are the unit vectors of the texts, all from one embedder. Clusters are numbered from 0 by size.
    With ``earlier`` clusters, ``texts`` are the new rows only: each joins the cluster with the nearest centre and is
    placed among the earlier rows.

    Input columns: ``prompt_id``, ``text`` (the payload or the whole text).
    Output columns: the ``clusters`` table without ``version``; ``x``, ``y`` have no unit.
    """
    order = texts["prompt_id"].arg_sort().to_numpy()
    rows, ordered = texts[order], as_matrix(vectors).select(order)
    if rows.height == 0:
        return pl.DataFrame(schema=_SCHEMA)
    with threadpool_limits(1), progress.bar(3, "clusters and map", "steps") as bar:
        if earlier is not None and earlier.rows.height:
            cluster, labels, positions = _assign_to_earlier(ordered, earlier, settings)
        else:
            cluster = _spherical_k_means(ordered, settings.count or round(sqrt(rows.height / 10)))
            bar.update(1)
            labels = label_clusters(rows, cluster)
            bar.update(1)
            positions = _compute_map(ordered, cluster, settings.map_fit_rows)
    return (
        rows.select("prompt_id", cluster=pl.Series(cluster))
        .join(labels, on="cluster", how="left", maintain_order="left")
        .with_columns(x=pl.Series(positions[:, 0]), y=pl.Series(positions[:, 1]))[np.argsort(order)]
        .select(pl.col(name).cast(dtype) for name, dtype in _SCHEMA.items())
    )


def _assign_to_earlier(
    vectors: Matrix, earlier: EarlierClusters, settings: recipe.Clusters
) -> tuple[Numbers, pl.DataFrame, Vectors]:
    """Return each row's nearest earlier cluster, the clusters' labels, and the rows' map positions."""
    order = earlier.rows["prompt_id"].arg_sort().to_numpy()
    old, old_vectors = earlier.rows[order], as_matrix(earlier.vectors).select(order)
    numbers, cluster = np.unique(old["cluster"].to_numpy(), return_inverse=True)
    by_cluster = np.argsort(cluster, kind="stable")
    members = np.split(by_cluster, np.searchsorted(cluster[by_cluster], np.arange(1, len(numbers))))
    centres = np.stack([old_vectors[each].mean(axis=0, dtype=np.float64) for each in members])
    sampled = sample_rows(cluster, settings.map_fit_rows)
    positions = _interpolate_positions(vectors, old_vectors[sampled], old.select("x", "y").to_numpy()[sampled])
    labels = old.unique("cluster", keep="first", maintain_order=True).select("cluster", "label")
    return numbers[_nearest_centre(vectors, centres)], labels.cast({"cluster": pl.Int64}), positions


def _spherical_k_means(vectors: Matrix, count: int) -> Numbers:
    """Return the cluster of each row, 0 for the largest: k-means with centres normalised to unit length.

    Source: Dhillon and Modha (2001), Concept Decompositions for Large Sparse Text Data Using Clustering.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    count = min(max(count, 2), len(vectors))
    training = vectors[: count * _ROWS_PER_CENTRE]  # ids are hashes, so the first rows by id are a random sample
    with catch_warnings():
        simplefilter("ignore", ConvergenceWarning)  # fewer distinct vectors than centres leave clusters empty
        model = KMeans(count, n_init=1, max_iter=50, random_state=0).fit(training)
    cluster = _nearest_centre(vectors, model.cluster_centers_)
    _, first, cluster, sizes = np.unique(cluster, return_index=True, return_inverse=True, return_counts=True)
    number = np.empty_like(first)
    number[np.lexsort((first, -sizes))] = np.arange(len(first))
    return number[cluster]


def _nearest_centre(vectors: Matrix, centres: NDArray[np.floating]) -> Numbers:
    lengths = np.linalg.norm(centres, axis=1, keepdims=True)
    unit = (centres / np.maximum(lengths, 1e-12)).astype(np.float32).T
    blocks = range(0, len(vectors), _ROWS_PER_BLOCK)
    return np.concatenate([(vectors[start : start + _ROWS_PER_BLOCK] @ unit).argmax(axis=1) for start in blocks])


def label_clusters(rows: pl.DataFrame, cluster: Numbers) -> pl.DataFrame:
    """Return each ``cluster``'s ``label``: its first words by class-based TF-IDF, frequency · log(1 + words / total).

    Frequency is the number of the cluster's rows that contain the word (so a single row cannot dominate), total the sum
    of the frequencies over all clusters, words the mean number of words of a cluster. Source: Grootendorst (2022),
    BERTopic, arXiv 2203.05794.
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    texts = rows.select("text", cluster=pl.Series(cluster)).group_by("cluster", maintain_order=True)
    spoken = pl.col("text").str.replace_all(r"\[\[(?:system|user|assistant)\]\]", " ")  # marks of turns are no words
    word = spoken.str.slice(0, _CHARACTERS_PER_ROW).str.normalize("NFKC").str.to_lowercase()
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
        .agg(label=pl.col("word").head(LABEL_TERMS).str.join(", "))
    )
    every = pl.DataFrame({"cluster": np.unique(cluster)})
    return every.join(labels, on="cluster", how="left").with_columns(pl.col("label").fill_null("no words"))


def _compute_map(vectors: Matrix, cluster: Numbers, fit_rows: int) -> Vectors:
    """Return the map positions of all rows: t-SNE for a sample, interpolation for the others."""
    sampled = sample_rows(cluster, fit_rows)
    sample = vectors[sampled]
    fitted = _fit_map(sample)
    positions = _interpolate_positions(vectors, sample, fitted)
    positions[sampled] = fitted
    return positions


def sample_rows(cluster: Numbers, count: int) -> Numbers:
    """Return at most ``count`` rows, in equal proportion per cluster, every cluster's first row before any other."""
    order = np.argsort(cluster, kind="stable")
    sizes = np.bincount(cluster)
    rank = np.arange(len(cluster)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    quantile = rank / np.repeat(sizes, sizes)
    return np.sort(order[np.argsort(quantile, kind="stable")[:count]])


def _fit_map(vectors: Vectors) -> Vectors:
    """Return t-SNE positions of ``vectors``, initialised with their first two principal components.

    Fewer than ten rows keep these components as positions. Source: van der Maaten and Hinton (2008), Visualizing Data
    using t-SNE.
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

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
    # Angle 0.8 is twice as fast as 0.5 and preserves as many neighbours; 500 iterations preserve as many as 1,000.
    tsne = TSNE(init=start, perplexity=perplexity, angle=0.8, max_iter=500, random_state=0, n_jobs=1)
    return np.asarray(tsne.fit_transform(reduced.astype(np.float32)), dtype=np.float32)


def _interpolate_positions(vectors: Matrix, fitted: Vectors, positions: Vectors) -> Vectors:
    """Return the mean position of each row's nearest ``fitted`` rows, weighted by cosine."""
    count = min(MAP_NEIGHBOURS, len(fitted))
    positions_of_rows = np.empty((len(vectors), 2), dtype=np.float32)
    for start in range(0, len(vectors), _ROWS_PER_BLOCK):
        cosines = torch.from_numpy(vectors[start : start + _ROWS_PER_BLOCK] @ fitted.T)
        near, nearest = (found.numpy() for found in cosines.topk(count, dim=1))
        weights = np.exp((near - near[:, :1]) / _COSINE_SCALE)
        weights /= weights.sum(axis=1, keepdims=True)
        positions_of_rows[start : start + _ROWS_PER_BLOCK] = np.einsum("rk,rkd->rd", weights, positions[nearest])
    return positions_of_rows
