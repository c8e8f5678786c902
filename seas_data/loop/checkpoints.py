"""Who plays: the first red team and target, and the next ones, each trained from the one before.

A training with no or too few rows is no failure: the model stays as it is under its next name, and its row in
``checkpoints`` says why.
"""

import hashlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import polars as pl

from seas_data import models, tables, train
from seas_data.errors import SeasDataError
from seas_data.loop import attacks as attack
from seas_data.loop.context import Frames, Role, Scene
from seas_data.models import checkpoint as files_of
from seas_data.pairs.holdout import find_held_out
from seas_data.recipe import TrainingDpo, TrainingSettings, TrainingSft
from seas_data.train import NotEnoughPairsError

LETTER: dict[Role, str] = {"red": "R", "target": "T"}


def start(scene: Scene, examples: pl.DataFrame, role: Role, held_out: pl.DataFrame) -> Frames:
    """Make R0 or T0: fine-tune the role's checkpoint, or take it as it is.

    ``examples`` (prompt_id, type, text): the adversarial prompts of ``train``, of which the red team's rows are made.
    ``held_out``: as ``pairs.held_out`` has it; the target learns nothing that asks the same. Returns ``checkpoints``,
    ``metrics`` (less version) and, of a red team that was trained, ``seeds`` and ``demonstrations``.
    """
    name, loop = f"{LETTER[role]}0", scene.loop
    if scene.player(role).start == "given":
        given = scene.recipe.models[scene.player(role).model]
        return {"checkpoints": checkpoint(name, role, 0, models.compute_model_digest(name, given), None, "given", 0)}
    made: Frames = {}
    if role == "red":
        seeds, rows = attack.demonstrations(examples, loop.red_rows, loop.attack, draw=(loop.seed, "red team"))
        made = {"seeds": seeds, "demonstrations": rows}
        settings = scene.recipe.training.red_sft
    else:
        rows = instructions(table(str(loop.instructions), ("prompt", "completion")), held_out)
        settings = scene.recipe.training.target_sft
    output = scene.output(name)
    facets: dict[str, str | int] = {"role": role, "model": name, "iteration": 0}
    figures = train.sft(scene.base(role), rows, settings, output, facets=facets, replace=True)
    digest = files_of.compute_digest(output)
    return {**made, "checkpoints": checkpoint(name, role, 0, digest, None, "sft", rows.height), "metrics": figures}


def instructions(rows: pl.DataFrame, held_out: pl.DataFrame) -> pl.DataFrame:
    """Return the ``rows`` (prompt, completion) of which no message says what a held-out prompt says; say how many not.

    ``held_out``: as ``pairs.held_out`` has it.
    """
    rows = rows.with_row_index("row")
    said = rows.select(prompt_id=pl.col("row").cast(pl.String), text="prompt")
    if said.schema["text"] != pl.String:
        said = said.explode("text").with_columns(text=pl.col("text").struct.field("content"))
    bad = find_held_out(said.drop_nulls(), held_out)
    kept = rows.filter(~pl.col("row").cast(pl.String).is_in(bad.implode())).drop("row")
    if len(bad):
        print(
            f"{len(bad)} of {rows.height} instructions are left out: they ask what a prompt of test, harmless or "
            "holdout asks",
            file=sys.stderr,
        )
    return kept


def update(scene: Scene, role: Role, rows: pl.DataFrame, informative: int) -> Frames:
    """Train the next red team or target on ``rows`` (``pairs`` or ``demonstrations``); return its ``checkpoints`` row
    and ``metrics``.

    It is made of the one before, or, with ``loop.rounds: all``, of the first. ``informative``: how many of the rows are
    about attacks and look-alikes; general ones alone are no reason to train.
    """
    letter = LETTER[role]
    name = f"{letter}{scene.iteration}"
    output = scene.output(name)
    before = f"{letter}{0 if scene.loop.rounds == 'all' else scene.iteration - 1}"
    old = scene.checkpoints.row(by_predicate=pl.col("model") == before, named=True)
    settings = getattr(scene.recipe.training, role)
    facets: dict[str, str | int] = {"role": role, "model": name, "iteration": scene.iteration}
    try:
        if informative < settings.min_rows:
            raise NotEnoughPairsError(f"there are {informative} pairs, and at least {settings.min_rows} are needed")
        model = str(scene.place(before) or scene.base(role))
        if "chosen" in rows.columns:
            method = "dpo"
            first = str(scene.place(f"{letter}0") or scene.base(role)) if settings.reference == "first" else None
            figures = train.dpo(model, rows, settings, output, reference=first, facets=facets, replace=True)
        else:
            method = "sft"
            figures = train.sft(model, rows, as_sft(settings), output, facets=facets, replace=True)
    except NotEnoughPairsError as few:
        shutil.rmtree(output, ignore_errors=True)  # what a build with other settings may have left
        statement = f"{name} is {before} unchanged: {few}"
        return {
            "checkpoints": checkpoint(
                name, role, scene.iteration, str(old["digest"]), before, "unchanged", rows.height, statement
            )
        }
    digest = files_of.compute_digest(output)
    return {
        "checkpoints": checkpoint(name, role, scene.iteration, digest, before, method, rows.height),
        "metrics": figures,
    }


def as_sft(settings: TrainingDpo) -> TrainingSft:
    """Return the settings of an update for supervised fine-tuning: all that both kinds of training have."""
    return TrainingSft(**{name: getattr(settings, name) for name in TrainingSettings.model_fields})


def checkpoint(
    name: str,
    role: Role,
    iteration: int,
    digest: str,
    parent: str | None,
    method: str,
    rows: int,
    statement: str | None = None,
) -> pl.DataFrame:
    """Return one row of the table ``checkpoints``."""
    row = {
        "model": name,
        "role": role,
        "iteration": iteration,
        "digest": digest,
        "parent": parent,
        "method": method,
        "rows": rows,
        "statement": statement,
    }
    return tables.cast("checkpoints", pl.DataFrame([row]))


def table(path: str, columns: tuple[str, ...]) -> pl.DataFrame:
    """Return the rows of a JSONL or Parquet file. Raises SeasDataError if it cannot be read or lacks a column."""
    readers: dict[str, Callable[[Path], pl.DataFrame]] = {
        ".jsonl": lambda file: pl.read_ndjson(file, infer_schema_length=None),
        ".parquet": pl.read_parquet,
    }
    place = Path(path)
    if place.suffix not in readers:
        raise SeasDataError(f"{place} is of no known format; its name should end in {' or '.join(readers)}")
    try:
        rows = readers[place.suffix](place)
    except (OSError, pl.exceptions.PolarsError) as problem:
        raise SeasDataError(f"{place} cannot be read: {problem}") from problem
    if missing := [name for name in columns if name not in rows.columns]:
        raise SeasDataError(f"{place} lacks the columns {', '.join(missing)}; it has {', '.join(rows.columns)}")
    return rows


def contents(paths: list[str]) -> list[str]:
    """Return the SHA-256 of each file: what an iteration depends on besides the recipe and its parent version."""
    return [hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths]
