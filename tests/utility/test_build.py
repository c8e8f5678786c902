"""A whole build of pipelines/sandbox-utility.yaml, with the harness itself, to its frontier."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import seas_data as sd
from seas_data import recipe as recipes
from seas_data.sandbox import TASKS
from tests.conftest import CHECKOUT

PIPELINES = CHECKOUT / "pipelines"
SIZES = "sandbox={attacks: 400, look_alikes: 200, general: 200, target_sft_rows: 800, general_pairs: 100, held_out: 20}"
FIGURES = {"mini_world": "exact_match,none", "mini_world_choice": "acc,none"}


def small() -> Iterator[str]:
    """Yield the options that make the recipe as small as ``sandbox-smoke.yaml``, in a smaller world."""
    for section in ("loop", "pairs", "training"):
        for key, value in recipes.read(PIPELINES / "sandbox-smoke.yaml")[section].items():
            if key != "evaluation":
                yield from ("--set", f"{section}.{key}={json.dumps(value)}")
    for change in (SIZES, "loop.red_sft_rows=400", "loop.evaluation.seeds=10", "loop.evaluation.max_prompts=20"):
        yield from ("--set", change)


def run(*command: Any, **options: Any) -> str:
    ended = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, **options)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return ended.stdout


@pytest.mark.slow
def test_the_frontier_of_a_build_has_the_figures_of_a_direct_run_of_the_harness(tmp_path: Path) -> None:
    pytest.importorskip("lm_eval", reason="needs seas-data[utility]")
    program, place = [sys.executable, "-m", "seas_data"], ["--workspace", tmp_path / "ws"]
    limit = ["--set", "loop.evaluation.utility.limit=40"]
    run(*program, "build", PIPELINES / "sandbox-utility.yaml", *small(), *limit, *place)
    metrics = sd.open(tmp_path / "ws").version().table("metrics").filter(name="utility")
    found = {}
    for facets, value, n in metrics.select("facets", "value", "n").rows():
        about = json.loads(facets)
        found[about["target"], about["task"]] = value
        assert n == 40 and about["primary"] and about["partial"].startswith("40 of ")
    (tasks,) = {path.parent for path in (tmp_path / "ws").rglob("mini_world.yaml")}
    for target in ("T0", "T1"):
        model = tmp_path / "ws" / "models" / target
        out = tmp_path / target
        script = [sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--apply_chat_template", "--device", "cpu"]
        script += ["--model_args", f"pretrained={model},dtype=float32", "--tasks", ",".join(TASKS), "--limit", "40"]
        run(*script, "--include_path", tasks, "--batch_size", 32, "--output_path", out, cwd=tasks)
        (path,) = out.rglob("results_*.json")
        direct = json.loads(path.read_bytes())["results"]
        for task in TASKS:
            assert found.pop((target, task)) == direct[task][FIGURES[task]], (target, task)
    assert not found
    rows = json.loads(run(*program, "sql", "safety-frontier", "--format", "json", *place))
    assert [row["target"] for row in rows] == ["T0", "T1"]
    for row in rows:
        assert row["utility_low"] <= row["utility"] <= row["utility_high"]
        assert all(f"{task}, " in row["utility_tasks"] for task in TASKS)
        assert row["attack_success"] is not None and row["over_refusal"] is not None
