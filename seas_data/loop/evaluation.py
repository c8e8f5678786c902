"""Evaluation: every red team against every target, and each target on every named set.

All cells of the matrix share the same seeds, whose examples come from ``test``. A red team attacks them once, when it
is new; a cell is computed once, in the iteration that adds its red team or its target. The cells of earlier iterations
are read from the parent version.
"""

from functools import partial
from pathlib import Path

import polars as pl

from seas_data import tables
from seas_data.curate.incoming import Earlier
from seas_data.loop.attack_quality import describe_attacks
from seas_data.loop.attack_validity import mark_invalid
from seas_data.loop.attacks import add_language, mark_set_aside, select_sent
from seas_data.loop.checkpoints import model_name
from seas_data.loop.context import Frames, IterationContext
from seas_data.loop.generation import generate_attacks, generate_responses, select_asked
from seas_data.loop.input_files import read_rows
from seas_data.loop.seeds import draw_evaluation_seeds
from seas_data.loop.verdicts import judge_responses
from seas_data.metrics import MatrixAnswers, TargetAnswers, compute_metrics
from seas_data.models.checkpoint import compute_digest
from seas_data.query.version import Version
from seas_data.recipe import ModelHttp, Recipe
from seas_data.tables.ids import row_ids
from seas_data.utility.job import Job
from seas_data.utility.run import measure


def evaluate_models(context: IterationContext, parent: Version, earlier: Earlier) -> list[Frames]:
    """Evaluate the new models, in the first iteration also R0 and T0; return what each step adds to the tables."""
    run = context.stages.run
    test = select_split(earlier, "test").filter(pl.col("kind") == "adversarial")
    seeds = draw_evaluation_seeds(context, parent.table("seeds"), test)
    train = select_split(earlier, "train")
    sets = select_sets(earlier.kept, earlier.splits, context.recipe)
    expected = read_expected(context.recipe, sets)
    new = [0, 1] if context.iteration == 1 else [context.iteration]
    results: list[Frames] = [{"seeds": seeds, "expected": expected}]
    attack_parts = [parent.table("attacks").filter(pl.col("split") == "test")]
    for number in new:
        red = f"R{number}"
        written = run(f"evaluate {red}", seeds.height, partial(_attack_seeds, context, red, seeds, test, train))
        attack_parts.append(written["attacks"])
        typed = add_language(written["attacks"], seeds, test).join(seeds.select("seed_id", "type"), on="seed_id")
        described = describe_attacks(context, typed, red, train)
        results += [written, {"metrics": compute_metrics(described)}]
    attacks = pl.concat(attack_parts)
    # The cells need only the verdicts of earlier versions, and their texts may be gigabytes.
    response_parts = [parent.table("responses", ["response_id", "prompt_id", "model"])]
    verdict_parts = [parent.table("verdicts", ["response_id", "judge", "verdict", "refusal"])]
    for number in range(context.iteration + 1):
        target = f"T{number}"
        opponents = attacks if number in new else attack_parts[-1]
        own_sets = sets if number in new else sets.clear()
        answers = run(
            f"evaluate {target}",
            opponents.height + own_sets.height,
            partial(_answer_and_judge, context, target, opponents, own_sets),
        )
        response_parts.append(answers["responses"])
        verdict_parts.append(answers["verdicts"])
        results.append(answers)
    responses = pl.concat(response_parts, how="diagonal")
    verdicts = pl.concat([part.select(verdict_parts[0].columns) for part in verdict_parts])
    cells = join_cells(attacks, responses, verdicts)
    for number in new:
        described_target = describe_target(f"T{number}", sets, responses, verdicts, expected)
        results.append({"metrics": compute_answer_metrics(number, cells, described_target)})
        if (utility := context.loop.evaluation.utility) is not None:
            results.append(run(f"utility T{number}", len(utility.tasks), partial(_measure_utility, context, number)))
    return results


def select_split(earlier: Earlier, split: str) -> pl.DataFrame:
    """Return the kept prompts of a split, sorted by id."""
    ids = earlier.splits.filter(pl.col("split") == split).select("prompt_id")
    return earlier.kept.join(ids, on="prompt_id", how="semi").sort("prompt_id")


def select_sets(prompts: pl.DataFrame, splits: pl.DataFrame, recipe: Recipe) -> pl.DataFrame:
    """Return the prompts that each target is evaluated on besides the matrix, with the name of their ``set``.

    Sets: test (its adversarial prompts), harmless, general (of test), and the holdout sources by name. Of each set the
    first ``evaluation.max_prompts`` are taken, in the order of a hash.
    """
    assert recipe.loop is not None
    settings = recipe.loop.evaluation
    rows = prompts.join(splits.select("prompt_id", "split"), on="prompt_id")
    name = (
        pl.when(pl.col("split") == "holdout")
        .then("source")
        .when(pl.col("split") == "harmless")
        .then(pl.lit("harmless"))
        .when((pl.col("split") == "test") & (pl.col("kind") == "adversarial"))
        .then(pl.lit("test"))
        .when((pl.col("split") == "test") & (pl.col("kind") == "general"))
        .then(pl.lit("general"))
    )
    rows = rows.with_columns(set=name).drop_nulls("set")
    if settings.holdout_sources is not None:
        rows = rows.filter((pl.col("split") != "holdout") | pl.col("set").is_in(settings.holdout_sources))
    rows = rows.with_columns(order=row_ids("measured", rows, "prompt_id")).sort("set", "order")
    if settings.max_prompts is not None:
        rows = rows.filter(pl.int_range(pl.len()).over("set") < settings.max_prompts)
    return rows.drop("split", "order")


def read_expected(recipe: Recipe, prompts: pl.DataFrame) -> pl.DataFrame:
    """Return the table ``expected``: the words of a right answer, for those ``prompts`` that a file has."""
    assert recipe.loop is not None
    parts = [tables.empty("expected")]
    for source, path in recipe.loop.evaluation.expected_answers.items():
        rows = read_rows(path, ("id", "answer")).select(source_id=pl.col("id").cast(pl.String), answer="answer")
        of_source = prompts.filter(pl.col("source") == source).join(rows.drop_nulls(), on="source_id")
        parts.append(tables.cast("expected", of_source))
    return pl.concat(parts).unique("prompt_id", keep="first").sort("prompt_id")


def join_cells(attacks: pl.DataFrame, responses: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """Return the judged responses to the attacks of ``test``, with the columns of ``MatrixAnswers.answers``."""
    return (
        attacks.filter(pl.col("split") == "test")
        .select("prompt_id", "seed_id", "invalid", red_team="model")
        .join(responses.select("prompt_id", "response_id", target="model"), on="prompt_id")
        .join(verdicts.filter(pl.col("verdict").is_not_null()), on="response_id")
        .select("red_team", "target", "judge", "seed_id", "prompt_id", "invalid", "verdict")
    )


def describe_target(
    target: str, sets: pl.DataFrame, responses: pl.DataFrame, verdicts: pl.DataFrame, expected: pl.DataFrame
) -> TargetAnswers:
    """Return the judged responses of ``target`` to ``sets`` (as ``select_sets`` returns them)."""
    answers = (
        sets.select("set", "kind", "type", "difficulty", "prompt_id")
        .join(responses.filter(pl.col("model") == target).select("prompt_id", "response_id", "text"), on="prompt_id")
        .join(verdicts.select("response_id", "judge", "verdict", "refusal"), on="response_id")
    )
    return TargetAnswers(target, answers, expected)


def compute_answer_metrics(iteration: int, cells: pl.DataFrame, answers: TargetAnswers) -> pl.DataFrame:
    """Return the metrics that an iteration's models add: of their cells, and of the target on every set.

    ``cells`` are all cells so far (as ``join_cells`` returns them); those of later models are ignored.
    """
    numbers = range(iteration + 1)
    reached = cells.filter(
        pl.col("red_team").is_in([f"R{k}" for k in numbers]) & pl.col("target").is_in([f"T{k}" for k in numbers])
    )
    return pl.concat([compute_metrics(MatrixAnswers(reached, iteration)), compute_metrics(answers)])


def _measure_utility(context: IterationContext, number: int) -> Frames:
    """Run the tasks of ``evaluation.utility`` on a target's checkpoint; return ``metrics``."""
    settings, name = context.loop.evaluation.utility, model_name("target", number)
    assert settings is not None
    if settings.folder is not None:
        settings = settings.model_copy(update={"folder": str(Path(settings.folder).absolute())})
    model = context.recipe.models[context.loop.target.model]
    folder = context.checkpoint_folder(name) or Path(context.base_model_folder("target"))
    job = Job(
        name=name,
        model=folder.absolute(),
        digest=compute_digest(folder),
        settings=settings,
        results=(context.workspace.root / "utility").absolute(),
        system=context.loop.target.system,
        chat_template=model.chat_template,
        device="auto" if isinstance(model, ModelHttp) else model.device,
        precision="auto" if isinstance(model, ModelHttp) else model.precision,
    )
    return {"metrics": measure(job)}


def _attack_seeds(
    context: IterationContext, red_team: str, seeds: pl.DataFrame, prompts: pl.DataFrame, train: pl.DataFrame
) -> Frames:
    """Generate the attacks of ``red_team`` to the evaluation seeds; return ``attacks`` and ``settings``.

    ``prompts`` has the examples of the seeds, ``train`` the prompts that validity is measured by.
    """
    samples, number = context.loop.evaluation.attacks_per_seed, int(red_team[1:])
    result = generate_attacks(context, red_team, seeds, samples, number, f"evaluation {red_team}")
    marked = mark_set_aside(result["attacks"], seeds, prompts, repeats=False)
    return result | {"attacks": mark_invalid(context, marked, seeds, prompts, train, f"evaluation {red_team}")}


def _answer_and_judge(context: IterationContext, target: str, attacks: pl.DataFrame, sets: pl.DataFrame) -> Frames:
    """Generate and judge the responses of ``target``; return ``responses``, ``verdicts`` and ``settings``."""
    prompts = select_asked(select_sent(attacks), sets)
    samples = context.loop.evaluation.responses_per_prompt
    result = generate_responses(context, target, [(prompts, samples)], f"evaluation {target}")
    judged = judge_responses(context, result["responses"], prompts, f"verdicts {target}")
    return result | judged | {"settings": pl.concat([result["settings"], judged["settings"]])}
