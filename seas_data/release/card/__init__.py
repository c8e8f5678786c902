"""The cards of datasets and models: rendered from the data, and compared with it.

A card is a template of ``cards/`` rendered with figures that library queries compute (``queries.py``). Templates run in
Jinja's sandbox, where undefined names are errors, and everything that a template prints is escaped by
``markdown.escape`` unless this package wrote it as Markdown.

The generated part of a card is between two comment lines; the first names the version, its profile and its digest.
People may write before and after it and add keys to the metadata: ``merge`` keeps their text, and ``differences``
compares only the generated part.
"""

import difflib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from seas_data import markdown
from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.release.card import metadata, pictures, template_context, template_functions
from seas_data.release.visibility import Profile
from seas_data.resources import folder
from seas_data.store import files

README = "README.md"
_BEGIN = re.compile(r"^<!-- seas-data: begin (\S*) ?(\S*).*-->$", re.MULTILINE)
_END = re.compile(r"^<!-- seas-data: end -->$", re.MULTILINE)


def dataset_card(version: Version, profile: Profile = "public", waivers: Mapping[str, str] | None = None) -> str:
    """Return the card (README.md) of ``version`` in ``profile``.

    ``waivers``: the reason for each waived check, which the card lists.
    """
    return dataset_files(version, profile, waivers)[README]


def dataset_files(
    version: Version, profile: Profile = "public", waivers: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the text of the card and of the pictures (SVG) in it, by their paths in the release."""
    context = template_context.dataset_context(version, profile, waivers or {})
    described = f"{version.name} {profile} {context['digest']}"
    head, template = metadata.dump(context.pop("metadata")), _environment().get_template("dataset.md.jinja")
    return {README: _render(head, described, template, context)} | pictures.draw_pictures(context)


def model_card(version: Version, model: str, waivers: Mapping[str, str] | None = None) -> str:
    """Return the card of a model of ``version``. Raises SeasDataError if it has no model of that name.

    ``waivers``: the reason for each waived check of the model, which the card lists.
    """
    context = template_context.model_context(version, model, waivers or {})
    described = f"{version.name} {model_name(model)} {context['digest']}"
    head, template = metadata.dump(context.pop("metadata")), _environment().get_template("model.md.jinja")
    return _render(head, described, template, context)


def model_name(model: str) -> str:
    """Return the name of a model in the form that the begin line has."""
    return re.sub(r"[^A-Za-z0-9_.]", "_", model)


def read_described(text: str) -> tuple[str, str] | None:
    """Return the version, and the profile or model, that the generated part of a card describes; None without one."""
    begin = _BEGIN.search(_normalise_newlines(text))
    return (begin[1], begin[2]) if begin else None


def differences(text: str, current: str) -> list[str]:
    """Return how a card differs from the ``current`` one: metadata keys, then lines of the generated part.

    Lines begin with ``-`` (in the card) or ``+`` (current). Text outside the generated part is not compared.
    """
    existing, body = metadata.split(_normalise_newlines(text))
    wanted, current_body = metadata.split(current)
    found = [f"metadata: {markdown.line(key)} is out of date" for key in metadata.differences(existing, wanted)]
    _, generated, _ = _parts(body)
    _, current_part, _ = _parts(current_body)
    if not generated:
        return [*found, "the card has no line <!-- seas-data: begin ... -->"]
    changes = difflib.unified_diff(generated.splitlines(), current_part.splitlines(), lineterm="", n=0)
    return found + [markdown.line(each, 400) for each in changes if not each.startswith(("---", "+++", "@@"))]


def merge(existing: str, current: str) -> str:
    """Return the card ``existing`` with the generated part and the managed metadata of ``current``.

    Raises SeasDataError unless ``existing`` has one begin line and one end line after it, or neither.
    """
    existing = _normalise_newlines(existing)
    _, body = metadata.split(existing)
    current_metadata, current_body = metadata.split(current)
    before, _, after = _parts(body)
    _, part, _ = _parts(current_body)
    whole = f"{before.rstrip()}\n\n{part}\n\n{after.lstrip()}".strip() + "\n"
    return f"---\n{metadata.update(existing, current_metadata)}---\n\n{whole}"


def write(current: str, path: Path) -> None:
    """Write a card to ``path``; if the file exists, merge the card into it."""
    files.write_text(path, merge(files.read_text(path), current) if path.exists() else current)


def find_differences(path: Path, current: str) -> list[str]:
    """Return the ``differences`` of the card at ``path``. Raises SeasDataError if the file does not exist."""
    if not path.is_file():
        raise SeasDataError(f"there is no card at {path}; write one with: seas-data card -o {path}")
    return differences(files.read_text(path), current)


def _parts(body: str) -> tuple[str, str, str]:
    """Return the text before the generated part, the part with its two comment lines, and the text after it."""
    begins, ends = list(_BEGIN.finditer(body)), list(_END.finditer(body))
    if not begins and not ends:
        return "", "", body
    if len(begins) != 1 or len(ends) != 1 or ends[0].start() < begins[0].end():
        raise SeasDataError(
            "the card should have one line <!-- seas-data: begin ... --> and, below it, one <!-- seas-data: end -->; "
            "restore them, or remove both with all text between them"
        )
    return body[: begins[0].start()], body[begins[0].start() : ends[0].end()], body[ends[0].end() :]


def _render(head: str, described: str, template: Any, context: Mapping[str, Any]) -> str:
    body = re.sub(r"\n{3,}", "\n\n", template.render(context)).strip()
    return (
        f"---\n{head}---\n\n<!-- seas-data: begin {described} (generated: each release replaces the text from here to "
        f"the end line; write above or below) -->\n\n{body}\n\n<!-- seas-data: end -->\n"
    )


def _normalise_newlines(text: str) -> str:
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


@cache
def _environment() -> SandboxedEnvironment:
    environment = SandboxedEnvironment(
        loader=FileSystemLoader(folder("cards")),
        undefined=StrictUndefined,
        autoescape=True,
        finalize=markdown.escape,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Templates can call only ``template_functions``: built-in filters escape for HTML, not for Markdown.
    environment.filters, environment.tests = {}, {}
    environment.globals = dict(template_functions.FUNCTIONS)
    return environment
