"""From the logs of two tools about one target to pairs, a trained model, and a release that passes its checks."""

import json
import re
from pathlib import Path

import polars as pl
import pytest
import yaml

import seas_data as sd
from seas_data.sandbox.tiny import write_model
from tests.conftest import CHECKOUT
from tests.program import called
from tests.sources.logs.reading import FIXTURES

GARAK = CHECKOUT / "pipelines" / "garak-log" / "kitchen.report.jsonl"
PYRIT = FIXTURES / "pyrit" / "memory.db"


def done(*arguments: object) -> str:
    ended = called(*arguments)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.mark.slow  # trains a model
def test_two_logs_become_pairs_a_model_and_a_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    recipe = {
        "name": "two-logs",
        "embedders": [],
        "sources": {
            "scan": {"log": "garak", "path": str(GARAK), "licence": "Apache-2.0"},
            "probe": {"log": "pyrit", "path": str(PYRIT), "licence": "CC-BY-4.0", "language": "en"},
        },
        "pairs": {"judges": ["garak:kitchen.Recipe", "pyrit:outcome"]},
        "release": {"max_unparsed_proportion": 1},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    root = ("--workspace", tmp_path / "ws")
    done("build", tmp_path / "recipe.yaml", *root)
    version = sd.open(tmp_path / "ws").version("v0")
    pairs = version.table("pairs")
    assert set(pairs["judge"]) == {"garak:kitchen.Recipe", "pyrit:outcome"} and pairs.height >= 25
    assert version.table("checkpoints")["model"].to_list() == ["wavering"]

    # A pair leads back to the line or the row of its log, which has its texts.
    responses = version.table("responses")
    lines = GARAK.read_text().splitlines()
    memory = PYRIT.read_bytes()
    for side in ("chosen", "rejected"):
        places = pairs.join(responses, left_on=f"{side}_id", right_on="response_id").select(side, "location")
        for messages, location in places.iter_rows():
            name, _, place = location.partition(":")
            if name == GARAK.name:
                assert json.dumps(messages[0]["content"], ensure_ascii=False) in lines[int(place) - 1]
            else:
                assert name == PYRIT.name and place.removeprefix("PromptMemoryEntries:").encode() in memory

    # Nothing held out is in a pair.
    train = version.table("splits").filter(split="train")
    assert pairs.join(train, on="prompt_id", how="anti").is_empty()

    contents = [pairs.select(pl.col(side).list.first().struct.field("content")) for side in ("prompt", "chosen")]
    words = sorted({word for text in pl.concat(contents)["content"] for word in re.findall(r"\w+", text.lower())})
    write_model(
        tmp_path / "tiny",
        layers=1,
        seed=0,
        hidden=32,
        heads=2,
        intermediate=64,
        positions=256,
        vocabulary=words,
    )
    small = ("max_length=200", "device=cpu", "gradient_checkpointing=false", "epochs=1", "learning_rate=1e-3")
    changes = [part for each in small for part in ("--set", f"training.target.{each}")]
    train_command = ("train", "v0", "--role", "target", "--model", tmp_path / "tiny", "-o", tmp_path / "T1")
    assert "Wrote the model to" in done(*train_command, *changes, *root)
    before, after = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("tiny", "T1"))
    assert before != after

    checked = called("check", "v0", *root)
    assert checked.returncode == 0, checked.stdout
    done("checkout", "v0", tmp_path / "release", "--profile", "gated", *root)
    import datasets

    released = datasets.load_dataset(str(tmp_path / "release"), "pairs-target", split="train", cache_dir=str(tmp_path))
    assert len(released) == pairs.height
