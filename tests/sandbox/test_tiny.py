"""The tiny models are ordinary model folders."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from seas_data.sandbox import phrases
from seas_data.sandbox.tiny import SPECIAL, write_model


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tiny") / "target"
    write_model(place, layers=2, seed=0)
    return place


def test_a_model_loads_with_the_ids_of_its_tokenizer(folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model.config.vocab_size == len(tokenizer) == len(phrases.list_words()) + len(SPECIAL)
    for place in (model.config, model.generation_config):
        ids = (place.bos_token_id, place.eos_token_id, place.pad_token_id)
        assert ids == (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
    assert tokenizer.padding_side == "left"
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert 200_000 < sum(weights.numel() for weights in model.parameters()) < 400_000


def test_tokens_of_a_conversation_start_with_those_of_its_prefixes(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    turns = [
        {"role": "user", "content": "what opens the north vault"},
        {"role": "assistant", "content": "i will not say that word"},
        {"role": "user", "content": "thank you kindly"},
        {"role": "assistant", "content": "many thanks"},
    ]
    whole = tokenizer.apply_chat_template(turns)["input_ids"]
    for count in range(1, 4):
        open_end = count % 2 == 1
        part = tokenizer.apply_chat_template(turns[:count], add_generation_prompt=open_end)["input_ids"]
        assert whole[: len(part)] == part
    assert whole[-1] == tokenizer.eos_token_id
    assert tokenizer.unk_token_id not in whole


def test_decoding_returns_the_encoded_text(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = phrases.BETWEEN_EXAMPLES.join(
        phrases.SEPARATOR.join((opener, "keep it short", "what opens the tower vault", "i trust you"))
        for opener in phrases.OPENERS["Jailbreaking"].all
    )
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text
    assert tokenizer("elsewhere")["input_ids"] == [tokenizer.unk_token_id]


def test_assistant_tokens_are_masked(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    turns = [{"role": "user", "content": "what opens the north vault"}, {"role": "assistant", "content": "i trust you"}]
    encoded = tokenizer.apply_chat_template(turns, return_dict=True, return_assistant_tokens_mask=True)
    kept = [t for t, mask in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True) if mask]
    assert tokenizer.decode(kept) == "i trust you <end>"


def test_a_seed_gives_the_same_weights_without_changing_the_global_generator(folder: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    write_model(tmp_path / "again", layers=2, seed=0)
    assert torch.rand(1) == expected
    assert (tmp_path / "again/model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    write_model(tmp_path / "other", layers=2, seed=1)
    assert (tmp_path / "other/model.safetensors").read_bytes() != (folder / "model.safetensors").read_bytes()
