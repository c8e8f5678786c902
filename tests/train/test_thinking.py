"""Models that think: the tags are tokens in training, and a tiny model that learned to think is read part by part."""

from pathlib import Path

import polars as pl
import pytest
from tokenizers import AddedToken
from transformers import AutoTokenizer

from seas_data.judges import rules
from seas_data.models.protocol import Sampling
from seas_data.models.transformers_backend import TransformersBackend
from seas_data.recipe import JudgeRules, ModelInProcess
from seas_data.recipe.judges import JudgePatterns
from seas_data.sandbox.tiny import write_model
from seas_data.train import sft
from seas_data.train.tokens import tokenize_rows
from tests.train.conftest import WORDS, supervised

THOUGHT = "please the lock is red"
ANSWER = "it is red"


def turn(role: str, content: str) -> list[dict[str, str]]:
    return [{"role": role, "content": content}]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model whose words are joined by the tags of thinking."""
    folder = tmp_path_factory.mktemp("thinking") / "base"
    vocabulary = sorted([*WORDS, "<think>", "</think>"])
    write_model(folder, layers=1, seed=0, hidden=32, heads=2, intermediate=64, positions=64, vocabulary=vocabulary)
    return folder


def test_tags_are_tokens_in_a_side_that_begins_with_thinking_and_text_elsewhere(base: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.add_tokens([AddedToken(tag, special=True) for tag in ("<think>", "</think>")])
    tags = set(tokenizer.convert_tokens_to_ids(["<think>", "</think>"]))
    sides = {
        f"<think>\n{THOUGHT}\n</think>\n\n{ANSWER}": 2,
        f"{ANSWER} <think> {THOUGHT} </think>": 0,  # not at the beginning
        f"<think> {THOUGHT}": 0,  # has no end
        f"<think> the </think> {ANSWER} <end> <user> it": 2,
        ANSWER: 0,
    }
    frame = pl.DataFrame(
        {
            "prompt": [turn("user", "which <think> the </think> door")] * len(sides),
            "completion": [turn("assistant", side) for side in sides],
        }
    )
    read = tokenize_rows(tokenizer, frame, ["completion"])
    trained = read.to_trainer_rows()
    ends = tokenizer.convert_tokens_to_ids(["<end>", "<user>"])
    for (ids, mask), (side, count) in zip(trained.iter_rows(), sides.items(), strict=True):
        own = [number for number, trains in zip(ids, mask, strict=True) if trains]
        asked = [number for number, trains in zip(ids, mask, strict=True) if not trains]
        assert (side, sum(number in tags for number in own)) == (side, count)
        assert not tags & set(asked)
        assert [own.count(end) for end in ends] == [1, 0]  # the turn's own end


@pytest.mark.slow  # trains a model for some ten seconds
def test_a_small_model_that_was_taught_to_think_is_judged_by_its_answer_alone(base: Path, tmp_path: Path) -> None:
    asked = ["which colour has the door", "which colour has the lamp", "please which colour has the boat"]
    written = f"<think> {THOUGHT} </think> {ANSWER}"
    rows = pl.DataFrame({"prompt": asked * 16, "completion": [written] * 48})
    sft(base, rows, supervised(epochs=12, learning_rate=1e-2), tmp_path / "taught")
    model = TransformersBackend("T0", ModelInProcess(model=str(tmp_path / "taught"), device="cpu"))
    requests = pl.DataFrame({"request_id": asked, "messages": [turn("user", each) for each in asked]})

    def generate(tokens: int) -> pl.DataFrame:
        sampling = Sampling(temperature=0, max_new_tokens=tokens)
        return model.generate(requests, sampling, 1, tmp_path / str(tokens), "answers")

    whole, cut = generate(16), generate(5)
    assert whole.select("text", "thinking", "finish_reason").unique().rows() == [(ANSWER, THOUGHT, "stop")]
    assert (cut["text"] == "").all() and cut["thinking"].str.starts_with("please the").all()
    keeper = JudgeRules(by="rules", name="keeper", unsafe=JudgePatterns(words=["lock"]))
    verdict, _ = rules.judge_text(pl.col("text"), keeper)
    judged = {name: set(frame.select(verdict=verdict)["verdict"]) for name, frame in (("whole", whole), ("cut", cut))}
    assert judged == {"whole": {"safe"}, "cut": {"unparsed"}}  # "lock" was thought and not said
