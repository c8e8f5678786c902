"""``python -m seas_data.utility TASK=KEY...``: the process that runs tasks of a harness on a checkpoint.

Standard input is a ``job.Job`` as JSON. The results of each task are written when it ends.
"""

import json
import logging
import sys
from importlib.metadata import version
from typing import Any

from seas_data.console import say
from seas_data.errors import SeasDataError
from seas_data.store import files
from seas_data.text import printable
from seas_data.utility.job import Job
from seas_data.utility.lm_eval_results import KEYS


def main() -> None:
    """Run the tasks. Exits with status 2 and a one-sentence message on a problem with a task."""
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    job = Job.model_validate_json(sys.stdin.buffer.read())
    logging.disable(logging.WARNING)
    try:
        _run(job, dict(each.rsplit("=", 1) for each in sys.argv[1:]))
    except SeasDataError as problem:
        say(f"error: {problem}")
        raise SystemExit(2) from problem


def _run(job: Job, tasks: dict[str, str]) -> None:
    import torch
    from lm_eval.models.huggingface import HFLM

    manager = _find_tasks(job, list(tasks))
    cuda = job.device == "cuda" or (job.device == "auto" and torch.cuda.is_available())
    half = job.precision == "bf16" or (job.precision == "auto" and cuda)
    lm = HFLM(
        pretrained=str(job.model),
        device="cuda" if cuda else "cpu",
        dtype="bfloat16" if half else "float32",
        batch_size=job.settings.batch_size,
    )
    if job.chat_template is not None:
        lm.tokenizer.chat_template = job.chat_template
    if job.settings.chat_template and not getattr(lm.tokenizer, "chat_template", None):
        raise SeasDataError(
            f"{job.name} has no chat template; set chat_template of its model, or loop.evaluation.utility "
            "chat_template: false"
        )
    for task, key in tasks.items():
        content = run_task(lm, task, manager, job)
        files.write_with_digest(job.result_path(key), json.dumps(content, sort_keys=False).encode())


def _find_tasks(job: Job, tasks: list[str]) -> Any:
    """Return a manager that knows ``tasks``: those of the folder, and of the harness if one of them is not there."""
    from lm_eval.tasks import TaskManager

    if job.settings.folder is not None:
        own = TaskManager(include_path=job.settings.folder, include_defaults=False)
        if all(task in own.all_tasks for task in tasks):
            return own
    every = TaskManager(include_path=job.settings.folder)
    if unknown := [task for task in tasks if task not in every.all_tasks]:
        where = f"{job.settings.folder} and lm-evaluation-harness" if job.settings.folder else "lm-evaluation-harness"
        raise SeasDataError(f"there is no task {unknown[0]} in {where}; correct loop.evaluation.utility.tasks")
    return every


def run_task(lm: Any, task: str, manager: Any, job: Job) -> dict[str, Any]:
    """Return the results of one task, with the keys that ``lm_eval_results.read_lm_eval`` reads."""
    import lm_eval

    settings = job.settings
    try:
        found = lm_eval.simple_evaluate(
            lm,
            tasks=[task],
            task_manager=manager,
            num_fewshot=settings.num_fewshot,
            limit=settings.limit,
            system_instruction=job.system if settings.chat_template else None,
            apply_chat_template=settings.chat_template,
            log_samples=False,
        )
    except (ValueError, KeyError, OSError, ConnectionError) as problem:
        reason = printable(" ".join(str(problem).split()))[:300] or type(problem).__name__
        raise SeasDataError(f"the task {task} could not be run on {job.name}: {reason}") from problem
    kept = {key: found[key] for key in KEYS if key in found and key not in ("config", "configs")}
    return {**json.loads(json.dumps(kept, default=str)), "lm_eval_version": version("lm_eval")}


if __name__ == "__main__":
    main()
