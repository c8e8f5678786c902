"""The plan of a push: files to add, replace and delete, and the lines of the card that change.

A push manages files by their names: of a dataset the card and its pictures, ``views.sql``, ``croissant.json``,
``manifest.json``, the data files of the configs and the shards of the tables; of a model the files of a checkpoint
(``checkpoint.FILE_PATTERNS``) and ``training.json``. Managed files follow the version: those that it no longer has are
deleted. All other files stay. The card is shared: a push replaces the part between its two comment lines, and the
metadata keys that derive from the data (``card.merge``).

If files have managed names but no manifest or card of an earlier push is there, they belong to somebody else, and
nothing is pushed. Shards alone do not: their names are their hashes, and a first push in several commits that was
interrupted leaves them.
"""

import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from huggingface_hub import CommitOperationAdd
from pydantic import ValidationError

from seas_data.errors import SeasDataError
from seas_data.models import checkpoint
from seas_data.release import card, configs
from seas_data.release.hub.errors import Kind
from seas_data.release.hub.remote import LocalFile, Remote, RepositoryInfo
from seas_data.store import Manifest, files
from seas_data.tables import TABLES
from seas_data.text import printable

CARD = "README.md"
TRAINING = "training.json"
_MANIFEST = "manifest.json"
_PICTURES = {f"assets/{name}.svg" for name in ("attack-success", "course")}
_FILE_NAMES = {CARD, "views.sql", "croissant.json", _MANIFEST, *_PICTURES}
_CONFIGS = "|".join(config.name for config in configs.CONFIGS)
_DATA = re.compile(rf"data/(?:{_CONFIGS})/[a-z]+-\d{{5}}-of-\d{{5}}\.parquet")
_SHARD = re.compile(rf"tables/(?:{'|'.join(TABLES)})/[0-9a-f]{{64}}\.parquet")


@dataclass(frozen=True)
class RemoteState:
    """The release in a repository: its manifest and card, and what the generated part of the card describes.

    ``described``: a version, and its profile or model.
    """

    manifest: Manifest | None = None
    card: str | None = None
    described: tuple[str, str] | None = None


@dataclass(frozen=True)
class PushPlan:
    """The changes of a push: files with their sizes in bytes, files to delete, and changed lines of the card.

    ``unmanaged``: files of the repository that pushes leave alone.
    """

    new: dict[str, int]
    changed: dict[str, int]
    same: dict[str, int]
    deleted: list[str]
    unmanaged: list[str]
    card: list[str]
    local: dict[str, LocalFile] = field(default_factory=dict, repr=False)
    """The local files, by their paths in the repository."""

    @property
    def is_empty(self) -> bool:
        """Whether the repository is up to date."""
        return not (self.new or self.changed or self.deleted)

    @property
    def upload_bytes(self) -> int:
        """The largest number of bytes that may be uploaded."""
        return sum(self.new.values()) + sum(self.changed.values())


def read_remote_state(remote: Remote, info: RepositoryInfo | None) -> RemoteState:
    """Return the release that the repository holds.

    Raises SeasDataError if its files have managed names without a manifest or card of a push, or if its manifest is
    invalid.
    """
    if info is None:
        return RemoteState()
    text = remote.read_file(CARD, info.commit).decode("utf-8", errors="replace") if CARD in info.files else None
    described = card.read_described(text) if text is not None else None
    manifest = read_manifest(remote, info.commit, info.files) if remote.kind == "dataset" else None
    managed = sorted(
        path for path in info.files if path != CARD and is_managed(path, remote.kind) and not _SHARD.fullmatch(path)
    )
    if managed and manifest is None and described is None:
        raise SeasDataError(
            f"{remote.name} has a file {printable(managed[0])}, which a push would replace, but no card of an earlier "
            "push; choose a new repository, or one without such files"
        )
    return RemoteState(manifest, text, described)


def make_plan(folder: Path, remote: Remote, info: RepositoryInfo | None, state: RemoteState) -> PushPlan:
    """Compare the release in ``folder`` with the repository, after merging the repository's card into that of it.

    Raises SeasDataError if a push of another release, which was interrupted, has left shards there.
    """
    held = info.files if info else {}
    card_changes: list[str] = []
    if state.card is not None:
        merged = card.merge(state.card, (folder / CARD).read_text(encoding="utf-8"))
        files.write_text(folder / CARD, merged)
        card_changes = _diff(state.card, merged)
    new: dict[str, int] = {}
    changed: dict[str, int] = {}
    same: dict[str, int] = {}
    paths = sorted(each for each in folder.rglob("*") if each.is_file())
    local = {path.relative_to(folder).as_posix(): LocalFile(path) for path in paths}
    for path, file in local.items():
        group = new if path not in held else same if held[path].matches(file) else changed
        group[path] = file.size
    missing = [path for path in held if path not in local]
    deleted = [path for path in missing if is_managed(path, remote.kind)]
    if state.manifest is None and state.described is None and remote.kind == "dataset" and deleted:
        raise SeasDataError(
            f"{remote.name} has {deleted[0]}, of another push that was interrupted, which its history would expose; "
            "choose a new repository, or push the same version and profile again"
        )
    unmanaged = [path for path in missing if path not in deleted and path != ".gitattributes"]
    return PushPlan(new, changed, same, deleted, unmanaged, card_changes, local)


def split_commits(additions: list[CommitOperationAdd], limit: int) -> list[list[CommitOperationAdd]]:
    """Return the additions of each commit: ``limit`` shards each and, in the last commit, all other files too."""
    shards = [each for each in additions if _SHARD.fullmatch(each.path_in_repo)]
    if len(additions) <= limit or not shards:
        return [additions]
    parts = [shards[start : start + limit] for start in range(0, len(shards), limit)]
    return [*parts, [each for each in additions if not _SHARD.fullmatch(each.path_in_repo)]]


def is_managed(path: str, kind: Kind) -> bool:
    """Return whether pushes write a file of this path."""
    if kind == "model":
        patterns = (CARD, TRAINING, *checkpoint.FILE_PATTERNS)
        return "/" not in path and any(fnmatchcase(path, pattern) for pattern in patterns)
    return path in _FILE_NAMES or bool(_DATA.fullmatch(path) or _SHARD.fullmatch(path))


def read_manifest(remote: Remote, commit: str, held: Collection[str]) -> Manifest | None:
    """Return the manifest of the release at ``commit``; None if it is not among the files ``held`` there.

    Raises SeasDataError if the file is not a valid manifest.
    """
    if _MANIFEST not in held:
        return None
    try:
        return Manifest.model_validate_json(remote.read_file(_MANIFEST, commit))
    except (ValidationError, RecursionError):
        raise SeasDataError(
            f"manifest.json of {remote.name} (commit {commit[:7]}) is not a manifest of seas-data; restore that file, "
            "or push to another repository"
        ) from None


def commit_message(manifest: Manifest, before: Manifest | None, profile: str, tag: str | None) -> tuple[str, str]:
    """Return the title and text of the commit: the version, and its rows compared with those of ``before``."""
    rows, old = manifest.rows(), before.rows() if before else {}
    prompts = f"{rows.get('prompts', 0):,} prompts"
    since = f"{rows.get('prompts', 0) - old.get('prompts', 0):+,} since {before.version}, " if before else ""
    title = f"{manifest.version}{f' ({tag})' if tag else ''}: {prompts}, {since}{profile} profile"
    lines = []
    for table, count in rows.items():
        if count or old.get(table):
            change = f" ({count - old.get(table, 0):+,})" if before else ""
            lines.append(f"- {table}: {count:,} rows{change}")
    names = ", ".join(config.name for config in configs.CONFIGS if profile in config.profiles)
    facts = [f"Configs: {names}", f"Digest: {manifest.digest}", f"Full version: {manifest.full_digest}"]
    return title, "\n".join([*lines, "", *facts])


def _diff(before: str, after: str) -> list[str]:
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), "repository", "push", lineterm="", n=1)
    return [printable(line)[:200] for line in lines]
