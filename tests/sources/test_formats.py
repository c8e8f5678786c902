"""The registry of source formats: a format is inferred from the path or named, and another distribution can add one."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from pydantic import ValidationError

import seas_data as sd
from seas_data import sources
from seas_data.errors import SeasDataError
from seas_data.recipe import Source
from seas_data.sources import formats
from seas_data.sources.formats import FORMATS, SourceFormat, select_format
from seas_data.sources.jsonl import JSONL
from tests.conftest import CHECKOUT
from tests.program import PROGRAM


def test_the_formats_of_this_package() -> None:
    assert set(FORMATS.names()) >= {"csv", "datasets-folder", "hub", "jsonl", "parquet", "xlsx"}


@pytest.mark.parametrize(
    ("name", "format_name"),
    [("a.jsonl", "jsonl"), ("a.b.NDJSON", "jsonl"), ("a.csv", "csv"), ("a.TSV", "csv"), ("a.parquet", "parquet")],
)
def test_the_format_follows_from_the_ending(tmp_path: Path, name: str, format_name: str) -> None:
    path = tmp_path / name
    path.touch()
    assert select_format(path, Source(path=str(path), kind="general")) is FORMATS.load(format_name)


def test_a_named_format_reads_a_file_of_any_ending(tmp_path: Path) -> None:
    path = tmp_path / "set.txt"
    path.write_text('{"prompt": "a"}\n')
    found = sources.read_source("set", Source(path=str(path), kind="general", format="jsonl"))
    assert found.prompts["text"].to_list() == ["a"]


def test_an_unknown_format_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ValidationError, match=r"there is no source format 'jsnol'; set it to one of csv, .*, pa"):
        Source(path="a.jsonl", kind="general", format="jsnol")


def test_a_format_of_files_does_not_read_a_folder(tmp_path: Path) -> None:
    with pytest.raises(
        SeasDataError, match=r"is a folder, but format jsonl reads \.jsonl, \.ndjson, \.json; set format to"
    ):
        sources.read_source("set", Source(path=str(tmp_path), kind="general", format="jsonl"))
    (tmp_path / "set.jsonl").touch()
    with pytest.raises(SeasDataError, match="is a file, but format datasets-folder reads folder; set format to"):
        sources.read_source("set", Source(path=str(tmp_path / "set.jsonl"), kind="general", format="datasets-folder"))


def test_an_ending_that_two_formats_read_needs_a_named_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "set.jsonl"
    path.touch()
    entries = {"jsonl": JSONL, "other": SourceFormat(inputs=(".jsonl",), read=JSONL.read)}
    monkeypatch.setattr(formats.FORMATS, "all", lambda: entries)
    with pytest.raises(SeasDataError, match=r"several formats read .*; set format to one of jsonl, other"):
        select_format(path, Source(path=str(path), kind="general"))


DOCS = (CHECKOUT / "docs" / "sources.md").read_text(encoding="utf-8")
RECIPE = """
name: fortunes
sources:
  inferred: {path: a.fortune, kind: general, language: en}
  named: {path: b.txt, format: fortune, kind: general, language: en}
embedders: []
curation: {semantic: null, near: null}
"""


@pytest.mark.slow
def test_another_distribution_adds_a_format_that_a_recipe_uses(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    info = packages / "fortune_format-1.0.dist-info"
    info.mkdir(parents=True)
    (packages / "fortune_format.py").write_text(re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)[0])
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fortune-format\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[seas_data.formats]\nfortune = fortune_format:FORTUNE\n")
    (tmp_path / "a.fortune").write_text("Which door is green?\n%%%\nWhere is the\nold key?\n")
    (tmp_path / "b.txt").write_text("Who guards the vault?")
    recipe = tmp_path / "fortunes.yaml"
    recipe.write_text(RECIPE)

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {"PYTHONPATH": str(packages), "PYTHONSAFEPATH": "1"}
        command = [*PROGRAM, *map(str, arguments), "--workspace", str(tmp_path / "ws")]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    built = run("build", recipe)
    assert built.returncode == 0, built.stderr
    assert set(sd.open(tmp_path / "ws").version().table("prompts").select("source", "text").rows()) == {
        ("inferred", "Which door is green?"),
        ("inferred", "Where is the\nold key?"),
        ("named", "Who guards the vault?"),
    }
    refused = run("build", recipe, "--set", "sources.named.format=fortunes")
    assert refused.returncode != 0
    assert "there is no source format 'fortunes'; set it to one of csv, datasets-folder, fortune, hub" in " ".join(
        refused.stderr.split()
    )


def test_the_docs_list_the_formats_with_what_they_read() -> None:
    table = DOCS.partition("## What stops")[0]
    listed = dict(re.findall(r"(?m)^\| `([a-z-]+)` \| ([^|]*) \|", table))
    ours = {name: FORMATS.load(name) for name in listed}
    assert set(ours) == {"csv", "datasets-folder", "hub", "jsonl", "parquet", "xlsx"}
    for name, entry in ours.items():
        assert all(each in listed[name] for each in entry.inputs if each.startswith(".")), name
