"""Pull: a published version into a workspace, with the same digest, trusting nothing that came with it.

    name -> commit -> manifest.json, checked -> files listed, sizes and hashes as the manifest says
         -> download (goes on where it broke off) -> every file hashed and its columns looked at -> put in place

Nothing is put in place before everything has been checked. Of the manifest only what has the form of a manifest is
used: tables that exist, shards named by SHA-256, a digest that fits. ``runs`` do not travel: no digest covers them.

A workspace takes the releases of one repository. Into one that has versions of its own, or of elsewhere, nothing is
pulled: the next build goes on from the newest version, and that would be somebody else's.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow.parquet as pq
import yaml
from pydantic import ValidationError

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.recipe import Recipe
from seas_data.release.hub import publish_log as published
from seas_data.release.hub.publish_log import Published
from seas_data.release.hub.remote import Held, Remote
from seas_data.release.visibility import PROFILES
from seas_data.store import Manifest, Shard, Workspace, files, open_workspace
from seas_data.store.stages import RUNS
from seas_data.store.workspace import FORMAT, is_tag_name, version_number

_LARGEST_MANIFEST = 64_000_000  # bytes
_VERSION = r"v(0|[1-9]\d{0,8})"


@dataclass(frozen=True)
class Pulled:
    """A pull's result: the version, where it came from, and whether it was new here."""

    version: Version
    commit: str
    new: bool
    recipe: Path


def pull(name: str, root: Path) -> Pulled:
    """Bring ``name`` (REPOSITORY or REPOSITORY@REVISION; the newest of main without one) into the workspace ``root``.

    Raises SeasDataError when the Hub cannot or will not, when what is there is no release or a damaged one, or when the
    workspace holds something else. A pull that broke off goes on where it was.
    """
    repository, at, revision = name.partition("@")
    if at and not revision:
        raise SeasDataError(f"{name}: name a tag, branch or commit behind the @, or leave it out")
    remote = Remote(repository)
    commit = remote.commit_of(revision or None)
    listed = remote.tree(commit)
    manifest = _manifest(remote, commit, listed)
    _require_listed(remote, manifest, listed)
    _require_room(root, repository, manifest)
    workspace = open_workspace(root, create=True)
    with workspace.lock(), published.alone(root):
        known = manifest.version in workspace.versions()
        if not known:
            staged, missing = root / "pull" / commit, _missing(workspace, manifest)
            _require_space(root, missing)
            _fetch(remote, commit, staged, missing)
            _put(staged, workspace, missing)
            workspace.commit(manifest, pl.DataFrame(schema=RUNS))
        if is_tag_name(revision) and revision not in workspace.tags():
            workspace.tag(manifest.version, revision)
        recipe = _write_recipe(root, manifest, f"{repository}@{revision or commit[:7]}")
        entry = _entry(remote, revision, commit, manifest)
        published.record(root, entry, *_seen(entry, remote.tags()))
        shutil.rmtree(root / "pull", ignore_errors=True)
    return Pulled(Version(workspace, workspace.manifest(manifest.version)), commit, not known, recipe)


def _manifest(remote: Remote, commit: str, listed: dict[str, Held]) -> Manifest:
    """Return the manifest at ``commit``, once everything in it that will be used has the form that it should have."""
    held = listed.get("manifest.json")
    if held is None:
        raise SeasDataError(f"{remote.name} holds no manifest.json, so it is no release that seas-data pushed")
    if held.size > _LARGEST_MANIFEST:
        raise SeasDataError(f"the manifest.json of {remote.name} has {held.size:,} bytes; that is no manifest")
    try:
        manifest = Manifest.model_validate_json(remote.read("manifest.json", commit))
    except (ValidationError, RecursionError):
        raise SeasDataError(f"the manifest.json of {remote.name} is not a manifest; nothing was pulled") from None
    if manifest.format != FORMAT:
        raise SeasDataError(
            f"{remote.name} has format {manifest.format}, this program reads format {FORMAT}; update seas-data"
        )
    wrong = next(iter(_faults(manifest)), None)
    if wrong is not None:
        raise SeasDataError(f"the manifest.json of {remote.name} is not to be trusted ({wrong}); nothing was pulled")
    return manifest


def _faults(manifest: Manifest) -> Iterator[str]:
    if not re.fullmatch(_VERSION, manifest.version):
        yield "its version has another name than v0, v1 ..."
    if manifest.parent is not None and not re.fullmatch(_VERSION, manifest.parent):
        yield "its parent has another name than v0, v1 ..."
    if manifest.parent is not None and version_number(manifest.parent) >= version_number(manifest.version):
        yield "its parent is no earlier version"
    if manifest.profile not in PROFILES:
        yield f"its profile is not {' or '.join(PROFILES)}"
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,99}", str(manifest.recipe.get("name"))):
        yield "its recipe has no name"
    elif not _is_recipe(manifest.recipe):
        yield "its recipe is none that this program reads"
    if unknown := [table for table in manifest.tables if table not in tables.TABLES]:
        yield f"{len(unknown)} of its tables are none that this program knows"
    shards = [shard for each in manifest.tables.values() for shard in each]
    if not all(re.fullmatch("[0-9a-f]{64}", shard.sha256) for shard in shards):
        yield "a shard's name is no SHA-256"
    if not all(shard.bytes > 0 and shard.rows >= 0 for shard in shards):
        yield "a shard has no size"
    if manifest.digest != manifest.computed_digest():
        yield "its digest does not fit its content"


def _is_recipe(content: dict[str, Any]) -> bool:
    try:
        Recipe.model_validate(content)
    except (ValidationError, SeasDataError, RecursionError):
        return False
    return True


def _require_listed(remote: Remote, manifest: Manifest, listed: dict[str, Held]) -> None:
    """Raise SeasDataError unless every shard is there, with the size and hash that its name and the manifest say."""
    for table, shard in _shards(manifest):
        held = listed.get(_place(table, shard))
        if held is None:
            raise SeasDataError(f"{remote.name} lacks {_place(table, shard)}; it was damaged after it was pushed")
        if held.size != shard.bytes or held.sha256 not in (None, shard.sha256):
            raise SeasDataError(
                f"{_place(table, shard)} of {remote.name} is not the file that the manifest names; nothing was pulled"
            )


def _require_room(root: Path, repository: str, manifest: Manifest) -> None:
    """Raise SeasDataError if the workspace holds versions of its own, of elsewhere, or another one of the name."""
    if not (root / "workspace.json").exists():
        return
    workspace = open_workspace(root)
    names = workspace.versions()
    if not names:
        return
    elsewhere = "pull into a new one with --workspace"
    ours = [each for each in published.read(root) if each.way == "pull" and each.repository == repository]
    if strangers := sorted({*names} - {each.version for each in ours}):
        raise SeasDataError(f"{root} holds {', '.join(strangers)}, which did not come from {repository}; {elsewhere}")
    if any(workspace.manifest(each).profile != manifest.profile for each in names):
        raise SeasDataError(f"{root} holds another profile than {manifest.profile}; {elsewhere}")
    if manifest.version in names and workspace.manifest(manifest.version).digest != manifest.digest:
        raise SeasDataError(f"{root} holds another {manifest.version} of {repository}; {elsewhere}")
    held = {name: workspace.manifest(name).full_digest for name in names}
    if manifest.parent in held and held[manifest.parent] != manifest.parent_digest:
        raise SeasDataError(f"{root} holds another {manifest.parent} than this was built on; {elsewhere}")


def _require_space(root: Path, missing: list[tuple[str, Shard]]) -> None:
    needed, free = sum(shard.bytes for _, shard in missing), shutil.disk_usage(root).free
    if needed > free:
        raise SeasDataError(
            f"the version needs {needed:,} bytes and {root} has {free:,} free; make room or go elsewhere"
        )


def _fetch(remote: Remote, commit: str, staged: Path, missing: list[tuple[str, Shard]]) -> None:
    """Download what the workspace does not have, and check all of it."""
    size = sum(shard.bytes for _, shard in missing)
    print(f"getting {len(missing)} files, {size / 1e6:,.1f} MB, from {remote.name}", file=sys.stderr)
    for other in staged.parent.glob("*"):
        if other != staged:
            shutil.rmtree(other, ignore_errors=True)
    if missing:
        remote.fetch_all([_place(table, shard) for table, shard in missing], commit, staged)
    for table, shard in missing:
        path = staged / _place(table, shard)
        if wrong := _wrong(path, table, shard):
            path.unlink(missing_ok=True)
            raise SeasDataError(
                f"{_place(table, shard)} of {remote.name} {wrong}; nothing was put in place: run the same command "
                "again, and if it says so again, tell who published it"
            )


def _wrong(path: Path, table: str, shard: Shard) -> str | None:
    """Return what is wrong with a downloaded file: not what its name says, or no rows of its table."""
    if path.is_symlink() or not path.is_file() or path.stat().st_size != shard.bytes:
        return "did not arrive whole"
    if files.sha256(path) != shard.sha256:
        return "has another content than its name says"
    try:
        rows = pq.ParquetFile(path).metadata.num_rows
        tables.fits(table, path)
        ids = tables.read(table, path, _ids(table))
    except SeasDataError:
        return f"does not hold rows of the table {table}"
    except (OSError, ValueError, pl.exceptions.PolarsError):
        return "is no Parquet file"
    if rows != shard.rows:
        return f"does not hold rows of the table {table}"
    if not all(column.str.contains("^[0-9a-f]{24}$").all() for column in ids):
        return "has ids that are none"
    return None


def _ids(table: str) -> list[str]:
    """Return the columns of a table that hold ids of ours."""
    return [name for name in tables.empty(table).columns if name.endswith("_id") and name != "source_id"]


def _put(staged: Path, workspace: Workspace, missing: list[tuple[str, Shard]]) -> None:
    for table, shard in missing:
        target = workspace.shard_path(table, shard)
        target.parent.mkdir(parents=True, exist_ok=True)
        (staged / _place(table, shard)).replace(target)


def _missing(workspace: Workspace, manifest: Manifest) -> list[tuple[str, Shard]]:
    """Return the shards, each once, that are not in the workspace with the right content."""
    different = dict.fromkeys(_shards(manifest))
    return [each for each in different if not _has(workspace.shard_path(*each), each[1])]


def _has(path: Path, shard: Shard) -> bool:
    return path.is_file() and not path.is_symlink() and files.sha256(path) == shard.sha256


def _shards(manifest: Manifest) -> Iterator[tuple[str, Shard]]:
    for table, shards in manifest.tables.items():
        for shard in shards:
            yield table, shard


def _place(table: str, shard: Shard) -> str:
    return f"tables/{table}/{shard.sha256}.parquet"


def _write_recipe(root: Path, manifest: Manifest, origin: str) -> Path:
    """Write the version's recipe to where a person finds it, marked as somebody else's."""
    path = root / "recipes" / f"{manifest.recipe['name']}.yaml"
    content = yaml.safe_dump(manifest.recipe | {"pulled": origin}, sort_keys=False, allow_unicode=True)
    about = (
        "# How this version was made, as its makers published it. Paths are names without their folders: set them to\n"
        "# yours. What it would start or call runs only with --trust, so read it first.\n"
    )
    files.write_text(path, about + content)
    return path


def _entry(remote: Remote, revision: str, commit: str, manifest: Manifest) -> Published:
    return Published(
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
        at=published.now(),
    )


def _seen(entry: Published, tags: dict[str, str]) -> list[Published]:
    """Return entries for the other tags of the repository: nobody here knows which versions they are."""
    unknown = {"way": "seen", "version": "", "profile": "", "digest": "", "full_digest": ""}
    others = sorted((tag, commit) for tag, commit in tags.items() if commit != entry.commit)
    return [entry.model_copy(update=unknown | {"tag": tag, "commit": commit}) for tag, commit in others]
