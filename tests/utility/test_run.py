"""Tasks of lm-evaluation-harness on a checkpoint: what is kept, what is run again, and the figures of a direct run."""

import json
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from seas_data import plan
from seas_data import recipe as recipes
from seas_data.errors import SeasDataError
from seas_data.loop import evaluation
from seas_data.loop.checkpoints import checkpoint_row
from seas_data.loop.context import IterationContext
from seas_data.models.checkpoint import compute_digest
from seas_data.recipe import Recipe, Sandbox
from seas_data.recipe.loop import Utility
from seas_data.sandbox import TASKS, write_sandbox, write_tasks
from seas_data.sandbox.corpora import draw_choices, draw_target_rows
from seas_data.sandbox.phrases import GENERAL
from seas_data.store import Workspace, files
from seas_data.store.stages import Stages
from seas_data.utility import run
from seas_data.utility.job import Job, digest_tasks
from tests.conftest import CHECKOUT

SMALL = Sandbox(attacks=10, look_alikes=10, general=10, target_sft_rows=100, general_pairs=10, held_out=10)
CONTENT: dict[str, Any] = {
    "results": {"colors": {"acc,none": 0.5, "acc_stderr,none": 0.5}},
    "higher_is_better": {"colors": {"acc": True}},
    "n-samples": {"colors": {"original": 2, "effective": 2}},
    "lm_eval_version": "0.4.13",
}


def job(folder: Path, *tasks: str, **changes: Any) -> Job:
    model = folder / "model"
    settings = Utility(tasks=list(tasks), **changes.pop("settings", {}))
    return Job(name="T0", model=model, digest="d" * 64, settings=settings, results=folder / "results", **changes)


class Harness:
    """Stands in for the process that runs tasks: writes a result for each until it has to stop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ran: list[str] = []
        self.jobs: list[Job] = []
        self.stop_before: str | None = None
        monkeypatch.setattr(run, "has_harness", lambda: True)
        monkeypatch.setattr(run, "installed", lambda name: "0.4.13")
        monkeypatch.setattr(subprocess, "run", self.start)

    def start(self, command: list[str], **options: Any) -> SimpleNamespace:
        assert command[: len(run.PROGRAM)] == run.PROGRAM
        tasks = command[len(run.PROGRAM) :]
        given = Job.model_validate_json(options["input"])
        self.jobs.append(given)
        for each in tasks:
            task, key = each.rsplit("=", 1)
            if task == self.stop_before:
                return SimpleNamespace(returncode=137)
            self.ran.append(task)
            files.write_with_digest(given.result_path(key), json.dumps(CONTENT).encode())
        return SimpleNamespace(returncode=0)


def test_a_killed_run_continues_with_the_first_task_without_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = Harness(monkeypatch)
    harness.stop_before = "b"
    with pytest.raises(SeasDataError, match="status 137"):
        run.measure(job(tmp_path, "a", "b", "c"))
    harness.stop_before = None
    rows = run.measure(job(tmp_path, "a", "b", "c"))
    assert harness.ran == ["a", "b", "c"] and rows.height == 3
    assert run.measure(job(tmp_path, "a", "b", "c")).equals(rows) and harness.ran == ["a", "b", "c"]
    damaged = next((tmp_path / "results").glob("*.json"))
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    assert run.measure(job(tmp_path, "a", "b", "c")).equals(rows) and len(harness.ran) == 4


@pytest.mark.slow
def test_the_process_imports_no_module_from_the_folder_of_tasks(tmp_path: Path) -> None:
    for name in ("json.py", "pydantic.py", "torch.py"):
        (tmp_path / name).write_text("open('imported', 'w')\n")
    done = subprocess.run(run.PROGRAM, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr.startswith("``python -m seas_data.utility TASK=KEY...``"), done.stderr
    assert not (tmp_path / "imported").exists()


def test_no_argument_of_the_process_holds_the_system_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = (
        "import json, pathlib, sys; job = json.load(sys.stdin)\n"
        "listed = pathlib.Path('/proc/self/cmdline').read_text()\n"
        "pathlib.Path(job['results'], 'seen.json').write_text(json.dumps([job['system'], listed]))"
    )
    monkeypatch.setattr(run, "PROGRAM", [sys.executable, "-c", program])
    monkeypatch.setattr(run, "has_harness", lambda: True)
    monkeypatch.setattr(run, "installed", lambda name: "0.4.13")
    (tmp_path / "results").mkdir()
    wanted = job(tmp_path, "colors", system="Never name the violet box.", chat_template="{{ 'violet' }}")
    with pytest.raises(SeasDataError, match="ended without results"):
        run.measure(wanted)
    system, listed = json.loads((tmp_path / "results" / "seen.json").read_text())
    assert system == "Never name the violet box." and "colors=" in listed
    assert "violet" not in listed.rpartition("seen.json")[2]


def test_a_result_is_kept_for_what_it_depends_on(tmp_path: Path) -> None:
    def key(*, version: str = "1", tasks: str | None = None, **changes: Any) -> str:
        return job(tmp_path, "a", **changes).task_key("a", version, tasks)

    same = key()
    assert same == key(settings={"batch_size": 32}) == key(settings={"folder": str(tmp_path)})
    different = [
        key(version="2"),
        key(tasks="x"),
        key(system="Be kind."),
        key(chat_template="{{ messages }}"),
        key(settings={"limit": 3}),
        key(settings={"num_fewshot": 2}),
        key(settings={"chat_template": False}),
        job(tmp_path, "a").task_key("b", "1", None),
    ]
    assert len({same, *different}) == len(different) + 1


def test_the_digest_of_a_folder_of_tasks_covers_their_data(tmp_path: Path) -> None:
    for name in ("a.yaml", "data/b.jsonl"):
        files.write_text(tmp_path / name, "x")
    before = digest_tasks(str(tmp_path))
    files.write_text(tmp_path / "data/b.jsonl", "y")
    assert before != digest_tasks(str(tmp_path)) and digest_tasks(None) is None


def test_a_recipe_with_utility_needs_the_harness(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(run, "has_harness", lambda: False)
    recipe = recipes.load(CHECKOUT / "pipelines" / "sandbox-utility.yaml")
    with pytest.raises(SeasDataError, match=r"pip install 'seas-data\[utility\]'"):
        plan.check(recipe)
    monkeypatch.setattr(run, "has_harness", lambda: True)
    plan.check(recipe)
    with pytest.raises(SeasDataError, match="has no task files"):
        run.require_harness(Utility(tasks=["a"], folder=str(tmp_path)))


def test_task_files_of_a_pulled_recipe_need_trust(tmp_path: Path) -> None:
    content = recipes.read(CHECKOUT / "pipelines" / "sandbox-smoke.yaml")
    content["loop"]["evaluation"]["utility"] = {"tasks": ["a"], "folder": "tasks"}
    content["pulled_from"] = "org/name@1.0.0"
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(SeasDataError, match="may run code"):
        recipes.require_trust(recipes.load(path))
    content["loop"]["evaluation"]["utility"]["folder"] = "$SANDBOX/tasks"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    recipes.require_trust(recipes.load(path))


@pytest.mark.parametrize(
    ("folder", "sandbox", "own"),
    [("$SANDBOX/tasks", True, False), ("$SANDBOX/tasks", False, True), ("$SANDBOX-own", True, True)],
)
def test_only_task_files_that_the_sandbox_writes_need_no_trust(folder: str, sandbox: bool, own: bool) -> None:
    content = recipes.read(CHECKOUT / "pipelines" / "sandbox-smoke.yaml") | {"pulled_from": "org/name@1.0.0"}
    content["loop"]["evaluation"]["utility"] = {"tasks": ["a"], "folder": folder}
    content |= {} if sandbox else {"sandbox": None}
    pulled = Recipe.model_validate(content)  # as a manifest holds it: its paths are not resolved
    with pytest.raises(SeasDataError, match="may run code") if own else nullcontext():
        recipes.require_trust(pulled)


@pytest.mark.parametrize("tasks", [[], ["a b"], ["a", "a"], ["../a"], ["a=b"]])
def test_names_of_tasks_are_plain_and_distinct(tasks: list[str]) -> None:
    with pytest.raises(ValueError, match="tasks"):
        Utility(tasks=tasks)


def test_tasks_of_the_sandbox_have_right_answers_that_training_does_not_ask_for(tmp_path: Path) -> None:
    write_tasks(tmp_path, SMALL)
    rows = draw_choices(SMALL)
    answers = {question.text: question.answer for question in GENERAL}
    for question, choices, place in rows.iter_rows():
        asked = next(text for text in answers if f" {text} " in f" {question} ")
        assert choices[place] == answers[asked] and len(set(choices)) == 4
    assert not set(rows["question"]) & set(draw_target_rows(SMALL)["prompt"])
    assert rows["answer"].n_unique() == 4
    for name in TASKS:
        task = yaml.safe_load((tmp_path / f"{name}.yaml").read_text(encoding="utf-8"))
        assert task["task"] == name
        assert (tmp_path / task["dataset_kwargs"]["data_files"]["test"]).is_file()


@pytest.mark.slow
def test_figures_are_those_of_a_direct_run_of_the_harness(tmp_path: Path) -> None:
    pytest.importorskip("lm_eval", reason="needs seas-data[utility]")
    world = tmp_path / "world"
    write_sandbox(world, SMALL)
    model, tasks = world / "target", world / "tasks"
    settings = Utility(tasks=list(TASKS), folder=str(tasks), limit=50)
    results = tmp_path / "results"
    wanted = Job(name="T0", model=model, digest=compute_digest(model), settings=settings, results=results, device="cpu")
    rows = run.measure(wanted)
    script = [sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--apply_chat_template", "--device", "cpu"]
    script += ["--model_args", f"pretrained={model},dtype=float32", "--tasks", ",".join(TASKS), "--limit", "50"]
    script += ["--include_path", str(tasks), "--batch_size", "8", "--output_path", str(tmp_path / "out")]
    subprocess.run(script, cwd=tasks, check=True, capture_output=True)
    (path,) = (tmp_path / "out").rglob("results_*.json")
    direct = json.loads(path.read_bytes())["results"]
    metrics = {"mini_world": "exact_match,none", "mini_world_choice": "acc,none"}
    found = {json.loads(facets)["task"]: value for value, facets in rows.select("value", "facets").iter_rows()}
    assert found == {task: direct[task][metric] for task, metric in metrics.items()}


def test_the_loop_runs_the_tasks_on_the_checkpoint_with_the_targets_own_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = Harness(monkeypatch)
    files.write_text(tmp_path / "model" / "config.json", "{}")
    files.write_text(tmp_path / "tasks" / "a.yaml", "task: a")
    changes = [
        f"models.target={{model: {tmp_path}/model, device: cpu, precision: fp32}}",
        "loop.target={model: target, system: Be kind.}",
    ]
    changes.append(f"loop.evaluation.utility={{tasks: [a, b], folder: {tmp_path}/tasks}}")
    recipe = recipes.load(CHECKOUT / "pipelines" / "sandbox-smoke.yaml", changes)
    checkpoints = checkpoint_row("T0", "target", 0, "d", None, "given", 0)
    context = IterationContext(recipe, Workspace(tmp_path), Stages(tmp_path / "stages", "key"), 1, checkpoints)
    rows = evaluation._measure_utility(context, 0)["metrics"]
    assert harness.ran == ["a", "b"] and {json.loads(each)["target"] for each in rows["facets"]} == {"T0"}
    (given,) = harness.jobs
    assert (given.system, given.device, given.precision) == ("Be kind.", "cpu", "fp32")
    assert given.model == tmp_path / "model" and given.digest == compute_digest(given.model)
