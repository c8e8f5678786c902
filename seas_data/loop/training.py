"""Training in the loop: the first red team and target, and the update of each in an iteration.

With too few rows a model stays as it is under its next name, and its row in ``checkpoints`` says why.
"""

import shutil

import polars as pl

from seas_data import models, train
from seas_data.console import say
from seas_data.loop.checkpoints import Role, checkpoint_row, model_name
from seas_data.loop.context import Frames, IterationContext
from seas_data.loop.seeds import draw_demonstrations
from seas_data.loop.training_rows import add_system_prompts
from seas_data.models import checkpoint as model_files
from seas_data.pairs.holdout import find_held_out
from seas_data.sources.conversations import read_instructions
from seas_data.tables.ids import with_system
from seas_data.train import NotEnoughPairsError


def start_model(context: IterationContext, prompts: pl.DataFrame, role: Role, held_out: pl.DataFrame) -> Frames:
    """Make R0 or T0: fine-tune the role's checkpoint, or take it as it is (``start: given``).

    Args:
        context: The iteration.
        prompts: Adversarial prompts of ``train``, from which the red team's demonstrations are drawn. Input columns:
            prompt_id, type, text.
        role: The role.
        held_out: The result of ``pairs.select_held_out``; the target is not trained on instructions that match it.

    Returns ``checkpoints``, ``metrics`` (without version) and, if the model was trained, ``seeds`` and
    ``demonstrations`` of a red team, and ``set_aside`` of a target: the instructions that cannot be used.
    """
    name, loop = model_name(role, 0), context.loop
    if context.role_settings(role).start == "given":
        settings = context.recipe.models[context.role_settings(role).model]
        digest = models.compute_model_digest(name, settings)
        return {"checkpoints": checkpoint_row(name, role, 0, digest, None, "given", 0)}
    result: Frames = {}
    rows: pl.DataFrame
    if role == "red":
        stream = (loop.seed, "red team")
        types = context.recipe.taxonomy.types
        seeds, rows = draw_demonstrations(prompts, loop.red_sft_rows, loop.attack, types=types, random_stream=stream)
        rows = add_system_prompts(rows, loop)
        result = {"seeds": seeds, "demonstrations": rows}
        training = context.recipe.training.red_sft
    else:
        instructions = read_instructions(str(loop.instructions))
        instructions.print_set_aside()
        result = {"set_aside": instructions.set_aside}
        rows = drop_held_out_instructions(instructions.rows, held_out)
        rows = rows.with_columns(prompt=with_system(pl.col("prompt"), loop.target.system))
        training = context.recipe.training.target_sft
    output = context.model_folder(name)
    facets: dict[str, str | int] = {"role": role, "model": name, "iteration": 0}
    metrics = train.sft(context.base_model_folder(role), rows, training, output, facets=facets, replace=True)
    digest = model_files.compute_digest(output)
    row = checkpoint_row(name, role, 0, digest, None, "sft", rows.height)
    return {**result, "checkpoints": row, "metrics": metrics}


def drop_held_out_instructions(rows: pl.DataFrame, held_out: pl.DataFrame) -> pl.DataFrame:
    """Return the ``rows`` (prompt, completion) without a message whose text is that of a held-out prompt.

    Prints how many were dropped. ``held_out``: the result of ``pairs.select_held_out``.
    """
    rows = rows.with_row_index("row")
    texts = rows.select(prompt_id=pl.col("row").cast(pl.String), text="prompt")
    if texts.schema["text"] != pl.String:
        texts = texts.explode("text").with_columns(text=pl.col("text").struct.field("content"))
    dropped = find_held_out(texts.drop_nulls(), held_out)
    kept = rows.filter(~pl.col("row").cast(pl.String).is_in(dropped.implode())).drop("row")
    if len(dropped):
        say(
            f"{len(dropped)} of {rows.height} instructions are dropped: they have the text of a prompt of test, "
            "harmless or holdout"
        )
    return kept


def update_model(context: IterationContext, role: Role, rows: pl.DataFrame) -> Frames:
    """Train the next model of a role on ``rows`` (pairs or demonstrations); return ``checkpoints`` and ``metrics``.

    The model is trained from the one before, or with ``loop.update_data: all`` from the first. It stays unchanged if
    there are fewer than ``min_rows`` pairs that are not general: general ones alone are no reason to train.
    """
    name = model_name(role, context.iteration)
    output = context.model_folder(name)
    before = model_name(role, 0 if context.loop.update_data == "all" else context.iteration - 1)
    old = context.checkpoints.row(by_predicate=pl.col("model") == before, named=True)
    informative = rows.filter(pl.col("role") != "general").height
    settings = context.recipe.training.red if role == "red" else context.recipe.training.target
    facets: dict[str, str | int] = {"role": role, "model": name, "iteration": context.iteration}
    try:
        if informative < settings.min_rows:
            raise NotEnoughPairsError(f"there are {informative} pairs, fewer than min_rows ({settings.min_rows})")
        model = _weights(context, role, before)
        if "chosen" in rows.columns:
            method = "dpo"
            first = _weights(context, role, model_name(role, 0)) if settings.reference_model == "first" else None
            metrics = train.dpo(model, rows, settings, output, reference=first, facets=facets, replace=True)
        else:
            method = "sft"
            metrics = train.sft(model, rows, settings.as_sft(), output, facets=facets, replace=True)
    except NotEnoughPairsError as problem:
        shutil.rmtree(output, ignore_errors=True)  # a build with other settings may have left a model there
        statement = f"{name} is {before} unchanged: {problem}"
        digest = str(old["digest"])
        row = checkpoint_row(name, role, context.iteration, digest, before, "unchanged", rows.height, statement)
        return {"checkpoints": row}
    digest = model_files.compute_digest(output)
    row = checkpoint_row(name, role, context.iteration, digest, before, method, rows.height)
    return {"checkpoints": row, "metrics": metrics}


def _weights(context: IterationContext, role: Role, name: str) -> str:
    return str(context.checkpoint_folder(name) or context.base_model_folder(role))
