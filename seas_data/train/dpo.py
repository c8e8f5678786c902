"""Direct preference optimisation through TRL's DPOTrainer (Rafailov et al., arXiv 2305.18290)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from seas_data.recipe import TrainingDpo
from seas_data.train.job import Job
from seas_data.train.run import run


def dpo(
    model: str | Path,
    pairs: pl.DataFrame,
    settings: TrainingDpo,
    output: Path,
    *,
    reference: str | Path | None = None,
    facets: Mapping[str, str | int] | None = None,
    replace: bool = False,
) -> pl.DataFrame:
    """Train ``model`` to prefer chosen to rejected, write it to ``output``, return its figures, as ``sft`` does.

    ``pairs``: prompt, chosen and rejected, texts or lists of messages, as in the table ``pairs``; the three of a row
    are of one kind. ``reference``: the model folder that beta ties to; without it, ``model`` as it was before.
    """
    job = Job(
        method="dpo",
        model=str(model),
        reference=None if reference is None else str(reference),
        settings=settings,
        output=output,
        facets=dict(facets or {}),
    )
    return run(job, pairs, trainer, replace=replace)


def trainer(job: Job, dataset: Any, tokenizer: Any, callbacks: list[Any]) -> Any:
    """Return the trainer for ``dataset`` (prompt, chosen, rejected).

    The reference is read from a folder: the job's, or the one that the model comes from. TRL does the latter itself,
    by the name that the model was loaded under, and not from the weights in memory; so a job names models, never
    objects. With adapters the model without them is the reference.
    """
    from trl import DPOConfig, DPOTrainer

    from seas_data.train import fit

    settings = job.settings
    assert isinstance(settings, TrainingDpo)
    arguments = fit.arguments(
        DPOConfig,
        job,
        beta=settings.beta,
        loss_type=list(settings.loss_type),
        loss_weights=settings.loss_weights,
        label_smoothing=settings.label_smoothing,
        precompute_ref_log_probs=settings.precompute_ref_log_probs,
    )
    other = job.reference is not None and job.reference != job.model
    return DPOTrainer(
        model=fit.load(job.model, settings),
        ref_model=fit.load(str(job.reference), settings) if other else None,
        args=arguments,
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=fit.adapters(settings.lora),
        callbacks=callbacks,
    )
