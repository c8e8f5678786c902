"""Context of an iteration: the recipe, the workspace, the stages done so far and the checkpoints."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from seas_data import models
from seas_data.loop.checked_generator import CheckedGenerator
from seas_data.loop.checkpoints import Role, resolve_checkpoint, role_of
from seas_data.models import model_folder
from seas_data.models.checkpoint import model_path
from seas_data.models.protocol import Generator, Sampling
from seas_data.recipe import Loop, LoopModel, Recipe
from seas_data.store import Workspace
from seas_data.store.stages import Stages

Frames = dict[str, pl.DataFrame]


@dataclass(frozen=True)
class IterationContext:
    """What every step of an iteration is given."""

    recipe: Recipe
    workspace: Workspace
    stages: Stages
    iteration: int
    checkpoints: pl.DataFrame
    """The table ``checkpoints``, of all models so far."""

    @property
    def loop(self) -> Loop:
        """The recipe's ``loop``."""
        assert self.recipe.loop is not None
        return self.recipe.loop

    def role_settings(self, role: Role) -> LoopModel:
        """Return the recipe's settings of a role."""
        return self.loop.red_team if role == "red" else self.loop.target

    def cache_folder(self, label: str) -> Path:
        """Return the generation cache of what is generated under ``label``; it is kept until the version is done."""
        return self.stages.generation_cache / label.replace(" ", "-")

    def model_folder(self, name: str) -> Path:
        """Return the folder that the trained model ``name`` is written to."""
        return model_path(self.workspace.root / "models", name)

    def checkpoint_folder(self, name: str) -> Path | None:
        """Return the folder with the weights of ``name``; None for the recipe's own model.

        Raises SeasDataError as ``checkpoints.resolve_checkpoint`` does.
        """
        return resolve_checkpoint(self.checkpoints, self.workspace.root / "models", name)

    def base_model_folder(self, role: Role) -> str:
        """Return the folder of the recipe's model for a role, from which its first training starts."""
        settings = self.recipe.models[self.role_settings(role).model]
        return str(model_folder.resolve_folder(settings.model, settings.revision))

    @contextmanager
    def open_model(self, name: str) -> Iterator[Generator]:
        """Yield the model ``name`` (R0, T1 ...), ready to generate; see ``CheckedGenerator`` for its failures."""
        settings = self.recipe.models[self.role_settings(role_of(name)).model]
        logs = self.cache_folder(f"server {name}")
        with models.open_model(name, settings, logs, checkpoint=self.checkpoint_folder(name)) as generator:
            yield CheckedGenerator(generator, self.loop.max_failed_proportion)

    def sampling(self, role: Role) -> Sampling:
        """Return the sampling parameters of a role's model."""
        settings = self.loop.sampling
        if role == "red":
            tokens = settings.red_max_tokens + settings.red_thinking_tokens
        else:
            tokens = settings.target_max_tokens + settings.target_thinking_tokens
        return Sampling(
            temperature=settings.temperature, top_p=settings.top_p, max_new_tokens=tokens, seed=self.loop.seed
        )


def concat_frames(*parts: Frames) -> Frames:
    """Return the rows of each table in all ``parts``, in the given order."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: pl.concat([part[name] for part in parts if name in part]) for name in names}
