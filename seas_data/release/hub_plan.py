"""What a push would change: which files are new, which differ, which of ours are to go, and how the card would read.

A file of the repository is ours by its name: the card, ``views.sql``, ``croissant.json``, ``manifest.json``, the data
files of our configs, and the shards of our tables; of a model, its weights. Ours follow the version: what the new one
no longer has is deleted. Everything else there is somebody else's and stays. The card is shared: our part stands
between its two comment lines, and of its metadata the keys that the data says are ours (``card.merge``).
"""

import difflib
import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from seas_data import files
from seas_data.release import card, configs
from seas_data.release.hub import Kind
from seas_data.release.remote import Remote, State
from seas_data.store import Manifest
from seas_data.tables import TABLES
from seas_data.text import printable

CARD = "README.md"
_NAMED = {CARD, "views.sql", "croissant.json", "manifest.json"}
_CONFIGS = "|".join(config.name for config in configs.CONFIGS)
_DATA = re.compile(rf"data/(?:{_CONFIGS})/[a-z]+-\d{{5}}-of-\d{{5}}\.parquet")
_SHARD = re.compile(rf"tables/(?:(?:{'|'.join(TABLES)})/[0-9a-f]{{64}}|runs/v\d+)\.parquet")
_WEIGHTS = re.compile(r"(?:model|adapter_model)(?:-\d{5}-of-\d{5})?\.safetensors(?:\.index\.json)?")


@dataclass(frozen=True)
class Plan:
    """A push as it would be: files with their sizes in bytes, those to delete, and the card's changed lines."""

    new: dict[str, int]
    changed: dict[str, int]
    same: dict[str, int]
    deleted: list[str]
    others: list[str]
    card: list[str]

    @property
    def nothing(self) -> bool:
        """Whether the repository holds it all already."""
        return not (self.new or self.changed or self.deleted)

    @property
    def bytes(self) -> int:
        """How much there is to send at most."""
        return sum(self.new.values()) + sum(self.changed.values())


def make(folder: Path, remote: Remote, state: State | None) -> Plan:
    """Compare ``folder`` with what the repository holds, and write into its card what others wrote there."""
    there = state.files if state else {}
    changes: list[str] = []
    if state is not None and CARD in there and (folder / CARD).exists():
        theirs = remote.read(CARD, state.commit).decode("utf-8", errors="replace")
        merged = card.merge(theirs, (folder / CARD).read_text(encoding="utf-8"))
        files.write_text(folder / CARD, merged)
        changes = _difference(theirs, merged)
    new: dict[str, int] = {}
    changed: dict[str, int] = {}
    same: dict[str, int] = {}
    for path in sorted(each for each in folder.rglob("*") if each.is_file()):
        place = path.relative_to(folder).as_posix()
        group = new if place not in there else same if there[place].same_as(path) else changed
        group[place] = path.stat().st_size
    here = {*new, *changed, *same}
    gone = [place for place in there if place not in here]
    deleted = [place for place in gone if is_ours(place, remote.kind)]
    others = [place for place in gone if place not in deleted and place != ".gitattributes"]
    return Plan(new, changed, same, deleted, others, changes)


def is_ours(place: str, kind: Kind) -> bool:
    """Return whether a file of the repository is one that pushes write."""
    if kind == "model":
        return bool(_WEIGHTS.fullmatch(place))
    return place in _NAMED or bool(_DATA.fullmatch(place) or _SHARD.fullmatch(place))


def published(remote: Remote, state: State | None, revision: str | None = None) -> Manifest | None:
    """Return the manifest of the version that the repository holds (at a commit of it); None if it holds none."""
    if state is None or (revision is None and "manifest.json" not in state.files):
        return None
    commit = revision or state.commit
    if revision is not None and "manifest.json" not in remote.tree(revision):
        return None
    try:
        return Manifest.model_validate_json(remote.read("manifest.json", commit))
    except ValidationError:
        return None


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
