"""Measuring: every red team against every target, and each target on every named set.

All cells stand on the same seeds, whose examples come from ``test``. A red team attacks them once, when it is new; a
cell is computed once, by the iteration that brings its red team or its target. What earlier iterations measured is
read from the parent version.
"""

import polars as pl

from seas_data import tables
from seas_data.loop import attacks as attack
from seas_data.loop import checkpoints as players
from seas_data.loop import context as scenes
from seas_data.loop import verdicts as judging
from seas_data.loop.context import Frames, Scene
from seas_data.metrics import evaluate
from seas_data.recipe import Recipe
from seas_data.tables.ids import row_ids


def evaluation_seeds(scene: Scene, known: pl.DataFrame, prompts: pl.DataFrame) -> pl.DataFrame:
    """Return the seeds that all cells stand on: those of ``known``, or new ones from ``prompts`` of test."""
    standing = known.filter(pl.col("split") == "test")
    if standing.height:
        return standing
    loop = scene.loop
    settings = loop.attack.model_copy(update={"types": "natural"})
    return attack.seeds(
        prompts, loop.evaluation.seeds, settings, iteration=0, split="test", draw=(loop.seed, "evaluation")
    )


def attacks(scene: Scene, model: str, seeds: pl.DataFrame, prompts: pl.DataFrame) -> Frames:
    """Have the red team ``model`` attack the evaluation seeds; return ``attacks`` and ``settings``."""
    label = f"evaluation {model}"
    found = scenes.attacks(scene, model, seeds, scene.loop.evaluation.prompts, int(model[1:]), label)
    return found | {"attacks": attack.set_aside(found["attacks"], seeds, prompts, repeats=False)}


def answers(scene: Scene, target: str, attacks: pl.DataFrame, sets: pl.DataFrame) -> Frames:
    """Have ``target`` answer ``attacks`` and the prompts of ``sets``, and judge that.

    Returns ``responses``, ``verdicts`` and ``settings``.
    """
    asked = pl.concat(
        [attacks.filter(pl.col("reason").is_null()).select("prompt_id", "text"), sets.select("prompt_id", "text")]
    )
    label = f"evaluation {target}"
    found = scenes.responses(scene, target, [(asked, scene.loop.evaluation.responses)], label)
    return found | {"verdicts": judging.verdicts(scene, found["responses"], asked, f"verdicts {target}")}


def sets(prompts: pl.DataFrame, splits: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """Return the prompts that each target is measured on besides the matrix: those of prompts, and ``set``.

    Sets: test (its attacks), harmless, general (of test), and the holdout sources by name; of each the first
    ``evaluation.rows`` in the order of a hash.
    """
    assert recipe.loop is not None
    settings = recipe.loop.evaluation
    side = prompts.join(splits.select("prompt_id", "split"), on="prompt_id")
    named = (
        pl.when(pl.col("split") == "holdout")
        .then("source")
        .when(pl.col("split") == "harmless")
        .then(pl.lit("harmless"))
        .when((pl.col("split") == "test") & (pl.col("kind") == "adversarial"))
        .then(pl.lit("test"))
        .when((pl.col("split") == "test") & (pl.col("kind") == "general"))
        .then(pl.lit("general"))
    )
    rows = side.with_columns(set=named).drop_nulls("set")
    if settings.sets is not None:
        rows = rows.filter((pl.col("split") != "holdout") | pl.col("set").is_in(settings.sets))
    rows = rows.with_columns(order=row_ids("measured", rows, "prompt_id")).sort("set", "order")
    if settings.rows is not None:
        rows = rows.filter(pl.int_range(pl.len()).over("set") < settings.rows)
    return rows.drop("split", "order")


def expected(recipe: Recipe, prompts: pl.DataFrame) -> pl.DataFrame:
    """Return the table ``expected`` of those ``prompts`` whose right answer's words a file of the recipe has."""
    assert recipe.loop is not None
    found = [tables.empty("expected")]
    for source, path in recipe.loop.evaluation.answers.items():
        rows = players.table(path, ("id", "answer")).select(source_id=pl.col("id").cast(pl.String), answer="answer")
        known = prompts.filter(pl.col("source") == source).join(rows.drop_nulls(), on="source_id")
        found.append(tables.cast("expected", known))
    return pl.concat(found).unique("prompt_id", keep="first").sort("prompt_id")


def cells(attacks: pl.DataFrame, responses: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """Return the answers that make the matrix, as ``evaluate.matrix`` takes them."""
    return (
        attacks.filter(pl.col("split") == "test")
        .select("prompt_id", "seed_id", red_team="model")
        .join(responses.select("prompt_id", "response_id", target="model"), on="prompt_id")
        .join(verdicts.filter(pl.col("verdict").is_not_null()), on="response_id")
        .select("red_team", "target", "judge", "seed_id", "prompt_id", "verdict")
    )


def metrics(
    iteration: int, all_cells: pl.DataFrame, answers: pl.DataFrame, expected: pl.DataFrame, target: str
) -> pl.DataFrame:
    """Return the metrics that the iteration's models add: their cells, differences, and ``target`` on every set.

    ``answers``: as ``evaluate.target_sets`` takes them, of ``target`` alone.
    """
    reached = all_cells.filter(
        pl.col("red_team").is_in([f"R{k}" for k in range(iteration + 1)])
        & pl.col("target").is_in([f"T{k}" for k in range(iteration + 1)])
    )
    new = (pl.col("red_team") == f"R{iteration}") | (pl.col("target") == f"T{iteration}")
    found = evaluate.matrix(reached.filter(new))
    apart = evaluate.differences(reached, iteration)
    return pl.concat([found, apart, evaluate.target_sets(answers, expected, target)])


def judged_sets(sets: pl.DataFrame, responses: pl.DataFrame, verdicts: pl.DataFrame, target: str) -> pl.DataFrame:
    """Return the answers of ``target`` to ``sets`` with their verdicts, as ``evaluate.target_sets`` takes them."""
    return (
        sets.select("set", "kind", "type", "difficulty", "prompt_id")
        .join(responses.filter(pl.col("model") == target).select("prompt_id", "response_id", "text"), on="prompt_id")
        .join(verdicts.select("response_id", "judge", "verdict", "refusal"), on="response_id")
    )
