"""The recipes of a version and its ancestors, as far as a release depends on them.

Rows keep what was known of them when they were read, but only recipes state which model wrote in which iteration, and
under which licence. A model may be replaced between two iterations, and a later build may have no loop, so the recipes
of all ancestors count (``read_iteration_recipes``), not only the newest.

The recipe in a manifest may come from another release of seas-data, or from anybody if it was pulled. Only the
sections that a release needs are validated, with the models of ``seas_data.recipe``; all others are ignored.
"""

from pydantic import ValidationError

from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.recipe.loop import Loop
from seas_data.recipe.recipe import Recipe
from seas_data.redact import redact_recipe
from seas_data.store import Manifest
from seas_data.text import printable

_SECTIONS = {"name", "description", "sources", "taxonomy", "loop", "models", "judges", "pairs", "training", "release"}


def read_recipe(manifest: Manifest) -> Recipe:
    """Return the redacted recipe of ``manifest``, with defaults for the sections that a release does not need.

    Raises SeasDataError if one of the others is invalid.
    """
    content = {key: value for key, value in redact_recipe(manifest.recipe).items() if key in _SECTIONS}
    try:
        return Recipe.model_validate(content)
    except (ValidationError, RecursionError) as problem:
        fault = problem.errors()[0] if isinstance(problem, ValidationError) else {"loc": ("recipe",), "msg": "too deep"}
        key = ".".join(str(part) for part in fault["loc"])
        raise SeasDataError(
            f"the recipe of {manifest.version} is invalid ({printable(key)}: {printable(str(fault['msg']))}), so the "
            "version cannot be released; build it again from a valid recipe"
        ) from None


def read_iteration_recipes(version: Version) -> dict[int, Recipe]:
    """Return the recipe of each iteration of the loop, as far as the ancestors of ``version`` are in the workspace."""
    recipes: dict[int, Recipe] = {}
    before = 0
    for name in version.workspace.lineage(version.manifest):
        manifest = version.manifest if name == version.name else version.workspace.manifest(name)
        if manifest.iteration > before:
            recipes[manifest.iteration] = read_recipe(manifest)
        before = manifest.iteration
    return recipes


def loop_model(recipe: Recipe, role: str) -> str:
    """Return the name of the model in ``role`` of the loop: red or target."""
    loop = recipe.loop or Loop()
    return (loop.red_team if role == "red" else loop.target).model


def reward_model(recipe: Recipe) -> str | None:
    """Return the name of the reward model that selects what MART trains on, if there is one."""
    return recipe.pairs.mart.reward_model if recipe.pairs.mode == "mart" else None
