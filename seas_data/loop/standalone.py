"""Standalone stages: each stage of the loop on a folder of tables, without a workspace.

    seas-data attack RECIPE FOLDER --prompts FILE     seeds, attacks, responses
    seas-data judge RECIPE FOLDER                     verdicts
    seas-data pairs RECIPE FOLDER                     pairs (or demonstrations), unpaired
    seas-data train RECIPE FOLDER --role red -o MODEL a model folder
    seas-data evaluate FOLDER                         metrics

The recipe gives the settings and the models; ``--red`` and ``--target`` name other checkpoints. The tables are those of
a version, as Parquet files with their names, so the output of one stage can be inspected, changed and passed to the
next. The folder also has ``harmless.parquet`` (prompt_id, text, messages): the harmless prompts that the target was
sent.
"""

from pathlib import Path

import polars as pl

from seas_data import plan, sandbox, tables
from seas_data.console import say
from seas_data.conversation import MESSAGES, Message, canonical, plain_columns, render, stored_messages
from seas_data.errors import SeasDataError
from seas_data.loop.checkpoints import Role, checkpoint_row, model_name
from seas_data.loop.context import Frames, IterationContext
from seas_data.loop.evaluation import describe_target, join_cells
from seas_data.loop.generation import select_asked
from seas_data.loop.input_files import read_rows
from seas_data.loop.iteration import (
    generate_training_attacks,
    generate_training_responses,
    judge_training_responses,
)
from seas_data.loop.seeds import draw_iteration_seeds
from seas_data.loop.training_rows import build_training_rows, select_role_rows
from seas_data.metrics import MatrixAnswers, RedTeamAttacks, compute_metrics
from seas_data.recipe import Recipe, require_trust, resolve_sandbox
from seas_data.store import Workspace, files
from seas_data.store.stages import Stages
from seas_data.text import content_id

_HARMLESS = "harmless.parquet"


def open_context(recipe: Recipe, folder: Path, red: str | None = None, target: str | None = None) -> IterationContext:
    """Return the context of one iteration in ``folder``, with the recipe's models or those given as R0 and T0.

    Raises SeasDataError if the recipe has no loop or one of its judges cannot be used.
    """
    if recipe.loop is None:
        raise SeasDataError(f"the recipe {recipe.name} has no loop; add one, or use another recipe")
    require_trust(recipe)
    plan.check_models_and_judges(recipe, recipe.loop)
    if recipe.sandbox is not None:
        sandbox.write_sandbox(folder / "sandbox", recipe.sandbox)
        recipe = resolve_sandbox(recipe, folder / "sandbox")
    loop = recipe.loop
    assert loop is not None
    models, roles_given = dict(recipe.models), {}
    for role, settings, model in (("red_team", loop.red_team, red), ("target", loop.target, target)):
        if model is not None:
            # Under its own name: the other role or a judge may use the recipe's model too.
            name = f"{settings.model} as {role}"
            path = str(Path(model).absolute()) if Path(model).is_dir() else model
            models[name] = models[settings.model].model_copy(update={"model": path, "revision": None})
            roles_given[role] = settings.model_copy(update={"model": name})
    roles: tuple[Role, ...] = ("red", "target")
    given = [checkpoint_row(model_name(role, 0), role, 0, "", None, "given", 0) for role in roles]
    stages = Stages(folder / ".stages", "standalone")
    changed = recipe.model_copy(update={"models": models, "loop": loop.model_copy(update=roles_given)})
    return IterationContext(changed, Workspace(folder), stages, 1, pl.concat(given))


def run_attack(context: IterationContext, folder: Path, prompts: Path) -> Frames:
    """Draw seeds from a file of prompts, generate attacks and responses, and write ``seeds`` to ``responses``.

    ``prompts`` is a JSONL or Parquet file with the columns text and type, and optionally prompt_id, kind and messages
    (the turns of conversations, whose text is then not read). Harmless prompts are sent to the target as they are.
    Raises SeasDataError if a kind is neither adversarial nor harmless, or the turns cannot be a prompt.
    """
    rows = read_prompts(prompts)
    if "kind" not in rows.columns:
        rows = rows.with_columns(kind=pl.lit("adversarial"))
    if unknown := sorted(set(rows["kind"].fill_null("null")) - {"adversarial", "harmless"}):
        raise SeasDataError(f"{prompts} has prompts of the kind {unknown[0]}; use adversarial or harmless")
    if "prompt_id" not in rows.columns:
        ids = [content_id("prompt", "file", text) for text in rows["text"]]
        rows = rows.with_columns(pl.Series("prompt_id", ids, dtype=pl.String))
    rows = (
        rows.select("prompt_id", "type", "text", "kind", "messages").unique("prompt_id", keep="first").sort("prompt_id")
    )
    plan.check_model_folders(context.recipe, context.loop)
    adversarial, harmless = rows.filter(pl.col("kind") == "adversarial"), rows.filter(pl.col("kind") == "harmless")
    drawn = draw_iteration_seeds(context, None, adversarial)
    written = generate_training_attacks(context, drawn["seeds"], adversarial)
    answered = generate_training_responses(context, written["attacks"], harmless)
    settings = pl.concat([written["settings"], answered["settings"]])
    files.write_parquet(folder / _HARMLESS, select_asked(harmless))
    return _write(folder, drawn | written | answered | {"settings": settings})


def run_judges(context: IterationContext, folder: Path) -> Frames:
    """Judge the folder's responses; write ``verdicts``, and the judges' ``settings`` beside those of the models."""
    responses, attacks, harmless = _read(folder, "responses"), _read(folder, "attacks"), _read_harmless(folder)
    judged = judge_training_responses(context, responses, attacks, harmless)
    if (folder / "settings.parquet").exists():
        earlier = _read(folder, "settings").filter(pl.col("judge").is_null())
        judged |= {"settings": pl.concat([earlier, judged["settings"]])}
    return _write(folder, judged)


def run_pairs(context: IterationContext, folder: Path) -> Frames:
    """Build pairs, or MART's demonstrations, from the folder's attacks, responses and verdicts, and write them."""
    say("Nothing is held out: a folder has no splits, so every prompt of its file counts as one of train.")
    held_out = pl.DataFrame(schema={"prompt_id": pl.String, "text_digest": pl.String})
    answers = {"responses": _read(folder, "responses"), "verdicts": _read(folder, "verdicts")}
    attacks, seeds = _read(folder, "attacks"), _read(folder, "seeds")
    built = build_training_rows(context, attacks, _read_harmless(folder), seeds, answers, held_out)
    return _write(folder, built)


def run_training(context: IterationContext, folder: Path, role: Role, output: Path) -> pl.DataFrame:
    """Train a role's model on the folder's pairs or demonstrations, write it to ``output`` and return its metrics."""
    from seas_data import train

    fine_tuned = context.recipe.pairs.mode == "mart" or context.loop.update == "sft"
    table = "demonstrations" if fine_tuned else "pairs"
    rows = select_role_rows({table: _read(folder, table)}, role)
    settings = context.recipe.training.red if role == "red" else context.recipe.training.target
    if fine_tuned:
        return train.sft(context.base_model_folder(role), rows, settings.as_sft(), output)
    return train.dpo(context.base_model_folder(role), rows, settings, output)


def run_evaluation(folder: Path) -> pl.DataFrame:
    """Evaluate the folder's red team against its target, and the target on harmless prompts; write ``metrics``."""
    attacks, seeds = _read(folder, "attacks"), _read(folder, "seeds")
    responses, verdicts = _read(folder, "responses"), _read(folder, "verdicts")
    cells = join_cells(attacks.with_columns(split=pl.lit("test")), responses, verdicts)
    typed = attacks.join(seeds.select("seed_id", "type"), on="seed_id")
    results = [compute_metrics(MatrixAnswers(cells))]
    results += [
        compute_metrics(RedTeamAttacks(str(name), rows))
        for (name,), rows in typed.partition_by("model", as_dict=True, maintain_order=True).items()
    ]
    no_label = pl.lit(None, pl.String)
    harmless = _read_harmless(folder).with_columns(
        set=pl.lit("harmless"), kind=pl.lit("harmless"), type=no_label, difficulty=no_label
    )
    for target in responses["model"].unique().sort():
        described = describe_target(target, harmless, responses, verdicts, tables.empty("expected"))
        results.append(compute_metrics(described))
    rows = pl.concat(results).with_columns(version=pl.lit("")).select(tables.TABLES["metrics"].column_names())
    return _write(folder, {"metrics": rows})["metrics"]


def read_prompts(path: Path) -> pl.DataFrame:
    """Return the rows of a file of prompts, with text and messages as in the table ``prompts``.

    Raises SeasDataError if the file cannot be read, or lacks text or type, or the turns of a row cannot be a prompt.
    """
    rows = read_rows(str(path), ("text", "type"))
    if "messages" not in rows.columns:
        text, messages = plain_columns(rows["text"].cast(pl.String))
        return rows.with_columns(text, messages)
    texts, stored = [], []
    for number, (text, turns) in enumerate(rows.select("text", "messages").iter_rows(), 1):
        try:
            found = canonical(turns) if turns is not None else [Message("user", text)]
        except (TypeError, KeyError, ValueError, AttributeError) as problem:
            raise SeasDataError(
                f"row {number} of {path} has messages that cannot be a prompt ({problem}); give turns (role, content) "
                "of system, user and assistant that end with the user's, or null"
            ) from problem
        texts.append(render(found))
        stored.append(stored_messages(found))
    return rows.with_columns(pl.Series("text", texts, dtype=pl.String), pl.Series("messages", stored, dtype=MESSAGES))


def _read_harmless(folder: Path) -> pl.DataFrame:
    """Return the harmless prompts (prompt_id, text, messages) that the folder's target was sent."""
    path = folder / _HARMLESS
    return (
        pl.read_parquet(path, glob=False)
        if path.exists()
        else pl.DataFrame(schema={"prompt_id": pl.String, "text": pl.String})
    )


def _read(folder: Path, table: str) -> pl.DataFrame:
    path = folder / f"{table}.parquet"
    if not path.exists():
        raise SeasDataError(f"{path} does not exist; run the stage that writes it first (see: seas-data --help)")
    return tables.cast(table, read_rows(str(path), ()))


def _write(folder: Path, frames: Frames) -> Frames:
    for table, frame in frames.items():
        files.write_parquet(folder / f"{table}.parquet", tables.cast(table, frame))
    return frames
