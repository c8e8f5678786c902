"""The space in which prompts are clustered stays that of the earlier versions."""

import numpy as np
import polars as pl

from seas_data import recipe, tables
from seas_data.curate.payload_vectors import PayloadVectors, cluster_new_prompts

SETTINGS = recipe.Clusters(count=2)
TEXTS = pl.Series(["the garden door"])


def vectors(**models: list[str]) -> PayloadVectors:
    """Return prompts that each model sees, with vectors drawn by lot."""
    rows = [(prompt_id, None, 0, model, at) for model, ids in models.items() for at, prompt_id in enumerate(ids)]
    schema = {"prompt_id": pl.String, "template_id": pl.String, "item": pl.UInt32, "model": pl.String, "row": pl.Int64}
    matrices = {}
    for number, (model, ids) in enumerate(models.items()):
        drawn = np.random.default_rng(number).normal(size=(len(ids), 4)).astype(np.float32)
        matrices[model] = drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
    return PayloadVectors(pl.DataFrame(rows, schema=schema, orient="row").sort("prompt_id"), matrices)


def ids(letter: str, count: int) -> list[str]:
    return [f"{letter}{number:02}" for number in range(count)]


def test_the_model_of_earlier_rows_is_kept_when_another_embeds_more() -> None:
    first = cluster_new_prompts(vectors(english=ids("a", 12)), TEXTS, tables.empty("clusters"), SETTINGS)
    assert first["cluster"].unique().sort().to_list() == [0, 1]
    later = cluster_new_prompts(vectors(english=[*ids("a", 12), "b00"], chinese=ids("c", 40)), TEXTS, first, SETTINGS)
    assert later["prompt_id"].to_list() == ["b00"]
    assert later["cluster"].is_in([0, 1]).all()


def test_embeddings_are_made_slice_by_slice_whichever_model_made_them() -> None:
    made = vectors(english=ids("a", 5), chinese=["a02b", *ids("c", 3)])
    rows = made.embeddings(pl.DataFrame({"prompt_id": [*ids("a", 4), "a02b", *ids("c", 9)]}))
    whole = tables.cast("embeddings", rows.to_frame())
    assert whole["prompt_id"].to_list() == ["a00", "a01", "a02", "a02b", "a03", *ids("c", 3)]
    assert rows.height == 8 and whole["model"].to_list() == [*["english"] * 3, "chinese", "english", *["chinese"] * 3]
    for prompt_id, model, row in made.rows.select("prompt_id", "model", "row").iter_rows():
        found = whole.filter(prompt_id=prompt_id)["vector"].to_list()
        assert found == ([] if prompt_id == "a04" else [made.matrices[model][row].tolist()])
    for size in (1, 3, 8):
        assert pl.concat(rows.iter_slices(size)).equals(whole)
    assert vectors().embeddings(whole.clear()).to_frame().equals(tables.empty("embeddings"))


def test_clusters_are_labelled_with_the_texts_of_their_items() -> None:
    texts = pl.Series(["not an item of these", "the garden door", "the river boat"])
    made = vectors(english=ids("a", 12))
    number = pl.when(pl.col("row") % 2 == 0).then(1).otherwise(2).cast(pl.UInt32)
    matrix = np.array([[1, 0, 0, 0], [0, 1, 0, 0]] * 6, np.float32)
    found = cluster_new_prompts(
        PayloadVectors(made.rows.with_columns(item=number), {"english": matrix}),
        texts,
        tables.empty("clusters"),
        SETTINGS,
    )
    assert sorted(found["label"].unique()) == ["boat, river", "door, garden"]


def test_without_embedded_earlier_rows_new_clusters_are_numbered_after_them() -> None:
    first = cluster_new_prompts(vectors(english=ids("a", 12)), TEXTS, tables.empty("clusters"), SETTINGS)
    later = cluster_new_prompts(vectors(chinese=ids("c", 12)), TEXTS, first, SETTINGS)
    assert later["cluster"].unique().sort().to_list() == [2, 3]
    assert tables.cast("clusters", pl.concat([first, later])).height == 24


def test_the_main_model_embeds_the_most_prompts() -> None:
    rows, matrix = vectors(english=ids("a", 3), chinese=ids("c", 5)).of_main_model()
    assert rows["prompt_id"].to_list() == ids("c", 5)
    assert matrix.shape == (5, 4)
    nothing, matrix = vectors().of_main_model()
    assert nothing.height == len(matrix) == 0
