"""Supervised fine-tuning through TRL's SFTTrainer."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from seas_data.recipe import TrainingSft
from seas_data.train.job import Job
from seas_data.train.run import run


def sft(
    model: str | Path,
    rows: pl.DataFrame,
    settings: TrainingSft,
    output: Path,
    *,
    facets: Mapping[str, str | int] | None = None,
    replace: bool = False,
) -> pl.DataFrame:
    """Fine-tune ``model`` (a folder, or a name on the Hub) on ``rows``, write it to ``output``, return its figures.

    ``rows``: prompt and completion, texts or lists of messages (role, content), as in the table ``demonstrations``.
    Returns the columns of the table ``metrics`` less version; ``facets`` (such as role and iteration) go into each
    row's, beside the step. With ``replace`` a model of another training that is there makes way; without it that is an
    error. Raises NotEnoughPairsError with too few rows, SeasDataError for what is wrong with them.
    """
    job = Job(method="sft", model=str(model), settings=settings, output=output, facets=dict(facets or {}))
    return run(job, rows, trainer, replace=replace)


def trainer(job: Job, dataset: Any, tokenizer: Any, callbacks: list[Any]) -> Any:
    """Return the trainer for ``dataset`` (prompt, completion).

    Prompt and completion are columns of their own, never one list of messages: with that, TRL's
    ``completion_only_loss`` masks nothing and says nothing.
    """
    from trl import SFTConfig, SFTTrainer

    from seas_data.train import fit

    settings = job.settings
    assert isinstance(settings, TrainingSft)
    # The configuration comes before the model: ZeRO-3 takes hold of how models are loaded.
    arguments = fit.arguments(SFTConfig, job, completion_only_loss=settings.completion_only)
    return SFTTrainer(
        model=fit.load(job.model, settings),
        args=arguments,
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=fit.adapters(settings.lora),
        callbacks=callbacks,
    )
