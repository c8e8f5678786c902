"""Running a training job from its rows to its model folder, in this process or with a launcher."""

import subprocess
from collections.abc import Callable
from typing import Any

import polars as pl

from seas_data.console import say
from seas_data.errors import SeasDataError
from seas_data.train.job import Job, launch_command, prepare, publish, report
from seas_data.train.packages import require_packages

MakeTrainer = Callable[[Job, Any, Any, list[Any]], Any]
"""Return TRL's trainer for a job, a dataset, a tokenizer and callbacks."""


def run_job(job: Job, table: pl.DataFrame, make_trainer: MakeTrainer, *, replace: bool = False) -> pl.DataFrame:
    """Run ``job`` on the rows of ``table``, in the number of processes in its settings, and return its metrics.

    ``make_trainer`` returns the trainer of the job's method. ``replace`` is passed to ``prepare``.
    """
    require_packages(lora=job.settings.lora is not None)
    if not prepare(job, table, replace=replace):
        return report(job)
    if job.settings.accelerate_config is None:
        from seas_data.train.fit import fit

        fit(job, make_trainer)
    else:
        _launch(job)
    publish(job)
    return report(job)


def _launch(job: Job) -> None:
    command = launch_command(job)
    say(f"starting {' '.join(command)}")
    status = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
    if status != 0:
        raise SeasDataError(
            f"training {job.output.name} in several processes ended with status {status}; see their output above, fix "
            "the cause and rerun the command, which resumes from the last checkpoint"
        )
