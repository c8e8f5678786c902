"""The cards: what a person reads first, written from the data and checked against it.

A card is a template of ``cards/`` filled with figures (``answers.py``), each the answer of a query of the library. The
template engine is Jinja's sandbox with undefined names refused, and whatever a template prints goes through
``markdown.escape`` unless this package wrote it as Markdown: there is no way to forget it.

What is written stands between two comment lines, of which the first names the version, its profile and its digest.
People may write before and behind them and add keys to the metadata; ``merge`` keeps that, and ``differences`` looks
only at our part.
"""

import difflib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.release.card import facts as card_facts
from seas_data.release.card import markdown, metadata, pictures
from seas_data.release.card import tables as card_tables
from seas_data.release.visibility import Profile
from seas_data.resources import folder
from seas_data.store import files

README = "README.md"
_BEGIN = re.compile(r"^<!-- seas-data: begin (\S*) ?(\S*).*-->$", re.MULTILINE)
_END = re.compile(r"^<!-- seas-data: end -->$", re.MULTILINE)


def dataset_card(version: Version, profile: Profile = "public", allowed: Mapping[str, str] | None = None) -> str:
    """Return the card (README.md) of ``version`` in ``profile``.

    ``allowed``: the checks that a person overruled, and why.
    """
    return dataset_files(version, profile, allowed)[README]


def dataset_files(
    version: Version, profile: Profile = "public", allowed: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the card and the pictures (SVG) that it shows: the text of each file, by its path in the folder."""
    known = card_facts.dataset(version, profile, allowed or {})
    about = f"{version.name} {profile} {known['digest']}"
    head, template = metadata.dump(known.pop("metadata")), _environment().get_template("dataset.md.jinja")
    return {README: _card(head, about, template, known)} | pictures.draw(known)


def model_card(version: Version, model: str, allowed: Mapping[str, str] | None = None) -> str:
    """Return the card of a model that ``version`` knows. Raises SeasDataError when it knows none of that name.

    ``allowed``: what a person let pass to publish it, and why.
    """
    known = card_facts.model(version, model)
    known["allowed"] = [{"check": name, "because": why} for name, why in sorted((allowed or {}).items())]
    about = f"{version.name} {model_name(model)} {known['digest']}"
    return _card(metadata.dump(known.pop("metadata")), about, _environment().get_template("model.md.jinja"), known)


def model_name(model: str) -> str:
    """Return a model's name as the first line of our part has it."""
    return re.sub(r"[^A-Za-z0-9_.]", "_", model)


def about(text: str) -> tuple[str, str] | None:
    """Return which version our part of a card is about, and which profile or model of it; None without such a part."""
    found = _BEGIN.search(_lines(text))
    return (found[1], found[2]) if found else None


def differences(text: str, fresh: str) -> list[str]:
    """Return what in a card differs from a fresh one: keys of the metadata, then lines of our part; nothing if current.

    Lines begin with ``-`` (stands there) or ``+`` (should). What stands outside our part is not looked at.
    """
    existing, body = metadata.split(_lines(text))
    wanted, fresh_body = metadata.split(fresh)
    found = [
        f"metadata: {markdown.line(key)} is not what the data says" for key in metadata.differences(existing, wanted)
    ]
    _, ours, _ = _parts(body)
    _, part, _ = _parts(fresh_body)
    if not ours:
        return [*found, "the card has no part that begins with <!-- seas-data: begin"]
    for line in difflib.unified_diff(ours.splitlines(), part.splitlines(), lineterm="", n=0):
        if line.startswith(("---", "+++", "@@")):
            continue
        found.append(markdown.line(line, 400))
    return found


def merge(existing: str, fresh: str) -> str:
    """Return the card ``existing`` with our part and our metadata as in ``fresh``, and all the rest as it was.

    Raises SeasDataError when the part's begin and end lines are not one of each, in order.
    """
    theirs, body = metadata.split(_lines(existing))
    ours, fresh_body = metadata.split(fresh)
    before, _, after = _parts(body)
    _, part, _ = _parts(fresh_body)
    whole = f"{before.rstrip()}\n\n{part}\n\n{after.lstrip()}".strip() + "\n"
    return f"---\n{metadata.dump(metadata.merge(theirs, ours))}---\n\n{whole}"


def write(fresh: str, path: Path) -> None:
    """Write a card to ``path``; into the one that is there, if any, as ``merge`` does."""
    files.write_text(path, merge(files.read_text(path), fresh) if path.exists() else fresh)


def check(path: Path, fresh: str) -> list[str]:
    """Return ``differences`` of the card at ``path``. Raises SeasDataError when there is none."""
    if not path.is_file():
        raise SeasDataError(f"there is no card at {path}; write one with: seas-data card -o {path}")
    return differences(files.read_text(path), fresh)


def _parts(body: str) -> tuple[str, str, str]:
    """Return what stands before our part, our part with its two lines, and what stands behind it."""
    begins, ends = list(_BEGIN.finditer(body)), list(_END.finditer(body))
    if not begins and not ends:
        return "", "", body
    if len(begins) != 1 or len(ends) != 1 or ends[0].start() < begins[0].end():
        raise SeasDataError(
            "the card should have one line <!-- seas-data: begin ... --> and, below it, one <!-- seas-data: end -->; "
            "restore them, or remove them with all between them"
        )
    return body[: begins[0].start()], body[begins[0].start() : ends[0].end()], body[ends[0].end() :]


def _card(head: str, about: str, template: Any, known: Mapping[str, Any]) -> str:
    body = re.sub(r"\n{3,}", "\n\n", template.render(known)).strip()
    return (
        f"---\n{head}---\n\n<!-- seas-data: begin {about} (what stands from here to the end line is written anew by "
        f"each release; write above or below) -->\n\n{body}\n\n<!-- seas-data: end -->\n"
    )


def _lines(text: str) -> str:
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
    # What is not in ``card_tables`` cannot be called: a filter that joins or replaces escapes for HTML, not Markdown.
    environment.filters, environment.tests = {}, {}
    environment.globals = dict(card_tables.FUNCTIONS)
    return environment
