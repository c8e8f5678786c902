"""Load a recipe from a YAML file: merge its base, apply changes, resolve paths, and report what is wrong."""

import json
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from seas_data import yaml_text
from seas_data.errors import SeasDataError
from seas_data.recipe.models import ModelHttp
from seas_data.recipe.paths import SANDBOX, mark_command_line, resolve_command_line
from seas_data.recipe.recipe import Recipe
from seas_data.recipe.training import Training
from seas_data.text import printable

_LONGEST_VALUE = 300
"""More of a value than this is not shown in a message."""
_LONGEST_PHRASE = 1_000
_MAX_LISTED = 10


def load(path: Path | str, changes: list[str] | None = None) -> Recipe:
    """Load the recipe at ``path`` after applying ``changes`` (``a.b=value``, with values as in YAML).

    Relative paths are relative to the folder of the recipe; those in ``changes`` to the current folder. Raises
    SeasDataError that names the faulty keys.
    """
    path = Path(path)
    content = read(path)
    for change in changes or []:
        _apply_change(content, change)
    context: dict[str, Any] = {"folder": path.parent}
    if content.get("sandbox") is not None:
        context["sandbox"] = None  # the folder of SANDBOX is known only after the sandbox has been generated
    if content.get("pulled_from") is not None:
        given = [_parse_value(change)[1] for change in changes or []]
        texts = {value for value in given if isinstance(value, str)}
        context["trusted_paths"] = texts | {resolve_command_line(text) for text in texts}
    try:
        loaded = Recipe.model_validate(content, context=context)
        loaded.digest()
        json.dumps(loaded.model_dump(mode="json"), ensure_ascii=False).encode()  # as a manifest holds it
    except ValidationError as problem:
        raise SeasDataError(f"{path}: {printable(_explain(problem, content))}") from problem
    except RecursionError as problem:
        raise SeasDataError(f"{path}: the keys or a regular expression are nested too deep") from problem
    except UnicodeEncodeError as problem:
        raise SeasDataError(f"{path}: a text has half a surrogate pair, such as \\ud800; remove it") from problem
    return loaded


def stored_training(content: dict[str, Any], changes: list[str] | None = None) -> Training:
    """Return the section ``training`` of a version's recipe after ``changes`` to it (``training.a.b=value``).

    A stored recipe has no paths, so files of chat templates and accelerate configurations are left out. Raises
    SeasDataError that names what is wrong.
    """
    section = {name: dict(each) for name, each in (content.get("training") or {}).items()}
    for settings in section.values():
        settings.pop("accelerate_config", None)
        if str(settings.get("chat_template")).endswith(".jinja"):
            del settings["chat_template"]
    changed: dict[str, Any] = {"training": section}
    for change in changes or []:
        if not change.startswith("training."):
            raise SeasDataError(
                f"--set {printable(change[:200])} should begin with training.; other keys change no training"
            )
        _apply_change(changed, change)
    try:
        return Training.model_validate(changed["training"], context={"folder": Path()})
    except ValidationError as problem:
        raise SeasDataError(f"training: {printable(_explain(problem, changed['training']))}") from problem


def read(path: Path) -> dict[str, Any]:
    """Return the content of the file at ``path``, merged into its ``base``, a recipe in the same folder.

    Raises SeasDataError if a file is missing or is not a YAML mapping, or if the base has a base.
    """
    content = _mapping(path)
    base = content.pop("base", None)
    if base is None:
        return content
    if not isinstance(base, str) or base in ("", "..") or "\0" in base or Path(base).name != base:
        raise SeasDataError(f"{path}: base should be the name of a recipe in the same folder (given: {base!r})")
    base_content = _mapping(path.with_name(base))
    if "base" in base_content:
        raise SeasDataError(f"{path}: its base {base} has a base itself; name that one, or copy its keys")
    return _merged(base_content, content)


def _mapping(path: Path) -> dict[str, Any]:
    try:
        content = yaml_text.load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SeasDataError(f"there is no recipe at {path}; packaged recipes: {_packaged_names()}") from None
    except (OSError, ValueError) as problem:
        raise SeasDataError(f"{path} cannot be read as YAML: {' '.join(str(problem).split())[:500]}") from problem
    if not isinstance(content, dict):
        raise SeasDataError(f"{path} is not a recipe: it should be a mapping with the keys name and sources")
    return content


def _merged(base: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    changed = {
        key: _merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
        for key, value in above.items()
    }
    return base | changed


def require_trust(recipe: Recipe) -> None:
    """Raise SeasDataError if the recipe came by `pull` and would start, call or join something, or run task files."""
    if recipe.pulled_from is None:
        return
    for name, model in recipe.models.items():
        if isinstance(model, ModelHttp):
            action = f"run {' '.join(model.serve)!r}" if model.serve else f"call {model.url}"
            raise SeasDataError(
                f"the recipe was pulled from {printable(recipe.pulled_from)}, and its model {name} would "
                f"{printable(action)}; check the recipe and build it with --trust"
            )
    if recipe.ray.address is not None:  # whoever answers there runs code in this process
        raise SeasDataError(
            f"the recipe was pulled from {printable(recipe.pulled_from)}, and would join the Ray cluster at "
            f"{printable(recipe.ray.address)}; check the recipe and build it with --trust"
        )
    if recipe.ray.store is not None:  # signatures and vectors of the texts would go there
        raise SeasDataError(
            f"the recipe was pulled from {printable(recipe.pulled_from)}, and would store parts of the build at "
            f"{printable(recipe.ray.store)}; check the recipe and build it with --trust"
        )
    tasks = _task_folder(recipe)
    if tasks is not None:
        raise SeasDataError(
            f"the recipe was pulled from {printable(recipe.pulled_from)}, and the task files in {printable(tasks)} may "
            "run code; check them and build it with --trust"
        )


def _task_folder(recipe: Recipe) -> str | None:
    """Return the folder of the recipe's own task files, unless the sandbox writes them."""
    utility = recipe.loop.evaluation.utility if recipe.loop is not None else None
    folder = utility.folder if utility is not None else None
    written = recipe.sandbox is not None and folder is not None and folder.startswith(f"{SANDBOX}/")
    return None if written else folder


def resolve_sandbox(recipe: Recipe, folder: Path) -> Recipe:
    """Return ``recipe`` with ``SANDBOX`` in its paths replaced by ``folder``."""
    return Recipe.model_validate(recipe.model_dump(), context={"sandbox": folder})


def find_recipe(name: str) -> Path:
    """Return the path ``name``, or, if there is no such file, that of the packaged recipe of this name.

    A name with a folder other than ``pipelines`` is not looked up in the package.
    """
    from seas_data.resources import folder

    path = Path(name)
    packaged = folder("pipelines") / f"{path.stem}.yaml"
    may_be_packaged = str(path.parent) in (".", "pipelines")
    return packaged if may_be_packaged and not path.exists() and packaged.exists() else path


def _packaged_names() -> str:
    from seas_data.resources import folder

    return ", ".join(sorted(f"pipelines/{path.name}" for path in folder("pipelines").glob("*.yaml")))


def _parse_value(change: str) -> tuple[list[str], Any]:
    """Return the key and the value of a change ``a.b=value``."""
    key, equals, value = change.partition("=")
    if not equals or not key:
        raise SeasDataError(f"--set {printable(change[:200])} should have the form a.b=value")
    try:
        parsed = yaml_text.load(value)
    except ValueError as problem:
        reason = " ".join(str(problem).split())[:200]
        raise SeasDataError(
            f"--set {printable(change[:200])}: {value[:200]!r} is not a YAML value: {reason}"
        ) from problem
    return key.split("."), parsed


def _apply_change(content: dict[str, Any], change: str) -> None:
    (*parents, last), value = _parse_value(change)
    section = content
    for parent in parents:
        child = {} if section.get(parent) is None else section[parent]
        if not isinstance(child, dict):
            raise SeasDataError(
                f"--set {printable(change[:200])}: {printable(parent[:200])} is a value, not a section, so it has no "
                "keys to set"
            )
        # A YAML alias is the same mapping object as its anchor. Copy it so that the anchor does not change.
        section[parent] = dict(child)
        section = section[parent]
    section[last] = mark_command_line(value)


def _explain(problem: ValidationError, content: dict[str, Any]) -> str:
    """Return one phrase for each error with its key and what is allowed, ten at most. List each unset variable once."""
    errors = {
        error["msg"] if error["type"] == "unset" else number: _message(dict(error), content)
        for number, error in reversed(list(enumerate(problem.errors())))
    }
    listed = [each[:_LONGEST_PHRASE] for each in reversed(errors.values())]
    more = [f"and {len(listed) - _MAX_LISTED} more"] if len(listed) > _MAX_LISTED else []
    return "; ".join([*listed[:_MAX_LISTED], *more])


def _message(error: dict[str, Any], content: dict[str, Any]) -> str:
    key = ".".join(_key_path(error["loc"], content)) or "the recipe"
    if error["type"] == "unknown_key":
        return f"{key} {error['msg']}"
    if error["type"] == "missing":
        return f"{key} is missing"
    given = error["input"]
    if error["type"].startswith("union_tag") and not isinstance(given, dict):
        return f"{key} should be a section, such as {key}: {{model: org/name}} (given: {_shorten(given)})"
    shown = f" (given: {_shorten(given)})" if isinstance(given, str | int | float | bool) else ""
    return f"{key}: {error['msg'].removeprefix('Value error, ')}{shown}"


def _shorten(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # a hexadecimal number with more digits than Python writes
        return "a number with thousands of digits"
    text = re.sub(r"(?<=://)[^/@\s]*@", "...@", text)  # a name and a password
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _key_path(location: tuple[str | int, ...], content: Any) -> list[str]:
    """Return ``location`` as keys of the recipe, without the class names that pydantic adds for unions."""
    keys = []
    for part in location[:-1]:
        exists = isinstance(part, int) if isinstance(content, list) else part in content
        child = content[part] if exists else None
        if isinstance(child, dict | list):
            keys.append(str(part))
            content = child
    return [*keys, *map(str, location[-1:])]
