"""Recipe keys of training: the first fine-tuning of both models, and the updates of each iteration."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from seas_data.recipe.base import FreeOptions, Proportion, StrictModel
from seas_data.recipe.paths import ChatTemplate, RecipePath


class TrainingLora(StrictModel):
    """Low-rank adapters in place of all weights. The adapters are merged into the model that is saved."""

    rank: int = Field(default=16, ge=1)
    """Rank of the adapters."""
    alpha: float = Field(default=32, gt=0)
    """Scaling of the adapters."""
    dropout: Proportion = 0.0
    """Dropout of the adapters."""
    target_modules: Literal["all-linear"] | list[str] = "all-linear"
    """Modules that get adapters."""


class TrainingSettings(StrictModel):
    """Settings of both training methods. Defaults are the paper's, or TRL's where the paper states none."""

    learning_rate: float = Field(default=5e-6, gt=0)
    """Peak learning rate."""
    batch_size: int = Field(default=8, ge=1)
    """Rows of one update, over all processes."""
    per_device_batch_size: int | None = Field(default=None, ge=1)
    """Rows that a process handles at once. Null: the whole part of the batch that falls to the process."""
    epochs: float = Field(default=1, gt=0)
    """Passes over the rows."""
    max_length: int = Field(default=2048, ge=2)
    """Maximum tokens of a row. A row whose prompt alone is this long is left out and counted."""
    warmup_steps: float = Field(default=0, ge=0)
    """Updates over which the learning rate rises; a number below 1 is a proportion of all updates."""
    lr_scheduler: str = "linear"
    """Name of a scheduler of transformers: linear, cosine, constant_with_warmup, and more."""
    optimizer: str = "adamw_torch"
    """Name of an optimizer of transformers."""
    weight_decay: float = Field(default=0, ge=0)
    """Weight decay of the optimizer."""
    max_grad_norm: float = Field(default=1, ge=0)
    """Gradient clipping."""
    seed: int = Field(default=0, ge=0)
    """Random seed of the order of the rows and of dropout."""
    device: Literal["auto", "cpu"] = "auto"
    """`auto` is a GPU if there is one."""
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """`auto` is bf16 where the GPU, or the CPU without one, multiplies it natively, otherwise fp32. The trained weights
    are kept in fp32 in any case: bf16 would round an update of 5e-6 away."""
    gradient_checkpointing: bool = True
    """Recompute activations instead of storing them: less memory, about a fifth slower."""
    lora: TrainingLora | None = None
    """Low-rank adapters. Null: all weights are trained."""
    chat_template: ChatTemplate | None = None
    """Jinja text, or a file that ends in .jinja, for a base model without a chat template."""
    min_rows: int = Field(default=8, ge=1)
    """With fewer rows there is no training, and the iteration records a statement."""
    logging_steps: int = Field(default=10, ge=1)
    """Updates between two logged metrics."""
    save_steps: int | None = Field(default=None, ge=1)
    """Updates between two checkpoints from which an interrupted training resumes. Null: it starts again. A multiple of
    `logging_steps`, so that a resumed training logs the same metrics."""
    accelerate_config: Literal["ddp", "fsdp2", "zero3"] | RecipePath | None = None
    """Training in several processes: `ddp`, `fsdp2`, `zero3`, or the file of an accelerate configuration."""
    num_processes: int | None = Field(default=None, ge=1)
    """Number of processes. Null: as the accelerate configuration says."""
    trl_options: FreeOptions = {}
    """Other arguments of TRL's configuration, by TRL's names."""

    @model_validator(mode="after")
    def _check_steps(self) -> "TrainingSettings":
        if self.save_steps is not None and self.save_steps % self.logging_steps:
            raise ValueError(f"save_steps should be a multiple of logging_steps ({self.logging_steps})")
        if self.num_processes is not None and self.accelerate_config is None:
            raise ValueError("num_processes needs accelerate_config")
        return self


class TrainingSft(TrainingSettings):
    """Supervised fine-tuning."""

    epochs: float = Field(default=3, gt=0)
    """Passes over the rows."""
    completion_only: bool = True
    """Whether the loss excludes the tokens of the prompt."""


Loss = Literal[
    "sigmoid",
    "hinge",
    "ipo",
    "exo_pair",
    "nca_pair",
    "robust",
    "bco_pair",
    "sppo_hard",
    "aot",
    "aot_unpaired",
    "apo_zero",
    "apo_down",
    "discopop",
    "sft",
    "sigmoid_norm",
]


class TrainingDpo(TrainingSettings):
    """Direct preference optimisation and related losses."""

    beta: float = Field(default=0.1, gt=0)
    """Strength of the penalty for moving away from the reference model."""
    loss_type: Annotated[list[Loss], Field(min_length=1)] = ["sigmoid"]
    """One or several losses of TRL. `[sigmoid, sft]` keeps the chosen side from becoming less likely as well."""
    loss_weights: list[float] | None = None
    """A weight for each loss. Null: 1 for each."""
    label_smoothing: float = Field(default=0, ge=0, lt=0.5)
    """For robust (the proportion of wrong labels) and exo_pair (above 0)."""
    reference_model: Literal["previous", "first"] = "previous"
    """`previous`: the model before this update, as in the paper. `first`: that of iteration 0."""
    precompute_ref_log_probs: bool = False
    """Score all pairs with the reference model first, so that it is not kept in memory."""

    def as_sft(self) -> TrainingSft:
        """Return the settings for supervised fine-tuning in place of DPO: those that both kinds of training have."""
        return TrainingSft(**{name: getattr(self, name) for name in TrainingSettings.model_fields})

    @model_validator(mode="after")
    def _check_losses(self) -> "TrainingDpo":
        if self.loss_weights is not None and len(self.loss_weights) != len(self.loss_type):
            raise ValueError(f"loss_weights should have {len(self.loss_type)} numbers, one for each loss")
        if "exo_pair" in self.loss_type and self.label_smoothing == 0:
            raise ValueError("exo_pair needs a label_smoothing above 0, such as 0.001")
        return self


class Training(StrictModel):
    """The four trainings of a loop: two at its start, two in each iteration."""

    red_sft: TrainingSft = TrainingSft()
    """First fine-tuning of the red team."""
    target_sft: TrainingSft = TrainingSft()
    """First fine-tuning of the target."""
    red: TrainingDpo = TrainingDpo()
    """Update of the red team in each iteration."""
    target: TrainingDpo = TrainingDpo()
    """Update of the target in each iteration."""
