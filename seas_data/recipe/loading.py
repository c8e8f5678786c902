"""From a YAML file to a recipe: changes made to it, what is wrong with it, where its paths lead."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from seas_data.errors import SeasDataError
from seas_data.recipe.models import ModelHttp
from seas_data.recipe.strict import SANDBOX
from seas_data.recipe.whole import Recipe
from seas_data.text import printable

_Model = TypeVar("_Model", bound=BaseModel)


def load(path: Path, changes: list[str] | None = None) -> Recipe:
    """Read the recipe at ``path``, with ``changes`` (``a.b=value``, values as in YAML) made to it first.

    Relative paths in it are taken from the folder that it lies in. Raises SeasDataError with the key at fault.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SeasDataError(f"there is no recipe at {path}; recipes that come with the package: {_shipped()}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise SeasDataError(f"{path} cannot be read as YAML: {' '.join(str(problem).split())}") from problem
    if not isinstance(content, dict):
        raise SeasDataError(f"{path} is not a recipe: it should be a mapping with the keys name and sources")
    for change in changes or []:
        _change(content, change)
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as problem:
        raise SeasDataError(f"{path}: {_explain(problem, content)}") from problem
    return placed(
        recipe, lambda place: place if recipe.sandbox and place.startswith(SANDBOX) else _place(path.parent, place)
    )


def require_trust(recipe: Recipe) -> None:
    """Raise SeasDataError if the recipe is somebody else's, and would start a command here or call a server."""
    if recipe.pulled is None:
        return
    for name, model in recipe.models.items():
        if isinstance(model, ModelHttp):
            does = f"run {' '.join(model.serve)!r}" if model.serve else f"call {model.url}"
            raise SeasDataError(
                f"the recipe came from {printable(recipe.pulled)}, and its model {name} would {printable(does)}: read "
                "it, and build it with --trust if that is what you want"
            )


def in_sandbox(recipe: Recipe, folder: Path) -> Recipe:
    """Return ``recipe`` with ``folder`` where its paths say ``SANDBOX``."""
    return placed(recipe, lambda place: place.replace(SANDBOX, str(folder), 1) if place.startswith(SANDBOX) else place)


def placed(recipe: Recipe, place: Callable[[str], str]) -> Recipe:
    """Return ``recipe`` with every path in it put through ``place``, and the model folders of a sandbox too."""

    def put(settings: _Model, *keys: str) -> _Model:
        changed = {key: place(path) for key in keys if (path := getattr(settings, key)) is not None}
        return settings.model_copy(update=changed)

    loop = recipe.loop
    if loop is not None:
        answers = {name: place(path) for name, path in loop.evaluation.answers.items()}
        evaluation = put(loop.evaluation, "gold").model_copy(update={"answers": answers})
        loop = put(loop, "instructions", "preferences").model_copy(update={"evaluation": evaluation})
    models = {
        name: put(model, "model") if model.model.startswith(SANDBOX) else model for name, model in recipe.models.items()
    }
    sources = {name: put(source, "path") for name, source in recipe.sources.items()}
    return put(recipe, "overrides").model_copy(update={"sources": sources, "loop": loop, "models": models})


def shipped(name: str) -> Path:
    """Return the recipe ``name`` as given, or, where there is no such file, the one of that name in the package.

    A name with a folder other than ``pipelines`` is a file of yours, and is not looked for in the package.
    """
    from seas_data.resources import folder

    path = Path(name)
    inside = folder("pipelines") / f"{path.stem}.yaml"
    ours = str(path.parent) in (".", "pipelines")
    return inside if ours and not path.exists() and inside.exists() else path


def _shipped() -> str:
    from seas_data.resources import folder

    return ", ".join(sorted(f"pipelines/{path.name}" for path in folder("pipelines").glob("*.yaml")))


def _place(folder: Path, path: str) -> str:
    expanded = os.path.expandvars(path)
    if unset := re.search(r"\$\{?(\w+)", expanded):
        raise SeasDataError(f"the recipe reads {path}, but ${unset[1]} is not set; set it to the folder it stands for")
    return str(folder / Path(expanded).expanduser())


def _change(content: dict[str, Any], change: str) -> None:
    key, equals, value = change.partition("=")
    if not equals or not key:
        raise SeasDataError(f"--set {change}: write it as a.b=value")
    *parents, last = key.split(".")
    place = content
    for parent in parents:
        below = {} if place.get(parent) is None else place[parent]
        if not isinstance(below, dict):
            raise SeasDataError(f"--set {change}: {parent} is a value, so nothing can be set below it")
        # A YAML alias is the very mapping that its anchor names: changed in place, the other would change too.
        place[parent] = dict(below)
        place = place[parent]
    try:
        place[last] = yaml.safe_load(value)
    except yaml.YAMLError as problem:
        raise SeasDataError(f"--set {change}: {value!r} is not a YAML value") from problem


def _explain(problem: ValidationError, content: dict[str, Any]) -> str:
    """Say of each fault which key it is and what is allowed there."""
    return "; ".join(_fault(dict(error), content) for error in problem.errors())


def _fault(error: dict[str, Any], content: dict[str, Any]) -> str:
    key = ".".join(_keys(error["loc"], content)) or "the recipe"
    if error["type"] == "unknown_key":
        return f"{key} {error['msg']}"
    if error["type"] == "missing":
        return f"{key} is missing"
    given = error["input"]
    shown = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
    return f"{key}: {error['msg'].removeprefix('Value error, ')}{shown}"


def _keys(location: tuple[str | int, ...], content: Any) -> list[str]:
    """Return ``location`` as the keys that the recipe has, less the names that the classes of a choice go by."""
    keys = []
    for part in location[:-1]:
        reached = isinstance(part, int) if isinstance(content, list) else part in content
        below = content[part] if reached else None
        if isinstance(below, dict | list):
            keys.append(str(part))
            content = below
    return [*keys, *map(str, location[-1:])]
