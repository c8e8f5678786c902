"""--apply shows what the next build does, and builds nothing."""

import csv
import json
import shutil
from pathlib import Path

import polars as pl
import pytest

import seas_data as sd
from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.review import preview as module
from seas_data.review import sheet
from seas_data.review.page import forms
from seas_data.review.page.session import Session
from seas_data.review.preview import preview
from tests.program import called


@pytest.fixture
def copy(example: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(example, tmp_path / "ws"))


def state(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def decided(version: Version, path: Path) -> list[str]:
    """A sheet that drops an attack of train, restores a dropped prompt and calls a general one harmless."""
    prompts, splits = version.table("prompts"), version.table("splits")
    kept = version.table("kept").join(splits, on="prompt_id")
    attack = kept.filter(kind="adversarial", split="train")["prompt_id"][0]
    general = kept.filter(kind="general", split="train")["prompt_id"][0]
    restored = version.table("decisions").filter(decision="drop", reason="template_cap")["prompt_id"][0]
    ids = [attack, restored, general]
    rows = pl.concat([prompts.filter(prompt_id=each) for each in ids])
    sheet.write_sheet(rows, path)
    work = Session(path, forms.prompt_form([]), "ada", "review of v0")
    for row_id, key in zip(ids, "213", strict=True):
        work.decide(row_id, key)
    return ids


@pytest.mark.slow
def test_the_preview_is_what_the_build_then_does(copy: Path, tmp_path: Path) -> None:
    version = sd.open(copy).version()
    path = tmp_path / "ada.csv"
    attack, restored, general = decided(version, path)
    before = state(copy)
    ended = called("review", "--apply", path, "--workspace", copy, "--json")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert state(copy) == before
    assert [row["prompt_id"] for row in told["dropped"]] == [attack]
    assert [row["prompt_id"] for row in told["relabelled"]] == [general]
    recipe = module.Recipe.model_validate(version.manifest.recipe).model_copy(
        update={"sources": {}, "overrides": str(path)}
    )
    built = module.build(
        recipe, copy, module.LoopSteps(module._not_run, module._not_run, module._not_run, lambda *_: {})
    )
    after = Version.of(built.version)
    real = version.diff(after)
    for name in ("added", "dropped", "relabelled"):
        assert told[name] == real[name].to_dicts(), name
    kept = {name: each.table("kept", ["prompt_id"]).height for name, each in (("before", version), ("after", after))}
    assert {"figure": "kept prompts"} | kept in told["figures"] or kept["before"] == kept["after"]
    assert restored in after.table("kept")["prompt_id"].to_list()
    ended = called("why", attack, "--workspace", copy, "--version", "v1")
    assert "ada: review of v0" in ended.stdout


def test_it_says_when_nothing_changes_and_what_it_cannot_do(copy: Path, tmp_path: Path) -> None:
    version = sd.open(copy).version()
    path = tmp_path / "ada.csv"
    sheet.write_sheet(version.table("kept").head(2), path)
    ended = called("review", "--apply", path, "--workspace", copy)
    assert ended.returncode == 0, ended.stderr
    assert "change nothing" in ended.stdout
    with path.open("a", newline="") as file:
        csv.writer(file).writerow(["f" * 24, "x", "general", "", "s", "", "drop", "ada", "because"])
    with pytest.raises(SeasDataError, match="which is in no source"):
        preview(version, path)
    with pytest.raises(SeasDataError, match="there is no sheet at"):
        preview(version, tmp_path / "none.csv")
    assert not list(copy.glob(".preview-*"))
