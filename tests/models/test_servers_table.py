"""benchmarks/servers.py: its table for a server that obeys, and for one that ignores or refuses what it is sent."""

import importlib.util
from types import ModuleType
from typing import Any

import pytest

from tests.conftest import CHECKOUT
from tests.models.servers import Reply, server


@pytest.fixture(scope="module")
def table() -> ModuleType:
    spec = importlib.util.spec_from_file_location("servers_table", CHECKOUT / "benchmarks" / "servers.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def chat(texts: list[str], tokens: int, prompt: int, **more: Any) -> Reply:
    choices = [
        {"index": n, "message": {"role": "assistant", "content": text}, "finish_reason": "length"} | more
        for n, text in enumerate(texts)
    ]
    return 200, {}, {"choices": choices, "usage": {"completion_tokens": tokens, "prompt_tokens": prompt}}


def test_a_server_that_takes_every_field(table: ModuleType) -> None:
    calls = [0]

    def answer(body: dict[str, Any], _: int) -> Reply:
        if "no_such_field" in body:
            return 400, {}, {"error": "unknown field"}
        calls[0] += 1
        drawn = body["temperature"] > 0 and body.get("top_k") != 1
        seeds = [f"{body.get('seed', calls[0])}-{n}" for n in range(body.get("n", 1))]
        texts = [f"red {seed}" if drawn else "red blue green" for seed in seeds]
        texts = [text.partition(word)[0] for text in texts for word in body.get("stop", ["none"])]
        steps = {"content": [{"top_logprobs": [{}] * body.get("top_logprobs", 0)}]}
        prompt = 9 + bool(body.get("chat_template_kwargs"))
        return chat(texts, body["max_tokens"], prompt, **({"logprobs": steps} if "logprobs" in body else {}))

    with server(answer) as (url, _):
        found = table.observe(table.make_ask(url, "served", 8))
    assert found.pop("a field that does not exist") == "refused (status 400)"
    assert all(seen.startswith("taken") for seen in found.values()), found


@pytest.mark.slow
def test_a_server_that_ignores_every_field_and_one_that_refuses(table: ModuleType) -> None:
    calls = [0]

    def ignores(body: dict[str, Any], _: int) -> Reply:
        calls[0] += 1
        return chat([f"red blue {calls[0]}"], 8, 9)

    with server(ignores) as (url, _):
        found = table.observe(table.make_ask(url, "served", 8))
    assert not any(seen.startswith("taken") for seen in found.values()), found
    with server(lambda body, _: (422, {}, {"detail": "no"})) as (url, _):
        found = table.observe(table.make_ask(url, "served", 8))
    assert not any(seen.startswith(("taken", "ignored")) for seen in found.values()), found
