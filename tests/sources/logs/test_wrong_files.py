"""Files that a reader of logs must refuse in one sentence: another tool's, cut off, or of a newer format."""

import gzip
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from seas_data.errors import SeasDataError
from seas_data.sources.logs.formats import LogFormat
from seas_data.sources.logs.inspect_ai import INSPECT
from seas_data.sources.logs.promptfoo import PROMPTFOO
from tests.sources.logs.reading import FIXTURES, read
from tests.sources.logs.tool_counts import FILES


def refused(log: LogFormat, path: Path) -> str:
    """Return the message with which the file is refused."""
    with pytest.raises(SeasDataError) as caught:
        read(log, path)
    assert "\n" not in str(caught.value) and path.name in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("tool", list(FILES))
def test_the_file_of_another_tool_a_folder_and_an_empty_file_are_refused(tmp_path: Path, tool: str) -> None:
    (tmp_path / "empty.json").touch()
    for other, (_, names) in FILES.items():
        if other != tool:
            refused(FILES[tool][0], FIXTURES / other / names[0])
    refused(FILES[tool][0], tmp_path / "empty.json")
    refused(FILES[tool][0], tmp_path)


@pytest.mark.parametrize(("tool", "name"), [(tool, name) for tool, (_, names) in FILES.items() for name in names])
def test_a_compressed_file_that_was_cut_off_is_refused(tmp_path: Path, tool: str, name: str) -> None:
    whole = gzip.compress((FIXTURES / tool / name).read_bytes())
    (tmp_path / f"{name}.gz").write_bytes(whole[: len(whole) // 2])
    refused(FILES[tool][0], tmp_path / f"{name}.gz")


def test_results_in_yaml_that_were_cut_off_are_refused(tmp_path: Path) -> None:
    text = (FIXTURES / "promptfoo" / "small.yaml").read_text()
    path = tmp_path / "a.yaml"
    path.write_text(text[: text.index("\n  stats:") + 1])
    assert "breaks off" in refused(PROMPTFOO, path)


@pytest.mark.parametrize("name", ["a.eval", "a.json"])
def test_a_log_of_inspect_in_a_newer_format_is_refused(tmp_path: Path, name: str) -> None:
    log = json.loads((FIXTURES / "inspect_ai" / "small.json").read_text()) | {"version": 3}
    path = tmp_path / name
    path.write_text(json.dumps(log))
    if name == "a.eval":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("header.json", json.dumps(log | {"samples": None}))
    assert "format 3" in refused(INSPECT, path)


@pytest.mark.parametrize("ending", ["json", "yaml"])
def test_results_of_promptfoo_in_a_newer_format_are_refused(tmp_path: Path, ending: str) -> None:
    path = Path(shutil.copy(FIXTURES / "promptfoo" / f"small.{ending}", tmp_path / f"a.{ending}"))
    text = path.read_text()
    for mark in ('"version": 3', "version: 3"):
        text = text.replace(mark, mark.replace("3", "4"), 1)
    path.write_text(text)
    assert "format 4" in refused(PROMPTFOO, path)
