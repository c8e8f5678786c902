"""The loop with its models behind servers: the rows are of the same kind, and a server that goes away is waited for."""

import hashlib
import json
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import polars as pl
import pytest
import yaml

import seas_data as sd
from seas_data import recipe as recipes
from seas_data.build import build
from seas_data.recipe import Recipe
from tests.models.servers import Reply, server
from tests.models.test_transformers_serve import COMMAND
from tests.models.test_transformers_serve import pytestmark as needs_the_server
from tests.test_loop import SMALL, SMOKE

pytest.importorskip("trl", reason="needs the extra train")

FEW = ["loop.iterations=1", "loop.attack.seeds=4", "loop.evaluation.seeds=3", "loop.evaluation.rows=3"]


def over_http(folder: Path, how: dict[str, Any], start: str, *changes: str) -> Recipe:
    """The smallest recipe with both players behind ``how``, who ``start`` with fine-tuning or as they are given."""
    content = yaml.safe_load(SMOKE.read_text(encoding="utf-8"))
    for name, model in (("red", "red-team"), ("target", "target")):
        content["models"][name] = {"backend": "http", "model": f"$SANDBOX/{model}", "concurrency": 4, **how}
        content["loop"]["red_team" if name == "red" else name] = {"model": name, "start": start}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return recipes.load(path, [*SMALL, *FEW, *changes])


def said(body: dict[str, Any], _: int) -> Reply:
    """An answer that depends on the question and the sample alone: a password now and then, and a refusal."""
    texts = []
    for number in range(body.get("n", 1)):
        drawn = hashlib.sha256(json.dumps([body["messages"], number]).encode()).digest()
        texts.append(("velorin", "i will not say that", f"word {drawn[1]} and {drawn[2]}")[drawn[0] % 3])
    choices = [
        {"index": n, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
        for n, text in enumerate(texts)
    ]
    return 200, {}, {"choices": choices, "usage": {"completion_tokens": 5 * len(choices)}}


def test_a_server_that_goes_away_in_the_loop_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unchanged = ("given", "training.red.min_rows=9999", "training.target.min_rows=9999")
    with server(said) as (url, seen):
        expected = build(
            over_http(tmp_path, {"url": url, "model": "served"}, *unchanged), tmp_path / "undisturbed"
        ).version
        asked = len(seen.bodies)
    port = int(urlsplit(url).port or 0)
    assert asked > 60
    assert "is away" not in capsys.readouterr().err

    gone, back = threading.Event(), threading.Event()
    count = 0

    def said_until(body: dict[str, Any], before: int) -> Reply:
        nonlocal count
        count += 1
        if count == asked // 2:
            gone.set()
        if gone.is_set() and not back.is_set():
            return None
        return said(body, before)

    def serve() -> None:
        with server(said_until, port):
            gone.wait(60)
        time.sleep(1.5)
        back.set()
        with server(said_until, port):
            ended.wait(60)

    ended = threading.Event()
    serving = threading.Thread(target=serve)
    serving.start()
    try:
        built = build(over_http(tmp_path, {"url": url, "model": "served"}, *unchanged), tmp_path / "ws").version
    finally:
        ended.set()
        gone.set()
        serving.join()
    told = capsys.readouterr().err
    assert "is away" in told
    assert "answers again" in told
    assert built.digest == expected.digest, "not a row is lost or other"
    assert built.sql("select 1 from responses where text is null").is_empty()
    assert set(built.table("checkpoints")["method"]) == {"given", "unchanged"}


@pytest.mark.slow
@needs_the_server
def test_the_loop_over_real_servers_gives_the_same_kind_of_rows(one: Path, tmp_path: Path) -> None:
    draws = {"generation_config": json.dumps({"do_sample": True, "top_k": 0})}
    recipe = over_http(tmp_path, {"serve": COMMAND, "options": draws}, "sft")
    version = build(recipe, tmp_path / "ws").version
    here = sd.open(one / "ws").version("v1")
    digests = dict(version.sql("select model, digest from checkpoints").rows())
    known = dict(here.sql("select model, digest from checkpoints").rows())
    assert [digests[name] for name in ("R0", "T0")] == [known[name] for name in ("R0", "T0")], "trained alike"
    for table in ("seeds", "attacks", "responses", "settings", "verdicts", "metrics"):
        assert version.table(table).height > 0
        assert version.table(table).schema == here.table(table).schema
    attacks = version.table("attacks").filter(pl.col("split") == "train")
    assert attacks.height == 4 * recipe.loop.attack.prompts if recipe.loop else False
    assert attacks["text"].n_unique() > attacks.height / 2, "drawn, and not one text again and again"
    assert set(version.table("attacks")["finish_reason"]) <= {"stop", "length"}
    unknown = "select 1 from settings anti join checkpoints on settings.checkpoint = checkpoints.digest"
    assert version.sql(unknown).is_empty()
    assert version.sql("select distinct model from responses order by 1")["model"].to_list() == ["T0", "T1"]
    assert set(version.table("metrics")["name"]) >= {"attack_success", "over_refusal", "validity"}
