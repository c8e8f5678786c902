"""Verdicts in the loop: each judge's model is loaded by itself, judges all that there is to judge, and goes."""

from collections.abc import Callable, Mapping

import polars as pl

from seas_data import models, pairs
from seas_data.judges import run as judge
from seas_data.loop.context import Frames, Scene
from seas_data.models import reward
from seas_data.models.protocol import Generator
from seas_data.recipe import Judge, JudgeRules, ModelInProcess


def verdicts(scene: Scene, responses: pl.DataFrame, prompts: pl.DataFrame, label: str) -> pl.DataFrame:
    """Return the table ``verdicts`` of all judges of the recipe for ``responses`` to ``prompts`` (prompt_id, text)."""
    place = scene.parts(label)
    asked = prompts.unique("prompt_id", keep="first", maintain_order=True)

    def by(one: Judge, generators: Mapping[str, Generator]) -> pl.DataFrame:
        return judge.judge(asked, responses, [one], generators, place)

    return _by_each(scene, scene.recipe.judges, by).sort("response_id", "judge")


def of_prompts(scene: Scene, prompts: pl.DataFrame, name: str, label: str) -> pl.DataFrame:
    """Return what the judge called ``name`` says of ``prompts`` alone: the columns of ``judge.judge_prompts``."""
    chosen = [one for one in scene.recipe.judges if one.label == name]
    place = scene.parts(label)
    return _by_each(scene, chosen, lambda one, generators: judge.judge_prompts(prompts, [one], generators, place))


def rewards(scene: Scene, answers: Frames, prompts: pl.DataFrame) -> pl.DataFrame | None:
    """Return what MART's reward model gives to the safe responses to ``prompts`` (prompt_id, text); without one, None.

    ``answers``: ``responses`` and ``verdicts``. Columns response_id and reward.
    """
    settings = scene.recipe.pairs
    if settings.mart.reward is None:
        return None
    model = scene.recipe.models[settings.mart.reward]
    assert isinstance(model, ModelInProcess)
    said = pairs.judged(answers["verdicts"], judge=settings.judge, refusal_judge=settings.refusal_judge)
    safe = answers["responses"].join(said.filter(pl.col("verdict") == "safe"), on="response_id", how="semi")
    asked = prompts.select("prompt_id", prompt="text").unique("prompt_id")
    rows = safe.drop_nulls("text").join(asked, on="prompt_id").select("response_id", "prompt", response="text")
    return reward.rewards(model, rows)


def _by_each(
    scene: Scene, judges: list[Judge], by: Callable[[Judge, Mapping[str, Generator]], pl.DataFrame]
) -> pl.DataFrame:
    found = []
    for one in judges:
        if isinstance(one, JudgeRules):
            found.append(by(one, {}))
            continue
        place = scene.parts(f"server {one.model}")
        with models.opened(one.model, scene.recipe.models[one.model], place) as generator:
            found.append(by(one, {one.model: generator}))
    return pl.concat(found)
