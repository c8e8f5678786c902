"""What a push would change: which files are new, which differ, which of ours are to go, and how the card would read.

A file of the repository is ours by its name: the card and its pictures, ``views.sql``, ``croissant.json``,
``manifest.json``, the data files of our configs, and the shards of our tables; of a model, the files that make it
(``checkpoint.PARTS``) and ``training.json``. Ours follow the version: what the new one no longer has is deleted.
Everything else there is somebody else's and stays. The card is shared: our part stands between its two comment lines,
and of its metadata the keys that the data says are ours (``card.merge``).

Where nothing says that an earlier push filled the repository, files of such names are somebody else's too, and nothing
is pushed there.
"""

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import ValidationError

from seas_data.errors import SeasDataError
from seas_data.models import checkpoint
from seas_data.release import card, configs
from seas_data.release.hub.errors import Kind
from seas_data.release.hub.remote import Local, Remote, State
from seas_data.store import Manifest, files
from seas_data.tables import TABLES
from seas_data.text import printable

CARD = "README.md"
TRAINING = "training.json"
_MANIFEST = "manifest.json"
_PICTURES = {f"assets/{name}.svg" for name in ("attack-success", "course")}
_NAMED = {CARD, "views.sql", "croissant.json", _MANIFEST, *_PICTURES}
_CONFIGS = "|".join(config.name for config in configs.CONFIGS)
_DATA = re.compile(rf"data/(?:{_CONFIGS})/[a-z]+-\d{{5}}-of-\d{{5}}\.parquet")
_SHARD = re.compile(rf"tables/(?:{'|'.join(TABLES)})/[0-9a-f]{{64}}\.parquet")


@dataclass(frozen=True)
class There:
    """What a repository says of what it holds: the manifest of a release, its card, and what our part of that is about.

    ``about``: a version, and a profile or model of it.
    """

    manifest: Manifest | None = None
    card: str | None = None
    about: tuple[str, str] | None = None


@dataclass(frozen=True)
class Plan:
    """A push as it would be: files with their sizes in bytes, those to delete, and the card's changed lines."""

    new: dict[str, int]
    changed: dict[str, int]
    same: dict[str, int]
    deleted: list[str]
    others: list[str]
    card: list[str]
    local: dict[str, Local] = field(default_factory=dict, repr=False)
    """The files here, by their places there."""

    @property
    def nothing(self) -> bool:
        """Whether the repository holds it all already."""
        return not (self.new or self.changed or self.deleted)

    @property
    def bytes(self) -> int:
        """How much there is to send at most."""
        return sum(self.new.values()) + sum(self.changed.values())


def there(remote: Remote, state: State | None) -> There:
    """Return what the repository says that it holds. Raises SeasDataError if that was not written by a push of ours.

    So where files have names of ours without a manifest or a card of ours beside them, or the manifest is none.
    """
    if state is None:
        return There()
    text = remote.read(CARD, state.commit).decode("utf-8", errors="replace") if CARD in state.files else None
    about = card.about(text) if text is not None else None
    manifest = manifest_at(remote, state.commit, state.files) if remote.kind == "dataset" else None
    strange = sorted(place for place in state.files if place != CARD and is_ours(place, remote.kind))
    if strange and manifest is None and about is None:
        raise SeasDataError(
            f"{remote.name} holds {printable(strange[0])}, which a push would replace, and no card of a push of ours: "
            "name a repository that is new, or holds nothing else"
        )
    return There(manifest, text, about)


def make(folder: Path, remote: Remote, state: State | None, found: There) -> Plan:
    """Compare ``folder`` with what the repository holds, and write into its card what others wrote there."""
    held = state.files if state else {}
    changes: list[str] = []
    if found.card is not None:
        merged = card.merge(found.card, (folder / CARD).read_text(encoding="utf-8"))
        files.write_text(folder / CARD, merged)
        changes = _difference(found.card, merged)
    new: dict[str, int] = {}
    changed: dict[str, int] = {}
    same: dict[str, int] = {}
    paths = sorted(each for each in folder.rglob("*") if each.is_file())
    local = {path.relative_to(folder).as_posix(): Local(path) for path in paths}
    for place, file in local.items():
        group = new if place not in held else same if held[place].same_as(file) else changed
        group[place] = file.size
    gone = [place for place in held if place not in local]
    deleted = [place for place in gone if is_ours(place, remote.kind)]
    others = [place for place in gone if place not in deleted and place != ".gitattributes"]
    return Plan(new, changed, same, deleted, others, changes, local)


def is_ours(place: str, kind: Kind) -> bool:
    """Return whether a file of the repository is one that pushes write."""
    if kind == "model":
        parts = (CARD, TRAINING, *checkpoint.PARTS)
        return "/" not in place and any(fnmatchcase(place, pattern) for pattern in parts)
    return place in _NAMED or bool(_DATA.fullmatch(place) or _SHARD.fullmatch(place))


def manifest_at(remote: Remote, commit: str, held: Collection[str]) -> Manifest | None:
    """Return the manifest of the version that the repository holds at ``commit``; None if it is not ``held`` there.

    Raises SeasDataError if what is there is no manifest.
    """
    if _MANIFEST not in held:
        return None
    try:
        return Manifest.model_validate_json(remote.read(_MANIFEST, commit))
    except (ValidationError, RecursionError):
        raise SeasDataError(
            f"the manifest.json of {remote.name} (commit {commit[:7]}) is none of ours, so it is not known what that "
            "holds: name another repository, or put right what is there"
        ) from None


def message(manifest: Manifest, before: Manifest | None, profile: str, tag: str | None) -> tuple[str, str]:
    """Return the commit's title and text: which version it is, and what is new against the one that was there."""
    rows, old = manifest.rows(), before.rows() if before else {}
    prompts = f"{rows.get('prompts', 0):,} prompts"
    since = f"{rows.get('prompts', 0) - old.get('prompts', 0):+,} since {before.version}, " if before else ""
    title = f"{manifest.version}{f' ({tag})' if tag else ''}: {prompts}, {since}{profile} profile"
    lines = []
    for table, count in rows.items():
        if count or old.get(table):
            change = f" ({count - old.get(table, 0):+,})" if before else ""
            lines.append(f"- {table}: {count:,} rows{change}")
    held = ", ".join(config.name for config in configs.CONFIGS if profile in config.profiles)
    facts = [f"Configs: {held}", f"Digest: {manifest.digest}", f"Full version: {manifest.full_digest}"]
    return title, "\n".join([*lines, "", *facts])


def _difference(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "there", "pushed", lineterm="", n=1)
    return [printable(line)[:200] for line in lines]
