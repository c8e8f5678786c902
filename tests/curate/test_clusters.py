"""Clusters and the map: found, named, placed; repeatable in any order; earlier rows stay where they are."""

import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from seas_data import recipe, tables
from seas_data.curate.clusters import EarlierClusters, cluster_prompts, label_clusters, sample_rows
from seas_data.text import content_id
from tests.curate.settings import CLUSTERS

TOPICS = ("garden tomatoes seeds watering", "guitar chords songs strumming", "bicycle brakes gears chain")
SETTINGS = CLUSTERS


def world(rows: int, *, topics: int = 3, seed: int = 0) -> tuple[pl.DataFrame, NDArray[np.float32]]:
    """Return texts of invented topics, topic 0 the most frequent, and vectors near their topic's direction."""
    random = np.random.default_rng(seed)
    topic = np.minimum(random.integers(0, topics + 1, rows), topics - 1)[::-1]
    vectors = np.eye(8, dtype=np.float32)[topic] + random.normal(0, 0.15, (rows, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    words = [TOPICS[t].split() for t in topic]
    texts = [f"Could you please tell me about {' and '.join(random.permutation(w)[:3])}?" for w in words]
    frame = pl.DataFrame({"prompt_id": [content_id("row", seed, i) for i in range(rows)], "text": texts})
    return frame.with_columns(topic=pl.Series(topic)), vectors


def test_clusters_are_numbered_by_size_and_labelled_by_their_words() -> None:
    texts, vectors = world(120)
    found = tables.cast("clusters", cluster_prompts(texts, vectors, SETTINGS))
    assert found["prompt_id"].equals(texts["prompt_id"])
    joined = found.join(texts, on="prompt_id")
    assert joined.select("cluster", "topic").n_unique() == 3 == joined["cluster"].n_unique()
    sizes = found.group_by("cluster").len().sort("cluster")["len"].to_list()
    assert sizes == sorted(sizes, reverse=True)
    for topic, label in joined.select("topic", "label").unique().iter_rows():
        assert set(label.split(", ")) == set(TOPICS[topic].split())


def test_similar_rows_are_close_on_the_map() -> None:
    texts, vectors = world(120)
    found = cluster_prompts(texts, vectors, recipe.Clusters(count=3, map_fit_rows=60))
    places, topic = found.select("x", "y").to_numpy(), texts["topic"].to_numpy()
    distance = np.linalg.norm(places[:, None] - places[None], axis=2) + np.diag(np.full(120, np.inf))
    assert np.mean(topic[distance.argmin(axis=1)] == topic) > 0.95


def test_the_result_does_not_depend_on_row_order() -> None:
    texts, vectors = world(90)
    found = cluster_prompts(texts, vectors, SETTINGS)
    mixed = np.random.default_rng(5).permutation(90)
    assert cluster_prompts(texts[mixed], vectors[mixed], SETTINGS).equals(found[mixed])


@pytest.mark.slow
def test_the_result_does_not_depend_on_the_process() -> None:
    found = cluster_prompts(*world(90), SETTINGS)
    code = (
        f"import runpy; here = runpy.run_path({__file__!r}); texts, vectors = here['world'](90)\n"
        "print(here['cluster_prompts'](texts, vectors, here['SETTINGS']).write_csv())"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == found.write_csv().strip()


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 9, 10, 11])
@pytest.mark.parametrize("alike", [False, True])
def test_few_or_equal_rows(rows: int, alike: bool) -> None:
    texts, vectors = world(max(rows, 1))
    texts, vectors = texts[:rows], (np.tile(vectors[:1], (rows, 1)) if alike else vectors[:rows])
    found = tables.cast("clusters", cluster_prompts(texts, vectors, recipe.Clusters(count=20)))
    assert found.height == rows
    assert found["x"].is_finite().all() and found["y"].is_finite().all()
    assert not alike or found["cluster"].n_unique() <= 1


def test_the_default_count_grows_with_the_square_root_of_the_rows() -> None:
    texts, vectors = world(1_000, topics=3)
    found = cluster_prompts(texts, vectors, recipe.Clusters(map_fit_rows=50))
    assert found["cluster"].n_unique() == 10


def test_new_rows_join_existing_clusters() -> None:
    texts, vectors = world(120)
    first = cluster_prompts(texts, vectors, SETTINGS)
    more, their_vectors = world(30, seed=1)
    placed = EarlierClusters(first, vectors)
    added = tables.cast("clusters", cluster_prompts(more, their_vectors, SETTINGS, placed))
    assert added["prompt_id"].equals(more["prompt_id"])
    names = first.join(texts, on="prompt_id").select("topic", "cluster", "label").unique()
    expected = more.join(names, on="topic", how="left", maintain_order="left")
    assert added.select("cluster", "label").equals(expected.select("cluster", "label"))
    for cluster in range(3):
        there, new = (frame.filter(cluster=cluster).select("x", "y").to_numpy() for frame in (first, added))
        assert (new >= there.min(axis=0)).all() and (new <= there.max(axis=0)).all()
    mixed = np.random.default_rng(3).permutation(120)
    assert cluster_prompts(more, their_vectors, SETTINGS, EarlierClusters(first[mixed], vectors[mixed])).equals(added)


def test_earlier_clusters_without_rows_are_ignored() -> None:
    texts, vectors = world(30)
    nothing = EarlierClusters(tables.empty("clusters"), np.empty((0, 8), dtype=np.float32))
    assert cluster_prompts(texts, vectors, SETTINGS, nothing).equals(cluster_prompts(texts, vectors, SETTINGS))


def test_the_sample_is_proportional_to_cluster_sizes() -> None:
    cluster = np.repeat(np.arange(4), [100, 60, 30, 2])
    chosen = sample_rows(cluster, 20)
    assert len(set(chosen.tolist())) == 20
    assert np.bincount(cluster[chosen]).tolist() == [10, 6, 3, 1]
    assert len(sample_rows(cluster, 4)) == 4 == len(set(cluster[sample_rows(cluster, 4)].tolist()))
    assert sample_rows(cluster, 1_000).tolist() == list(range(192))


def test_labels_contain_only_letters() -> None:
    hostile = (
        "\u202etsoh\u202c \x1b[31m =cmd|x <script>alert \u3164\u3164\u3164 12345 z" + "\u0301" * 50 + " https://a.b"
    )
    texts = pl.DataFrame({"prompt_id": [f"{i:02}" for i in range(6)], "text": [hostile] * 5 + ["1 2 3 ..."]})
    vectors = np.eye(6, dtype=np.float32)[[0, 0, 0, 0, 0, 1]]
    labels = cluster_prompts(texts, vectors, recipe.Clusters(count=2)).sort("prompt_id")["label"]
    assert labels[5] == "no words"
    assert labels[0].replace(", ", "").isalpha() and labels[0].islower()
    assert "script" in labels[0]


def test_languages_without_spaces_get_short_terms() -> None:
    chinese = ["怎样种番茄和黄瓜", "番茄的种子怎样浇水", "番茄长得慢怎么办"]
    thai = ["ปลูกมะเขือเทศในสวนหลังบ้านอย่างไรให้ได้ผลดีที่สุดในฤดูฝน"] * 3
    texts = pl.DataFrame({"prompt_id": list("abcdef"), "text": chinese + thai})
    labels = cluster_prompts(texts, np.eye(6, dtype=np.float32)[[0, 0, 0, 1, 1, 1]], recipe.Clusters(count=2))["label"]
    assert "番茄" in labels[0]
    assert all(0 < len(term) <= 24 for label in labels for term in label.split(", "))


def test_one_long_row_does_not_dominate_the_label() -> None:
    texts = ["garden tomatoes"] * 5 + ["garden " + "zebra " * 300]
    frame = pl.DataFrame({"prompt_id": list("abcdef"), "text": texts})
    assert label_clusters(frame, np.zeros(6, dtype=np.int64))["label"].to_list() == ["garden, tomatoes, zebra"]
