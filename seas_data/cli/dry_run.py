"""Output of `build --dry-run`: the sources, curation steps and loop of a recipe."""

import shlex
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from seas_data.cli.dry_run_sources import write_sources
from seas_data.console import echo
from seas_data.judges.run import describe_subjects
from seas_data.missing import find_missing
from seas_data.query.text_table import write_table
from seas_data.recipe import Loop, ModelHttp, ModelInProcess, Recipe, TrainingDpo, TrainingSettings
from seas_data.review.gold import read_gold
from seas_data.sources.overrides import read_overrides
from seas_data.text import printable


def write_plan(recipe: Recipe, engine: str) -> bool:
    """Print the plan of a recipe: the settings of each curation step, its loop, and the first rows of its sources.

    Return whether a build with ``engine`` would read all sources and find what it needs on this machine.
    """
    echo(f"{recipe.name}: {printable(recipe.description)}\n")
    write_table(
        ("source", "from", "kind", "language", "licence", "role", "priority"),
        (
            (
                name,
                source.path or f"{source.hub}@{source.revision}",
                source.kind or f"by {source.columns.kind or 'category'}",
                source.language or f"by {source.columns.language}"
                if source.columns.language or source.language
                else None,
                source.licence or "not stated",
                source.role,
                source.priority,
            )
            for name, source in recipe.sources.items()
        ),
    )
    echo()
    write_table(
        ("step", "settings"),
        ((step, _describe_step(settings)) for step, settings in recipe.curation.model_dump().items()),
    )
    embedders = ", ".join(f"{printable(each.model)} for {each.named_languages}" for each in recipe.embedders)
    echo(f"\nembedders: {embedders or 'none'}")
    if recipe.loop is not None:
        _print_loop(recipe, recipe.loop)
    _print_sheets(recipe)
    readable = write_sources(recipe)
    lacking = find_missing(recipe, engine)
    for sentence in lacking:
        echo(f"\nA build on this machine would stop: {printable(sentence)}")
    echo("Dry run: nothing was built.")
    return readable and not lacking


def _print_sheets(recipe: Recipe) -> None:
    """Print how much people decided. Raises SeasDataError if a sheet that the recipe names cannot be used."""
    if recipe.overrides is not None:
        rows = read_overrides(Path(recipe.overrides), recipe.taxonomy).height
        echo(f"\noverrides: {rows:,} rows decided or labelled in {printable(recipe.overrides)}")
    gold = recipe.loop.evaluation.gold_verdicts if recipe.loop else None
    if gold is not None:
        echo(f"\ngold verdicts: {read_gold(Path(gold)).height:,} responses in {printable(gold)}")


def _describe_step(settings: Any) -> str:
    """Return the settings of a step of curation; of one that is a switch whether it is on."""
    if isinstance(settings, dict) and settings:
        return ", ".join(f"{key} {value}" for key, value in settings.items())
    return "on" if settings is True else "off" if not settings else str(settings)


def _print_loop(recipe: Recipe, loop: Loop) -> None:
    """Print the plan of the loop: models, judges, pairs and trainings."""
    attacks = loop.seeds_per_iteration * loop.attack.attacks_per_seed
    responses = loop.attack.responses_per_attack
    echo(
        f"\nloop: {loop.iterations} iterations, each of {loop.seeds_per_iteration:,} seeds x "
        f"{loop.attack.attacks_per_seed} attacks x {responses} responses: {attacks:,} attacks and "
        f"{attacks * responses:,} responses to judge"
    )
    rows = f"at most {loop.evaluation.max_prompts:,} rows" if loop.evaluation.max_prompts else "all rows"
    echo(
        f"evaluation: {loop.evaluation.seeds:,} seeds x {loop.evaluation.attacks_per_seed} attacks x "
        f"{loop.evaluation.responses_per_prompt} responses for each red team and target, and {rows} of each set\n"
    )
    roles_of: dict[str, list[str]] = {name: [] for name in recipe.models}
    roles_of[loop.red_team.model].append(f"red team ({loop.red_team.start})")
    roles_of[loop.target.model].append(f"target ({loop.target.start})")
    for judge in recipe.judges:
        if judge.model is not None:
            roles_of[judge.model].append(f"judge {judge.label}")
    if recipe.pairs.mode == "mart" and recipe.pairs.mart.reward_model is not None:
        roles_of[recipe.pairs.mart.reward_model].append("reward model")
    write_table(
        ("name", "roles", "model", "revision", "licence", "backend"),
        (
            (
                name,
                roles_of[name],
                model.model,
                model.revision,
                model.licence or "not stated",
                _describe_backend(model),
            )
            for name, model in recipe.models.items()
        ),
    )
    echo()
    write_table(
        ("judge", "by", "judges", "model"),
        ((each.label, each.by, describe_subjects(each, recipe.judges), each.model) for each in recipe.judges),
    )
    echo()
    mart = recipe.pairs.mode == "mart"
    roles = ("mart" if mart else "red", "target", "harmless", "general")
    write_table(
        (f"pairs, mode {recipe.pairs.mode}", "settings"),
        ((role, _format_settings(getattr(recipe.pairs, role))) for role in roles),
    )
    echo()
    _print_trainings(recipe, loop, fine_tuned=mart or loop.update == "sft")
    echo()


def _print_trainings(recipe: Recipe, loop: Loop, *, fine_tuned: bool) -> None:
    """Print the trainings of the loop. For updates by fine-tuning, leave out the settings that only DPO uses."""
    for_dpo = TrainingDpo.model_fields.keys() - TrainingSettings.model_fields.keys()
    shown = ("learning_rate", "batch_size", "epochs", "max_length", *(() if fine_tuned else ("beta", "loss_type")))
    update = "sft" if fine_tuned else "dpo"
    methods = {"red_sft": "sft", "target_sft": "sft", "red": update, "target": update}
    given = {"red_sft": loop.red_team.start == "given", "target_sft": loop.target.start == "given"}
    rows = []
    for name, method in methods.items():
        settings = getattr(recipe.training, name)
        if not given.get(name):
            other = _format_settings(settings, {*shown, *(for_dpo if fine_tuned else ())})
            rows.append((name, method, *(_format_value(getattr(settings, key, None)) for key in shown), other))
    write_table(("training", "method", *shown, "other settings"), rows)


def _format_value(value: Any) -> Any:
    return f"{value:g}" if isinstance(value, float) else value


def _describe_backend(model: ModelInProcess | ModelHttp) -> str:
    if isinstance(model, ModelInProcess):
        return f"in this process, on {model.device}"
    if model.serve is None:
        return f"at {model.url}"
    return shlex.join(model.serve).replace("'{model}'", "{model}").replace("'{port}'", "{port}")


def _format_settings(settings: BaseModel | None, exclude: set[str] | None = None) -> str:
    """Return ``settings`` as text. With ``exclude``, leave out those keys and all values that are defaults."""
    if settings is None:
        return "off"
    values = settings.model_dump(exclude=exclude, exclude_defaults=exclude is not None)
    long = {key: f"({len(values[key])} characters)" for key in values.keys() & {"chat_template"} if values[key]}
    return ", ".join(f"{key} {_format_value(value)}" for key, value in (values | long).items() if value is not None)
