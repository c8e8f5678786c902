"""A reward is one number per answer, independent of other answers, and null for an answer that is too long."""

import functools
from pathlib import Path

import polars as pl
import pytest

from seas_data.errors import SeasDataError
from seas_data.models import transformers_backend
from seas_data.models.reward_model import compute_rewards
from seas_data.recipe import ModelInProcess
from tests.models.conftest import WORDS

torch = pytest.importorskip("torch")


def write(folder: Path, tiny: Path, labels: int) -> ModelInProcess:
    """An untrained classifier with ``labels`` outputs, beside the tokenizer of ``tiny``."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForSequenceClassification

    torch.manual_seed(0)
    config = LlamaConfig.from_pretrained(tiny, num_labels=labels, tie_word_embeddings=False)
    LlamaForSequenceClassification(config).save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny).save_pretrained(folder)
    return ModelInProcess(model=str(folder), device="cpu", max_batch_rows=4)


@pytest.fixture(autouse=True)
def load_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load each model once per test: the tests compute rewards many times."""
    load = functools.lru_cache(transformers_backend.load)
    monkeypatch.setattr(transformers_backend, "load", load)
    monkeypatch.setattr(transformers_backend, "free_memory", lambda: None)


@pytest.fixture(scope="module")
def model(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> ModelInProcess:
    return write(tmp_path_factory.mktemp("reward") / "model", tiny, 1)


def answers(count: int) -> pl.DataFrame:
    """Answers of different lengths; the first one occurs again with the same prompt and with another prompt."""
    texts = [" ".join(WORDS[: 1 + (5 * number) % 11]) for number in range(count)]
    rows = {"response_id": [f"r{number:02}" for number in range(count)], "prompt": ["what"] * count, "response": texts}
    again = {"response_id": ["s", "t"], "prompt": ["what", "what is the door"], "response": [texts[0], texts[0]]}
    return pl.DataFrame(rows).vstack(pl.DataFrame(again))


def test_the_reward_of_an_answer_does_not_depend_on_the_others(model: ModelInProcess) -> None:
    rows = answers(11)
    found = compute_rewards(model, rows.sample(fraction=1, shuffle=True, seed=3))
    assert found["response_id"].to_list() == sorted(rows["response_id"])
    for row in rows.iter_slices(1):
        alone = compute_rewards(model, row)["reward"][0]
        assert found.filter(response_id=row["response_id"][0])["reward"][0] == pytest.approx(alone, abs=1e-5)
    by_id = dict(found.rows())
    assert by_id["r00"] == by_id["s"] != by_id["t"], "an answer to another prompt is another one"
    assert found["reward"].n_unique() > 5
    assert compute_rewards(model, rows).equals(found), "to the bit, in whatever order they come"


def test_an_answer_that_is_too_long_has_no_reward(model: ModelInProcess) -> None:
    long = pl.DataFrame({"response_id": ["a", "b"], "prompt": ["what", "what"], "response": ["door " * 200, "door"]})
    assert compute_rewards(model, long)["reward"].is_null().to_list() == [True, False]
    assert compute_rewards(model, long.clear()).is_empty()


def test_the_turns_of_a_conversation_are_rated_and_none_is_left_out(model: ModelInProcess) -> None:
    turns = [{"role": role, "content": "door"} for role in ("user", "assistant", "user")]
    rows = pl.DataFrame(
        {"response_id": ["a", "b"], "prompt": ["flat", "door"], "messages": [turns, None], "response": ["what"] * 2}
    )
    first, second = compute_rewards(model, rows)["reward"]
    assert first is not None and second is not None and first != second
    assert compute_rewards(model, rows.drop("messages")[1:])["reward"][0] == pytest.approx(second, abs=1e-5)
    last = "{{ messages[-1]['content'] }}"
    found = compute_rewards(model.model_copy(update={"chat_template": last}), rows)["reward"]
    assert found.is_null().to_list() == [True, False], "a template that leaves turns out rates nothing"


def test_a_classifier_with_several_outputs_is_rejected(tiny: Path, tmp_path: Path) -> None:
    with pytest.raises(SeasDataError, match="has 3 outputs, and a reward model has one"):
        compute_rewards(write(tmp_path, tiny, 3), answers(2))
