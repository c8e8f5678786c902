"""The benchmark of ablations: its runs are recipes, its comparisons are paired, and the docs hold its figures."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import polars as pl
import pytest

import seas_data as sd
from seas_data.recipe import loading
from tests.conftest import CHECKOUT


@pytest.fixture(scope="module")
def ablations() -> ModuleType:
    sys.path.insert(0, str(CHECKOUT / "benchmarks"))
    try:
        spec = importlib.util.spec_from_file_location("ablations", CHECKOUT / "benchmarks" / "ablations.py")
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["ablations"] = module
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.pop(0)


def test_every_run_is_a_recipe_of_its_own_and_one_of_the_documented_settings(ablations: ModuleType) -> None:
    page = (CHECKOUT / "docs" / "loop.md").read_text(encoding="utf-8")
    found = {}
    for name, run in ablations.RUNS.items():
        recipe = loading.load(CHECKOUT / "pipelines" / f"{run.recipe}.yaml", run.settings)
        found[name] = recipe.model_dump_json(exclude={"name", "description"})
        assert all(f"--set {setting}" in page for setting in run.settings)
    assert len(set(found.values())) == len(ablations.RUNS)
    reference = loading.load(CHECKOUT / "pipelines" / "sandbox.yaml", ablations.RUNS["reference-pairs"].settings)
    assert (reference.pairs.red.min_margin, reference.pairs.harmless) == (0, None), "the recipe's keys do not stay"
    smoke = loading.load(CHECKOUT / "pipelines" / "sandbox.yaml", ablations.smoke_settings())
    expected = loading.load(CHECKOUT / "pipelines" / "sandbox-smoke.yaml")
    assert smoke.model_dump(exclude={"name", "description"}) == expected.model_dump(exclude={"name", "description"})


def test_runs_are_compared_unit_by_unit(ablations: ModuleType) -> None:
    full = pl.DataFrame({"unit": ["a", "a", "b", "b", "c"], "flag": [True, True, True, False, False]})
    other = pl.DataFrame({"unit": ["b", "a", "a", "d"], "flag": [False, True, False, True]})
    difference = ablations.compare(other, full)
    assert difference["value"] == pytest.approx((-0.5 - 0.5) / 2) and difference["units"] == 2
    assert ablations.compare(full, full)["value"] == 0
    assert difference["low"] < difference["value"] < difference["high"]


def test_figures_are_written_without_a_leading_zero_and_zero_without_a_sign(ablations: ModuleType) -> None:
    numbers = [ablations.number(*each) for each in ((0.4814,), (1.0,), (-0.0001, "+"), (0.25, "+"), (-0.5, "+"))]
    assert numbers == [".481", "1", "0", "+.250", "-.500"]
    assert ablations.number(-1.0, "+") == "-1"


def test_the_page_holds_the_table_of_the_stored_figures(ablations: ModuleType) -> None:
    page = ablations.PAGE.read_text(encoding="utf-8")
    assert ablations.FIGURES.exists() == (ablations.START in page), "figures and table are written together"
    if not ablations.FIGURES.exists():
        pytest.skip("the ablations have not been run")
    figures = json.loads(ablations.FIGURES.read_text(encoding="utf-8"))
    assert ablations.replace_table(page, figures) == page, "run python benchmarks/ablations.py --write"


def test_a_new_table_ends_its_section_and_an_old_one_is_replaced(ablations: ModuleType) -> None:
    figures: dict[str, Any] = {"iterations": 3, "runs": {}}
    page = ablations.PAGE.read_text(encoding="utf-8")
    if ablations.START in page:
        before, _, rest = page.partition(ablations.START)
        page = before + rest.partition(ablations.END)[2].removeprefix("\n")
    written = ablations.replace_table(page, figures)
    section = written.partition("## Controls and ablations\n")[2].partition("\n## ")[0]
    assert ablations.to_markdown(figures) in section and section.endswith(ablations.END)
    assert ablations.replace_table(written, figures) == written
    kept, _, table = written.partition(ablations.START)
    assert kept + table.partition(ablations.END)[2].removeprefix("\n") == page, "nothing else of the page changes"


@pytest.mark.slow
def test_the_command_builds_compares_and_continues(tmp_path: Path) -> None:
    """Two runs of one short iteration share R0 and T0; the second call builds nothing."""
    command = [sys.executable, "benchmarks/ablations.py", "--folder", str(tmp_path), "--smoke", "--runs", "sft", "mart"]
    first = subprocess.run(command, check=True, cwd=CHECKOUT, capture_output=True, text=True)
    assert [line.split(" | ")[0] for line in first.stdout.splitlines()[2:]] == [
        "| the full loop", "| SFT in place of DPO", "| less the full loop", "| MART", "| less the full loop",
    ]  # fmt: skip
    versions = [sd.open(tmp_path / f"{name}-1").version("v1") for name in ("seas", "sft", "mart")]
    started = [version.table("checkpoints").filter(pl.col("iteration") == 0).drop("statement") for version in versions]
    cells = [
        version.sql(
            "select value from metrics where name = 'attack_success' and facets ->> 'red_team' = 'R0' "
            "and facets ->> 'target' = 'T0'"
        )["value"].to_list()
        for version in versions
    ]
    assert started[0].equals(started[1]) and started[0].equals(started[2])
    assert cells[0] == cells[1] == cells[2], "equal requests to equal models have equal answers"
    second = subprocess.run(command, check=True, cwd=CHECKOUT, capture_output=True, text=True)
    assert second.stdout == first.stdout and second.stderr == ""
