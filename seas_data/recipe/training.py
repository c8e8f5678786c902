"""A recipe's trainings: those of the loop's start, and those of each iteration."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from seas_data.recipe.base import Share, Strict
from seas_data.recipe.paths import Place, Template


class TrainingLora(Strict):
    """Low-rank adapters in place of all weights. What is saved is the whole model with the adapters merged in."""

    rank: int = Field(default=16, ge=1)
    alpha: float = Field(default=32, gt=0)
    dropout: Share = 0.0
    targets: Literal["all-linear"] | list[str] = "all-linear"


class TrainingSettings(Strict):
    """What both kinds of training share. The defaults are the paper's; where it says nothing, the library's."""

    learning_rate: float = Field(default=5e-6, gt=0)
    batch: int = Field(default=8, ge=1)
    """Rows of one update, over all processes."""
    micro_batch: int | None = Field(default=None, ge=1)
    """Rows that a process takes at once; without it, its whole share of the batch."""
    epochs: float = Field(default=1, gt=0)
    max_length: int = Field(default=2048, ge=2)
    """Tokens of a whole row. A row whose prompt alone is this long teaches nothing: it is left out and counted."""
    warm_up: float = Field(default=0, ge=0)
    """Updates over which the learning rate rises; below 1 a share of all updates."""
    scheduler: str = "linear"
    """A name that transformers knows: linear, cosine, constant_with_warmup, and more."""
    optimizer: str = "adamw_torch"
    weight_decay: float = Field(default=0, ge=0)
    max_gradient_norm: float = Field(default=1, ge=0)
    seed: int = Field(default=0, ge=0)
    device: Literal["auto", "cpu"] = "auto"
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    """`auto` is bf16 where a GPU has it, otherwise fp32. The weights that are trained are held in fp32 in any case:
    an update of 5e-6 is lost in bf16's rounding."""
    gradient_checkpointing: bool = True
    """Forget activations and compute them again: less memory, about a fifth slower."""
    lora: TrainingLora | None = None
    """Null: all weights are trained."""
    chat_template: Template | None = None
    """The Jinja text, or a file that ends in .jinja: for a base model, which has none."""
    min_rows: int = Field(default=8, ge=1)
    """With fewer there is nothing to learn from, and the iteration ends with a statement."""
    log_steps: int = Field(default=10, ge=1)
    save_steps: int | None = Field(default=None, ge=1)
    """Updates between checkpoints that a killed training goes on from; without it, it starts again. A multiple of
    `log_steps`, so that the figures come out the same too."""
    accelerate: Literal["ddp", "fsdp2", "zero3"] | Place | None = None
    """Many processes: `ddp`, `fsdp2`, `zero3`, or the file of an accelerate configuration of your own."""
    processes: int | None = Field(default=None, ge=1)
    """How many; without it, as the configuration says."""
    options: dict[str, Any] = {}
    """Anything else of TRL's configuration, by TRL's name for it."""

    @model_validator(mode="after")
    def _checkpoints_at_logs(self) -> "TrainingSettings":
        if self.save_steps is not None and self.save_steps % self.log_steps:
            raise ValueError(f"save_steps should be a multiple of log_steps ({self.log_steps})")
        if self.processes is not None and self.accelerate is None:
            raise ValueError("processes needs accelerate")
        return self


class TrainingSft(TrainingSettings):
    """Supervised fine-tuning."""

    epochs: float = Field(default=3, gt=0)
    completion_only: bool = True
    """Whether the prompt's tokens are left out of the loss."""


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
    """Direct preference optimisation and its relatives."""

    beta: float = Field(default=0.1, gt=0)
    """How dear it is to move away from the reference."""
    loss: Annotated[list[Loss], Field(min_length=1)] = ["sigmoid"]
    """One or several of TRL's; `[sigmoid, sft]` keeps the chosen side from becoming less likely too."""
    loss_weights: list[float] | None = None
    """One for each loss; without it, 1 for each."""
    label_smoothing: float = Field(default=0, ge=0, lt=0.5)
    """For robust (the share of wrong labels) and exo_pair (above 0)."""
    reference: Literal["previous", "first"] = "previous"
    """The model that beta ties to: the one before this update, as the paper, or that of iteration 0."""
    precompute_reference: bool = False
    """Score all pairs under the reference first, so that it need not stay in memory."""

    @model_validator(mode="after")
    def _losses_fit(self) -> "TrainingDpo":
        if self.loss_weights is not None and len(self.loss_weights) != len(self.loss):
            raise ValueError(f"loss_weights should have {len(self.loss)} numbers, one for each loss")
        if "exo_pair" in self.loss and self.label_smoothing == 0:
            raise ValueError("exo_pair needs a label_smoothing above 0, such as 0.001")
        return self


class Training(Strict):
    """The four trainings of a loop: two at its start, two in each iteration."""

    red_sft: TrainingSft = TrainingSft()
    target_sft: TrainingSft = TrainingSft()
    red: TrainingDpo = TrainingDpo()
    target: TrainingDpo = TrainingDpo()
