"""Types of paths and model names in a recipe. A relative path is relative to the recipe's folder; one that a
change on the command line gives (``--set``) is relative to the current folder, as paths on a command line are.

``$NAME`` is taken from the environment and ``~`` is the home folder. A digest covers names only, since the same recipe
may be in another folder. A model is a name on the Hub unless it begins like a path: with ``.``, ``/``, ``~`` or ``$``.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, SerializationInfo, ValidationInfo
from pydantic_core import PydanticCustomError

SANDBOX: Final = "$SANDBOX"
"""In the paths of a recipe with a `sandbox`: the folder of its files, which a build generates."""


class CommandLineText(str):
    """A text that was given on the command line, whose relative paths are relative to the current folder."""

    __slots__ = ()


def mark_command_line(value: Any) -> Any:
    """Return ``value``, as YAML has it, with its texts as ``CommandLineText``."""
    if isinstance(value, dict):
        return {key: mark_command_line(each) for key, each in value.items()}
    if isinstance(value, list):
        return [mark_command_line(each) for each in value]
    return CommandLineText(value) if isinstance(value, str) else value


def resolve_command_line(path: str) -> str:
    """Return the absolute path of a relative ``path`` on the command line; other paths unchanged."""
    return path if not path or path.startswith(("$", "~")) or "\0" in path else str(Path.cwd() / path)


def _from_command_line(value: Any) -> Any:
    return resolve_command_line(value) if isinstance(value, CommandLineText) else value


def _model_from_command_line(value: Any) -> Any:
    return _from_command_line(value) if isinstance(value, str) and is_local_path(value) else value


def _template_from_command_line(value: Any) -> Any:
    return _from_command_line(value) if isinstance(value, str) and value.endswith(".jinja") else value


def is_in_sandbox(path: str) -> bool:
    """Return whether the ``path`` of a recipe is SANDBOX or below it."""
    return path == SANDBOX or path.startswith(f"{SANDBOX}/")


def is_local_path(model: str) -> bool:
    """Return whether the ``model`` of a recipe is a local folder and not a name on the Hub."""
    return model.startswith((".", "/", "~", "$"))


def _resolve_path(path: str, info: ValidationInfo) -> str:
    """Return ``path`` resolved against the context's ``folder``; unchanged without a context, or below SANDBOX.

    Once the sandbox has been generated, the context has its folder as ``sandbox``, which replaces SANDBOX.
    """
    context = info.context or {}
    if "sandbox" in context and is_in_sandbox(path):
        if ".." in Path(path).parts:
            raise ValueError(f"a path stays below {SANDBOX}; remove ..")
        generated: Path | None = context["sandbox"]
        return path if generated is None else path.replace(SANDBOX, str(generated), 1)
    if "folder" not in context:
        return path
    if "\0" in path:
        raise ValueError("a path has no NUL character")
    if path not in context.get("trusted_paths", {path}) and _leaves_folder(path):
        raise ValueError(
            "the recipe was pulled, and it may read neither environment variables nor files outside its own folder; "
            "check it and pass --trust, or give the path with --set"
        )
    expanded = os.path.expandvars(path)
    if unset := re.search(r"\$\{?(\w+)", expanded):
        message = f"the environment variable ${unset[1]} is not set; set it to the folder that the path begins with"
        raise PydanticCustomError("unset", "{message}", {"message": message})
    try:
        return str(context["folder"] / Path(expanded).expanduser())
    except RuntimeError:
        raise ValueError("the home folder of that user is unknown; write the path in full") from None


def resolve_file(path: str, info: ValidationInfo) -> str:
    """Return the path of a file that a key of another type names; ValueError where recipes cannot name files.

    They cannot where they were not read from a file: in manifests, whose content comes from anywhere.
    """
    if "folder" not in (info.context or {}):
        raise ValueError(f"{path!r} is a file, and only the file of a recipe can name one; give its content")
    return _resolve_path(_from_command_line(path), info)


def _leaves_folder(path: str) -> bool:
    return "$" in path or path.startswith("~") or Path(path).is_absolute() or ".." in Path(path).parts


def _resolve_model(model: str, info: ValidationInfo) -> str:
    path = _resolve_path(model, info) if is_local_path(model) else model
    # Libraries that load models take a relative path that could be a name on the Hub for one.
    return str(Path(path).absolute()) if is_local_path(model) and not is_in_sandbox(path) else path


def _read_template(text: str, info: ValidationInfo) -> str:
    """Return the text of a template, read from its file if there is one, so that the digest covers its content."""
    if not text.endswith(".jinja") or "folder" not in (info.context or {}):
        return text
    path = Path(_resolve_path(text, info))
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ValueError(f"the chat template {path} cannot be read: {problem}") from problem


def _policy_from_command_line(value: Any) -> Any:
    return _from_command_line(value) if isinstance(value, str) and _is_policy_file(value) else value


def _is_policy_file(text: str) -> bool:
    return text.endswith((".md", ".txt")) and "\n" not in text


def _read_policy(text: str, info: ValidationInfo) -> str:
    """Return the text of a policy, read from its file if there is one, so that the digest covers its content."""
    if _is_policy_file(text) and "folder" in (info.context or {}):
        path = Path(_resolve_path(text, info))
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as problem:
            raise ValueError(f"the policy {path} cannot be read: {problem}; correct its path") from problem
    if not text.strip():
        raise ValueError("the policy is empty; write what the judge should judge by")
    return text


def _serialize_path(path: str, info: SerializationInfo) -> str:
    return Path(path).name if (info.context or {}).get("digest") else path


def _serialize_model(model: str, info: SerializationInfo) -> str:
    return _serialize_path(model, info) if is_local_path(model) else model


RecipePath = Annotated[
    str, BeforeValidator(_from_command_line), AfterValidator(_resolve_path), PlainSerializer(_serialize_path)
]
"""A file or folder."""
ModelReference = Annotated[
    str, BeforeValidator(_model_from_command_line), AfterValidator(_resolve_model), PlainSerializer(_serialize_model)
]
"""A model's name on the Hub, or its folder."""
PolicyText = Annotated[str, BeforeValidator(_policy_from_command_line), AfterValidator(_read_policy)]
"""A policy that a judge judges by, or a file that ends in .md or .txt."""
ChatTemplate = Annotated[str, BeforeValidator(_template_from_command_line), AfterValidator(_read_template)]
"""Jinja text, or a file that ends in .jinja."""
