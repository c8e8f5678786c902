"""Paths in a recipe, as a type of their own: where a path is read, it leads from the recipe's folder.

``$NAME`` is taken from the environment and ``~`` is your home. A digest is of names alone, for the same recipe may lie
in another folder. A model is a name on the Hub, unless it begins as a path does: with ``.``, ``/``, ``~`` or ``$``.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Final

from pydantic import AfterValidator, PlainSerializer, SerializationInfo, ValidationInfo
from pydantic_core import PydanticCustomError

SANDBOX: Final = "$SANDBOX"
"""In the paths of a recipe with a `sandbox`: the folder of its files, which a build makes."""


def is_path(model: str) -> bool:
    """Return whether the ``model`` of a recipe is a folder, and no name on the Hub."""
    return model.startswith((".", "/", "~", "$"))


def _placed(path: str, info: ValidationInfo) -> str:
    """Return where ``path`` leads from the context's ``folder``; as it is in no context, and below SANDBOX.

    A context with ``sandbox``, the folder for which SANDBOX stands, is given once the sandbox has been written.
    """
    context = info.context or {}
    if path.startswith(SANDBOX) and "sandbox" in context:
        written: Path | None = context["sandbox"]
        return path if written is None else path.replace(SANDBOX, str(written), 1)
    if "folder" not in context:
        return path
    expanded = os.path.expandvars(path)
    if unset := re.search(r"\$\{?(\w+)", expanded):
        message = f"${unset[1]} is not set; set it to the folder that it stands for"
        raise PydanticCustomError("unset", "{message}", {"message": message})
    return str(context["folder"] / Path(expanded).expanduser())


def _placed_model(model: str, info: ValidationInfo) -> str:
    place = _placed(model, info) if is_path(model) else model
    # The libraries that load models take what might be a name on the Hub for one.
    return str(Path(place).absolute()) if is_path(model) and not place.startswith(SANDBOX) else place


def _template(text: str, info: ValidationInfo) -> str:
    """Return the text of a template: that of its file, so that the digest covers what the file says."""
    if not text.endswith(".jinja") or "folder" not in (info.context or {}):
        return text
    path = Path(_placed(text, info))
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise ValueError(f"the chat template {path} cannot be read: {problem}") from problem


def _shown(path: str, info: SerializationInfo) -> str:
    return Path(path).name if (info.context or {}).get("digest") else path


def _shown_model(model: str, info: SerializationInfo) -> str:
    return _shown(model, info) if is_path(model) else model


Place = Annotated[str, AfterValidator(_placed), PlainSerializer(_shown)]
"""A file or folder."""
ModelPlace = Annotated[str, AfterValidator(_placed_model), PlainSerializer(_shown_model)]
"""A name on the Hub, or the folder of a model."""
Template = Annotated[str, AfterValidator(_template)]
"""A Jinja text, or a file that ends in .jinja."""
