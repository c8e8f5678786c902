"""An iteration of the loop: seeds, attacks, responses, verdicts, pairs, training, evaluation, joining, curation.

``run_iteration`` runs the steps in order. Each step is a function of frames and is stored as a stage when it is done;
generation is cached by batch and training by its own checkpoints. So a killed build continues where it stopped and ends
with the same tables.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl

from seas_data import pairs, tables
from seas_data.console import say
from seas_data.curate import incoming
from seas_data.curate.incoming import Earlier, Incoming
from seas_data.curate.outcome import build_decisions
from seas_data.curate.pipeline import curate
from seas_data.loop import attacks as attack_rows
from seas_data.loop.attack_quality import describe_joined_attacks
from seas_data.loop.attack_validity import mark_invalid
from seas_data.loop.checkpoints import Role, model_name
from seas_data.loop.context import Frames, IterationContext, concat_frames
from seas_data.loop.evaluation import evaluate_models, select_split
from seas_data.loop.generation import generate_attacks, generate_responses, select_asked
from seas_data.loop.input_files import hash_files
from seas_data.loop.joined_prompts import select_joining
from seas_data.loop.seeds import draw_iteration_seeds
from seas_data.loop.training import start_model, update_model
from seas_data.loop.training_rows import add_earlier_iterations, build_training_rows, select_role_rows
from seas_data.loop.verdicts import judge_responses
from seas_data.metrics import METRICS, compute_metrics
from seas_data.metrics.rows import metric_frame
from seas_data.query.version import Version
from seas_data.recipe import Recipe
from seas_data.review import gold
from seas_data.sources.conversations import read_instructions, read_preferences
from seas_data.store import Workspace, takedown
from seas_data.store.stages import Stages
from seas_data.tables.ids import row_ids
from seas_data.utility.job import digest_tasks


def hash_inputs(recipe: Recipe) -> list[str]:
    """Return the digests of the files that the loop reads besides the sources."""
    loop = recipe.loop
    if loop is None:
        return []
    training = recipe.training
    used = (training.red_sft, training.target_sft, training.red, training.target)
    accelerate = [
        each.accelerate_config for each in used if each.accelerate_config and Path(each.accelerate_config).is_file()
    ]
    paths = (loop.instructions, loop.preferences, loop.evaluation.gold_verdicts, *accelerate)
    tasks = digest_tasks(loop.evaluation.utility.folder) if loop.evaluation.utility is not None else None
    return [*hash_files([path for path in paths if path is not None]), *([tasks] if tasks is not None else [])]


def run_iteration(recipe: Recipe, workspace: Workspace, parent: Version, stages: Stages) -> Frames:
    """Run the iteration after ``parent`` and return the rows that its version adds to each table.

    Raises SeasDataError if a metric cannot be loaded or the gold set has errors, before any model is run.
    """
    METRICS.all()  # a metric that cannot be loaded must not stop the build after hours
    gold_metrics = _compute_gold_metrics(recipe, parent)
    iteration = parent.manifest.iteration + 1
    earlier = incoming.read_earlier(parent)
    held_out = pairs.select_held_out(earlier.prompts, earlier.splits)
    train = select_split(earlier, "train")
    context = IterationContext(recipe, workspace, stages, iteration, parent.table("checkpoints"))
    _check_training_files(context)
    say(f"\niteration {iteration}: R{iteration - 1} against T{iteration - 1}")

    results = [] if iteration > 1 else _start_models(context, train, held_out)
    context = _with_new_checkpoints(context, results)
    trained, joining = _attack_and_train(context, parent, held_out, train)
    results += trained
    context = _with_new_checkpoints(context, trained)
    results += evaluate_models(context, parent, earlier)
    new = build_incoming(joining, earlier)
    curated = curate(recipe, new, earlier, stages, workspace.root / "vectors").read()

    joined = describe_joined_attacks(curated["embeddings"], curated["prompts"], parent, iteration)
    metrics = [gold_metrics, *(each["metrics"] for each in results if "metrics" in each), compute_metrics(joined)]
    new_metrics = [rows.with_columns(version=pl.lit("")) for rows in metrics]
    frames = {name: frame for name, frame in concat_frames(*results).items() if name != "metrics"}
    if (set_aside := frames.pop("set_aside", None)) is not None and set_aside.height:
        frames["set_aside"] = pl.concat([curated["set_aside"], set_aside])
    return (
        curated
        | {name: drop_parent_rows(name, frame, parent) for name, frame in frames.items()}
        | {"metrics": pl.concat([curated["metrics"], *new_metrics], how="diagonal")}
    )


def build_incoming(joining: pl.DataFrame, earlier: Earlier) -> Incoming:
    """Return the attacks that join as the new rows of curation; those that only a judge calls harmless are flagged."""
    manual_keeps, manual_drops = incoming.manual_decisions(earlier.manual)
    new = joining.join(earlier.prompts, on="prompt_id", how="anti").sort("prompt_id")
    new, refused = takedown.split_taken_down(new, earlier.takedowns)
    refused = refused.join(earlier.set_aside, on=["source", "row_digest", "reason"], how="anti")
    unreviewed = new.filter(pl.col("kind") == "harmless").select("prompt_id", detail="label_source")
    return Incoming(
        prompts=new,
        set_aside=refused,
        decisions=build_decisions(unreviewed, step="loop", decision="flag", reason="unreviewed"),
        relabels=tables.empty("relabels").drop("version"),
        manual_keeps=manual_keeps,
        manual_drops=manual_drops,
    )


def generate_training_attacks(context: IterationContext, seeds: pl.DataFrame, prompts: pl.DataFrame) -> Frames:
    """Generate attacks to ``seeds`` with the last red team; return ``attacks``, with reasons, and ``settings``.

    ``prompts`` (prompt_id, text and, as in the table, type, kind, language) has the examples of the seeds.
    """
    red_team = model_name("red", context.iteration - 1)
    result = generate_attacks(
        context, red_team, seeds, context.loop.attack.attacks_per_seed, context.iteration, "attacks"
    )
    marked = attack_rows.mark_set_aside(result["attacks"], seeds, prompts)
    return result | {"attacks": mark_invalid(context, marked, seeds, prompts, prompts, "attacks")}


def generate_training_responses(context: IterationContext, attacks: pl.DataFrame, harmless: pl.DataFrame) -> Frames:
    """Generate responses of the last target to the valid ``attacks`` and to the ``harmless`` prompts."""
    target, samples = model_name("target", context.iteration - 1), context.loop.attack.responses_per_attack
    prompts = [(attack_rows.select_sent(attacks), samples), (harmless, samples)]
    return generate_responses(context, target, prompts, "responses")


def judge_training_responses(
    context: IterationContext, responses: pl.DataFrame, attacks: pl.DataFrame, harmless: pl.DataFrame
) -> Frames:
    """Judge the responses to ``attacks`` and ``harmless`` prompts; return ``verdicts`` and ``settings``."""
    prompts = select_asked(attacks, harmless)
    return judge_responses(context, responses, prompts, "verdicts")


def _compute_gold_metrics(recipe: Recipe, parent: Version) -> pl.DataFrame:
    """Return the metrics of the recipe's gold set on ``parent``, without those that ``parent`` has.

    Computed before any model is run, so that an error in the sheet is reported at once and not after hours.
    """
    assert recipe.loop is not None
    if recipe.loop.evaluation.gold_verdicts is None:
        return metric_frame([])
    result = gold.compare_with_gold(parent, Path(recipe.loop.evaluation.gold_verdicts)).metrics
    return result.join(parent.table("metrics", ["name", "facets"]), on=["name", "facets"], how="anti")


def _check_training_files(context: IterationContext) -> None:
    """Raise SeasDataError if the files of instructions or preferences cannot be used, before any model is run."""
    loop, settings = context.loop, context.recipe.pairs
    if context.iteration == 1 and context.role_settings("target").start == "sft":
        read_instructions(str(loop.instructions))
    if settings.general is not None and loop.preferences is not None:
        read_preferences(loop.preferences)


def _start_models(context: IterationContext, train: pl.DataFrame, held_out: pl.DataFrame) -> list[Frames]:
    """Make R0 and T0."""
    adversarial = train.filter(pl.col("kind") == "adversarial")
    roles: tuple[Role, ...] = ("red", "target")
    return [
        context.stages.run(
            f"start {model_name(role, 0)}",
            adversarial.height,
            partial(start_model, context, adversarial, role, held_out),
        )
        for role in roles
    ]


def _attack_and_train(
    context: IterationContext, parent: Version, held_out: pl.DataFrame, train: pl.DataFrame
) -> tuple[list[Frames], pl.DataFrame]:
    """Run the steps from seeds to training; return their frames and the attacks that join, as ``prompts``."""
    run = context.stages.run
    adversarial = train.filter(pl.col("kind") == "adversarial")
    harmless = _draw_harmless(context, train.filter(pl.col("kind") == "harmless"))
    drawn = run("seeds", adversarial.height, lambda: draw_iteration_seeds(context, parent, adversarial))
    seeds = drawn["seeds"]
    written = run("attacks", seeds.height, lambda: generate_training_attacks(context, seeds, adversarial))
    attacks = written["attacks"]
    answered = run("responses", attacks.height, lambda: generate_training_responses(context, attacks, harmless))
    responses = answered["responses"]
    judged = run("verdicts", responses.height, lambda: judge_training_responses(context, responses, attacks, harmless))
    answers = answered | judged
    built = run(
        "pairs",
        judged["verdicts"].height,
        lambda: build_training_rows(context, attacks, harmless, seeds, answers, held_out),
    )
    _print_training_rows(built)
    rows = add_earlier_iterations(context, parent, built)
    red_rows, target_rows = select_role_rows(rows, "red"), select_role_rows(rows, "target")
    red = run("train red team", red_rows.height, lambda: update_model(context, "red", red_rows))
    target = run("train target", target_rows.height, lambda: update_model(context, "target", target_rows))
    for trained in (red, target):
        if statement := trained["checkpoints"]["statement"][0]:
            say(statement)
    joining = select_joining(context, attack_rows.add_language(attacks, seeds, adversarial), seeds, answers)
    return [drawn, written, answered, judged, built, red, target], joining["prompts"]


def _draw_harmless(context: IterationContext, prompts: pl.DataFrame) -> pl.DataFrame:
    """Draw the harmless ``prompts`` of ``train`` that the target is sent in this iteration; none if no pairs are made.

    Prompts that only a judge called harmless need a person's review first, unless the recipe says otherwise.
    """
    settings, pair_settings = context.loop.harmless, context.recipe.pairs
    if pair_settings.harmless is None or settings.prompts_per_iteration == 0:
        return prompts.clear()
    if settings.reviewed_only:
        prompts = prompts.filter(~pl.col("label_source").str.starts_with("judge:").fill_null(False))
    rows = prompts.with_columns(iteration_drawn=pl.lit(context.iteration))
    order = row_ids("drawn", rows, "iteration_drawn", "prompt_id")
    return prompts.with_columns(order=order).sort("order").head(settings.prompts_per_iteration).drop("order")


def _with_new_checkpoints(context: IterationContext, results: list[Frames]) -> IterationContext:
    new = [each["checkpoints"] for each in results if "checkpoints" in each]
    return replace(context, checkpoints=pl.concat([context.checkpoints, *new]))


_KEYS = {
    "seeds": ["seed_id"],
    "settings": ["settings_id"],
    "checkpoints": ["model"],
    "expected": ["prompt_id"],
    "responses": ["response_id"],
    "verdicts": ["response_id", "judge"],
    "set_aside": ["source", "location", "reason", "row_digest"],
}


def drop_parent_rows(name: str, frame: pl.DataFrame, parent: Version) -> pl.DataFrame:
    """Return the distinct rows of the table ``name`` that the parent version does not have."""
    if name not in _KEYS:
        return frame
    keys = _KEYS[name]
    rows = frame.unique(keys, keep="first", maintain_order=True)
    return rows.join(parent.table(name, keys), on=keys, how="anti", maintain_order="left").sort(keys)


def _print_training_rows(built: Frames) -> None:
    """Print how many pairs or demonstrations each role has."""
    if "pairs" not in built:
        rows = built["demonstrations"]
        for role, count in rows.group_by("role").len().sort("role").iter_rows():
            say(f"{count} rows to fine-tune the {role} on")
        return
    for role in ("red", "target", "harmless"):
        say(pairs.summarize(role, built["pairs"], built["unpaired"]))
