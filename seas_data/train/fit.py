"""One training process: configure TRL's trainer from the job, train, and write the model.

Weights are trained in fp32 (with bf16 autocast if configured) and written in the dtype of the input model. With LoRA
adapters only the adapters are trained, and the base model with merged adapters is written, so that every loader of
model folders can read it.
"""

import dataclasses
import gc
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from seas_data import progress
from seas_data.errors import SeasDataError
from seas_data.models.loading import load_weights
from seas_data.recipe import TrainingLora, TrainingSettings
from seas_data.similarity.bfloat16 import has_cpu_bf16
from seas_data.store import files
from seas_data.train import rows
from seas_data.train.job import Job, prepared_rows, write_report

_COMPLETE = "whole"
"""Marks a checkpoint that was written completely."""
_NEVER = (
    *("trust_remote_code", "model_init_kwargs", "push_to_hub", "report_to", "output_dir"),
    *("assistant_only_loss", "chat_template_path"),  # the trainer gets token ids
)


def fit(job: Job, make_trainer: Callable[..., Any]) -> None:
    """Train on what ``job.prepare`` wrote, and write the model and its report to the working folder."""
    settings = job.settings
    _refuse_idle_gpus(settings)
    if (job.work / _COMPLETE).exists():
        return
    with _silence_libraries(), score_completions_only():
        trainer, adapted = _build_trainer(job, make_trainer)
        trainer.train(resume_from_checkpoint=_last_checkpoint(job.work))
        config = trainer.accelerator.unwrap_model(trainer.model).config
        config.use_cache = True  # the trainer turns it off, which would make generation from the folder slow
        trainer.save_model(str(job.work / "trained"))
        trainer.accelerator.wait_for_everyone()
        if trainer.is_world_process_zero():
            _write_model(job, adapted=adapted)
            write_report(job, job.work / "writing", trainer.state.log_history)
            (job.work / "writing").rename(job.work / _COMPLETE)
        trainer.accelerator.wait_for_everyone()
        trainer.accelerator.free_memory()
    del trainer
    _free_gpu()


def trainer_arguments(config: Any, job: Job, **own: Any) -> Any:
    """Return an instance of ``config`` (TRL's SFTConfig or DPOConfig) with the shared settings and ``own``."""
    settings = job.settings
    micro_batch, accumulation = _batches(settings)
    cpu = _on_cpu(settings)
    given: dict[str, Any] = {
        "output_dir": str(job.work / "checkpoints"),
        "learning_rate": settings.learning_rate,
        "per_device_train_batch_size": micro_batch,
        "gradient_accumulation_steps": accumulation,
        "num_train_epochs": settings.epochs,
        "max_length": settings.max_length,
        "warmup_steps": settings.warmup_steps,
        "lr_scheduler_type": settings.lr_scheduler,
        "optim": settings.optimizer,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "seed": settings.seed,
        "data_seed": settings.seed,
        "use_cpu": cpu,
        "bf16": in_bf16(settings),
        "gradient_checkpointing": None,  # the old name, which TRL sets
        "activation_checkpointing": settings.gradient_checkpointing,
        "logging_steps": settings.logging_steps,
        "save_strategy": "no" if settings.save_steps is None else "steps",
        "save_steps": settings.save_steps or 500,
        "save_total_limit": 2,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": not cpu,
        **own,
    }
    allowed = {field.name for field in dataclasses.fields(config)} - set(given) - set(_NEVER)
    for name in settings.trl_options:
        if name not in allowed or name.startswith("hub_"):
            why = "has a setting of its own" if name in given else f"cannot be set for {config.__name__}"
            raise SeasDataError(f"options: {name} {why}")
    return config(**given, **settings.trl_options)


def in_bf16(settings: TrainingSettings) -> bool:
    """Return whether to train with bf16 autocast."""
    import torch

    if settings.precision == "auto":
        return has_cpu_bf16() if _on_cpu(settings) else torch.cuda.is_bf16_supported()
    return settings.precision == "bf16"


def load_model(model: str, settings: TrainingSettings) -> Any:
    """Return the model in its training dtype: fp32, or bf16 with adapters, where the base model is frozen."""
    import torch
    from transformers import AutoModelForCausalLM

    dtype = torch.bfloat16 if settings.lora is not None and in_bf16(settings) else torch.float32
    return load_weights(model, model, dtype, AutoModelForCausalLM)


def lora_config(lora: TrainingLora | None) -> Any:
    """Return the PEFT configuration for ``lora``, or None."""
    if lora is None:
        return None
    from peft import LoraConfig

    targets = lora.target_modules if isinstance(lora.target_modules, str) else list(lora.target_modules)
    return LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=targets, task_type="CAUSAL_LM"
    )


class _Progress(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Shows the progress bar, logs the last update, and marks complete checkpoints."""

    def __init__(self, name: str):
        self._name = name
        self._bar: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            self._bar = progress.bar(state.max_steps, f"training {self._name}", "updates")
            self._bar.update(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._bar is not None:
            self._bar.update(1)
        if state.global_step >= state.max_steps:
            control.should_log = True
            # The model is saved next anyway. Resuming from a checkpoint here would make one update too many if the
            # last epoch is fractional.
            control.should_save = False

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
        if self._bar is not None and logs is not None and "loss" in logs:
            self._bar.set_postfix(loss=f"{float(logs['loss']):.3f}", refresh=False)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            files.write_text(Path(args.output_dir) / f"checkpoint-{state.global_step}" / _COMPLETE, "")

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._bar is not None:
            self._bar.close()


@contextmanager
def _silence_libraries() -> Iterator[None]:
    """Hide the libraries' progress bars, their deprecation warnings, and log messages below errors."""
    from transformers.utils import logging

    before = logging.get_verbosity()
    with progress.hide_library_bars(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        logging.set_verbosity_error()
        try:
            yield
        finally:
            logging.set_verbosity(before)


@contextmanager
def score_completions_only() -> Iterator[None]:
    """Let TRL compute logits on a CPU only where a token is trained, as it does on a GPU.

    TRL computes those of prompts and padding too wherever it has no Triton kernels, for the sake of accelerators that
    compile each shape again. On a CPU that is up to half of an update with a vocabulary of 49,152. There is no public
    setting; without the private name nothing is lost but time.
    """
    from trl.trainer import utils

    before = getattr(utils, "_use_triton", None)
    if before is None:
        yield
        return
    utils._use_triton = lambda device: device.type == "cpu" or before(device)
    try:
        yield
    finally:
        utils._use_triton = before


def _build_trainer(job: Job, make_trainer: Callable[..., Any]) -> tuple[Any, bool]:
    from datasets import Dataset
    from transformers import PrinterCallback

    dataset = Dataset.from_file(str(prepared_rows(job)))
    trainer = make_trainer(job, dataset, rows.load_tokenizer(job.model, job.settings), [_Progress(job.output.name)])
    trainer.remove_callback(PrinterCallback)
    return trainer, job.settings.lora is not None


def _write_model(job: Job, *, adapted: bool) -> None:
    """Write the model folder ``writing`` from what the trainer saved: adapters merged, in the input model's dtype."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    trained, whole = job.work / "trained", job.work / "writing"
    shutil.rmtree(whole, ignore_errors=True)
    came_in = AutoConfig.from_pretrained(job.model, trust_remote_code=False).dtype or torch.float32
    if adapted or came_in != torch.float32:
        source = job.model if adapted else str(trained)
        model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, trust_remote_code=False)
        if adapted:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, str(trained)).merge_and_unload()
        model.to(came_in).save_pretrained(whole)
        rows.load_tokenizer(job.model, job.settings).save_pretrained(whole)
        shutil.rmtree(trained)
    else:
        trained.rename(whole)
    for name in ("training_args.bin", "README.md"):
        (whole / name).unlink(missing_ok=True)


def _free_gpu() -> None:
    """Free GPU memory for the model that is loaded next."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _last_checkpoint(work: Path) -> str | None:
    """Return the newest complete checkpoint."""
    found = [path.parent for path in (work / "checkpoints").glob(f"checkpoint-*/{_COMPLETE}")]
    newest = max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
    return None if newest is None else str(newest)


def _batches(settings: TrainingSettings) -> tuple[int, int]:
    """Return the rows per device and step, and the gradient accumulation steps."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    share, rest = divmod(settings.batch_size, processes)
    if rest or share == 0:
        raise SeasDataError(f"batch {settings.batch_size} is not a multiple of {processes} processes; set a multiple")
    micro_batch = settings.per_device_batch_size or share
    if share % micro_batch:
        raise SeasDataError(
            f"per_device_batch_size {micro_batch} does not divide the {share} rows per process; set a divisor"
        )
    return micro_batch, share // micro_batch


def _on_cpu(settings: TrainingSettings) -> bool:
    import torch

    return settings.device == "cpu" or not torch.cuda.is_available()


def _refuse_idle_gpus(settings: TrainingSettings) -> None:
    import torch

    if not _on_cpu(settings) and torch.cuda.device_count() > 1 and "WORLD_SIZE" not in os.environ:
        raise SeasDataError(
            f"there are {torch.cuda.device_count()} GPUs and one process trains on one of them; set accelerate to ddp, "
            "fsdp2 or zero3, or show it one with CUDA_VISIBLE_DEVICES"
        )
