"""The loop with models behind servers: rows of the same kind, and a server that is unavailable is waited for."""

import hashlib
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl
import pytest
import yaml

import seas_data as sd
from seas_data import plan
from seas_data import recipe as recipes
from seas_data.loop import evaluation
from seas_data.models import http_retry
from seas_data.recipe import Recipe
from seas_data.retry import Backoff
from seas_data.run import build
from tests.loop.test_loop import SMALL, SMOKE
from tests.models.servers import Reply, server
from tests.models.test_serve import gone
from tests.models.test_transformers_serve import COMMAND
from tests.models.test_transformers_serve import pytestmark as needs_the_server
from tests.program import PROGRAM

pytest.importorskip("trl", reason="needs the extra train")

FEW = ["loop.iterations=1", "loop.seeds_per_iteration=4", "loop.evaluation.seeds=3", "loop.evaluation.max_prompts=3"]


def over_http(folder: Path, how: dict[str, Any], start: str, *changes: str) -> Recipe:
    """Return the smallest recipe with both models served as ``how``, that ``start`` with fine-tuning or as they are."""
    content = recipes.read(SMOKE)
    for name, model in (("red", "red-team"), ("target", "target")):
        content["models"][name] = {"backend": "http", "model": f"$SANDBOX/{model}", "concurrency": 4, **how}
        content["loop"]["red_team" if name == "red" else name] = {"model": name, "start": start}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return recipes.load(path, [*SMALL, *FEW, *changes])


def said(body: dict[str, Any], _: int) -> Reply:
    """Return an answer that depends only on the messages and the sample: a password, a refusal or other words."""
    texts = []
    for number in range(body.get("n", 1)):
        drawn = hashlib.sha256(json.dumps([body["messages"], number]).encode()).digest()
        texts.append(("velorin", "i will not say that", f"word {drawn[1]} and {drawn[2]}")[drawn[0] % 3])
    choices = [
        {"index": n, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        for n, text in enumerate(texts)
    ]
    return 200, {}, {"choices": choices, "usage": {"completion_tokens": 5 * len(choices)}}


@pytest.mark.slow
def test_a_loop_continues_with_another_max_wait_and_when_its_server_is_available_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing is trained here, so a server of one model is enough; the plan assumes that both models are trained.
    monkeypatch.setattr(plan, "check_trainable", lambda *_: None)
    unchanged = ("given", "training.red.min_rows=9999", "training.target.min_rows=9999")
    with server(said) as (url, seen):
        how = {"url": url, "model": "served"}
        with monkeypatch.context() as patched, pytest.raises(ZeroDivisionError):
            patched.setattr(evaluation, "describe_target", lambda *_: 1 / 0)
            build(over_http(tmp_path, how, *unchanged), tmp_path / "stopped")
        first = len(seen.bodies)
        how["max_wait_seconds"] = 60
        expected = build(
            over_http(tmp_path, how, *unchanged, "loop.success.min_unsafe_rate=0.4"), tmp_path / "stopped"
        ).version
        asked = Counter(map(json.dumps, seen.bodies))
    port = int(urlsplit(url).port or 0)
    assert first > 60
    assert asked.total() == first, "responses that do not depend on the changed settings are kept"
    assert "is unavailable" not in capsys.readouterr().err

    gone, reported, back = threading.Event(), threading.Event(), threading.Event()
    answered: list[str] = []

    def said_until(body: dict[str, Any], before: int) -> Reply:
        if len(answered) == first // 2:
            gone.set()
        if gone.is_set() and not back.is_set():
            return None
        answered.append(json.dumps(body))
        return said(body, before)

    def say(text: str) -> None:
        print(text, file=sys.stderr)
        if "is unavailable" in text:
            reported.set()

    monkeypatch.setattr(http_retry, "say", say)
    monkeypatch.setattr(http_retry, "BACKOFF", Backoff(first=0.05, longest=10))

    def serve() -> None:
        with server(said_until, port):
            gone.wait(60)
        reported.wait(60)
        back.set()
        with server(said_until, port):
            ended.wait(60)

    ended = threading.Event()
    serving = threading.Thread(target=serve)
    serving.start()
    try:
        built = build(over_http(tmp_path, how, *unchanged, "loop.success.min_unsafe_rate=0.4"), tmp_path / "ws").version
    finally:
        for each in (ended, gone, reported):
            each.set()
        serving.join()
    errors = capsys.readouterr().err
    assert "is unavailable" in errors
    assert "is available again" in errors
    assert Counter(answered) == asked, "no request is sent again"
    assert built.manifest.tables == expected.manifest.tables, "all rows are the same"
    assert built.select("select 1 from responses where text is null").is_empty()
    assert set(built.table("checkpoints")["method"]) == {"given", "unchanged"}
    settings = built.select("select distinct sampling ->> 'endpoint', sampling ->> 'extra_body' from settings")
    assert settings.rows() == [("chat", "{}")], "another endpoint or body gives other texts"


# A server that answers as ``said`` does, slowly, and writes its process id and each request to a file.
SERVER = """
import hashlib, http.server, json, os, sys, time

def tell(text):
    with open(sys.argv[1], "a") as file:
        file.write(text + "\\n")

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send({"data": []})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        tell("asked")
        time.sleep(0.05)
        choices = []
        for number in range(body.get("n", 1)):
            drawn = hashlib.sha256(json.dumps([body["messages"], number]).encode()).digest()
            text = ("velorin", "i will not say that", f"word {drawn[1]} and {drawn[2]}")[drawn[0] % 3]
            choices.append({"finish_reason": "stop", "message": {"role": "assistant", "content": text}})
        self.send({"choices": choices})

    def send(self, content):
        data = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass

tell(str(os.getpid()))
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[3])), Handler).serve_forever()
"""


@pytest.mark.slow
def test_a_builder_killed_while_it_serves_leaves_no_server_and_goes_on(tmp_path: Path) -> None:
    told = tmp_path / "told"
    (tmp_path / "server.py").write_text(SERVER)
    command = [sys.executable, str(tmp_path / "server.py"), str(told), "{model}", "{port}"]
    unchanged = ("training.red.min_rows=9999", "training.target.min_rows=9999")
    expected = build(over_http(tmp_path, {"serve": command}, "given", *unchanged), tmp_path / "undisturbed").version
    asked = told.read_text().count("asked")
    told.unlink()

    changes = [part for change in (*SMALL, *FEW, *unchanged) for part in ("--set", change)]
    run = [*PROGRAM, "build", str(tmp_path / "recipe.yaml"), "--workspace", str(tmp_path / "ws"), *changes]
    for least in (5, asked // 2):
        builder = subprocess.Popen(run, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        wait_until(lambda least=least: told.exists() and told.read_text().count("asked") >= least)  # type: ignore[misc]
        builder.kill()
        builder.wait()
        servers = [int(line) for line in told.read_text().splitlines() if line.isdigit()]
        assert all(map(gone, servers))
    ended = subprocess.run(run, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert sd.open(tmp_path / "ws").version().digest == expected.digest


def wait_until(said_so: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not said_so():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.02)


@pytest.mark.slow
@needs_the_server
def test_the_loop_over_real_servers_gives_the_same_kind_of_rows(one: Path, tmp_path: Path) -> None:
    draws = {"generation_config": json.dumps({"do_sample": True, "top_k": 0})}
    recipe = over_http(tmp_path, {"serve": COMMAND, "extra_body": draws}, "sft")
    version = build(recipe, tmp_path / "ws").version
    here = sd.open(one / "ws").version("v1")
    digests = dict(version.select("select model, digest from checkpoints").rows())
    known = dict(here.select("select model, digest from checkpoints").rows())
    assert [digests[name] for name in ("R0", "T0")] == [known[name] for name in ("R0", "T0")], "equal training"
    for table in ("seeds", "attacks", "responses", "settings", "verdicts", "metrics"):
        assert version.table(table).height > 0
        assert version.table(table).schema == here.table(table).schema
    attacks = version.table("attacks").filter(pl.col("split") == "train")
    assert attacks.height == 4 * recipe.loop.attack.attacks_per_seed if recipe.loop else False
    assert attacks["text"].n_unique() > attacks.height / 2, "texts are sampled"
    assert set(version.table("attacks")["finish_reason"]) <= {"stop", "length"}
    unknown = "select 1 from settings anti join checkpoints on settings.checkpoint = checkpoints.digest"
    assert version.select(unknown).is_empty()
    assert version.select("select distinct model from responses order by 1")["model"].to_list() == ["T0", "T1"]
    assert set(version.table("metrics")["name"]) >= {"attack_success", "over_refusal", "validity"}
