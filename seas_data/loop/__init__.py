"""The loop: from a version and two models to the next version and the next two models.

    seeds -> attacks -> responses -> verdicts -> pairs -> the next red team and target -> the matrix and the sets
          -> the attacks that worked join -> curate -> the next version

``scene`` is what all stages share, ``players`` the models and their training, ``turn`` the stages from seeds to pairs,
``measure`` the evaluation. Each stage is stored when it is done, generation part by part and training as the trainer
has it, so a killed build goes on where it was and ends in the same tables.
"""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl

from seas_data import pairs, tables
from seas_data.curate import incoming
from seas_data.curate.incoming import Earlier, Incoming
from seas_data.curate.outcome import decisions
from seas_data.curate.pipeline import curate
from seas_data.loop import attack_quality as writing
from seas_data.loop import attacks as attack
from seas_data.loop import checkpoints as players
from seas_data.loop import evaluation as measure
from seas_data.loop import iteration as turn
from seas_data.loop.context import Frames, Role, Scene, merged
from seas_data.metrics import evaluate
from seas_data.query.version import Version
from seas_data.recipe import Recipe
from seas_data.review import gold
from seas_data.store import Workspace
from seas_data.store import takedown as forgotten
from seas_data.store.stages import Stages

__all__ = ["inputs", "iterate"]


def inputs(recipe: Recipe) -> list[str]:
    """Return digests of the files that the loop reads: with the recipe and the parent, all that its rows depend on."""
    loop = recipe.loop
    if loop is None:
        return []
    training = recipe.training
    used = (training.red_sft, training.target_sft, training.red, training.target)
    own = [each.accelerate for each in used if each.accelerate and Path(each.accelerate).is_file()]
    paths = (loop.instructions, loop.preferences, loop.evaluation.gold, *own)
    return players.contents([path for path in paths if path is not None])


def iterate(recipe: Recipe, workspace: Workspace, parent: Version, stages: Stages) -> Frames:
    """Play one iteration after ``parent`` and return the rows that its version adds to each table."""
    trusted = _trusted(recipe, parent)
    iteration = parent.manifest.iteration + 1
    known = incoming.earlier(parent)
    train = _side(known, "train")
    held_out = pairs.select_held_out(known.prompts, known.splits)
    scene = Scene(recipe, workspace, stages, iteration, parent.table("checkpoints"))
    print(f"\niteration {iteration}: R{iteration - 1} against T{iteration - 1}", file=sys.stderr)

    made: list[Frames] = []
    if iteration == 1:
        adversarial = train.filter(pl.col("kind") == "adversarial")
        roles: tuple[Role, ...] = ("red", "target")
        for role in roles:
            name = f"start {players.LETTER[role]}0"
            started = stages.run(name, adversarial.height, partial(players.start, scene, adversarial, role, held_out))
            made.append(started)
            scene = replace(scene, checkpoints=pl.concat([scene.checkpoints, started["checkpoints"]]))
    played = _turn(scene, parent, held_out, train)
    made += played
    scene = replace(
        scene,
        checkpoints=pl.concat([scene.checkpoints, *(each["checkpoints"] for each in played if "checkpoints" in each)]),
    )
    made += _measured(scene, parent, known)
    done = merged(*made)

    fresh = _incoming(done["joining"], known)
    curated = curate(recipe, fresh, known, stages, workspace.root / "vectors")
    metrics = pl.concat(
        [
            curated["metrics"],
            trusted.with_columns(version=pl.lit("")),
            *(each["metrics"].with_columns(version=pl.lit("")) for each in made if "metrics" in each),
            writing.novelty(curated["embeddings"], curated["prompts"], parent, iteration).with_columns(
                version=pl.lit("")
            ),
        ],
        how="diagonal",
    )
    loop_tables = {name: frame for name, frame in done.items() if name in tables.TABLES and name != "metrics"}
    return curated | {name: _unique(name, frame, parent) for name, frame in loop_tables.items()} | {"metrics": metrics}


def _trusted(recipe: Recipe, parent: Version) -> pl.DataFrame:
    """Return what the recipe's gold set says of ``parent`` as metrics, less what is told there already.

    Asked before anything is played: a sheet with a fault in it should not come to light after hours.
    """
    assert recipe.loop is not None
    if recipe.loop.evaluation.gold is None:
        return evaluate.frame([])
    found = gold.report(parent, Path(recipe.loop.evaluation.gold)).metrics
    return found.join(parent.table("metrics", ["name", "facets"]), on=["name", "facets"], how="anti")


def _turn(scene: Scene, parent: Version, held_out: pl.DataFrame, train: pl.DataFrame) -> list[Frames]:
    """Play the turn: return the frames of its stages, and ``joining``, the attacks that become prompts."""
    run = scene.stages.run
    attackable = train.filter(pl.col("kind") == "adversarial")
    harmless = turn.harmless_drawn(scene, train.filter(pl.col("kind") == "harmless"))
    drawn = run("seeds", attackable.height, lambda: turn.seeds(scene, parent, attackable))
    seeds = drawn["seeds"]
    written = run("attacks", seeds.height, lambda: turn.attacks(scene, seeds, attackable))
    attacks = written["attacks"]
    said = run("responses", attacks.height, lambda: turn.responses(scene, attacks, harmless))
    judged = run(
        "verdicts", said["responses"].height, lambda: turn.verdicts(scene, said["responses"], attacks, harmless)
    )
    answers = said | judged
    paired = run(
        "pairs",
        judged["verdicts"].height,
        lambda: turn.made_pairs(scene, attacks, harmless, seeds, answers, held_out),
    )
    _say(paired)
    learned = turn.learned(scene, parent, paired)
    red_rows, target_rows = turn.lessons(learned, "red"), turn.lessons(learned, "target")
    red = run("train red team", red_rows.height, lambda: turn.trained(scene, "red", red_rows))
    target = run("train target", target_rows.height, lambda: turn.trained(scene, "target", target_rows))
    for each in (red, target):
        if statement := each["checkpoints"]["statement"][0]:
            print(f"{statement}", file=sys.stderr)
    spoken = attack.in_language(attacks, seeds, attackable)
    worked = turn.joining(scene, spoken, seeds, answers)
    found = run("join", attacks.height, lambda: {"prompts": turn.harmless_candidates(scene, spoken, answers)})
    candidates = found["prompts"].join(worked, on="prompt_id", how="anti")
    return [drawn, written, said, judged, paired, red, target, {"joining": pl.concat([worked, candidates])}]


def _measured(scene: Scene, parent: Version, known: Earlier) -> list[Frames]:
    """Measure the new models: in the first iteration R0 and T0 too."""
    run = scene.stages.run
    test = _side(known, "test").filter(pl.col("kind") == "adversarial")
    seeds = measure.evaluation_seeds(scene, parent.table("seeds"), test)
    named = measure.sets(known.kept, known.splits, scene.recipe)
    right = measure.expected(scene.recipe, named)
    new = [0, 1] if scene.iteration == 1 else [scene.iteration]
    made: list[Frames] = [{"seeds": seeds, "expected": right}]
    attacks = [parent.table("attacks").filter(pl.col("split") == "test")]
    for number in new:
        red = f"R{number}"
        written = run(f"evaluate {red}", seeds.height, partial(measure.attacks, scene, red, seeds, test))
        attacks.append(written["attacks"])
        typed = attack.in_language(written["attacks"], seeds, test).join(seeds.select("seed_id", "type"), on="seed_id")
        made += [written, {"metrics": writing.metrics(scene, typed, red, _side(known, "train"))}]
    all_attacks = pl.concat(attacks)
    # Of what earlier versions hold the cells need the verdicts alone, and there may be gigabytes of texts.
    said = [parent.table("responses", ["response_id", "prompt_id", "model"])]
    judged = [parent.table("verdicts", ["response_id", "judge", "verdict", "refusal"])]
    for number in range(scene.iteration + 1):
        target = f"T{number}"
        rivals = all_attacks if number in new else attacks[-1]
        asked = named if number in new else named.clear()
        answered = run(
            f"evaluate {target}",
            rivals.height + asked.height,
            partial(measure.answers, scene, target, rivals, asked),
        )
        said.append(answered["responses"])
        judged.append(answered["verdicts"])
        made.append(answered)
    responses = pl.concat(said, how="diagonal")
    verdicts = pl.concat([each.select(judged[0].columns) for each in judged])
    cells = measure.cells(all_attacks, responses, verdicts)
    for number in new:
        answers = measure.judged_sets(named, responses, verdicts, f"T{number}")
        made.append({"metrics": measure.metrics(number, cells, answers, right, f"T{number}")})
    return made


def _side(known: Earlier, split: str) -> pl.DataFrame:
    """Return the kept prompts of a split, by id."""
    side = known.splits.filter(pl.col("split") == split).select("prompt_id")
    return known.kept.join(side, on="prompt_id", how="semi").sort("prompt_id")


def _incoming(joining: pl.DataFrame, known: Earlier) -> Incoming:
    """Return the attacks that join as what is new to curation; what only a judge called harmless is flagged."""
    forced, forbidden = incoming.wishes(known.manual)
    new = joining.join(known.prompts, on="prompt_id", how="anti").sort("prompt_id")
    new, refused = forgotten.refuse(new, known.forgotten)
    refused = refused.join(known.set_aside, on=["source", "row_digest", "reason"], how="anti")
    unreviewed = new.filter(pl.col("kind") == "harmless").select("prompt_id", detail="label_source")
    return Incoming(
        prompts=new,
        set_aside=refused,
        decisions=decisions(unreviewed, step="loop", decision="flag", reason="unreviewed"),
        relabels=tables.empty("relabels").drop("version"),
        forced=forced,
        forbidden=forbidden,
    )


_KEYS = {
    "seeds": ["seed_id"],
    "settings": ["settings_id"],
    "checkpoints": ["model"],
    "expected": ["prompt_id"],
    "responses": ["response_id"],
    "verdicts": ["response_id", "judge"],
}


def _unique(name: str, frame: pl.DataFrame, parent: Version) -> pl.DataFrame:
    """Return the rows of a table that the parent version does not hold, each once."""
    if name not in _KEYS:
        return frame
    keys = _KEYS[name]
    rows = frame.unique(keys, keep="first", maintain_order=True)
    return rows.join(parent.table(name, keys), on=keys, how="anti", maintain_order="left").sort(keys)


def _say(paired: Frames) -> None:
    """Say what there is to learn from, and what not."""
    if "pairs" not in paired:
        rows = paired["demonstrations"]
        for role, count in rows.group_by("role").len().sort("role").iter_rows():
            print(f"{count} rows to fine-tune the {role} on", file=sys.stderr)
        return
    for role in ("red", "target", "harmless"):
        print(pairs.summarize(role, paired["pairs"], paired["unpaired"]), file=sys.stderr)
