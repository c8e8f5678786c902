"""Sources on the Hub: always at one commit, and one sentence when it cannot be had.

A small server speaks the three requests of the Hub that a file takes (history, metadata, content). The client reads its
address when it is imported, so it runs in a process of its own.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import datasets
import pytest

from seas_data import sources
from seas_data.errors import SeasDataError
from seas_data.recipe import Source
from seas_data.sources.hub import read_hub

NEW, OLD = "b7" * 20, "a5" * 20
FILES = {NEW: b'{"prompt": "new"}\n', OLD: b'{"prompt": "old"}\n{"prompt": 5}\n'}
SOURCE = {"hub": "vault/set", "kind": "general"}


class Hub(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        if self.path.startswith("/api/datasets/vault/set/commits/main"):
            commit = {"authors": [], "date": "2024-01-01T00:00:00.000Z", "title": "", "message": ""}
            self.answer(json.dumps([{"id": NEW} | commit, {"id": OLD} | commit]).encode(), {})
            return
        for commit, content in FILES.items():
            if self.path == f"/datasets/vault/set/resolve/{commit}/set.jsonl":
                self.answer(content, {"X-Repo-Commit": commit, "ETag": f'"{commit}"'})
                return
        self.send_error(404)

    def answer(self, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


PROGRAM = """
import json, sys
from seas_data import sources
from seas_data.errors import SeasDataError
from seas_data.recipe import Source
from seas_data.sources.hub import read_hub
for keys in json.loads(sys.argv[1]):
    try:
        found = sources.read_source("set", Source(**keys))
        print(json.dumps([found.prompts["text"].to_list(), found.set_aside["location"].to_list()]))
    except SeasDataError as problem:
        print(json.dumps(str(problem)))
"""


def elsewhere(folder: Path, keys: list[dict[str, str]], **environment: str) -> list[object]:
    """What reading each source gives in a process with ``environment``."""
    quiet = {"HF_HOME": str(folder), "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(keys)],
        env=quiet | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_a_file_at_a_commit_whole_or_abbreviated(tmp_path: Path, address: str) -> None:
    file = SOURCE | {"file": "set.jsonl"}
    revisions = [NEW, OLD, OLD[:7], "cccccccc"]
    found = elsewhere(tmp_path, [file | {"revision": revision} for revision in revisions], HF_ENDPOINT=address)
    old = [["old"], ["set.jsonl:2"]]
    assert found[:3] == [[["new"], []], old, old]
    assert found[3] == (
        "source set: 0 commits of vault/set begin with cccccccc; set revision to one of its 2 commits "
        f"(the newest is {NEW})"
    )
    fetched = elsewhere(tmp_path, [file | {"revision": OLD}], HF_HUB_OFFLINE="1")
    assert fetched == [old], "what was fetched once is there without a connection"


@pytest.mark.slow
def test_without_a_connection_one_sentence_says_so(tmp_path: Path) -> None:
    keys = [{"file": "set.jsonl", "revision": OLD}, {"revision": OLD}, {"file": "set.jsonl", "revision": OLD[:7]}]
    for said in elsewhere(tmp_path, [SOURCE | key for key in keys], HF_HUB_OFFLINE="1"):
        assert isinstance(said, str)
        assert said.startswith("source set: vault/set")
        assert said.endswith("or download it yourself and set path in place of hub")
        assert "\n" not in said


def test_config_split_and_commit_are_what_datasets_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def load_dataset(*given: object, **named: object) -> datasets.DatasetDict:
        asked.append((given, named))
        rows = datasets.Dataset.from_dict({"prompt": ["a", ""]})
        return rows if named["split"] else datasets.DatasetDict(train=rows, test=rows)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    found = sources.read_source("set", Source(**SOURCE, revision=OLD, config="plain", split="test"))
    assert asked == [(("vault/set", "plain"), {"split": "test", "revision": OLD})]
    assert found.prompts.select("text", "repository").rows() == [("a", "vault/set")]
    assert found.set_aside["location"].to_list() == ["vault/set:2"]
    with pytest.raises(SeasDataError, match="source set: set split to one of its splits: test, train"):
        sources.read_source("set", Source(**SOURCE, revision=OLD))


def test_a_folder_named_like_the_dataset_is_not_read_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "vault" / "set").mkdir(parents=True)
    (tmp_path / "vault" / "set" / "train.jsonl").write_text('{"prompt": "local"}\n')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SeasDataError, match="there is a folder vault/set here"):
        read_hub(Path("vault/set"), Source.model_validate(SOURCE | {"revision": NEW}))
