"""Whether a recipe can be built to its end, asked when it is planned: before a source is read or a model is loaded.

A loop takes hours. What would stop it at the end of them (a judge that cannot judge, a server that has no trained
model, verdicts of two judges and no word on whose count) is in the recipe from the start, and is refused there.
"""

import re

from seas_data.errors import SeasDataError
from seas_data.judges import guard_of
from seas_data.judges import run as judge
from seas_data.recipe import Judge, JudgeGuard, JudgeRules, Loop, ModelHttp, Recipe
from seas_data.recipe.curation import BUNDLED
from seas_data.recipe.paths import is_path


def check(recipe: Recipe) -> None:
    """Raise SeasDataError, with what to change, if a build of ``recipe`` could not come to its end."""
    for embedder in recipe.embedders:
        bundled = embedder.model in BUNDLED and embedder.revision is None
        if not (is_path(embedder.model) or bundled or _is_commit(embedder.revision)):
            raise SeasDataError(
                f"the embedder {embedder.model} comes from the Hub: give its revision, a commit of 7 to 40 hex digits, "
                "so that the same recipe gives the same vectors"
            )
    if recipe.loop is None:
        return
    check_parts(recipe, recipe.loop)
    _reward(recipe)
    _trainable(recipe, recipe.loop)
    _lessons(recipe, recipe.loop)


def check_parts(recipe: Recipe, loop: Loop) -> None:
    """Raise SeasDataError if a player has no model, a judge cannot judge, or it is not clear whose verdicts count.

    That much each stage of ``loop`` needs by itself.
    """
    for part, player in (("loop.red_team", loop.red_team), ("loop.target", loop.target)):
        if player.model not in recipe.models:
            known = ", ".join(recipe.models) or "none"
            raise SeasDataError(f"{part} names the model {player.model}, and models has {known}")
    _judges(recipe, loop)


def _judges(recipe: Recipe, loop: Loop) -> None:
    judges, pairs = recipe.judges, recipe.pairs
    if not judges:
        raise SeasDataError("a loop needs judges: without verdicts nothing can be learned")
    judge.check(judges, recipe.models)
    harm = [each.label for each in judges if _says_harm(each)]
    refusals = [each.label for each in judges if _classes_refusals(each)]
    if not harm:
        raise SeasDataError(
            f"no judge says what is unsafe: {_names(refusals)} only class refusals; add a guard, or rules with unsafe"
        )
    for setting, named, able in (("judge", pairs.judge, harm), ("refusal_judge", pairs.refusal_judge, refusals)):
        does = "say what is unsafe" if setting == "judge" else "class refusals"
        if named is not None and named not in able:
            raise SeasDataError(f"pairs.{setting} is {named}; the judges that {does} are {_names(able) or 'none'}")
        if named is None and len(able) > 1:
            raise SeasDataError(f"the judges {_names(able)} {does}; say in pairs.{setting} whose verdicts count")
    reader = loop.harmless.judge
    if reader is not None and reader not in harm:
        raise SeasDataError(f"loop.harmless.judge is {reader}; the judges that say what is unsafe are {_names(harm)}")
    if refusals:
        return
    needed = "a judge that classes refusals (by: refusal, rules with refusal, wildguard, qwen3guard): there is none"
    if reader is not None:
        raise SeasDataError(f"loop.harmless.judge looks for prompts that were refused, which takes {needed}")
    if pairs.mode == "mart":
        if pairs.mart.reward is None:
            raise SeasDataError(f"pairs.mode mart takes full answers, which takes {needed}; or name pairs.mart.reward")
        return
    if pairs.harmless is not None:
        raise SeasDataError(f"harmless pairs take {needed}; add one, or set pairs.harmless: null")


def _reward(recipe: Recipe) -> None:
    """Raise SeasDataError if the model that gives rewards is none, or no server's business."""
    name = recipe.pairs.mart.reward
    if recipe.pairs.mode != "mart" or name is None:
        return
    if name not in recipe.models:
        raise SeasDataError(f"pairs.mart.reward is {name}, and models has {', '.join(recipe.models)}")
    if isinstance(recipe.models[name], ModelHttp):
        raise SeasDataError(
            f"pairs.mart.reward is {name}, and a server writes texts but gives no rewards; give models.{name} backend: "
            "transformers"
        )


def _trainable(recipe: Recipe, loop: Loop) -> None:
    """Raise SeasDataError if a player's server could not be given the checkpoints that are trained here."""
    for part, player in (("loop.red_team", loop.red_team), ("loop.target", loop.target)):
        model = recipe.models[player.model]
        if isinstance(model, ModelHttp) and model.serve is None:
            raise SeasDataError(
                f"{part} is trained here, and the server at {model.url} would go on with the model that it has; give "
                f"models.{player.model} serve, the command that serves a checkpoint, in place of url"
            )


def _lessons(recipe: Recipe, loop: Loop) -> None:
    """Raise SeasDataError if there is no file of what a model is to learn from."""
    if loop.target.start == "sft" and loop.instructions is None:
        raise SeasDataError(
            "loop.target starts with fine-tuning, so it needs loop.instructions; or give it start: given"
        )
    if recipe.pairs.mode != "mart" and recipe.pairs.general is not None and loop.preferences is None:
        raise SeasDataError(
            "general pairs come from the file loop.preferences, and there is none; name one, or set pairs.general: null"
        )


def _is_commit(revision: str | None) -> bool:
    return re.fullmatch("[0-9a-f]{7,40}", revision or "") is not None


def _says_harm(judge: Judge) -> bool:
    return judge.unsafe is not None if isinstance(judge, JudgeRules) else isinstance(judge, JudgeGuard)


def _classes_refusals(judge: Judge) -> bool:
    if isinstance(judge, JudgeGuard):
        return guard_of(judge).refusals
    return judge.refusal is not None if isinstance(judge, JudgeRules) else True


def _names(names: list[str]) -> str:
    return " and ".join(names)
