import json
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from seas_data.errors import SeasDataError
from seas_data.models import generation_cache
from seas_data.models.protocol import ANSWER_SCHEMA, PromptFormat, Sampling, VerdictTokens
from seas_data.models.transformers_backend import TransformersBackend, open_backend
from seas_data.recipe import ModelInProcess
from tests.models.conftest import create_requests

SAMPLING = Sampling(max_new_tokens=6, seed=5)


@pytest.fixture(scope="module")
def model(tiny: Path) -> TransformersBackend:
    return TransformersBackend("T0", ModelInProcess(model=str(tiny), device="cpu", max_batch_rows=8))


def test_answers_have_the_columns_and_order_of_the_schema(
    model: TransformersBackend, requests: pl.DataFrame, tmp_path: Path
) -> None:
    answers = model.generate(requests.reverse(), SAMPLING, 3, tmp_path, "answers")

    assert answers.schema == ANSWER_SCHEMA
    assert answers.height == 36
    assert answers.equals(answers.sort("request_id", "sample"))
    assert set(answers["finish_reason"]) <= {"stop", "length"}
    assert answers.filter(finish_reason="length")["tokens"].to_list() == [6] * len(
        answers.filter(finish_reason="length")
    )
    assert answers.filter(finish_reason="stop")["tokens"].max() < 6  # type: ignore[operator]
    assert answers["text"].n_unique() > 10


def test_a_resumed_run_gives_the_rows_of_an_undisturbed_one(
    model: TransformersBackend, requests: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = model.generate(requests, SAMPLING, 3, tmp_path / "whole", "answers")
    write, written = generation_cache.write_batch, []

    def killed_after_two(folder: Path, settings: str, row_keys: list[str], rows: pl.DataFrame) -> pl.DataFrame:
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(row_keys)
        return write(folder, settings, row_keys, rows)

    monkeypatch.setattr(generation_cache, "write_batch", killed_after_two)
    with pytest.raises(KeyboardInterrupt):
        model.generate(requests, SAMPLING, 3, tmp_path / "killed", "answers")
    assert len(list((tmp_path / "killed").glob("*.part"))) == 2
    monkeypatch.setattr(generation_cache, "write_batch", write)

    calls = []
    generate = model.model.generate
    monkeypatch.setattr(model.model, "generate", lambda **given: calls.append(given) or generate(**given))
    again = model.generate(requests, SAMPLING, 3, tmp_path / "killed", "answers")

    assert again.equals(whole)
    assert len(calls) == len(list((tmp_path / "whole").glob("*.part"))) - 2
    model.generate(requests, SAMPLING, 3, tmp_path / "killed", "answers")
    assert len(calls) == 3, "a stored part is never computed again"


def test_an_answer_does_not_depend_on_the_answers_beside_it(
    model: TransformersBackend, tiny: Path, requests: pl.DataFrame, tmp_path: Path
) -> None:
    """Alone, in larger and smaller batches, among fewer samples: the same text, in single precision on a CPU."""
    columns = ["request_id", "sample", "text", "finish_reason"]
    whole = model.generate(requests, SAMPLING, 3, tmp_path / "whole", "answers").select(columns)
    for rows, tokens in ((1, 1 << 14), (5, 1 << 14), (64, 40)):
        settings = ModelInProcess(model=str(tiny), device="cpu", max_batch_rows=rows, max_batch_tokens=tokens)
        other = TransformersBackend("T0", settings)
        again = other.generate(requests, SAMPLING, 3, tmp_path / f"{rows} {tokens}", "answers")
        assert again.select(columns).equals(whole)
    for one in (requests[4:5], requests[7:9].reverse()):
        alone = model.generate(one, SAMPLING, 2, tmp_path / one["request_id"][0], "answers").select(columns)
        assert alone.equals(
            whole.filter(pl.col("request_id").is_in(one["request_id"].implode()), sample=pl.col("sample").clip(0, 1))
        )
    assert whole["text"].n_unique() > 10 and whole.filter(request_id="request-0004")["text"].n_unique() > 1


@pytest.mark.slow
def test_stored_answers_serve_another_run_with_other_batches_and_more_samples(
    tiny: Path, requests: pl.DataFrame, tmp_path: Path
) -> None:
    first = TransformersBackend("T0", ModelInProcess(model=str(tiny), device="cpu", max_batch_rows=8))
    first.generate(requests[:7], SAMPLING, 2, tmp_path / "kept", "answers")
    second = TransformersBackend("T0", ModelInProcess(model=str(tiny), device="cpu", max_batch_rows=5))
    generated = []
    generate = second.model.generate
    second.model.generate = lambda **given: generated.append(len(given["input_ids"])) or generate(**given)  # type: ignore[func-returns-value,method-assign]
    answers = second.generate(requests, SAMPLING, 3, tmp_path / "kept", "answers")
    assert sum(generated) == 36 - 14
    assert answers.equals(second.generate(requests, SAMPLING, 3, tmp_path / "fresh", "answers"))


def test_a_long_request_beside_it_does_not_cut_an_answer_short(tiny: Path, tmp_path: Path) -> None:
    model = TransformersBackend("T0", ModelInProcess(model=str(tiny), device="cpu"))
    model.end_ids = []  # every answer is as long as it may be
    texts = ["the " * 4, "the " * 93, "the " * 20, "the " * 40]
    together = pl.DataFrame({"request_id": ["short", "long", "medium", "wide"], "text": texts})
    answers = model.generate(together, SAMPLING.model_copy(update={"max_new_tokens": 80}), 1, tmp_path, "answers")
    assert dict(answers.select("request_id", "tokens").rows()) == {"short": 80, "medium": 64, "wide": 56, "long": 3}


@pytest.mark.parametrize("temperature", [0, 0.8])
def test_probabilities_that_are_not_numbers_are_named(
    tiny: Path, requests: pl.DataFrame, tmp_path: Path, temperature: float
) -> None:
    model = TransformersBackend("T0", ModelInProcess(model=str(tiny), device="cpu"))
    with torch.no_grad():
        model.model.get_output_embeddings().weight[3] = torch.nan
    with pytest.raises(SeasDataError, match="T0 computes probabilities that are not numbers"):
        model.generate(requests, SAMPLING.model_copy(update={"temperature": temperature}), 1, tmp_path, "answers")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_another_process_gives_the_same_rows(tiny: Path, requests: pl.DataFrame, tmp_path: Path) -> None:
    code = f"""
import polars as pl
from pathlib import Path
from seas_data.models.protocol import Sampling
from seas_data.recipe import ModelInProcess
from seas_data.models.transformers_backend import TransformersBackend
from tests.models.conftest import create_requests
import torch
torch.set_num_threads(1)
torch.manual_seed(99)
model = TransformersBackend("T0", ModelInProcess(model={str(tiny)!r}, device="cpu", max_batch_rows=8))
sampling = Sampling(max_new_tokens=6, seed=5)
answers = model.generate(create_requests(12), sampling, 2, Path({str(tmp_path)!r}) / "a", "answers")
answers.write_parquet({str(tmp_path / "answers.parquet")!r})
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model = TransformersBackend("T0", ModelInProcess(model=str(tiny), device="cpu", max_batch_rows=8))
        here = model.generate(requests, SAMPLING, 2, tmp_path / "b", "answers")
    finally:
        torch.set_num_threads(threads)
    assert here.equals(pl.read_parquet(tmp_path / "answers.parquet"))


def test_the_seed_changes_answers_and_the_callers_random_state_is_kept(
    model: TransformersBackend, requests: pl.DataFrame, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = model.generate(requests, SAMPLING, 1, tmp_path / "1", "answers")
    assert torch.equal(before, torch.get_rng_state())
    other = model.generate(requests, SAMPLING.model_copy(update={"seed": 6}), 1, tmp_path / "1", "answers")
    assert not one["text"].equals(other["text"])


def test_greedy_answers_equal_those_of_transformers(
    model: TransformersBackend, tiny: Path, requests: pl.DataFrame, tmp_path: Path
) -> None:
    """Padding, the template and the end mark are right: each row alone, by transformers itself, says the same."""
    answers = model.generate(requests, Sampling(temperature=0, top_p=1, max_new_tokens=6), 1, tmp_path, "answers")
    bare, tokenizer = AutoModelForCausalLM.from_pretrained(tiny), AutoTokenizer.from_pretrained(tiny)
    for request, text in zip(requests["messages"], answers["text"], strict=True):
        asked = tokenizer.apply_chat_template(
            list(request), add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        written = bare.generate(**asked, do_sample=False, max_new_tokens=6)[0, asked["input_ids"].shape[1] :]
        assert tokenizer.decode(written, skip_special_tokens=True) == text


def test_the_checkpoints_sampling_settings_are_ignored(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    model = AutoModelForCausalLM.from_pretrained(tiny)
    model.generation_config.update(top_k=1, repetition_penalty=9.0, do_sample=True, temperature=0.1)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tiny).save_pretrained(folder)
    plain = TransformersBackend("a", ModelInProcess(model=str(tiny), device="cpu"))
    changed = TransformersBackend("b", ModelInProcess(model=str(folder), device="cpu"))
    sampling = Sampling(temperature=1, top_p=1, max_new_tokens=8)
    one = plain.generate(create_requests(5), sampling, 2, tmp_path / "1", "answers")
    assert one.equals(changed.generate(create_requests(5), sampling, 2, tmp_path / "2", "answers"))
    assert one.filter(request_id="request-0000")["text"].n_unique() == 2
    assert plain.digest != changed.digest


def test_a_request_without_room_for_an_answer_is_a_failed_row(model: TransformersBackend, tmp_path: Path) -> None:
    long = pl.DataFrame({"request_id": ["long", "fits", "none"], "text": ["the " * 96, "the " * 92, ""]})
    answers = model.generate(long, SAMPLING, 2, tmp_path, "answers")

    failed = answers.filter(finish_reason="error")
    assert set(failed["request_id"]) == {"long", "none"}
    assert failed["text"].null_count() == 4
    assert "96 tokens" in failed.filter(request_id="long")["error"][0]
    assert answers.filter(request_id="fits")["tokens"].max() <= 4  # type: ignore[operator]


def test_a_bare_text_is_sent_unchanged(model: TransformersBackend, tiny: Path, tmp_path: Path) -> None:
    sampling = Sampling(temperature=0, top_p=1, max_new_tokens=5)
    messages = create_requests(1)
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    text = tokenizer.apply_chat_template(messages["messages"].to_list()[0], tokenize=False, add_generation_prompt=True)
    bare = pl.DataFrame({"request_id": ["request-0000"], "text": [text]})
    assert model.generate(bare, sampling, 1, tmp_path, "answers").equals(
        model.generate(messages, sampling, 1, tmp_path, "answers")
    )


def test_the_score_is_the_probability_of_the_verdict_tokens(
    model: TransformersBackend, tiny: Path, requests: pl.DataFrame, tmp_path: Path
) -> None:
    sampling = Sampling(temperature=0, top_p=1, max_new_tokens=3)
    first = PromptFormat(verdict_tokens=VerdictTokens(unsafe=("Yes",), safe=("No",), after=None, exact=True))
    answers = model.generate(requests, sampling, 1, tmp_path, "answers", first)

    bare, tokenizer = AutoModelForCausalLM.from_pretrained(tiny), AutoTokenizer.from_pretrained(tiny)
    yes, no = tokenizer.convert_tokens_to_ids(["Yes", "No"])
    for request, score in zip(requests["messages"], answers["score"], strict=True):
        asked = tokenizer.apply_chat_template(
            list(request), add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        with torch.inference_mode():
            logits = bare(**asked).logits[0, -1]
        assert score == pytest.approx(torch.softmax(logits[[yes, no]], 0)[0].item(), abs=1e-5)

    word = VerdictTokens(unsafe=("unsafe",), safe=("safe",))
    later = model.generate(requests, sampling, 1, tmp_path, "answers", PromptFormat(verdict_tokens=word))
    decided = later["text"].str.contains(r"^(safe|unsafe)\b")
    assert later["score"].is_not_null().equals(decided.alias("score"))


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        ({"request_id": ["a"]}, "messages or text"),
        ({"request_id": ["a"], "text": ["x"], "messages": [[{"role": "user", "content": "x"}]]}, "messages or text"),
        ({"request_id": ["a", "a"], "text": ["x", "y"]}, "make the ids unique"),
    ],
)
def test_malformed_requests_are_rejected(
    model: TransformersBackend, tmp_path: Path, frame: dict[str, list[object]], says: str
) -> None:
    with pytest.raises(SeasDataError, match=says):
        model.generate(pl.DataFrame(frame), SAMPLING, 1, tmp_path, "answers")


def test_no_requests_give_no_rows(model: TransformersBackend, requests: pl.DataFrame, tmp_path: Path) -> None:
    assert model.generate(requests.clear(), SAMPLING, 2, tmp_path, "answers").equals(ANSWER_SCHEMA.to_frame())


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(SeasDataError, match="no model at"),
        open_backend("T0", ModelInProcess(model=str(tmp_path / "nothing"))),
    ):
        pass
    with (
        pytest.raises(SeasDataError, match=r"no config\.json|cannot be loaded"),
        open_backend("T0", ModelInProcess(model=str(tmp_path))),
    ):
        pass


@pytest.mark.parametrize("special", [True, False])
def test_thinking_that_the_template_opened_and_the_limit_cut_off_is_no_answer(
    tiny: Path, requests: pl.DataFrame, tmp_path: Path, special: bool
) -> None:
    folder = tmp_path / "thinks"
    shutil.copytree(tiny, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    # Two words of its vocabulary become the tags, so that the model writes them now and then.
    backend = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = backend["model"]["vocab"]
    for word, tag in (("blue", "<think>"), ("green", "</think>")):
        vocabulary[tag] = vocabulary.pop(word)
        if special:
            flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
            backend["added_tokens"].append({"id": vocabulary[tag], "content": tag, "special": True} | flags)
    (folder / "tokenizer.json").write_text(json.dumps(backend))
    template = tokenizer.chat_template.replace("'<assistant> ' }}{% endif", "'<assistant> <think> ' }}{% endif")
    model = TransformersBackend("T0", ModelInProcess(model=str(folder), device="cpu", chat_template=template))
    answers = model.generate(requests, SAMPLING, 20, tmp_path / "cache", "answers")
    ended = answers.filter(pl.col("text") != "")
    assert answers["thinking"].is_not_null().all()
    assert 0 < ended.height < answers.height
    kept = ModelInProcess(model=str(folder), device="cpu", chat_template=template, thinking="keep")
    raw = TransformersBackend("T0", kept).generate(requests, SAMPLING, 20, tmp_path / "kept", "answers")
    closed = raw["text"].str.contains("</think>", literal=True)
    assert closed.sum() == answers.filter(closed).height and closed.any()
    assert (answers.filter(~closed)["text"] == "").all()
