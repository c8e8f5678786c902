import sys
from pathlib import Path
from typing import Any

import pytest

from seas_data.errors import SeasDataError
from seas_data.models import checkpoint, compute_model_digest, open_model
from seas_data.models.http_backend import HttpBackend
from seas_data.models.transformers_backend import TransformersBackend
from seas_data.recipe import ModelHttp, ModelInProcess
from tests.models.servers import completion, server

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
"""


def served(**changes: Any) -> ModelHttp:
    command = [sys.executable, "-c", SERVER, "{model}", "{port}", "--host", "127.0.0.1"]
    return ModelHttp(**{"backend": "http", "model": "served", "serve": command, "max_wait_seconds": 20} | changes)


@pytest.mark.slow
def test_a_trained_checkpoint_replaces_the_model_of_the_settings(tiny: Path, tmp_path: Path) -> None:
    with open_model("T1", ModelInProcess(model="some/base", device="cpu"), tmp_path, checkpoint=tiny) as model:
        assert isinstance(model, TransformersBackend) and model.name == "T1"
        assert model.digest == checkpoint.compute_digest(tiny)
    with open_model("T1", served(), tmp_path, checkpoint=tiny) as model:
        assert isinstance(model, HttpBackend) and model.settings.model == str(tiny)
        assert model.digest == checkpoint.compute_digest(tiny), "served or not, it is the same model"
        assert compute_model_digest("T0", served(model=str(tiny))) == model.digest, "told without serving it"


def test_the_revision_of_the_settings_is_served(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[tuple[str, str | None]] = []

    def fetch(model: str, revision: str | None, **_: Any) -> str:
        fetched.append((model, revision))
        return str(tiny)

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    with open_model("T0", served(model="org/model", revision="0123abc"), tmp_path) as model:
        assert isinstance(model, HttpBackend) and model.settings.model == str(tiny)
        assert model.digest == checkpoint.compute_digest(tiny)
    with open_model("T0", served(model="org/model"), tmp_path) as model:
        assert isinstance(model, HttpBackend) and model.settings.model == "org/model"
    assert fetched == [("org/model", "0123abc"), ("org/model", None)]


def test_a_server_at_a_url_cannot_serve_a_trained_checkpoint(tiny: Path, tmp_path: Path) -> None:
    with server(lambda body, _: completion(body)) as (url, _):
        with open_model("T0", served(serve=None, url=url), tmp_path) as model:
            assert model.name == "T0"
        with (
            pytest.raises(SeasDataError, match="replace url with serve"),
            open_model("T1", served(serve=None, url=url), tmp_path, checkpoint=tiny),
        ):
            pass


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "http://x"},
        {"serve": None},
        {"serve": None, "url": "x:8000"},
        {"tokenizer": "y"},
        {"chat_template": "z"},
    ],
)
def test_contradictory_settings_are_rejected(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"url|completion"):
        served(**changes)
