"""Verdicts: running the judges and the reward model of the recipe.

One judge's model is loaded at a time; it judges everything and is then released.
"""

from collections.abc import Callable, Mapping

import polars as pl

from seas_data import models, pairs, recipe, tables
from seas_data.judges import run as judges
from seas_data.judges.settings import judge_settings
from seas_data.loop.checked_generator import CheckedGenerator
from seas_data.loop.context import Frames, IterationContext
from seas_data.models import reward_model
from seas_data.models.protocol import Generator
from seas_data.recipe import Judge, ModelInProcess


def judge_responses(context: IterationContext, responses: pl.DataFrame, prompts: pl.DataFrame, label: str) -> Frames:
    """Return ``verdicts`` of the recipe's judges of responses, on ``responses`` to ``prompts``, and their ``settings``.

    Input columns of ``prompts``: prompt_id, text; optional messages, goal and kind.
    """
    folder = context.cache_folder(label)
    distinct = prompts.unique("prompt_id", keep="first", maintain_order=True)

    settings = [tables.empty("settings")]

    def run(judge: Judge, generators: Mapping[str, Generator]) -> pl.DataFrame:
        settings.extend(judge_settings(judge, generator) for generator in generators.values())
        return judges.judge_responses(distinct, responses, [judge], generators, folder)

    verdicts = _run_each(context, judges.select_for_responses(context.recipe.judges), run).sort("response_id", "judge")
    return {"verdicts": verdicts, "settings": pl.concat(settings)}


def judge_prompts(context: IterationContext, prompts: pl.DataFrame, name: str, label: str) -> pl.DataFrame:
    """Return the verdicts of the judge ``name`` on ``prompts`` without responses, as ``judges.run.judge_prompts``."""
    chosen = judges.select_with_members(context.recipe.judges, name)
    folder = context.cache_folder(label)

    def run(judge: Judge, generators: Mapping[str, Generator]) -> pl.DataFrame:
        return judges.judge_prompts(prompts, [judge], generators, folder)

    return _run_each(context, chosen, run).filter(pl.col("judge") == name)


def compute_rewards(context: IterationContext, answers: Frames, prompts: pl.DataFrame) -> pl.DataFrame | None:
    """Return the rewards of the safe responses to ``prompts``, from MART's reward model; None without one.

    Input columns: ``answers`` the tables ``responses`` and ``verdicts``; ``prompts`` prompt_id, text, messages.
    Output columns: response_id, reward.
    """
    settings = context.recipe.pairs
    if settings.mart.reward_model is None:
        return None
    model = context.recipe.models[settings.mart.reward_model]
    assert isinstance(model, ModelInProcess)
    verdicts = pairs.select_verdicts(answers["verdicts"], judge=settings.judge, refusal_judge=settings.refusal_judge)
    safe = answers["responses"].join(verdicts.filter(pl.col("verdict") == "safe"), on="response_id", how="semi")
    texts = prompts.select("prompt_id", "messages", prompt="text").unique("prompt_id")
    rows = safe.drop_nulls("text").join(texts, on="prompt_id")
    rows = rows.select("response_id", "prompt", "messages", response="text")
    return reward_model.compute_rewards(model, rows)


def count_unsafe_by_prompt(settings: recipe.Pairs, responses: pl.DataFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """Return the verdict counts of each prompt, by the judge of ``settings``: prompt_id, valid, unsafe."""
    judged = pairs.select_verdicts(verdicts, judge=settings.judge, refusal_judge=settings.refusal_judge)
    return pairs.count_unsafe(responses, judged)


def _run_each(
    context: IterationContext,
    chosen: list[Judge],
    run: Callable[[Judge, Mapping[str, Generator]], pl.DataFrame],
) -> pl.DataFrame:
    parts = []
    for judge in chosen:
        if judge.model is None:
            parts.append(run(judge, {}))
            continue
        logs = context.cache_folder(f"server {judge.model}")
        with models.open_model(judge.model, context.recipe.models[judge.model], logs) as generator:
            checked = CheckedGenerator(generator, context.loop.max_failed_proportion)
            parts.append(run(judge, {judge.model: checked}))
    return judges.add_panels(pl.concat(parts), chosen)
