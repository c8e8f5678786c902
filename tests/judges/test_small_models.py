"""Judges that are really run, in this process and over a server, with small models of their architectures.

The models are built at random. That of gpt-oss-safeguard has a few weights that make it write one answer, in which each
token follows from the one before, so that its format is read from its own tokens; what it says means nothing.
"""

from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.decoders import Fuse
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast

from seas_data.judges.run import judge_responses
from seas_data.models import open_model
from seas_data.models.thinking import NO_FINAL
from seas_data.recipe import ModelHttp, ModelInProcess
from seas_data.sandbox.tiny import write_model
from tests.judges.test_judge_inputs import PROMPTS, RESPONSES
from tests.judges.test_run import guard
from tests.models.test_transformers_serve import COMMAND
from tests.models.test_transformers_serve import pytestmark as needs_the_server

SPECIAL = ["<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|return|>"]
WORDS = ["<unk>", *SPECIAL, "user", "assistant", "developer", "system", "analysis", "final", "0", "1", "hat", "low"]
TEMPLATE = (
    "<|start|> system <|message|> {{ reasoning_effort }} <|end|> "
    "{% for m in messages %}<|start|> {{ m['role'] }} <|message|> {{ m['content'] }}"
    "{{ ' <|return|> ' if m['role'] == 'assistant' else ' <|end|> ' }}{% endfor %}"
    "{% if add_generation_prompt %}<|start|> assistant{% endif %}"
)


def write_gpt_oss(folder: Path, answer: str) -> None:
    """Write a model of the architecture of gpt-oss, at random but for the weights that make it write ``answer``."""
    from transformers import GptOssConfig, GptOssForCausalLM  # takes seconds, and only slow tests need it

    inside = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<unk>"))
    inside.pre_tokenizer = WhitespaceSplit()
    inside.decoder = Fuse()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inside, unk_token="<unk>", eos_token="<|return|>", pad_token="<|return|>"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": SPECIAL})
    tokenizer.chat_template = TEMPLATE
    config = GptOssConfig(
        vocab_size=len(WORDS),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        num_local_experts=2,
        num_experts_per_tok=1,
        sliding_window=32,
        max_position_embeddings=192,
        eos_token_id=WORDS.index("<|return|>"),
        pad_token_id=WORDS.index("<|return|>"),
    )
    torch.manual_seed(1)
    model = GptOssForCausalLM(config)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "o_proj" in name or "down_proj" in name:
                weights.zero_()  # what attention and experts compute is not added
        model.model.embed_tokens.weight.copy_(torch.eye(len(WORDS), config.hidden_size))
        model.lm_head.weight.zero_()
        for word, following in pairwise(f"assistant {answer}".split()):
            model.lm_head.weight[WORDS.index(following), WORDS.index(word)] = 3
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ("<|channel|> final <|message|> 1", "unsafe"),
        ("<|channel|> final <|message|> 0", "safe"),
        ("<|channel|> analysis <|message|> 1 <|end|> 0", "unparsed"),
    ],
)
def test_gpt_oss_safeguard_runs_in_this_process(tmp_path: Path, answer: str, verdict: str) -> None:
    write_gpt_oss(tmp_path / "model", f"{answer} <|return|>")
    judge = guard("gpt-oss-safeguard", options={"reasoning": "low"})
    with open_model("m", ModelInProcess(model=str(tmp_path / "model"), device="cpu"), tmp_path) as generator:
        verdicts = judge_responses(PROMPTS, RESPONSES, [judge], {"m": generator}, tmp_path)
    assert set(verdicts["verdict"]) == {verdict}, verdicts["raw"].to_list()
    assert {raw.strip() for raw in verdicts["raw"]} == {answer.rpartition("|> ")[2]}, "thinking is no part of it"
    if verdict != "unparsed":
        scores = verdicts["score"].to_list()
        assert all((score > 0.5) == (verdict == "unsafe") for score in scores)
    else:
        assert all(NO_FINAL in detail for detail in verdicts["detail"])


@pytest.mark.slow
@needs_the_server
def test_harmbench_says_the_same_in_this_process_and_over_a_server(tmp_path: Path) -> None:
    write_model(
        tmp_path / "model",
        layers=1,
        seed=5,
        hidden=32,
        heads=2,
        intermediate=64,
        vocabulary=["yes", "no", "box", "hat"],
    )
    texts = [f"{word} {number}" for word in ("hat", "box", "no") for number in range(6)]
    responses = pl.DataFrame({"response_id": texts, "prompt_id": "p1", "text": texts})
    judge, found = guard("harmbench"), []
    for settings in (
        ModelInProcess(model=str(tmp_path / "model"), device="cpu"),
        ModelHttp(backend="http", model=str(tmp_path / "model"), serve=COMMAND, endpoint="completions"),
    ):
        cache = tmp_path / settings.backend
        with open_model("m", settings, tmp_path) as generator:
            verdicts = judge_responses(PROMPTS, responses, [judge], {"m": generator}, cache)
        found.append(verdicts.select("response_id", "verdict", pl.col("raw").str.strip_chars()))
    assert found[0].equals(found[1])
