"""Each stage of the loop by itself: tables in a folder in, tables in the folder out.

    seas-data attack RECIPE FOLDER --prompts FILE     seeds, attacks, responses
    seas-data judge RECIPE FOLDER                     verdicts
    seas-data pairs RECIPE FOLDER                     pairs (or demonstrations), unpaired
    seas-data train RECIPE FOLDER --role red -o MODEL a model folder
    seas-data evaluate FOLDER                         metrics

The recipe gives the settings and the models; ``--red`` and ``--target`` name other checkpoints. The tables are those of
a version, as Parquet files of their names, so what one stage wrote can be looked at, changed, and handed to the next;
beside them lies ``harmless.parquet`` (prompt_id, text): harmless prompts that the target was asked.
"""

import sys
from pathlib import Path

import polars as pl

from seas_data import plan, sandbox, tables
from seas_data.errors import SeasDataError
from seas_data.loop import checkpoints as players
from seas_data.loop import evaluation as measure
from seas_data.loop import iteration as turn
from seas_data.loop.context import Frames, Role, Scene
from seas_data.metrics import evaluate
from seas_data.recipe import Recipe, in_sandbox, require_trust
from seas_data.store import Workspace, files
from seas_data.store.stages import Stages
from seas_data.text import content_id


def scene(recipe: Recipe, folder: Path, red: str | None = None, target: str | None = None) -> Scene:
    """Return a scene of one iteration in ``folder``, between R0 and T0: the recipe's models, or those named.

    Raises SeasDataError if the recipe has no loop, or a judge cannot judge.
    """
    if recipe.loop is None:
        raise SeasDataError(f"the recipe {recipe.name} has no loop, so it does not say how to attack or to judge")
    require_trust(recipe)
    plan.check_parts(recipe, recipe.loop)
    loop = recipe.loop
    if recipe.sandbox is not None:
        sandbox.write(folder / "sandbox", recipe.sandbox)
        recipe = in_sandbox(recipe, folder / "sandbox")
    models, players_given = dict(recipe.models), {}
    for role, player, model in (("red_team", loop.red_team, red), ("target", loop.target, target)):
        if model is not None:
            # A model of its own: the recipe's may be the other player's, or a judge's, too.
            name = f"{player.model} as {role}"
            place = str(Path(model).absolute()) if Path(model).is_dir() else model
            models[name] = models[player.model].model_copy(update={"model": place, "revision": None})
            players_given[role] = player.model_copy(update={"model": name})
    roles: tuple[tuple[str, Role], ...] = (("R0", "red"), ("T0", "target"))
    given = [players.checkpoint(name, role, 0, "", None, "given", 0) for name, role in roles]
    stages = Stages(folder / ".stages", "alone")
    changed = recipe.model_copy(update={"models": models, "loop": loop.model_copy(update=players_given)})
    return Scene(changed, Workspace(folder), stages, 1, pl.concat(given))


def attack(here: Scene, folder: Path, prompts: Path) -> Frames:
    """Draw seeds from ``prompts`` (a JSONL or Parquet file: text and type, maybe prompt_id and kind), and attack.

    Those of the kind harmless the target is asked as well. Raises SeasDataError if a kind is another than adversarial
    or harmless.
    """
    rows = players.table(str(prompts), ("text", "type"))
    if "kind" not in rows.columns:
        rows = rows.with_columns(kind=pl.lit("adversarial"))
    if strange := set(rows["kind"]) - {"adversarial", "harmless"}:
        raise SeasDataError(f"{prompts} has prompts of the kind {strange.pop()}; give adversarial and harmless ones")
    if "prompt_id" not in rows.columns:
        ids = [content_id("prompt", "file", text) for text in rows["text"]]
        rows = rows.with_columns(pl.Series("prompt_id", ids, dtype=pl.String))
    rows = rows.select("prompt_id", "type", "text", "kind").unique("prompt_id", keep="first").sort("prompt_id")
    attackable, harmless = rows.filter(pl.col("kind") == "adversarial"), rows.filter(pl.col("kind") == "harmless")
    drawn = turn.seeds(here, None, attackable)
    written = turn.attacks(here, drawn["seeds"], attackable)
    answered = turn.responses(here, written["attacks"], harmless)
    settings = pl.concat([written["settings"], answered["settings"]])
    files.write_parquet(folder / _HARMLESS, harmless.select("prompt_id", "text"))
    return _write(folder, drawn | written | answered | {"settings": settings})


def verdicts(here: Scene, folder: Path) -> Frames:
    """Judge the folder's responses."""
    found = turn.verdicts(here, _read(folder, "responses"), _read(folder, "attacks"), _harmless(folder))
    return _write(folder, found)


def make_pairs(here: Scene, folder: Path) -> Frames:
    """Make pairs, or MART's rows, of the folder's attacks, responses and verdicts."""
    print(
        "Nothing is held out: a folder has no splits, so every prompt of its file is taken to be one of train.",
        file=sys.stderr,
    )
    nobody = pl.DataFrame(schema={"prompt_id": pl.String, "text_digest": pl.String})
    answers = {"responses": _read(folder, "responses"), "verdicts": _read(folder, "verdicts")}
    asked, seeds = _read(folder, "attacks"), _read(folder, "seeds")
    made = turn.made_pairs(here, asked, _harmless(folder), seeds, answers, nobody)
    return _write(folder, made)


def train(here: Scene, folder: Path, role: Role, output: Path) -> pl.DataFrame:
    """Train the role's model on the folder's pairs, or on demonstrations, as the recipe has it; return the figures."""
    from seas_data import train as training

    fine_tuned = here.recipe.pairs.mode == "mart" or here.loop.update == "sft"
    table = "demonstrations" if fine_tuned else "pairs"
    rows = turn.lessons({table: _read(folder, table)}, role)
    settings = here.recipe.training.red if role == "red" else here.recipe.training.target
    if fine_tuned:
        return training.sft(here.base(role), rows, players.as_sft(settings), output)
    return training.dpo(here.base(role), rows, settings, output)


def metrics(folder: Path) -> pl.DataFrame:
    """Measure the folder's red team against its target, and the target on harmless prompts: the table ``metrics``."""
    attacks, seeds = _read(folder, "attacks"), _read(folder, "seeds")
    responses, verdicts = _read(folder, "responses"), _read(folder, "verdicts")
    cells = measure.cells(attacks.with_columns(split=pl.lit("test")), responses, verdicts)
    typed = attacks.join(seeds.select("seed_id", "type"), on="seed_id")
    found = [evaluate.matrix(cells)]
    found += [
        evaluate.red_team(rows, str(name))
        for (name,), rows in typed.partition_by("model", as_dict=True, maintain_order=True).items()
    ]
    nothing = pl.lit(None, pl.String)
    harmless = _harmless(folder).with_columns(
        set=pl.lit("harmless"), kind=pl.lit("harmless"), type=nothing, difficulty=nothing
    )
    for target in responses["model"].unique().sort():
        answers = measure.judged_sets(harmless, responses, verdicts, target)
        found.append(evaluate.target_sets(answers, tables.empty("expected"), target))
    rows = pl.concat(found).with_columns(version=pl.lit("")).select(tables.TABLES["metrics"].column_names())
    return _write(folder, {"metrics": rows})["metrics"]


_HARMLESS = "harmless.parquet"


def _harmless(folder: Path) -> pl.DataFrame:
    """Return the harmless prompts (prompt_id, text) that the folder's target was asked."""
    path = folder / _HARMLESS
    return pl.read_parquet(path) if path.exists() else pl.DataFrame(schema={"prompt_id": pl.String, "text": pl.String})


def _read(folder: Path, table: str) -> pl.DataFrame:
    path = folder / f"{table}.parquet"
    if not path.exists():
        raise SeasDataError(f"there is no {path}; the stage before this one writes it (see: seas-data --help)")
    return tables.cast(table, players.table(str(path), ()))


def _write(folder: Path, frames: Frames) -> Frames:
    for table, frame in frames.items():
        files.write_parquet(folder / f"{table}.parquet", tables.cast(table, frame))
    return frames
