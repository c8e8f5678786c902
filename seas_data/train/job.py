"""Training jobs: inputs, working folder, and the atomic creation of the model folder.

A job works in a hidden folder next to its output, which holds the prepared rows, the checkpoints, and at the end the
finished model, which is renamed to the output's name. The job's *key* is a hash of everything that determines the
result: a working folder with the same key is resumed, one with another key is cleared, and a finished model with the
same key is not trained again. With ``accelerate_config``, a launcher starts this package once per process on the
working folder; only the main process writes.
"""

import hashlib
import io
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from seas_data.console import say
from seas_data.errors import SeasDataError
from seas_data.metrics.rows import metric_frame
from seas_data.models import checkpoint
from seas_data.models.checkpoint_files import require_loadable
from seas_data.recipe import TrainingDpo, TrainingSft
from seas_data.store import files
from seas_data.train import rows, training_metrics

REPORT = "training.json"
"""File in a finished model folder: its job, key and metrics."""
CONFIGURATIONS = Path(__file__).parent / "configurations"
_JOB, _ROWS, _COUNTS = "job.json", "tokens.arrow", "counts.json"


class Job(BaseModel):
    """A training job. ``python -m seas_data.train`` reads it as a JSON file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Literal["sft", "dpo"]
    model: str
    settings: TrainingSft | TrainingDpo
    output: Path
    rows: Path | None = None
    """A Parquet or JSONL file; None if the rows are passed with the job."""
    reference: str | None = None
    facets: dict[str, str | int] = {}

    @model_validator(mode="before")
    @classmethod
    def _settings_of_the_method(cls, content: Any) -> Any:
        if isinstance(content, dict) and isinstance(content.get("settings"), dict):
            kind = TrainingSft if content.get("method") == "sft" else TrainingDpo
            content = {**content, "settings": kind.model_validate(content["settings"])}
        return content

    @property
    def work(self) -> Path:
        """The working folder, on the same disk as the output."""
        return self.output.with_name(f".training-{self.output.name}")


def prepare(job: Job, table: pl.DataFrame, *, replace: bool = False) -> bool:
    """Check the rows and write the working folder; return False if this job has already written its output.

    Raises SeasDataError if ``output`` holds anything else; with ``replace``, removes a model of another training.
    """
    key = _key(job, table)
    made = (job.output / REPORT).exists()
    if made and json.loads((job.output / REPORT).read_text(encoding="utf-8"))["key"] == key:
        return False
    if replace:
        shutil.rmtree(job.output, ignore_errors=True)
    elif made:
        raise SeasDataError(f"{job.output} holds a model of another training; remove it or choose another folder")
    if job.output.exists():
        raise SeasDataError(f"{job.output} exists and is not a finished training; choose another folder")
    known = job.work / _JOB
    if (job.work / _ROWS).exists() and known.exists() and json.loads(known.read_text(encoding="utf-8"))["key"] == key:
        return True
    shutil.rmtree(job.work, ignore_errors=True)
    if Path(job.model).is_dir():
        require_loadable(Path(job.model))
    checked = rows.check_rows(table, job.method, job.model, job.settings)
    if left_out := int(checked.counts["too_long"]):
        limit = job.settings.max_length
        say(f"{left_out} rows left out: their prompts fill max_length ({limit} tokens)")
    if same := int(checked.counts.get("same_cut_off", 0)):
        limit = job.settings.max_length
        say(
            f"{same} pairs left out: their chosen and rejected are equal up to max_length ({limit} tokens), where the "
            "trainer cuts them off"
        )
    if refused := int(checked.counts.get("refused_turns", 0)):
        say(f"{refused} rows left out: {checked.refusal}")
    if found := int(checked.counts.get("control_tokens", 0)):
        say(
            f"{found} rows hold control tokens of the chat template, such as <|im_end|>, in their texts; they are "
            "trained on as plain text"
        )
    rows.write_arrow(job.work / _ROWS, checked.tokens)
    files.write_text(job.work / _COUNTS, json.dumps(checked.counts))
    files.write_text(known, json.dumps({"key": key, "job": job.model_dump(mode="json")}))
    return True


def publish(job: Job) -> None:
    """Rename the finished model to the output's name and remove the working folder."""
    whole = job.work / "whole"
    if not (whole / REPORT).exists():
        raise SeasDataError(f"training {job.output.name} ended without a model; see its output above")
    _flush(whole)
    whole.rename(job.output)
    shutil.rmtree(job.work, ignore_errors=True)


def report(job: Job) -> pl.DataFrame:
    """Return the metrics of the finished training. Output columns: those of ``metrics`` without version."""
    return metric_frame(json.loads((job.output / REPORT).read_text(encoding="utf-8"))["figures"])


def write_report(job: Job, folder: Path, history: list[dict[str, float]]) -> None:
    """Write ``REPORT`` to ``folder``. It has no timestamps, so equal rows and settings give equal bytes."""
    prepared = json.loads((job.work / _JOB).read_text(encoding="utf-8"))
    counts = json.loads((job.work / _COUNTS).read_text(encoding="utf-8"))
    found = training_metrics.metrics_from_log(history, counts, job.facets, batch=job.settings.batch_size)
    made_by = {"method": job.method, "settings": job.settings.model_dump(mode="json"), "facets": job.facets}
    content = {"key": prepared["key"], **made_by, "figures": found}
    files.write_text(folder / REPORT, json.dumps(content, indent=1) + "\n")


def prepared_rows(job: Job) -> Path:
    """Return the path of the Arrow file with the checked rows."""
    return job.work / _ROWS


def load_job(path: Path) -> Job:
    """Return the job in the JSON file or the working folder at ``path``. Raises SeasDataError if it cannot be read."""
    place = path / _JOB if path.is_dir() else path
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
        return Job.model_validate(content["job"] if path.is_dir() else content)
    except (OSError, ValueError, KeyError, ValidationError) as problem:
        raise SeasDataError(f"{place} is not a valid training job: {' '.join(str(problem).split())}") from problem


def launch_command(job: Job) -> list[str]:
    """Return the command that runs the prepared ``job`` in several processes."""
    chosen = str(job.settings.accelerate_config)
    shipped = CONFIGURATIONS / f"{chosen}.yaml"
    configuration = shipped if shipped.exists() else Path(chosen)
    if not configuration.exists():
        names = ", ".join(sorted(path.stem for path in CONFIGURATIONS.glob("*.yaml")))
        raise SeasDataError(f"accelerate_config: {chosen} does not exist; use {names}, or the path of a file")
    processes = [] if job.settings.num_processes is None else ["--num_processes", str(job.settings.num_processes)]
    accelerate = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(configuration), *processes]
    return [*accelerate, "-m", "seas_data.train", str(job.work)]


def _key(job: Job, table: pl.DataFrame) -> str:
    content = io.BytesIO()
    rows.as_message_rows(table, job.method).rechunk().write_ipc(content)
    parts = {
        "rows": hashlib.sha256(content.getbuffer()).hexdigest(),
        "model": _model_identity(job.model),
        "reference": job.reference and _model_identity(job.reference),
        "method": job.method,
        "settings": job.settings.model_dump(mode="json"),
        "facets": job.facets,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _model_identity(model: str) -> str:
    return checkpoint.compute_digest(Path(model)) if Path(model).is_dir() else model


def _flush(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
