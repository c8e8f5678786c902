"""Pull: download a published version into a workspace, with the same digest, without trusting its content.

    name -> commit -> manifest.json, validated -> listed files match the manifest in size and hash
         -> download, resumed if interrupted -> verify every file and its columns -> move into the workspace

Nothing is moved into the workspace before everything is verified. Only well-formed parts of the manifest are used:
known tables, shards named by SHA-256, a matching digest. ``runs`` are not published: no digest covers them.

A workspace takes the releases of one repository. Nothing is pulled into one that has versions of its own or of another
repository, because the next build would continue from a version of somebody else.
"""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from pydantic import ValidationError

from seas_data import tables
from seas_data.console import say
from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.recipe import Recipe
from seas_data.release import publish_log
from seas_data.release.hub.remote import Remote, RemoteFile
from seas_data.release.publish_log import PublishLogEntry
from seas_data.release.visibility import PROFILES
from seas_data.sources.parquet_size import is_parquet_bomb
from seas_data.store import Manifest, Shard, Workspace, files, formats, open_workspace
from seas_data.store.stages import RUNS
from seas_data.store.workspace import is_tag_name, manifest_faults, version_number

_LARGEST_MANIFEST = 64_000_000  # bytes


@dataclass(frozen=True)
class PullResult:
    """The result of a pull: the version, its commit, whether it was new, and the path of its recipe."""

    version: Version
    commit: str
    new: bool
    recipe: Path


def pull(name: str, root: Path) -> PullResult:
    """Pull ``name`` (REPOSITORY@REVISION, or REPOSITORY for the newest of main) into the workspace ``root``.

    An interrupted pull is resumed. Raises SeasDataError if the Hub refuses, if the repository holds no release or a
    damaged one, or if the workspace holds other versions.
    """
    repository, at, revision = name.partition("@")
    if at and not revision:
        raise SeasDataError(f"{name} has no revision; write a tag, branch or commit after the @, or remove the @")
    remote = Remote(repository)
    commit = remote.resolve_commit(revision or None)
    listed = remote.tree(commit)
    manifest = _read_manifest(remote, commit, listed)
    _require_listed(remote, manifest, listed)
    _require_compatible_workspace(root, repository, manifest)
    workspace = open_workspace(root, create=True)
    with workspace.lock(), publish_log.publish_lock(root):
        known = manifest.version in workspace.versions()
        if not known:
            staged, missing = root / "pull" / commit, _missing_shards(workspace, manifest)
            _require_space(root, missing)
            _download(remote, commit, staged, missing)
            _move_shards(staged, workspace, missing)
            workspace.commit(manifest, pl.DataFrame(schema=RUNS))
        if is_tag_name(revision) and revision not in workspace.tags():
            workspace.tag(manifest.version, revision)
        recipe = _write_recipe(root, manifest, f"{repository}@{revision or commit[:7]}")
        entry = _log_entry(remote, revision, commit, manifest)
        publish_log.record(root, entry, *_seen_tags(entry, remote.tags()))
        shutil.rmtree(root / "pull", ignore_errors=True)
    return PullResult(Version(workspace, workspace.manifest(manifest.version)), commit, not known, recipe)


def _read_manifest(remote: Remote, commit: str, listed: dict[str, RemoteFile]) -> Manifest:
    """Return the manifest at ``commit``. Raises SeasDataError if a part of it that is used is malformed."""
    held = listed.get("manifest.json")
    if held is None:
        raise SeasDataError(f"{remote.name} has no manifest.json, so it is not a release of seas-data; check the name")
    if held.size > _LARGEST_MANIFEST:
        raise SeasDataError(
            f"manifest.json of {remote.name} is too large to be one ({held.size:,} bytes); nothing was pulled"
        )
    content = remote.read_file("manifest.json", commit)
    if (found := formats.format_of(content)) is not None:
        formats.require_format(f"the release {remote.name}", found, formats.RELEASE)
    try:
        manifest = Manifest.model_validate_json(content)
    except (ValidationError, RecursionError):
        raise SeasDataError(f"manifest.json of {remote.name} is not a valid manifest; nothing was pulled") from None
    fault = next(iter(_faults(manifest)), None)
    if fault is not None:
        raise SeasDataError(f"manifest.json of {remote.name} is not trustworthy ({fault}); nothing was pulled")
    return manifest


def _faults(manifest: Manifest) -> Iterator[str]:
    yield from manifest_faults(manifest)
    if manifest.parent is not None and version_number(manifest.parent) >= version_number(manifest.version):
        yield "its parent is not an earlier version"
    if manifest.profile not in PROFILES:
        yield f"its profile is not {' or '.join(PROFILES)}"
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,99}", str(manifest.recipe.get("name"))):
        yield "its recipe has no name"
    elif not _is_recipe(manifest.recipe):
        yield "its recipe is not valid for this version of seas-data"
    if manifest.digest != manifest.computed_digest():
        yield "its digest does not match its content"


def _is_recipe(content: dict[str, Any]) -> bool:
    try:
        Recipe.model_validate(content)
    except (ValidationError, SeasDataError, RecursionError):
        return False
    return True


def _require_listed(remote: Remote, manifest: Manifest, listed: dict[str, RemoteFile]) -> None:
    """Raise SeasDataError unless the repository lists every shard with the size and hash that the manifest states."""
    for table, shard in _shards(manifest):
        held = listed.get(_shard_path(table, shard))
        if held is None:
            raise SeasDataError(
                f"{remote.name} lacks {_shard_path(table, shard)} of its manifest; ask the publisher to push again"
            )
        if held.size != shard.bytes or held.sha256 not in (None, shard.sha256):
            raise SeasDataError(
                f"{_shard_path(table, shard)} of {remote.name} does not match its manifest; nothing was pulled"
            )


def _require_compatible_workspace(root: Path, repository: str, manifest: Manifest) -> None:
    """Raise SeasDataError if the workspace holds its own versions, or versions that conflict with the release."""
    if not (root / "workspace.json").exists():
        return
    workspace = open_workspace(root)
    names = workspace.versions()
    if not names:
        return
    step = "pull into a new workspace with --workspace"
    pulled = [each for each in publish_log.read(root) if each.way == "pull" and each.repository == repository]
    if others := sorted({*names} - {each.version for each in pulled}):
        raise SeasDataError(f"{root} holds {', '.join(others)}, which did not come from {repository}; {step}")
    if any(workspace.manifest(each).profile != manifest.profile for each in names):
        raise SeasDataError(f"{root} holds another profile than {manifest.profile}; {step}")
    if manifest.version in names and workspace.manifest(manifest.version).digest != manifest.digest:
        raise SeasDataError(f"{root} holds another {manifest.version} of {repository}; {step}")
    full_digests = {name: workspace.manifest(name).full_digest for name in names}
    if manifest.parent in full_digests and full_digests[manifest.parent] != manifest.parent_digest:
        raise SeasDataError(f"{root} holds another {manifest.parent} than the one this was built on; {step}")


def _require_space(root: Path, missing: list[tuple[str, Shard]]) -> None:
    needed, free = sum(shard.bytes for _, shard in missing), shutil.disk_usage(root).free
    if needed > free:
        raise SeasDataError(
            f"the version needs {needed:,} bytes, but {root} has {free:,} bytes free; free some space or choose "
            "another workspace"
        )


def _download(remote: Remote, commit: str, staged: Path, missing: list[tuple[str, Shard]]) -> None:
    """Download the shards that the workspace does not have, and verify them."""
    size = sum(shard.bytes for _, shard in missing)
    say(f"downloading {len(missing)} files ({size / 1e6:,.1f} MB) from {remote.name}")
    for other in staged.parent.glob("*"):
        if other != staged:
            shutil.rmtree(other, ignore_errors=True)
    if missing:
        remote.download([_shard_path(table, shard) for table, shard in missing], commit, staged)
    for table, shard in missing:
        path = staged / _shard_path(table, shard)
        if fault := _find_fault(path, table, shard):
            path.unlink(missing_ok=True)
            raise SeasDataError(
                f"{_shard_path(table, shard)} of {remote.name} {fault}, so nothing was pulled; rerun the command, "
                "and if that fails again report it to the publisher"
            )


def _find_fault(path: Path, table: str, shard: Shard) -> str | None:
    """Return what is wrong with a downloaded file: other content than its name states, or no rows of its table."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size != shard.bytes:
        return "is incomplete"
    if files.sha256(path) != shard.sha256:
        return "does not match its SHA-256"
    try:
        if pq.ParquetFile(path).metadata.num_rows != shard.rows:
            return f"does not hold rows of the table {table}"
        if is_parquet_bomb(path):
            return "unpacks to far more than its size"
        tables.check_shard(table, path)
        ids = tables.read(table, path, _id_columns(table))
    except SeasDataError:
        return f"does not hold rows of the table {table}"
    except (OSError, ValueError, pa.ArrowException, pl.exceptions.PolarsError):
        return "is not a Parquet file"
    if not all(column.str.contains("^[0-9a-f]{24}$").all() for column in ids):
        return "has malformed ids"
    return None


def _id_columns(table: str) -> list[str]:
    """Return the columns of a table with ids that seas-data computes."""
    return [name for name in tables.empty(table).columns if name.endswith("_id") and name != "source_id"]


def _move_shards(staged: Path, workspace: Workspace, missing: list[tuple[str, Shard]]) -> None:
    for table, shard in missing:
        target = workspace.shard_path(table, shard)
        target.parent.mkdir(parents=True, exist_ok=True)
        (staged / _shard_path(table, shard)).replace(target)


def _missing_shards(workspace: Workspace, manifest: Manifest) -> list[tuple[str, Shard]]:
    """Return the distinct shards that the workspace lacks or has with other content."""
    different = dict.fromkeys(_shards(manifest))
    return [each for each in different if not _is_intact(workspace.shard_path(*each), each[1])]


def _is_intact(path: Path, shard: Shard) -> bool:
    return path.is_file() and not path.is_symlink() and files.sha256(path) == shard.sha256


def _shards(manifest: Manifest) -> Iterator[tuple[str, Shard]]:
    for table, shards in manifest.tables.items():
        for shard in shards:
            yield table, shard


def _shard_path(table: str, shard: Shard) -> str:
    return f"tables/{table}/{shard.sha256}.parquet"


def _write_recipe(root: Path, manifest: Manifest, origin: str) -> Path:
    """Write the recipe of the version into the workspace, marked as pulled."""
    path = root / "recipes" / f"{manifest.recipe['name']}.yaml"
    content = yaml.safe_dump(manifest.recipe | {"pulled_from": origin}, sort_keys=False, allow_unicode=True)
    about = (
        "# The recipe of this version, as published. Paths are file names only: set the folders to yours. Read it\n"
        "# before you build: its commands and servers run only with --trust.\n"
    )
    files.write_text(path, about + content)
    return path


def _log_entry(remote: Remote, revision: str, commit: str, manifest: Manifest) -> PublishLogEntry:
    return PublishLogEntry(
        way="pull",
        kind="dataset",
        repository=remote.name,
        tag=revision or None,
        commit=commit,
        version=manifest.version,
        profile=str(manifest.profile),
        digest=manifest.digest,
        full_digest=str(manifest.full_digest),
        public=False,
        at=publish_log.now(),
    )


def _seen_tags(entry: PublishLogEntry, tags: dict[str, str]) -> list[PublishLogEntry]:
    """Return entries for the other tags of the repository, whose versions are unknown here."""
    unknown = {"way": "seen", "version": "", "profile": "", "digest": "", "full_digest": ""}
    others = sorted((tag, commit) for tag, commit in tags.items() if commit != entry.commit)
    return [entry.model_copy(update=unknown | {"tag": tag, "commit": commit}) for tag, commit in others]
