"""Real trainings of tiny models: they learn, report, and leave a model folder like any other."""

import contextlib
import json
from pathlib import Path

import polars as pl
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.train import dpo, fit, sft
from tests.train.conftest import preference, supervised, weights


@pytest.fixture(scope="module")
def taught(base: Path, rows: pl.DataFrame) -> Path:
    """A model that knows the colour."""
    output = base.parent / "taught"
    sft(base, rows, supervised(epochs=6, learning_rate=1e-2), output, facets={"role": "target", "iteration": 0})
    return output


def answers(folder: Path, rows: pl.DataFrame) -> list[str]:
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    assert model.config.use_cache
    turns = [[{"role": "user", "content": prompt}] for prompt in rows["prompt"]]
    asked = tokenizer.apply_chat_template(
        turns, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
    )
    written = model.generate(**asked, max_new_tokens=6, do_sample=False)
    return tokenizer.batch_decode(written[:, asked["input_ids"].shape[1] :], skip_special_tokens=True)


def values(figures: pl.DataFrame, name: str) -> list[float]:
    return figures.filter(pl.col("name") == f"training/{name}")["value"].to_list()


def logp(folder: Path, pairs: pl.DataFrame, side: str) -> torch.Tensor:
    """Log-probability of each row's answer, by plain arithmetic."""
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    found = []
    for prompt, answer in pairs.select("prompt", side).iter_rows():
        start = len(tokenizer.apply_chat_template(prompt, add_generation_prompt=True)["input_ids"])
        ids = torch.tensor([tokenizer.apply_chat_template(prompt + answer)["input_ids"]])
        with torch.no_grad():
            scores = model(ids).logits.log_softmax(-1)[0, start - 1 : -1]
        found.append(scores.gather(1, ids[0, start:, None]).sum())
    return torch.stack(found)


def test_fine_tuning_teaches(taught: Path, rows: pl.DataFrame) -> None:
    right = [answer == expected for answer, expected in zip(answers(taught, rows), rows["completion"], strict=True)]
    assert sum(right) >= 30


def test_its_figures_are_metrics(taught: Path, base: Path, rows: pl.DataFrame) -> None:
    settings = supervised(epochs=6, learning_rate=1e-2)
    again = sft(base, rows, settings, taught, facets={"role": "target", "iteration": 0})
    tables.cast("metrics", again.with_columns(version=pl.lit("v0")))
    assert values(again, "rows") == [32]
    loss = values(again, "loss")
    assert len(loss) == 12
    assert loss[-1] < loss[0] / 5
    last = again.filter(pl.col("name") == "training/loss").row(-1, named=True)
    assert json.loads(last["facets"]) == {"role": "target", "iteration": 0, "step": 24}
    assert last["n"] == 16


@pytest.mark.slow
def test_preferences_are_learned_and_reported(taught: Path, pairs: pl.DataFrame, tmp_path: Path) -> None:
    figures = dpo(taught, pairs, preference(epochs=3), tmp_path / "T1", facets={"role": "target", "iteration": 1})
    assert values(figures, "reward_accuracy")[-1] == 1
    margins = values(figures, "reward_margin")
    assert margins[-1] > margins[0]
    chosen, rejected = values(figures, "reward_chosen"), values(figures, "reward_rejected")
    assert margins == pytest.approx([a - b for a, b in zip(chosen, rejected, strict=True)], abs=1e-4)
    assert (values(figures, "tokens_chosen"), values(figures, "tokens_rejected")) == ([4], [4])
    before = logp(taught, pairs, "chosen") - logp(taught, pairs, "rejected")
    after = logp(tmp_path / "T1", pairs, "chosen") - logp(tmp_path / "T1", pairs, "rejected")
    assert (after > before).all()


@pytest.mark.slow
@pytest.mark.parametrize("precompute", [False, True])
def test_the_reference_is_the_model_that_is_named(
    base: Path, taught: Path, pairs: pl.DataFrame, tmp_path: Path, precompute: bool
) -> None:
    still = {"learning_rate": 1e-30, "precompute_ref_log_probs": precompute, "logging_steps": 4}
    figures = dpo(taught, pairs, preference(**still), tmp_path / "self")
    assert values(figures, "reward_chosen") == pytest.approx([0], abs=1e-5)
    figures = dpo(taught, pairs, preference(**still), tmp_path / "other", reference=base)
    expected = 0.1 * (logp(taught, pairs, "chosen") - logp(base, pairs, "chosen")).mean().item()
    assert values(figures, "reward_chosen") == pytest.approx([expected], abs=1e-3)
    assert weights(tmp_path / "self") == weights(taught)


@pytest.mark.slow
def test_losses_can_be_mixed(taught: Path, pairs: pl.DataFrame, tmp_path: Path) -> None:
    plain = dpo(taught, pairs, preference(logging_steps=1), tmp_path / "plain")
    mixed = dpo(
        taught,
        pairs,
        preference(logging_steps=1, loss_type=["sigmoid", "sft"], loss_weights=[1, 2]),
        tmp_path / "mixed",
    )
    assert values(mixed, "loss")[0] > values(plain, "loss")[0]
    assert weights(tmp_path / "mixed") != weights(tmp_path / "plain")


@pytest.mark.slow
def test_the_same_training_twice_gives_the_same_bytes(taught: Path, pairs: pl.DataFrame, tmp_path: Path) -> None:
    for name in ("one", "two"):
        dpo(taught, pairs, preference(), tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert "training.json" in files
    assert "training_args.bin" not in files
    for name in files:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    dpo(taught, pairs, preference(seed=1), tmp_path / "three")
    assert weights(tmp_path / "three") != weights(tmp_path / "one")


@pytest.mark.slow
def test_adapters_are_merged_into_a_whole_model(taught: Path, pairs: pl.DataFrame, rows: pl.DataFrame) -> None:
    output = taught.parent / "adapted"
    figures = dpo(taught, pairs, preference(lora={"rank": 4}, learning_rate=1e-2), output)
    assert values(figures, "reward_margin")[-1] > 0
    assert not (output / "adapter_config.json").exists()
    assert weights(output) != weights(taught)
    before = logp(taught, pairs, "chosen") - logp(taught, pairs, "rejected")
    after = logp(output, pairs, "chosen") - logp(output, pairs, "rejected")
    # what was trained is what was written: the last logged margin is beta times this, up to its own last updates
    assert 0.1 * (after - before).mean().item() == pytest.approx(values(figures, "reward_margin")[-1], rel=0.5)
    assert len(answers(output, rows)) == 32


@pytest.mark.slow
def test_weights_are_written_in_the_type_in_which_they_came(taught: Path, pairs: pl.DataFrame, tmp_path: Path) -> None:
    half = AutoModelForCausalLM.from_pretrained(taught, dtype=torch.bfloat16)
    half.save_pretrained(tmp_path / "half")
    AutoTokenizer.from_pretrained(taught).save_pretrained(tmp_path / "half")
    for name, changes in {"full": {}, "adapters": {"lora": {"rank": 2}}}.items():
        dpo(tmp_path / "half", pairs, preference(precision="bf16", **changes), tmp_path / name)
        loaded = AutoModelForCausalLM.from_pretrained(tmp_path / name)
        assert loaded.dtype == torch.bfloat16
        assert json.loads((tmp_path / name / "config.json").read_text())["use_cache"] is True


@pytest.mark.slow
def test_a_micro_batch_changes_memory_and_not_the_figures(taught: Path, pairs: pl.DataFrame, tmp_path: Path) -> None:
    whole = dpo(taught, pairs, preference(), tmp_path / "whole")
    parts = dpo(taught, pairs, preference(per_device_batch_size=4), tmp_path / "parts")
    assert values(parts, "reward_margin") == pytest.approx(values(whole, "reward_margin"), rel=1e-2)
    with pytest.raises(SeasDataError, match="per_device_batch_size 3"):
        dpo(taught, pairs, preference(per_device_batch_size=3), tmp_path / "odd")


@pytest.mark.slow
def test_the_prompt_is_learned_only_when_asked(base: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    answer = values(sft(base, rows, supervised(logging_steps=1), tmp_path / "a"), "loss")[0]
    whole = values(sft(base, rows, supervised(logging_steps=1, completion_only=False), tmp_path / "b"), "loss")[0]
    assert answer != pytest.approx(whole, abs=1e-6)


@pytest.mark.slow
def test_options_reach_trl(base: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    sft(base, rows, supervised(trl_options={"loss_type": "dft"}), tmp_path / "dft")
    sft(base, rows, supervised(), tmp_path / "nll")
    assert weights(tmp_path / "dft") != weights(tmp_path / "nll")


def test_no_option_of_trl_sets_a_setting_twice(base: Path, rows: pl.DataFrame, tmp_path: Path) -> None:
    for name in ("learning_rate", "trust_remote_code", "push_to_hub", "hub_token", "no_such_thing"):
        with pytest.raises(SeasDataError, match=f"options: {name}"):
            sft(base, rows, supervised(trl_options={name: 1}), tmp_path / "refused")
    assert not (tmp_path / "refused").exists()


def test_logits_are_computed_only_where_a_token_is_trained(
    taught: Path, pairs: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trl.trainer import utils

    scored = []
    original = utils._ChunkedLogProbFunction.apply

    def apply(hidden: torch.Tensor, *others: object) -> object:
        scored.append(hidden.shape[0])
        return original(hidden, *others)

    def train(name: str) -> dict[str, torch.Tensor]:
        scored.clear()
        dpo(taught, pairs, preference(epochs=1), tmp_path / name)
        return load_file(tmp_path / name / "model.safetensors")

    monkeypatch.setattr(utils._ChunkedLogProbFunction, "apply", apply)
    ours = train("ours")
    few = max(scored)
    monkeypatch.setattr(fit, "score_completions_only", contextlib.nullcontext)
    plain = train("plain")
    assert few < max(scored) / 2
    for name, weights_of_it in plain.items():
        torch.testing.assert_close(ours[name], weights_of_it, atol=1e-5, rtol=1e-5)


def test_the_precision_is_that_of_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "has_cpu_bf16", lambda: True)
    assert fit.in_bf16(preference(precision="auto"))
    assert not fit.in_bf16(preference(precision="fp32"))
    monkeypatch.setattr(fit, "has_cpu_bf16", lambda: False)
    assert not fit.in_bf16(preference(precision="auto"))


def test_bf16_learns_the_same(taught: Path, pairs: pl.DataFrame, tmp_path: Path) -> None:
    for precision in ("fp32", "bf16"):
        dpo(taught, pairs, preference(epochs=2, precision=precision, device="auto"), tmp_path / precision)
    gains = [
        float((logp(tmp_path / name, pairs, "chosen") - logp(tmp_path / name, pairs, "rejected")).mean())
        for name in ("fp32", "bf16")
    ]
    before = float((logp(taught, pairs, "chosen") - logp(taught, pairs, "rejected")).mean())
    assert min(gains) > before
    assert gains[1] - before == pytest.approx(gains[0] - before, rel=0.1)
