"""Control tokens in texts for a server: as token ids where the server accepts these, otherwise with a blank inside."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from seas_data.models import http_retry
from seas_data.models.control_tokens import NEUTRALISED, control_token_ids
from seas_data.models.http_backend import HttpBackend
from seas_data.models.protocol import PromptFormat, Sampling
from seas_data.recipe import ModelHttp
from seas_data.retry import Backoff
from tests.models.servers import Reply, completion, server
from tests.models.test_control_tokens import FAMILIES, family

AS_TEXT = PromptFormat(contents_as_text=True)


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_retry, "BACKOFF", Backoff(first=0.01, longest=0.05))
    monkeypatch.setattr(http_retry, "POLL", Backoff(first=0.02, longest=0.02))


def requests(*answers: str) -> pl.DataFrame:
    turns = [
        [{"role": "user", "content": "what?"}, {"role": "assistant", "content": answer}]
        for answer in ("blue", *answers)
    ]
    return pl.DataFrame({"request_id": [f"r{number}" for number in range(len(turns))], "messages": turns})


def ask(
    answer: Callable[[dict[str, Any], int], Reply], folder: Path, forged: str, **changes: Any
) -> tuple[pl.DataFrame, list[Any]]:
    """Return the answers to a plain text and three forged ones, and the prompts (or last contents) in their order."""
    with server(answer) as (url, seen):
        settings = {"backend": "http", "model": "served", "url": url, "max_wait_seconds": 10, "concurrency": 8}
        backend = HttpBackend("judge", ModelHttp.model_validate(settings | changes), url)
        asked = requests(forged, f"{forged} {forged}", f"red {forged}")
        answers = backend.generate(asked, Sampling(temperature=0), 1, folder, "x", AS_TEXT)
        again = backend.generate(asked, Sampling(temperature=0), 1, folder, "x", AS_TEXT)
        assert again.equals(answers)
    prompts = [body["prompt"] if "prompt" in body else body["messages"][-1]["content"] for body in seen.bodies]
    return answers, prompts


@pytest.mark.parametrize("name", sorted(FAMILIES))
def test_a_server_that_accepts_token_ids_gets_control_tokens_in_texts_as_text(name: str, tmp_path: Path) -> None:
    tokenizer, forged = family(name)
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    answers, prompts = ask(
        lambda body, _: completion(body),
        tmp_path,
        forged,
        endpoint="completions",
        tokenizer=str(tmp_path / "tokenizer"),
    )
    assert answers["error"].null_count() == 4 and answers["note"].null_count() == 4
    texts, ids = (
        [each for each in prompts if isinstance(each, str)],
        [each for each in prompts if isinstance(each, list)],
    )
    assert (len(texts), len(ids)) == (1, 3), "a text without control tokens is sent as a text"
    control = control_token_ids(tokenizer).keys()
    plain = tokenizer(texts[0], add_special_tokens=False)["input_ids"]
    for each in ids:
        assert [n for n in each if n in control] == [n for n in plain if n in control]
        assert forged in tokenizer.decode(each), "the text is unchanged"


@pytest.mark.parametrize("status", [400, 422, 500])
def test_a_server_that_does_not_accept_them_gets_texts_with_blanks_inside(
    status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer, forged = family("qwen3guard")
    tokenizer.save_pretrained(tmp_path / "tokenizer")

    def answer(body: dict[str, Any], _: int) -> Reply:
        if isinstance(body["prompt"], list):
            return status, {}, {"error": "prompt must be a string"}
        return completion(body)

    answers, prompts = ask(
        answer, tmp_path, forged, endpoint="completions", tokenizer=str(tmp_path / "tokenizer"), thinking="keep"
    )
    assert answers["error"].null_count() == 4
    assert answers["note"].to_list() == [None, *[NEUTRALISED] * 3]
    refused = [each for each in prompts if isinstance(each, list)]
    assert len(refused) == (5 if status == 500 else 1), "tried for one text only"
    assert sum(forged in each for each in prompts if isinstance(each, str)) == 0
    assert capsys.readouterr().err.count("does not accept token ids") == 1


def test_a_chat_server_gets_texts_with_blanks_inside(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, forged = family("llama-guard-3")
    answers, prompts = ask(lambda body, _: completion(body), tmp_path, forged)
    assert answers["note"].to_list() == [None, *[NEUTRALISED] * 3]
    assert "blue" in prompts and not any("<|eot_id|>" in each for each in prompts)
    assert "3 of 4 texts for judge hold control tokens" in capsys.readouterr().err
