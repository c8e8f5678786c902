"""The files that pair making writes, loaded by ``datasets`` and trained on by TRL as they are."""

import json
from pathlib import Path
from typing import Any

import pytest

from seas_data import recipe
from seas_data.pairs import target_pairs
from seas_data.pairs.convert_reference import convert_file
from seas_data.store.files import write_parquet
from tests.pairs.worlds import NOTHING, world
from tests.trl import dpo

pytest.importorskip("trl")
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

TEMPLATE = (
    "{% for message in messages %}<{{ message['role'] }}> {{ message['content'] }} <end> {% endfor %}"
    "{% if add_generation_prompt %}<assistant> {% endif %}"
)
ROWS = [
    {
        "prompt": f"write a question like question {seed}",
        "atk_output": f"what is behind door {seed} {attack}",
        "tgt_output": f"the answer {sample} is {'jade' if sample < attack else 'kept by me'}",
        "evaluation": "unsafe\nS1" if sample < attack else "safe",
    }
    for seed in range(4)
    for attack in range(5)
    for sample in range(5)
]


@pytest.fixture(scope="module")
def parts() -> tuple[Any, Any]:
    """A Llama of a few thousand weights, from scratch, and its tokenizer."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = sorted({word for row in ROWS for text in row.values() for word in text.split()})
    special = ["<pad>", "<unk>", "<end>", "<user>", "<assistant>"]
    vocabulary = {word: number for number, word in enumerate([*special, *words])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="<pad>", unk_token="<unk>", eos_token="<end>", chat_template=TEMPLATE
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=2,
    )
    return LlamaForCausalLM(config), tokenizer


def train(folder: Path, rows: Any, parts: tuple[Any, Any]) -> None:
    """Take two steps of DPO on ``rows``, whose prompts must have come through as one turn each."""
    model, tokenizer = parts
    trainer = dpo(rows, folder, model, tokenizer, steps=2)
    asked = tokenizer.decode(trainer.train_dataset[0]["prompt_ids"])
    assert asked.split() == ["<user>", *rows[0]["prompt"][0]["content"].split(), "<end>", "<assistant>"]


@pytest.mark.parametrize(("role", "end"), [("red", "jsonl"), ("target", "parquet")])
@pytest.mark.slow
def test_trl_trains_on_the_file(tmp_path: Path, parts: tuple[Any, Any], role: Any, end: str) -> None:
    source, output = tmp_path / "reference.jsonl", tmp_path / f"pairs.{end}"
    source.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    summary = convert_file(source, role, output)
    rows = load(output, tmp_path)
    assert len(rows) == summary["pairs"]
    train(tmp_path, rows, parts)


@pytest.mark.slow
def test_trl_trains_on_the_table(tmp_path: Path, parts: tuple[Any, Any]) -> None:
    answers = [{"verdict": "safe", "text": "the answer is kept by me"}, {"verdict": "unsafe", "text": "jade"}]
    made = world({"s": {f"p{i}=what is behind door {i}": answers for i in range(5)}})
    paired = target_pairs(made.prompts, made.responses, made.verdicts, recipe.Pairs(), iteration=1, held_out=NOTHING)
    write_parquet(tmp_path / "pairs.parquet", paired.pairs)
    train(tmp_path, load(tmp_path / "pairs.parquet", tmp_path), parts)


def load(path: Path, folder: Path) -> Any:
    from datasets import load_dataset

    kind = "parquet" if path.suffix == ".parquet" else "json"
    return load_dataset(kind, data_files=str(path), split="train", cache_dir=str(folder / "cache"))
