"""The scene of one iteration: the recipe, where things lie, what was done so far, and who plays.

Checkpoints lie in the workspace, in ``models/NAME``; the table ``checkpoints`` has their digests. A model that an
iteration could not train is *unchanged*: a row of its own, whose weights are its parent's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from seas_data import models, tables
from seas_data.errors import SeasDataError
from seas_data.loop import attacks as attack
from seas_data.models import checkpoint as files_of
from seas_data.models.protocol import Generator, Sampling
from seas_data.recipe import Loop, Player, Recipe
from seas_data.store import Workspace
from seas_data.store.stages import Stages
from seas_data.tables.ids import row_ids

Frames = dict[str, pl.DataFrame]
Role = Literal["red", "target"]


@dataclass(frozen=True)
class Scene:
    """What every stage of an iteration is given. ``checkpoints``: the table, of all models so far."""

    recipe: Recipe
    workspace: Workspace
    stages: Stages
    iteration: int
    checkpoints: pl.DataFrame

    @property
    def loop(self) -> Loop:
        """The recipe's ``loop``."""
        assert self.recipe.loop is not None
        return self.recipe.loop

    def player(self, role: Role) -> Player:
        """Return the settings of a role."""
        return self.loop.red_team if role == "red" else self.loop.target

    def parts(self, label: str) -> Path:
        """Return where the parts of what is generated under ``label`` are kept until the version is whole."""
        return self.stages.parts / label.replace(" ", "-")

    def output(self, name: str) -> Path:
        """Return the folder of the model ``name``."""
        return self.workspace.root / "models" / name

    def place(self, name: str) -> Path | None:
        """Return the folder with the weights of ``name``; None for a model that plays as the recipe names it.

        Raises SeasDataError if the folder is gone or does not hold what the version was made with.
        """
        row = self.checkpoints.row(by_predicate=pl.col("model") == name, named=True)
        while row["method"] == "unchanged":
            row = self.checkpoints.row(by_predicate=pl.col("model") == row["parent"], named=True)
        if row["method"] == "given":
            return None
        folder = self.output(str(row["model"]))
        if not folder.is_dir() or files_of.digest(folder) != row["digest"]:
            raise SeasDataError(
                f"{folder} is not the model {row['model']} that the version was made with; restore it from a copy, or "
                "build into a new workspace"
            )
        return folder

    @contextmanager
    def opened(self, name: str) -> Iterator[Generator]:
        """Yield the model ``name`` (R0, T1 ...), ready to answer."""
        role: Role = "red" if name.startswith("R") else "target"
        settings = self.recipe.models[self.player(role).model]
        with models.opened(name, settings, self.parts(f"server {name}"), checkpoint=self.place(name)) as generator:
            yield generator

    def base(self, role: Role) -> str:
        """Return the folder of the checkpoint that a role's first training starts from."""
        settings = self.recipe.models[self.player(role).model]
        return str(files_of.place(settings.model, settings.revision))

    def sampling(self, role: Role) -> Sampling:
        """Return how a role's model writes."""
        how = self.loop.sampling
        tokens = how.red_tokens if role == "red" else how.target_tokens
        return Sampling(temperature=how.temperature, top_p=how.top_p, max_new_tokens=tokens, seed=self.loop.seed)


def merged(*frames: Frames) -> Frames:
    """Return all rows of each table, in the order given."""
    names = dict.fromkeys(name for each in frames for name in each)
    return {name: pl.concat([each[name] for each in frames if name in each]) for name in names}


def attacks(scene: Scene, model: str, seeds: pl.DataFrame, samples: int, iteration: int, label: str) -> Frames:
    """Have the red team ``model`` write ``samples`` prompts to each seed; return ``attacks`` and ``settings``."""
    sampling = scene.sampling("red")
    with scene.opened(model) as generator:
        said = attack.settings_row(model, generator.digest, sampling.model_dump() | generator.how)
        generated = generator.generate(
            attack.requests(seeds, "seed_id"), sampling, samples, scene.parts(label), f"{model} attacks"
        )
    rows = attack.written(generated, seeds, model=model, iteration=iteration, settings_id=said["settings_id"][0])
    return {"attacks": rows, "settings": said}


def responses(scene: Scene, model: str, prompts: list[tuple[pl.DataFrame, int]], label: str) -> Frames:
    """Have the target ``model`` answer prompts (prompt_id, text), each frame as often as it says.

    Returns ``responses`` and ``settings``. Prompts of one id in one frame are asked once.
    """
    sampling = scene.sampling("target")
    found: list[pl.DataFrame] = []
    with scene.opened(model) as generator:
        said = attack.settings_row(model, generator.digest, sampling.model_dump() | generator.how)
        for number, (rows, samples) in enumerate(prompts):
            requests = attack.requests(rows.unique("prompt_id"), "prompt_id")
            if requests.is_empty():
                continue
            place = scene.parts(f"{label} {number}")
            found.append(generator.generate(requests, sampling, samples, place, f"{model} answers"))
    if not found:
        return {"responses": tables.empty("responses"), "settings": said}
    rows = pl.concat(found).rename({"request_id": "prompt_id"})
    rows = rows.with_columns(model=pl.lit(model), settings_id=pl.lit(said["settings_id"][0]))
    rows = rows.with_columns(response_id=row_ids("response", rows, "prompt_id", "settings_id", "sample"))
    return {"responses": tables.cast("responses", rows.sort("prompt_id", "sample")), "settings": said}
