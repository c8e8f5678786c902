"""A few steps of TRL's preference training on rows as they are."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest


def dpo(rows: Any, folder: Path, model: Any, tokenizer: Any, steps: int) -> Any:
    """Take ``steps`` of DPO on ``rows`` below ``folder``; return the trainer, all of whose rows have come through."""
    from trl import DPOConfig, DPOTrainer

    trainer = DPOTrainer(
        model=copy.deepcopy(model),
        ref_model=copy.deepcopy(model),
        args=DPOConfig(
            output_dir=str(folder / "run"),
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            max_steps=steps,
            per_device_train_batch_size=2,
            report_to="none",
            save_strategy="no",
            logging_steps=1,
            disable_tqdm=True,
        ),
        train_dataset=rows,
        processing_class=tokenizer,
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert len(losses) == steps and losses[0] == pytest.approx(math.log(2), abs=0.02)
    assert len(trainer.train_dataset) == len(rows) > 3
    return trainer
