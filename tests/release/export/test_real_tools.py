"""Exports loaded by the real tools, each in an environment of its own.

``SEAS_DATA_TOOLS`` is a folder with the environments: ``pyrit``, ``inspect`` and ``garak`` (`python -m venv`, and the
package of that name), and ``promptfoo`` (`npm install promptfoo`, and `node@22` where the system's is older).
"""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from seas_data.query.version import Version
from seas_data.release.export import export

TOOLS = Path(os.environ.get("SEAS_DATA_TOOLS", "no-folder"))
PYRIT = """
import sys, json
from pyrit.models import SeedDataset
seeds = SeedDataset.from_yaml_file(sys.argv[1]).seeds
print(json.dumps([[s.name, s.value, s.metadata["licence"], s.metadata["version"]] for s in seeds]))
"""
INSPECT = """
import sys, json
from inspect_ai.dataset import json_dataset
samples = json_dataset(sys.argv[1])
print(json.dumps([[s.id, s.input, s.metadata["licence"], s.metadata["version"]] for s in samples]))
"""
GARAK = """
import sys, json
from garak.payloads import PayloadGroup
print(json.dumps(PayloadGroup("prompts", sys.argv[1]).payloads))
"""
ECHO = "export default class { id() { return 'echo' } async callApi(p) { return { output: p } } }\n"


def run(command: list[str], folder: Path, **environment: str) -> str:
    home = {name: str(folder / name.lower()) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")}
    full = {**os.environ, **home, "PYTHONPATH": "", **environment}
    done = subprocess.run(command, cwd=folder, env=full, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def load(tool: str, script: str, file: Path) -> list[object]:
    python = TOOLS / tool / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{tool} is not installed in $SEAS_DATA_TOOLS/{tool}")
    return list(json.loads(run([str(python), "-c", script, str(file)], file.parent).splitlines()[-1]))


@pytest.mark.slow  # each tool takes ten seconds and more to start
@pytest.mark.parametrize(("tool", "script", "ending"), [("pyrit", PYRIT, "yaml"), ("inspect", INSPECT, "jsonl")])
def test_pyrit_and_inspect_hold_each_text_with_its_id_licence_and_version(
    awkward: Version, wanted: dict[str, str], tmp_path: Path, tool: str, script: str, ending: str
) -> None:
    export(awkward, tool, tmp_path / f"a.{ending}", "train")
    found = load(tool, script, tmp_path / f"a.{ending}")
    assert sorted(found) == sorted([key, text, "CC0-1.0", "logs v0 train"] for key, text in wanted.items())


@pytest.mark.slow
def test_garak_holds_each_text(awkward: Version, wanted: dict[str, str], tmp_path: Path) -> None:
    export(awkward, "garak", tmp_path / "a.json", "train")
    assert sorted(map(str, load("garak", GARAK, tmp_path / "a.json"))) == sorted(wanted.values())


@pytest.mark.slow
def test_promptfoo_sends_each_text_and_opens_no_file(awkward: Version, wanted: dict[str, str], tmp_path: Path) -> None:
    binaries = TOOLS / "promptfoo" / "node_modules" / ".bin"
    if not (binaries / "promptfoo").exists():
        pytest.skip("promptfoo is not installed in $SEAS_DATA_TOOLS/promptfoo")
    export(awkward, "promptfoo", tmp_path / "tests.yaml", "train")
    (tmp_path / "echo.mjs").write_text(ECHO)
    config = {"prompts": ["{{prompt}}"], "providers": ["file://echo.mjs"], "tests": "file://tests.yaml"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    off = ("TELEMETRY", "UPDATE", "SHARING", "REMOTE_GENERATION", "REDTEAM_REMOTE_GENERATION", "ERROR_LOG")
    environment = {f"PROMPTFOO_DISABLE_{name}": "1" for name in off}
    path = f"{binaries}{os.pathsep}{os.environ['PATH']}"
    command = [
        str(binaries / "promptfoo"),
        "eval",
        "-c",
        "config.yaml",
        "--no-cache",
        "--no-progress-bar",
        "-o",
        "out.json",
    ]
    run(command, tmp_path, PATH=path, PROMPTFOO_CONFIG_DIR=str(tmp_path / "home"), **environment)
    results = json.loads((tmp_path / "out.json").read_text())["results"]["results"]
    sent = {each["testCase"]["description"]: each["response"]["output"] for each in results}
    assert sent == wanted
    assert {each["testCase"]["metadata"]["licence"] for each in results} == {"CC0-1.0"}
