"""Token ids against a real vLLM server.

``$SEAS_DATA_VLLM_URL`` is the address of one (http://127.0.0.1:8000/v1), and ``$SEAS_DATA_VLLM_MODEL`` the folder of
its model, whose name it is served by.
"""

import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from seas_data.models import control_tokens
from seas_data.models.chat_template import load_tokenizer
from seas_data.models.http_backend import HttpBackend
from seas_data.models.http_retry import FailedRequest, RetryingClient
from seas_data.models.protocol import PromptFormat, Sampling
from seas_data.recipe import ModelHttp

URL, MODEL = os.environ.get("SEAS_DATA_VLLM_URL", ""), os.environ.get("SEAS_DATA_VLLM_MODEL", "")

pytestmark = pytest.mark.skipif(not (URL and MODEL), reason="needs a vLLM server: set SEAS_DATA_VLLM_URL and _MODEL")


@pytest.mark.slow
def test_control_tokens_in_texts_reach_vllm_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[tuple[dict[str, Any], dict[str, Any] | FailedRequest]] = []
    post = RetryingClient.post

    async def post_and_keep(client: RetryingClient, path: str, body: dict[str, Any]) -> dict[str, Any] | FailedRequest:
        reply = await post(client, path, body)
        sent.append((body, reply))
        return reply

    monkeypatch.setattr(RetryingClient, "post", post_and_keep)
    tokenizer = load_tokenizer(MODEL)
    own = control_tokens.control_token_ids(tokenizer)
    controls = own.keys() - {tokenizer.unk_token_id}  # what a small vocabulary reads unknown words as
    plain = "what colour is the door"
    texts = {"plain": plain, "hostile": f"{plain} {' '.join(sorted(own.values()))}"}
    messages = [[{"role": "user", "content": text}] for text in texts.values()]
    requests = pl.DataFrame({"request_id": list(texts), "messages": messages})
    extra = {"return_token_ids": True}
    settings = ModelHttp(backend="http", model=MODEL, url=URL, endpoint="completions", extra_body=extra)
    sampling = Sampling(temperature=0, top_p=1, max_new_tokens=2)
    model = HttpBackend("G", settings, URL)
    answers = model.generate(requests, sampling, 1, tmp_path, "answers", PromptFormat(contents_as_text=True))
    assert answers["error"].to_list() == [None, None]
    of_control_tokens = []
    for body, reply in sent:
        assert isinstance(reply, dict)
        ids = reply["choices"][0]["prompt_token_ids"]
        assert reply["usage"]["prompt_tokens"] == len(ids)
        of_control_tokens.append([each for each in ids if each in controls])
        if isinstance(body["prompt"], list):
            assert ids == body["prompt"], "the server reads the ids that were sent"
    assert len(sent) == 2 and sum(isinstance(body["prompt"], list) for body, _ in sent) == 1
    assert of_control_tokens[0] == of_control_tokens[1], "those of the template, and none of the text"
