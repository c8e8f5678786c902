"""Supervised fine-tuning through TRL's SFTTrainer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from seas_data.recipe import TrainingSft
from seas_data.train.job import Job
from seas_data.train.run_job import run_job


def sft(
    model: str | Path,
    rows: pl.DataFrame,
    settings: TrainingSft,
    output: Path,
    *,
    facets: Mapping[str, str | int] | None = None,
    replace: bool = False,
) -> pl.DataFrame:
    """Fine-tune ``model`` (a folder or a Hub name) on ``rows``, write it to ``output``, and return its metrics.

    Input columns of ``rows``: prompt, completion: texts, or lists of messages as in the table ``demonstrations``.
    Output columns: those of the table ``metrics`` without version. ``facets`` (such as role and iteration) are added to
    the facets of each row, next to the step.

    With ``replace``, an existing model of another training at ``output`` is removed; without it, it is an error. Raises
    NotEnoughPairsError if there are too few rows, and SeasDataError if a row cannot be used.
    """
    job = Job(method="sft", model=str(model), settings=settings, output=output, facets=dict(facets or {}))
    return run_job(job, rows, make_trainer, replace=replace)


def make_trainer(job: Job, dataset: Any, tokenizer: Any, callbacks: list[Any]) -> Any:
    """Return the SFTTrainer for ``dataset``. Input columns: input_ids, completion_mask.

    TRL tokenises no dataset that has ``input_ids``.
    """
    from trl import SFTConfig, SFTTrainer

    from seas_data.train import fit

    settings = job.settings
    assert isinstance(settings, TrainingSft)
    # Create the configuration before the model: with ZeRO-3 it changes how models are loaded.
    arguments = fit.trainer_arguments(SFTConfig, job, completion_only_loss=settings.completion_only)
    return SFTTrainer(
        model=fit.load_model(job.model, settings),
        args=arguments,
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=fit.lora_config(settings.lora),
        callbacks=callbacks,
    )
