"""The score of a guard that thinks is read in its final part, in this process and from servers' probabilities."""

import json
from collections.abc import Callable
from math import log
from pathlib import Path
from typing import Any

import pytest
import torch

from seas_data.models.http_backend import HttpBackend
from seas_data.models.protocol import PromptFormat, VerdictTokens, greedy_sampling
from seas_data.models.token_probability import find_final_part
from seas_data.models.transformers_backend import TransformersBackend
from seas_data.recipe import ModelHttp, ModelInProcess
from seas_data.sandbox.tiny import CHAT_TEMPLATE, write_model
from tests.conftest import quick
from tests.models.conftest import create_requests
from tests.models.servers import server

WORD = VerdictTokens(unsafe=("unsafe",), safe=("safe",))
LINE = VerdictTokens(unsafe=("unsafe",), safe=("safe",), after=r"Verdict:\s*")
FIRST = VerdictTokens(unsafe=("unsafe",), safe=("safe",), after=None)
THINKS = "<think> Verdict: unsafe </think>"
CHANNELS = "<|channel|> analysis <|message|> Verdict: unsafe <|end|> <|start|> assistant <|channel|> final <|message|>"


TAGS = ["<think>", "</think>"]
HARMONY = ["<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>"]
WORDS = ["Verdict:", "safe", "unsafe", "analysis", "assistant", "final", "what", "colour"]
OPENS = CHAT_TEMPLATE.replace("{{ '<assistant> ' }}{% endif", "{{ '<assistant> <think> ' }}{% endif")
assert OPENS != CHAT_TEMPLATE


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny models that have tags of thinking, or the channels of the harmony format, as special tokens."""
    folders = {}
    for name, tags in (("tags", TAGS), ("channels", HARMONY)):
        folders[name] = tmp_path_factory.mktemp("models") / name
        write_model(folders[name], layers=1, seed=3, hidden=32, heads=2, intermediate=64, vocabulary=[*tags, *WORDS])
        path = folders[name] / "tokenizer.json"
        tokenizer = json.loads(path.read_text())
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False) | {"special": True}
        ids = tokenizer["model"]["vocab"]
        tokenizer["added_tokens"] += [{"id": ids[tag], "content": tag} | flags for tag in tags]
        tokenizer["decoder"] = {"type": "Fuse"}
        path.write_text(json.dumps(tokenizer))
    return folders


def scripted(ids: list[int], words: int) -> Callable[..., torch.Tensor]:
    """Return a ``generate`` of transformers that writes ``ids``: each is by far the likeliest token of its step."""

    def generate(input_ids: torch.Tensor, logits_processor: list[Any], **_: Any) -> torch.Tensor:
        for token in ids:
            scores = torch.zeros(input_ids.shape[0], words)
            scores[:, token] = 5.0
            for processor in logits_processor:
                scores = processor(input_ids, scores)
            input_ids = torch.cat([input_ids, scores.argmax(1, keepdim=True)], 1)
        return input_ids

    return generate


@pytest.mark.parametrize("keep", quick(1, ["split", "keep"]))
@pytest.mark.parametrize(
    ("output", "tokens", "opened", "low"),
    [
        (f"{THINKS} Verdict: safe", LINE, False, True),
        (f"{THINKS} safe", WORD, False, True),
        (f"{THINKS} safe", FIRST, False, True),
        (f"{THINKS} safe", LINE, False, None),  # the final part does not have the form of a verdict
        ("<think> Verdict: unsafe safe", LINE, False, None),  # cut off inside thinking
        ("unsafe </think> safe", WORD, True, True),
        ("Verdict: unsafe", LINE, True, None),
        ("unsafe", WORD, True, None),
        ("unsafe", FIRST, True, None),
        (f"{CHANNELS} safe", WORD, False, True),
        (f"{CHANNELS} Verdict: safe", LINE, False, True),
        ("<|channel|> analysis <|message|> unsafe", FIRST, False, None),
        ("<|channel|> analysis <|message|> Verdict: unsafe <|end|> Verdict: safe", LINE, False, None),
        ("safe", WORD, False, True),
        ("unsafe", WORD, False, False),
    ],
)
def test_in_this_process(
    folders: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    output: str,
    tokens: VerdictTokens,
    opened: bool,
    low: bool | None,
    keep: Any,
) -> None:
    folder = folders["channels" if "<|channel|>" in output else "tags"]
    template = OPENS if opened else None
    settings = ModelInProcess(model=str(folder), device="cpu", thinking=keep, chat_template=template)
    model = TransformersBackend("m", settings)
    ids = model.tokenizer.convert_tokens_to_ids([*output.split(), "<end>"])
    monkeypatch.setattr(model.model, "generate", scripted(ids, len(model.tokenizer)))
    asked = PromptFormat(verdict_tokens=tokens)
    answers = model.generate(create_requests(1), greedy_sampling(24), 1, tmp_path, "answers", asked)
    (score,) = answers["score"].to_list()
    assert score is None if low is None else (score < 0.5) is low, (score, answers.rows())


def reply(output: list[str], **message: str) -> dict[str, Any]:
    """A reply whose tokens are ``output``; each word of a verdict was given .9."""
    steps = []
    for token in output:
        other = {"unsafe": "safe", "safe": "unsafe"}.get(token.strip())
        likeliest = [{"token": token, "logprob": log(0.9)}]
        likeliest += [{"token": other, "logprob": log(0.1)}] if other else []
        steps.append({"token": token, "logprob": log(0.9), "top_logprobs": likeliest})
    message = {"role": "assistant", "content": "".join(output)} | message
    return {"index": 0, "message": message, "finish_reason": "stop", "logprobs": {"content": steps}}


THOUGHT = ["<think>", "is it ", "unsafe", "?", "</think>", "\n\n"]
HARMONY_THOUGHT = ["<|channel|>", "analysis", "<|message|>", "unsafe", "?", "<|end|>"]
HARMONY_FINAL = ["<|start|>", "assistant", "<|channel|>", "final", "<|message|>"]
SPLIT: Any = {"content": "safe", "reasoning_content": "is it unsafe?"}
ANYWHERE = VerdictTokens(unsafe=("unsafe",), safe=("safe",), after="")


@pytest.mark.parametrize("thinking", quick(1, ["split", "keep"]))
@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (reply([*THOUGHT, "safe"]), 0.1),
        (reply([*THOUGHT, "safe"], **SPLIT), 0.1),
        (reply(["is it ", "unsafe", "?", "\n\n", "safe"], **SPLIT), 0.1),  # the tags are no tokens of the list
        (reply(["is it ", "unsafe", "?", "\n\n", "safe", "<|im_end|>"], **SPLIT), None),
        (reply([*THOUGHT, "safe", "<|im_end|>"], **SPLIT), 0.1),
        (reply(["safe"], **SPLIT), 0.1),
        (reply([*THOUGHT, "safe"], content="safe"), 0.1),  # thinking that the server dropped
        (reply(["<think>", "unsafe", " or ", "safe"]), None),
        (reply(["unsafe", " or "], content="", reasoning_content="unsafe or "), None),
        (reply([*HARMONY_THOUGHT, *HARMONY_FINAL, "safe", "<|return|>"]), 0.1),
        (reply([*HARMONY_THOUGHT, *HARMONY_FINAL, "safe", "<|return|>"], content="safe", reasoning="unsafe?"), 0.1),
        (reply(HARMONY_THOUGHT), None),
        (reply([*HARMONY_THOUGHT, "safe"]), None),  # outside the final channel
        (reply(["safe"]), 0.1),
        (reply([" ", "unsafe", "\n", "S1"]), 0.9),
    ],
)
def test_over_a_server(tmp_path: Path, choice: dict[str, Any], expected: float | None, thinking: Any) -> None:
    with server(lambda *_: (200, {}, {"model": "served", "choices": [choice]})) as (url, _):
        model = HttpBackend("m", ModelHttp(backend="http", model="served", url=url, thinking=thinking), url)
        asked = PromptFormat(verdict_tokens=ANYWHERE)
        answers = model.generate(create_requests(1), greedy_sampling(24), 1, tmp_path, "answers", asked)
    assert answers["score"].to_list() == [pytest.approx(expected)] if expected else [None], answers.rows()
    if expected is None:
        assert answers["score"].to_list() == [None]


def test_a_template_that_opens_thinking_over_a_server(folders: dict[str, Path], tmp_path: Path) -> None:
    found = {}
    for output in (["unsafe", "</think>", "safe"], ["unsafe", " or ", "safe"]):
        choice = {"index": 0, "text": "".join(output), "finish_reason": "stop"}
        choice["logprobs"] = {
            "tokens": output,
            "token_logprobs": [log(0.9)] * len(output),
            "top_logprobs": [{"unsafe": log(0.9), "safe": log(0.1)} if n == 0 else {} for n in range(len(output))],
        }
        with server(lambda *_, sent=choice: (200, {}, {"model": "served", "choices": [sent]})) as (url, _):
            settings = ModelHttp(
                backend="http",
                model="served",
                url=url,
                endpoint="completions",
                tokenizer=str(folders["tags"]),
                chat_template=OPENS,
            )
            asked = PromptFormat(verdict_tokens=ANYWHERE)
            folder = tmp_path / output[1].strip("</> ")
            answers = HttpBackend("m", settings, url).generate(
                create_requests(1), greedy_sampling(24), 1, folder, "answers", asked
            )
        found[output[1]] = answers["score"].to_list()
    assert found == {"</think>": [0.0], " or ": [None]}


@pytest.mark.parametrize(
    ("output", "answer", "thought", "opened", "start"),
    [
        ("safe", "safe", False, False, 0),
        ("<think>a</think>\nsafe", "safe", True, False, 16),
        ("a\n safe\n", " safe", True, False, 1),
        ("Ġsafe", "safe", False, False, 0),
        ("Ġnot safe now", "not  safe now", False, False, 0),  # spelled otherwise, and without thinking
        ("Ġnot safe now", "not  safe now", True, False, None),
        ("a safe", "", True, False, None),
        ("a</think>safe now", "safe  now", True, True, 9),
        ("", None, False, False, 0),
    ],
)
def test_the_final_part_is_found_by_the_answer_or_by_the_tags(
    output: str, answer: str | None, thought: bool, opened: bool, start: int | None
) -> None:
    assert find_final_part(output, answer, thought=thought, opened=opened) == start
