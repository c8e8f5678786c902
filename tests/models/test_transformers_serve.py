"""The HTTP backend against a real server: ``transformers serve`` with a tiny model."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from seas_data.errors import SeasDataError
from seas_data.models import open_model
from seas_data.models.http_backend import HttpBackend
from seas_data.models.http_retry import FailedRequest, RetryingClient
from seas_data.models.protocol import ANSWER_SCHEMA, Sampling
from seas_data.recipe import ModelHttp, ModelInProcess
from tests.models.conftest import create_requests

COMMAND = [
    str(Path(sys.executable).with_name("transformers")),
    "serve",
    "{model}",
    "--port",
    "{port}",
    "--device",
    "cpu",
]
NEEDS = ("fastapi", "uvicorn", "openai")

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in NEEDS) or not Path(COMMAND[0]).exists(),
    reason="needs the server: pip install 'transformers[serving]'",
)


def settings(tiny: Path, **changes: Any) -> ModelHttp:
    return ModelHttp(**{"backend": "http", "model": str(tiny), "serve": COMMAND, "concurrency": 4} | changes)


@pytest.mark.slow
def test_the_server_gives_the_same_rows_as_the_transformers_backend(tiny: Path, tmp_path: Path) -> None:
    greedy = Sampling(temperature=0, top_p=1, max_new_tokens=6)
    requests = create_requests(6)
    with open_model("T0", ModelInProcess(model=str(tiny), device="cpu"), tmp_path) as here:
        expected = here.generate(requests, greedy, 1, tmp_path / "here", "answers")
        digest = here.digest
    with open_model("T0", settings(tiny), tmp_path) as there:
        answers = there.generate(requests, greedy, 1, tmp_path / "there", "answers")
        assert there.digest == digest
        drawn = Sampling(temperature=1, top_p=1, max_new_tokens=6)
        several = there.generate(requests, drawn, 3, tmp_path / "several", "answers")
        assert isinstance(there, HttpBackend)
        texts = HttpBackend("T0", settings(tiny, endpoint="completions"), there.url)
        by_text = texts.generate(requests, greedy, 1, tmp_path / "completion", "answers")
    assert answers.schema == several.schema == ANSWER_SCHEMA
    assert answers.select("request_id", "sample", "finish_reason", "error").equals(
        expected.select("request_id", "sample", "finish_reason", "error")
    )
    assert answers["text"].str.strip_chars().equals(expected["text"])
    assert several.height == 18 and several["error"].null_count() == 18, "it ignores n, and is asked again"

    assert by_text["text"].str.strip_chars().equals(expected["text"]), "the same tokens: no second begin mark"


@pytest.mark.slow
def test_a_server_killed_during_a_run_is_waited_for(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    post, under_way = RetryingClient.post, threading.Event()

    async def post_and_signal(
        client: RetryingClient, path: str, body: dict[str, Any]
    ) -> dict[str, Any] | FailedRequest:
        reply = await post(client, path, body)
        under_way.set()
        return reply

    monkeypatch.setattr(RetryingClient, "post", post_and_signal)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    requests, sampling = create_requests(120), Sampling(temperature=0, top_p=1, max_new_tokens=8)
    model = HttpBackend(
        "T0",
        settings(tiny, serve=None, url=f"http://127.0.0.1:{port}/v1", concurrency=2),
        f"http://127.0.0.1:{port}/v1",
    )

    def start() -> subprocess.Popen[bytes]:
        line = [part.replace("{model}", str(tiny)).replace("{port}", str(port)) for part in COMMAND]
        return subprocess.Popen([*line, "--host", "127.0.0.1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    answers: list[pl.DataFrame | SeasDataError] = []

    def run() -> None:
        try:
            answers.append(model.generate(requests, sampling, 1, tmp_path, "answers"))
        except SeasDataError as problem:
            answers.append(problem)

    working = threading.Thread(target=run, daemon=True)
    working.start()
    first = start()
    second = None
    try:
        assert under_way.wait(300)
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        time.sleep(1.5)
        assert working.is_alive(), "it waits"
        second = start()
        working.join(300)
    finally:
        for process in (first, second):
            if process is not None:
                process.kill()
    assert not working.is_alive()
    rows = answers[0]
    assert isinstance(rows, pl.DataFrame), str(rows)
    assert rows.height == 120 and rows["error"].null_count() == 120
    output = capsys.readouterr().err
    assert "is unavailable" in output and "is available again" in output
