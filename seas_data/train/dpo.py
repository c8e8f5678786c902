"""Direct preference optimisation through TRL's DPOTrainer (Rafailov et al., arXiv 2305.18290)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from seas_data.recipe import TrainingDpo
from seas_data.train.job import Job
from seas_data.train.run_job import run_job


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
    """Train ``model`` with DPO on ``pairs``, write it to ``output``, and return its metrics, as ``sft`` does.

    Input columns of ``pairs``: prompt, chosen, rejected: all texts, or all lists of messages as in the table ``pairs``.

    ``reference`` is the folder of the reference model; without it, the reference is ``model`` before training.
    """
    job = Job(
        method="dpo",
        model=str(model),
        reference=None if reference is None else str(reference),
        settings=settings,
        output=output,
        facets=dict(facets or {}),
    )
    return run_job(job, pairs, make_trainer, replace=replace)


def make_trainer(job: Job, dataset: Any, tokenizer: Any, callbacks: list[Any]) -> Any:
    """Return the DPOTrainer for ``dataset``. Input columns: prompt_ids, chosen_ids, rejected_ids.

    TRL's own preparation is left out, because it reads control tokens in texts as such.

    The reference model is loaded from the job's ``reference`` folder. Without one, TRL loads it again under the name
    that the model was loaded from, not from the weights in memory, so a job names models and never holds objects. With
    adapters, the reference is the model without them.
    """
    from trl import DPOConfig, DPOTrainer

    from seas_data.train import fit

    class TokenizedDPOTrainer(DPOTrainer):  # type: ignore[misc]  # TRL is untyped here
        """A DPOTrainer for a dataset that is tokenised already, which only the SFTTrainer accepts by itself."""

        def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
            return dataset

    settings = job.settings
    assert isinstance(settings, TrainingDpo)
    arguments = fit.trainer_arguments(
        DPOConfig,
        job,
        beta=settings.beta,
        loss_type=list(settings.loss_type),
        loss_weights=settings.loss_weights,
        label_smoothing=settings.label_smoothing,
        precompute_ref_log_probs=settings.precompute_ref_log_probs,
    )
    other = job.reference is not None and job.reference != job.model
    return TokenizedDPOTrainer(
        model=fit.load_model(job.model, settings),
        ref_model=fit.load_model(str(job.reference), settings) if other else None,
        args=arguments,
        train_dataset=dataset,
        processing_class=tokenizer,
        peft_config=fit.lora_config(settings.lora),
        callbacks=callbacks,
    )
