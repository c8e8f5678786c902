"""The common request of several samples is read once, and the answers are those of reading it for each."""

from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
)

from seas_data.models.prompt_cache import read_requests_once

SMALL: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}
IDS = np.array([[0, 0, 5, 6, 7, 8, 9], [0, 0, 5, 6, 7, 8, 9], [3, 4, 5, 6, 7, 8, 9], [0, 0, 5, 6, 7, 8, 9]])
MASK = np.array([[0, 0, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1, 1]])


def create(name: str) -> PreTrainedModel:
    torch.manual_seed(1)
    models = {
        "llama": lambda: LlamaForCausalLM(LlamaConfig(**SMALL)),
        "mistral, sliding window of 4": lambda: MistralForCausalLM(MistralConfig(**SMALL, sliding_window=4)),
        "gemma 2, every second layer slides": lambda: Gemma2ForCausalLM(
            Gemma2Config(**SMALL, head_dim=16, sliding_window=4)
        ),
        "gpt 2, absolute positions": lambda: GPT2LMHeadModel(
            GPT2Config(vocab_size=40, n_embd=32, n_layer=2, n_head=2, n_positions=64)
        ),
        "mamba": lambda: MambaForCausalLM(MambaConfig(vocab_size=40, hidden_size=32, num_hidden_layers=1)),
    }
    return models[name]().eval()


def generate(model: PreTrainedModel, cache: Any) -> torch.Tensor:
    with torch.inference_mode():
        return model.generate(
            input_ids=torch.from_numpy(IDS),
            attention_mask=torch.from_numpy(MASK),
            past_key_values=cache,
            max_new_tokens=12,
            do_sample=False,
            pad_token_id=0,
            eos_token_id=None,
            output_logits=True,
            return_dict_in_generate=True,
        )


@pytest.mark.parametrize(
    "name",
    ["llama", "mistral, sliding window of 4", "gemma 2, every second layer slides", "gpt 2, absolute positions"],
)
def test_answers_and_logits_are_those_of_reading_the_request_for_each_sample(name: str) -> None:
    model = create(name)
    with torch.inference_mode():
        cache = read_requests_once(model, IDS, MASK)
    assert cache is not None and cache.get_seq_length() == IDS.shape[1] - 1
    once, each = generate(model, cache), generate(model, None)
    assert torch.equal(once.sequences, each.sequences)
    torch.testing.assert_close(torch.stack(once.logits), torch.stack(each.logits), rtol=1e-4, atol=1e-5)


def test_a_request_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = create("llama")
    read = []
    forward = model.base_model.forward
    monkeypatch.setattr(
        model.base_model, "forward", lambda **given: read.append(tuple(given["input_ids"].shape)) or forward(**given)
    )
    with torch.inference_mode():
        generate(model, read_requests_once(model, IDS, MASK))
    assert read[0] == (2, 6) and read[1:] == [(4, 1)] * 12, "two requests without their last token, then one at a time"


def test_different_requests_a_single_token_and_a_recurrent_state_are_left_to_generate() -> None:
    llama = create("llama")
    with torch.inference_mode():
        assert read_requests_once(llama, IDS[1:3], MASK[1:3]) is None
        assert read_requests_once(llama, IDS[:2, -1:], MASK[:2, -1:]) is None
        assert read_requests_once(create("mamba"), IDS, MASK) is None
