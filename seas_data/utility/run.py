"""Running the tasks of a recipe on a checkpoint, in a process of its own, and reading their figures.

The harness seeds the process, takes its memory for a model, and reads the data of tasks relative to the current folder,
so it runs apart from the build. Results are kept by what they depend on: a killed build continues with the first task
that has none, and an unchanged checkpoint is not evaluated again.
"""

import importlib.util
import subprocess
import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Final

import polars as pl

from seas_data.console import say
from seas_data.errors import SeasDataError
from seas_data.recipe.loop import Utility
from seas_data.recipe.paths import is_in_sandbox
from seas_data.utility.figures import utility_metrics
from seas_data.utility.job import Job, digest_tasks, read_result
from seas_data.utility.lm_eval_results import read_lm_eval

PROGRAM: Final = [sys.executable, "-P", "-m", "seas_data.utility"]
"""Without the current folder in the search path of modules: a file of data named ``json.py`` is not imported."""


def has_harness() -> bool:
    """Return whether lm-evaluation-harness is installed."""
    return importlib.util.find_spec("lm_eval") is not None


def require_harness(settings: Utility) -> None:
    """Raise SeasDataError if the harness is not installed, or the folder of tasks is missing or has no task file."""
    if not has_harness():
        raise SeasDataError(
            "loop.evaluation.utility needs lm-evaluation-harness; install it with: pip install 'seas-data[utility]'"
        )
    if settings.folder is None or is_in_sandbox(settings.folder):
        return
    if not any(Path(settings.folder).rglob("*.yaml")):
        raise SeasDataError(f"{settings.folder} has no task files (.yaml); correct loop.evaluation.utility.folder")


def measure(job: Job) -> pl.DataFrame:
    """Return the figures of the tasks of ``job`` as rows of ``metrics`` without version.

    Tasks without results are run first. Output columns: those of ``figures.utility_metrics``. Raises SeasDataError if
    the harness ends without the results of a task.
    """
    require_harness(job.settings)
    harness, tasks = installed("lm_eval"), digest_tasks(job.settings.folder)
    keys = {task: job.task_key(task, harness, tasks) for task in job.settings.tasks}
    waiting = {task: key for task, key in keys.items() if read_result(job.result_path(key)) is None}
    if waiting:
        _run(job, waiting)
    rows = []
    for task, key in keys.items():
        content = read_result(job.result_path(key))
        if content is None:
            raise SeasDataError(f"the task {task} on {job.name} ended without results; run the command again")
        rows.append(utility_metrics(read_lm_eval(content, f"the task {task}"), job.name, key))
    return pl.concat(rows)


def _run(job: Job, tasks: dict[str, str]) -> None:
    say(f"utility of {job.name}: {', '.join(tasks)}")
    given = [f"{task}={key}" for task, key in tasks.items()]
    # Not among the arguments, which every user of the machine can list: the job has the target's system prompt.
    sent = job.model_dump_json().encode()
    status = subprocess.run([*PROGRAM, *given], input=sent, cwd=job.settings.folder, check=False).returncode
    if status != 0:
        raise SeasDataError(
            f"the tasks of {job.name} ended with status {status}; see the lines above, fix the cause and run the same "
            "command: it continues with the first task without results"
        )
