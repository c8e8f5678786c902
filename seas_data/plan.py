"""Check that a recipe can be built to its end, before a source is read or a model is loaded.

A loop takes hours. What would stop it at the end (a judge that cannot judge, a server that cannot serve the trained
model, two judges and no choice between their verdicts) is in the recipe from the start, and is rejected here.
"""

import re

from seas_data.errors import SeasDataError
from seas_data.judges import rules
from seas_data.judges import run as judges
from seas_data.judges.guards import load_guard
from seas_data.models import checkpoint_files, model_folder
from seas_data.models.bundled import BUNDLED, require_available
from seas_data.recipe import JudgeGuard, Loop, ModelHttp, ModelInProcess, Pairs, Recipe
from seas_data.recipe.curation import BUNDLED_EMBEDDERS
from seas_data.recipe.paths import is_in_sandbox, is_local_path
from seas_data.utility.run import require_harness


def check(recipe: Recipe) -> None:
    """Raise SeasDataError, with what to change, if a build of ``recipe`` would fail later."""
    for embedder in recipe.embedders:
        bundled = embedder.model in BUNDLED_EMBEDDERS and embedder.revision is None
        if not (is_local_path(embedder.model) or bundled or _is_commit(embedder.revision)):
            raise SeasDataError(
                f"the embedder {embedder.model} comes from the Hub without a commit; set its revision to 7 to 40 hex "
                "digits, so that the same recipe gives the same vectors"
            )
    if recipe.loop is None:
        return
    check_models_and_judges(recipe, recipe.loop)
    _check_goals(recipe)
    _check_reward_model(recipe)
    check_trainable(recipe, recipe.loop)
    _check_files(recipe, recipe.loop)
    check_model_folders(recipe, recipe.loop)
    if (utility := recipe.loop.evaluation.utility) is not None:
        require_harness(utility)


def check_models_and_judges(recipe: Recipe, loop: Loop) -> None:
    """Check what every stage of ``loop`` needs, whether it is run in a build or standalone.

    Raises SeasDataError if the red team or target has no model, a judge cannot judge, or several judges give verdicts
    and the recipe does not choose one.
    """
    for key, role in (("loop.red_team", loop.red_team), ("loop.target", loop.target)):
        if role.model not in recipe.models:
            raise SeasDataError(
                f"{key} uses the model {role.model}, which is not in models; choose one of: "
                f"{', '.join(recipe.models) or '(none)'}"
            )
        judges.require_generation(key, role.model, recipe.models[role.model])
    _check_judges(recipe, loop)


def _check_judges(recipe: Recipe, loop: Loop) -> None:
    if not recipe.judges:
        raise SeasDataError("a loop needs verdicts, and judges is empty; add a judge")
    judges.check(recipe.judges, recipe.models)
    of_responses = judges.select_for_responses(recipe.judges)
    verdict_judges = [judge.label for judge in of_responses if judges.gives_verdicts(judge)]
    refusal_judges = [judge.label for judge in recipe.judges if judges.classifies_refusals(judge)]
    if not verdict_judges:
        raise SeasDataError(
            f"no judge gives verdicts on responses ({_join(refusal_judges)} only classify refusals); add a guard, or "
            "rules with unsafe"
        )
    if recipe.pairs.judges:
        raise SeasDataError("pairs.judges is for recipes without a loop; name one judge in pairs.judge")
    for key, name in (
        ("pairs.refusal_judge", recipe.pairs.refusal_judge),
        ("loop.harmless.judge", loop.harmless.judge),
    ):
        _check_harmless_side(recipe, key, name)
    for key, name in (("pairs.judge", recipe.pairs.judge), ("pairs.refusal_judge", recipe.pairs.refusal_judge)):
        _check_judges_responses(recipe, key, name)
    _check_choice("pairs.judge", recipe.pairs.judge, verdict_judges, "give verdicts")
    _check_choice("pairs.refusal_judge", recipe.pairs.refusal_judge, refusal_judges, "classify refusals")
    prompt_judge, giving = loop.harmless.judge, [each for each in recipe.judges if judges.gives_verdicts(each)]
    if prompt_judge is not None and prompt_judge not in [judge.label for judge in giving]:
        raise SeasDataError(
            f"loop.harmless.judge is {prompt_judge}; set it to one of the judges that give verdicts: "
            f"{_join([judge.label for judge in giving])}"
        )
    prompt_judges = [judge.label for judge in giving if judges.judges_prompts(judge)]
    if prompt_judge is not None and prompt_judge not in prompt_judges:
        raise SeasDataError(
            f"loop.harmless.judge is {prompt_judge}, which judges only responses to prompts with a goal; set it to one "
            f"of: {_join(prompt_judges) or '(none)'}"
        )
    _check_validity(recipe, loop, prompt_judges)
    if not refusal_judges:
        _check_without_refusal_judge(recipe.pairs, loop)


def _check_harmless_side(recipe: Recipe, key: str, name: str | None) -> None:
    for judge in recipe.judges:
        reason = load_guard(judge).only_attacks if isinstance(judge, JudgeGuard) else None
        if judge.label == name and reason is not None:
            raise SeasDataError(
                f"{key} is {name}, which cannot judge the harmless side because {reason}; name another judge"
            )


def _check_judges_responses(recipe: Recipe, key: str, name: str | None) -> None:
    for judge in recipe.judges:
        if judge.label == name and judges.judges_only_prompts(judge, recipe.judges):
            raise SeasDataError(f"{key} is {name}, which judges only prompts; name a judge of responses")


def _check_goals(recipe: Recipe) -> None:
    """Check that the judge that pairs are built by judges attacks: those of a red team have no goal."""
    counting = [judge for judge in judges.select_for_responses(recipe.judges) if judges.gives_verdicts(judge)]
    if recipe.pairs.judge is not None:
        counting = [judge for judge in counting if judge.label == recipe.pairs.judge]
    if counting and all(judges.needs_goal(judge, recipe.judges) for judge in counting):
        raise SeasDataError(
            f"{counting[0].label} judges only responses to prompts with a goal, and the attacks of a red team have "
            "none; set pairs.judge to another judge of verdicts"
        )


def _check_validity(recipe: Recipe, loop: Loop, prompt_judges: list[str]) -> None:
    settings = loop.validity
    if settings.judge is not None and settings.judge not in prompt_judges:
        raise SeasDataError(
            f"loop.validity.judge is {settings.judge}; set it to one of the judges that give verdicts on prompts: "
            f"{_join(prompt_judges) or '(none)'}"
        )
    if settings.types == "nearest" and settings.types in prompt_judges:
        raise SeasDataError(
            "loop.validity.types: nearest is the nearest prompt, not the judge nearest; rename the judge"
        )
    if settings.types == "nearest" and not recipe.embedders and recipe.sandbox is None:
        raise SeasDataError("loop.validity.types: nearest compares embeddings, and embedders is empty; set types: null")
    if settings.types not in (None, "nearest"):
        able = [each.label for each in recipe.judges if each.label in prompt_judges and judges.named_categories(each)]
        if settings.types not in able:
            raise SeasDataError(
                f"loop.validity.types is {settings.types}; set it to nearest, or to one of the judges that give "
                f"verdicts on prompts and have categories: {_join(able) or '(none)'}"
            )
    for key in ("refusal", "announcement"):
        if (patterns := getattr(settings, key)) is not None:
            rules.check_patterns(patterns, "loop.validity", key)


def _check_choice(key: str, choice: str | None, able: list[str], ability: str) -> None:
    if choice is not None and choice not in able:
        raise SeasDataError(f"{key} is {choice}; set it to one of the judges that {ability}: {_join(able) or '(none)'}")
    if choice is None and len(able) > 1:
        raise SeasDataError(f"the judges {_join(able)} {ability}; set {key} to the one that counts")


def _check_without_refusal_judge(pairs: Pairs, loop: Loop) -> None:
    add = f"add a judge that classifies refusals ({judges.describe_refusal_judges()})"
    if loop.harmless.judge is not None:
        raise SeasDataError(f"loop.harmless.judge looks for refused prompts, and no judge classifies refusals; {add}")
    if pairs.mode == "mart":
        if pairs.mart.reward_model is None and pairs.harmless is not None:
            raise SeasDataError(
                f"pairs.mode mart uses full answers to harmless prompts, and no judge classifies refusals; {add}, or "
                "set pairs.mart.reward_model or pairs.harmless: null"
            )
    elif pairs.harmless is not None:
        raise SeasDataError(
            f"harmless pairs need refusals, and no judge classifies them; {add}, or set pairs.harmless: null"
        )


def _check_reward_model(recipe: Recipe) -> None:
    name = recipe.pairs.mart.reward_model
    if recipe.pairs.mode != "mart" or name is None:
        return
    if name not in recipe.models:
        raise SeasDataError(
            f"pairs.mart.reward_model is {name}, which is not in models; choose one of: {', '.join(recipe.models)}"
        )
    if isinstance(recipe.models[name], ModelHttp):
        raise SeasDataError(
            f"pairs.mart.reward_model is {name}, and a server generates texts but no rewards; set "
            f"models.{name} backend: transformers"
        )


def check_trainable(recipe: Recipe, loop: Loop) -> None:
    """Raise SeasDataError if a role's server cannot be given the checkpoints that the loop trains."""
    for key, role in (("loop.red_team", loop.red_team), ("loop.target", loop.target)):
        model = recipe.models[role.model]
        if isinstance(model, ModelHttp) and model.serve is None:
            raise SeasDataError(
                f"{key} is trained, and the server at {model.url} would keep its old model; in models.{role.model}, "
                "replace url with serve, the command that serves a checkpoint"
            )


def _check_files(recipe: Recipe, loop: Loop) -> None:
    if loop.target.start == "sft" and loop.instructions is None:
        raise SeasDataError(
            "loop.target starts with fine-tuning, and loop.instructions is not set; set it, or set start: given"
        )
    if recipe.pairs.general is not None and loop.preferences is None:
        raise SeasDataError(
            "general pairs come from loop.preferences, which is not set; set it, or set pairs.general: null"
        )


def check_model_folders(recipe: Recipe, loop: Loop) -> None:
    """Raise SeasDataError if a local model that ``loop`` runs in this process cannot be loaded, or a bundled one is not
    there."""
    for name in list_models(recipe, loop):
        model = recipe.models[name]
        if model.model in BUNDLED and (isinstance(model, ModelInProcess) or model.serve is not None):
            require_available(model.model, model.revision)
        if isinstance(model, ModelHttp) or not is_local_path(model.model) or is_in_sandbox(model.model):
            continue
        checkpoint_files.require_loadable(model_folder.resolve_folder(model.model, model.revision))


def list_models(recipe: Recipe, loop: Loop) -> list[str]:
    """Return the names of the models that ``loop`` uses, in ``recipe.models``."""
    names = [loop.red_team.model, loop.target.model, *(judge.model for judge in recipe.judges if judge.model)]
    if recipe.pairs.mode == "mart" and recipe.pairs.mart.reward_model is not None:
        names.append(recipe.pairs.mart.reward_model)
    return list(dict.fromkeys(names))


def _is_commit(revision: str | None) -> bool:
    return re.fullmatch("[0-9a-f]{7,40}", revision or "") is not None


def _join(names: list[str]) -> str:
    return " and ".join(names)
