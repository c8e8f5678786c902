"""From a YAML file to a recipe: changes made to it, what is wrong with it, where its paths lead."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from seas_data.errors import SeasDataError
from seas_data.recipe.models import ModelHttp
from seas_data.recipe.recipe import Recipe
from seas_data.text import printable


def load(path: Path, changes: list[str] | None = None) -> Recipe:
    """Read the recipe at ``path``, with ``changes`` (``a.b=value``, values as in YAML) made to it first.

    Relative paths in it are taken from the folder that it lies in. Raises SeasDataError with the key at fault.
    """
    content = read(path)
    for change in changes or []:
        _change(content, change)
    # What SANDBOX stands for is known only once the sandbox has been written.
    context = {"folder": path.parent} | ({"sandbox": None} if content.get("sandbox") is not None else {})
    try:
        return Recipe.model_validate(content, context=context)
    except ValidationError as problem:
        raise SeasDataError(f"{path}: {_explain(problem, content)}") from problem


def read(path: Path) -> dict[str, Any]:
    """Return what the file at ``path`` says, on top of its ``base``: a recipe beside it of which it changes some keys.

    Raises SeasDataError if one of them is no mapping.
    """
    content = _mapping(path)
    base = content.pop("base", None)
    if base is None:
        return content
    if not isinstance(base, str) or Path(base).name != base:
        raise SeasDataError(f"{path}: base should be the name of a recipe in the same folder (given: {base!r})")
    below = _mapping(path.with_name(base))
    if "base" in below:
        raise SeasDataError(f"{path}: its base {base} has a base of its own; name that one, or copy what it changes")
    return _merged(below, content)


def _mapping(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SeasDataError(f"there is no recipe at {path}; recipes that come with the package: {_shipped()}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise SeasDataError(f"{path} cannot be read as YAML: {' '.join(str(problem).split())}") from problem
    if not isinstance(content, dict):
        raise SeasDataError(f"{path} is not a recipe: it should be a mapping with the keys name and sources")
    return content


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    both = {
        key: _merged(below[key], value) if isinstance(value, dict) and isinstance(below.get(key), dict) else value
        for key, value in above.items()
    }
    return below | both


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
    return Recipe.model_validate(recipe.model_dump(), context={"sandbox": folder})


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
    """Say of each fault which key it is and what is allowed there; of a variable that is not set, once."""
    faults = {
        error["msg"] if error["type"] == "unset" else number: _fault(dict(error), content)
        for number, error in reversed(list(enumerate(problem.errors())))
    }
    return "; ".join(reversed(faults.values()))


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
