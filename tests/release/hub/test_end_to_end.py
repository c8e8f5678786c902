"""From the first push to the last load: three versions, as people publish and read them.

The tests marked ``hub`` do the same at huggingface.co, in a repository of their own, when told a token and its name.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from seas_data.query import version as versions
from seas_data.release import configs, pseudonyms
from seas_data.release.hub.pull import pull
from seas_data.release.hub.push import PushRequest, push
from seas_data.release.visibility import Profile
from tests.hub import Hub
from tests.program import PROGRAM

LOAD = """
import json, sys
from pathlib import Path
import datasets
name, tags, out = sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3])
for tag in tags:
    for config in datasets.get_dataset_config_names(name, revision=tag):
        for split, rows in datasets.load_dataset(name, config, revision=tag).items():
            rows.to_parquet(out / f"{tag}.{config}.{split}.parquet")
"""


def load(name: str, tags: list[str], out: Path, environment: dict[str, str]) -> None:
    """Load every config of every tag in a process that knows nothing but the repository's name."""
    out.mkdir()
    command = [sys.executable, "-c", LOAD, name, json.dumps(tags), str(out)]
    environment = os.environ | environment | {"HF_HOME": str(out.parent / "home"), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]


def is_row_for_row(root: Path, names: dict[str, str], profile: Profile, out: Path) -> None:
    """Compare what was loaded of each tag with the rows of the version, in which ``profile`` hides the reviewers."""
    compared, key = 0, pseudonyms.load_key(root)
    for tag, name in names.items():
        paths = versions.open(root).version(name).paths()
        for config in configs.for_profile(profile):
            for split, rows in configs.splits(paths, config, profile):
                place = out / f"{tag}.{config.name}.{split}.parquet"
                if not rows.height:
                    assert not place.exists()
                    continue
                if profile == "public" and "label_source" in rows.columns:
                    rows = rows.with_columns(pseudonyms.replace_names(rows["label_source"], "manual:", key))
                if profile == "public" and config.name == "decisions":
                    rows = rows.with_columns(detail=pl.when(pl.col("reason") != "manual").then("detail"))
                assert pl.read_parquet(place).equals(rows), (tag, config.name, split)
                compared += rows.height
    assert compared > 0


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
def test_loaded_configs_equal_the_version_row_by_row(hub: Hub, mine: Path, tmp_path: Path) -> None:
    names = {"1.0.0": "v0", "1.1.0": "v1", "1.2.0": "v2"}
    for tag, name in names.items():
        push(versions.open(mine).version(name), PushRequest("org/set", tag=tag), "gated")
    load("org/set", list(names), tmp_path / "out", hub.environment())
    is_row_for_row(mine, names, "gated", tmp_path / "out")


def seas_data(hub: Hub, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | hub.environment() | {"OMP_NUM_THREADS": "1"}
    return subprocess.run([*PROGRAM, *arguments], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_commands_push_and_pull(example: Path, tmp_path: Path) -> None:
    with Hub() as hub:
        workspace = ("--workspace", str(example))
        refused = seas_data(hub, "push", "v0", "org/set", "--allow", "licences", *workspace)
        assert refused.returncode == 2 and "--because" in refused.stderr
        dry = seas_data(hub, "push", "v0", "org/set", "--tag", "1.0.0", "--dry-run", *workspace)
        assert dry.returncode == 0 and "Dry run: nothing was pushed" in dry.stdout and not hub.repositories, dry.stderr
        done = seas_data(hub, "push", "v0", "org/set", "--tag", "1.0.0", "--json", *workspace)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert told["commit"] == hub.repository("datasets", "org/set").tags["1.0.0"]
        again = seas_data(hub, "push", "v0", "org/set", "--tag", "1.0.0", *workspace)
        assert "nothing was uploaded" in again.stdout
        got = seas_data(hub, "pull", "org/set@1.0.0", "--workspace", str(tmp_path / "ws2"), "--json")
        assert got.returncode == 0, got.stderr
        digest = json.loads(got.stdout)["digest"]
        held = json.loads(hub.repository("datasets", "org/set").content("manifest.json"))
        assert digest == held["digest"]
        assert seas_data(hub, "verify", "--workspace", str(tmp_path / "ws2")).returncode == 0
        kept = seas_data(
            hub, "sql", "-q", "select min(prompt_id) as id from kept", "--json", "--workspace", str(example)
        )
        prompt_id = json.loads(kept.stdout)[0]["id"]
        again = shutil.copytree(example, tmp_path / "ws3")
        gone = seas_data(hub, "forget", prompt_id, "--because", "asked for", "--workspace", str(again))
        assert gone.returncode == 0 and "Still in v0" in gone.stdout, gone.stderr
        assert "Still in org/set@1.0.0" in gone.stdout
        card = hub.repository("datasets", "org/set").content("README.md").decode()
        assert "seas-data: begin v0 public" in card and prompt_id not in card
        assert hub.owner not in done.stdout + done.stderr + got.stdout + got.stderr


@pytest.mark.hub
@pytest.mark.usefixtures("quick")
@pytest.mark.slow
def test_the_real_hub(mine: Path, tmp_path: Path) -> None:
    """Fills the repository SEAS_DATA_HUB_REPO, which has to be private and gated, or not there yet."""
    name = os.environ.get("SEAS_DATA_HUB_REPO")
    if not name or not os.environ.get("HF_TOKEN"):
        pytest.skip("needs HF_TOKEN and SEAS_DATA_HUB_REPO, an empty or earlier repository for this test")
    from seas_data.release.hub.remote import Remote

    remote = Remote(name)
    state = remote.info()
    number = len(state.tags) if state else 0
    names = {f"{number}.{index}.0": f"v{index}" for index in range(3)}
    for tag, version in names.items():
        first = push(versions.open(mine).version(version), PushRequest(name, tag=tag), "gated")
        again = push(versions.open(mine).version(version), PushRequest(name, tag=tag), "gated")
        assert again.plan.is_empty and again.commit == first.commit
    state = remote.info()
    assert state is not None and state.private and state.gated and set(names) <= set(state.tags)
    load(name, list(names), tmp_path / "out", {})
    is_row_for_row(mine, names, "gated", tmp_path / "out")
    for index, tag in enumerate(names):
        pulled = pull(f"{name}@{tag}", tmp_path / "ws2")
        assert pulled.version.manifest.full_digest == versions.open(mine).version(f"v{index}").digest
