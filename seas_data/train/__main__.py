"""``python -m seas_data.train JOB``: the entry point that a launcher starts once per process.

JOB is a JSON file with the fields of ``job.Job``, including rows, or the working folder of a prepared job.
"""

import sys
from pathlib import Path

import polars as pl

from seas_data.console import say
from seas_data.errors import SeasDataError
from seas_data.sources.jsonl import read_jsonl_frame
from seas_data.train import job as jobs


def main() -> None:
    """Run the job. Exits with status 2 and a one-sentence message on a SeasDataError."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    path = Path(sys.argv[1])
    try:
        _run(jobs.load_job(path), prepared=path.is_dir())
    except SeasDataError as problem:
        say(f"error: {problem}")
        raise SystemExit(2) from problem


def _run(job: jobs.Job, *, prepared: bool) -> None:
    from accelerate import PartialState

    from seas_data.train.dpo import make_trainer as dpo_trainer
    from seas_data.train.fit import fit
    from seas_data.train.sft import make_trainer as sft_trainer

    state = PartialState(cpu=job.settings.device == "cpu")
    if not prepared and state.is_main_process:
        jobs.prepare(job, _read_rows(job.rows))
    state.wait_for_everyone()
    if (job.output / jobs.REPORT).exists():
        return
    fit(job, sft_trainer if job.method == "sft" else dpo_trainer)
    if not prepared and state.is_main_process:
        jobs.publish(job)


def _read_rows(path: Path | None) -> pl.DataFrame:
    if path is None:
        raise SeasDataError("the job has no rows; set rows to a Parquet or JSONL file")
    try:
        return pl.read_parquet(path, glob=False) if path.suffix == ".parquet" else read_jsonl_frame(path)
    except (OSError, pl.exceptions.PolarsError) as problem:
        raise SeasDataError(f"rows: {path} could not be read: {' '.join(str(problem).split())}") from problem


if __name__ == "__main__":
    main()
