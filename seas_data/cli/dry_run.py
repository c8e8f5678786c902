"""What `build --dry-run` prints: what a recipe would build, and what its loop would play."""

import shlex
from typing import Any

from pydantic import BaseModel

from seas_data.query.text_table import write_table
from seas_data.recipe import Loop, ModelHttp, ModelInProcess, Recipe, TrainingDpo, TrainingSettings
from seas_data.text import printable


def write_plan(recipe: Recipe) -> None:
    """Print what a recipe would build: its sources, the settings of each step, and its loop."""
    print(f"{recipe.name}: {printable(recipe.description)}\n")
    write_table(
        ("source", "from", "kind", "language", "licence", "role", "priority"),
        (
            (
                name,
                source.path or f"{source.hub}@{source.revision}",
                source.kind or f"by {source.columns.kind}",
                source.language or f"by {source.columns.language}"
                if source.columns.language or source.language
                else None,
                source.licence or "none stated",
                source.role,
                source.priority,
            )
            for name, source in recipe.sources.items()
        ),
    )
    print()
    write_table(
        ("step", "settings"),
        (
            (step, ", ".join(f"{key} {value}" for key, value in settings.items()) if settings else "left out")
            for step, settings in recipe.curation.model_dump().items()
        ),
    )
    embedders = ", ".join(f"{printable(each.model)} for {'/'.join(each.languages)}" for each in recipe.embedders)
    print(f"\nembedders: {embedders or 'none'}")
    if recipe.loop is not None:
        _loop_plan(recipe, recipe.loop)
    print("Nothing was built. Without --dry-run this recipe is.")


def _loop_plan(recipe: Recipe, loop: Loop) -> None:
    """Print what the loop would play: who, how often, what is learned from, and how."""
    attacks = loop.seeds_per_iteration * loop.attack.attacks_per_seed
    responses = loop.attack.responses_per_attack
    print(
        f"\nloop, iterations: {loop.iterations}, each of {loop.seeds_per_iteration:,} seeds x "
        f"{loop.attack.attacks_per_seed} attacks x {responses} responses: {attacks:,} attacks and "
        f"{attacks * responses:,} responses to judge"
    )
    rows = f"{loop.evaluation.max_prompts:,} rows at most" if loop.evaluation.max_prompts else "all rows"
    print(
        f"measured on {loop.evaluation.seeds:,} seeds x {loop.evaluation.attacks_per_seed} attacks x "
        f"{loop.evaluation.responses_per_prompt} responses for each pair of models, and on {rows} of each set\n"
    )
    plays: dict[str, list[str]] = {name: [] for name in recipe.models}
    plays[loop.red_team.model].append(f"red team ({loop.red_team.start})")
    plays[loop.target.model].append(f"target ({loop.target.start})")
    for judge in recipe.judges:
        if judge.model is not None:
            plays[judge.model].append(f"judge {judge.label}")
    if recipe.pairs.mode == "mart" and recipe.pairs.mart.reward_model is not None:
        plays[recipe.pairs.mart.reward_model].append("rewards")
    write_table(
        ("model", "plays", "is", "revision", "licence", "runs"),
        (
            (name, plays[name], model.model, model.revision, model.licence or "none stated", _how_it_runs(model))
            for name, model in recipe.models.items()
        ),
    )
    print()
    write_table(
        ("judge", "by", "model"),
        ((each.label, each.by, each.model) for each in recipe.judges),
    )
    print()
    mart = recipe.pairs.mode == "mart"
    roles = ("mart",) if mart else ("red", "target", "harmless", "general")
    write_table(
        (f"pairs, mode {recipe.pairs.mode}", "settings"),
        ((role, _settings(getattr(recipe.pairs, role))) for role in roles),
    )
    print()
    _trainings(recipe, loop, fine_tuned=mart or loop.update == "sft")
    print()


def _trainings(recipe: Recipe, loop: Loop, *, fine_tuned: bool) -> None:
    """Print the trainings that there will be; of updates that fine-tune, nothing of what only DPO reads."""
    for_dpo = TrainingDpo.model_fields.keys() - TrainingSettings.model_fields.keys()
    shown = ("learning_rate", "batch_size", "epochs", "max_length", *(() if fine_tuned else ("beta", "loss_type")))
    update = "sft" if fine_tuned else "dpo"
    methods = {"red_sft": "sft", "target_sft": "sft", "red": update, "target": update}
    given = {"red_sft": loop.red_team.start == "given", "target_sft": loop.target.start == "given"}
    rows = []
    for name, method in methods.items():
        settings = getattr(recipe.training, name)
        if not given.get(name):
            besides = _settings(settings, {*shown, *(for_dpo if fine_tuned else ())})
            rows.append((name, method, *(_short(getattr(settings, key, None)) for key in shown), besides))
    write_table(("training", "by", *shown, "and"), rows)


def _short(value: Any) -> Any:
    return f"{value:g}" if isinstance(value, float) else value


def _how_it_runs(model: ModelInProcess | ModelHttp) -> str:
    if isinstance(model, ModelInProcess):
        return f"in this process, on {model.device}"
    if model.serve is None:
        return f"at {model.url}"
    return shlex.join(model.serve).replace("'{model}'", "{model}").replace("'{port}'", "{port}")


def _settings(settings: BaseModel | None, but: set[str] | None = None) -> str:
    """Return ``settings`` as text; given keys to leave out, only those of the others that are not as by default."""
    if settings is None:
        return "left out"
    said = settings.model_dump(exclude=but, exclude_defaults=but is not None)
    long = {key: f"of {len(said[key])} characters" for key in said.keys() & {"chat_template"} if said[key]}
    return ", ".join(f"{key} {_short(value)}" for key, value in (said | long).items() if value is not None)
