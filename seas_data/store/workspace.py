"""The workspace: content-addressed shards, a manifest for each version, tags, and one lock.

    workspace/
      shards/TABLE/SHA256.parquet   append-only; named by their content, shared between versions
      versions/v0.json              the manifest of a version: its shards, parent, recipe and digest
      tags/1.0.0                    the version that the tag names
      runs/v0.parquet               start, duration and tools of each stage; not covered by the digest

docs/versions.md lists the other files: vectors, models, stages of an unfinished build, the publish log.

A version exists once its manifest does; the manifest is written last, in one atomic step. Its digest covers the
parent's digest, the recipe (without paths) and the shards' hashes, so two workspaces have the same version if and only
if the digests are equal.
"""

import functools
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.store import files, formats
from seas_data.text import printable

ROWS_PER_SHARD = 500_000
"""The most rows of a shard: what reads, checks, redacts or uploads one shard needs memory for no more."""
_MARK = "workspace.json"
_RELEASE_FIELDS = {"profile", "full_digest", "withheld"}


class Rows(Protocol):
    """Rows of a table: a frame, or rows that are made slice by slice because all may be too many for memory."""

    @property
    def height(self) -> int:
        """The number of rows."""

    def iter_slices(self, n_rows: int) -> Iterator[pl.DataFrame]:
        """Yield the rows in slices of ``n_rows``."""


class Shard(BaseModel):
    """One Parquet file of a table."""

    model_config = ConfigDict(frozen=True)
    sha256: str
    rows: int
    bytes: int


class Withheld(BaseModel):
    """A shard of the full version that a release omits or redacts, and why."""

    model_config = ConfigDict(frozen=True)
    table: str
    sha256: str
    instead: str | None = None
    """The SHA-256 of the redacted shard that the release has in its place."""
    because: str


class Manifest(BaseModel):
    """The content of a version. ``profile``, ``full_digest`` and ``withheld`` are set in releases only."""

    model_config = ConfigDict(frozen=True)
    format: int = formats.WORKSPACE
    version: str
    iteration: int
    parent: str | None
    parent_digest: str | None
    recipe: dict[str, Any]
    recipe_digest: str
    tables: dict[str, list[Shard]]
    folding: str | None = None
    """The version of the folded forms by which its texts were compared (``folding.version``); older ones lack it."""
    digest: str = ""
    profile: str | None = None
    full_digest: str | None = None
    """The digest of the version that the release was made from."""
    withheld: list[Withheld] = []

    def computed_digest(self) -> str:
        """Return the SHA-256 of the format, the parent's digest, the recipe, the shards, the version of the folded
        forms and the release fields.
        """
        content: dict[str, Any] = {
            "format": self.format,
            "iteration": self.iteration,
            "parent": self.parent_digest,
            "recipe": self.recipe,
            "tables": {name: [shard.sha256 for shard in shards] for name, shards in self.tables.items()},
        }
        if self.folding is not None:
            content["folding"] = self.folding
        if self.profile is not None:
            content |= self.model_dump(mode="json", include=_RELEASE_FIELDS)
        return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    def to_json(self) -> str:
        """Return the manifest as the text of its file."""
        absent = (_RELEASE_FIELDS if self.profile is None else set()) | ({"folding"} if self.folding is None else set())
        content = self.model_dump(mode="json", exclude=absent)
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"

    def rows(self) -> dict[str, int]:
        """Return the number of rows of each table."""
        return {name: sum(shard.rows for shard in shards) for name, shards in self.tables.items()}


def read_manifest(path: Path) -> Manifest:
    """Return the manifest of a version in the file at ``path``, which has the version's name.

    Raises SeasDataError if it is damaged or of another format, or names what cannot be a part of a workspace.
    """
    try:
        raw = json.loads(path.read_bytes())
        current = formats.WORKSPACE if raw.get("profile") is None else formats.RELEASE
        formats.require_format(f"the manifest {path}", raw.get("format"), current)
        manifest = Manifest.model_validate(raw)
    except (ValueError, AttributeError, RecursionError) as problem:
        raise SeasDataError(f"the manifest {path} is damaged; restore it from a copy or a release") from problem
    faults = manifest_faults(manifest)
    if manifest.version != path.stem:
        faults.insert(0, f"its version is {printable(manifest.version)[:40]}")
    if faults:
        raise SeasDataError(f"the manifest {path} is damaged ({faults[0]}); restore it from a copy or a release")
    return manifest


def manifest_faults(manifest: Manifest) -> list[str]:
    """Return what in a manifest cannot be a part of a workspace: names of versions, tables or shards, and sizes.

    Paths are made of these names, so a manifest of unknown origin is checked before any file that it names is read.
    """
    faults = []
    if version_number(manifest.version) < 0:
        faults.append("its version is not v0, v1 ...")
    if manifest.parent is not None and version_number(manifest.parent) < 0:
        faults.append("its parent is not v0, v1 ...")
    if unknown := [table for table in manifest.tables if table not in tables.TABLES]:
        faults.append(f"{len(unknown)} of its tables are unknown to this version of seas-data")
    shards = [shard for each in manifest.tables.values() for shard in each]
    names = [shard.sha256 for shard in shards]
    names += [name for each in manifest.withheld for name in (each.sha256, each.instead) if name is not None]
    if not all(re.fullmatch("[0-9a-f]{64}", name) for name in names):
        faults.append("the name of a shard is not a SHA-256")
    if not all(shard.bytes > 0 and shard.rows >= 0 for shard in shards):
        faults.append("a shard has no valid size")
    return faults


def version_number(name: str) -> int:
    """Return the number of a version, such as 3 for v3; -1 if ``name`` is not a version's name."""
    return int(name[1:]) if re.fullmatch("v(0|[1-9][0-9]{0,8})", name) else -1


def next_version(name: str | None) -> str:
    """Return the name of the version after ``name``; of the first one without a name."""
    return "v0" if name is None else f"v{int(name[1:]) + 1}"


def is_tag_name(name: str) -> bool:
    """Return whether ``name`` can be a tag here and on the Hub: not a version, the branch main or a commit."""
    if name == "main" or re.fullmatch(r"v\d+|[0-9a-f]{7,40}", name):
        return False
    fits = re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", name)
    return bool(fits) and ".." not in name and not name.endswith((".", ".lock"))  # git refuses those


def require_tag_name(name: str) -> None:
    """Raise SeasDataError unless ``name`` can be a tag."""
    if not is_tag_name(name):
        raise SeasDataError(
            f"{name!r} cannot be a tag; use letters, digits, dots, dashes and underscores, and not v0, main or a commit"
        )


def _no_earlier(version: str, parent: str) -> str:
    return (
        f"versions/{version}.json: its parent {parent} is not an earlier version; restore it from a copy or a release"
    )


class Workspace:
    """A folder of versions. Use ``open_workspace`` to create or open one."""

    def __init__(self, root: Path):
        self.root = root

    def versions(self) -> list[str]:
        """Return the names of the versions, oldest first."""
        names = (path.stem for path in (self.root / "versions").glob("v*.json"))
        return sorted((name for name in names if version_number(name) >= 0), key=version_number)

    def tags(self) -> dict[str, str]:
        """Return the version that each tag names."""
        tags = (path for path in sorted((self.root / "tags").glob("*")) if is_tag_name(path.name) and path.is_file())
        return {path.name: path.read_text(encoding="utf-8", errors="replace").strip() for path in tags}

    def manifest(self, version: str | None = None) -> Manifest:
        """Return the manifest of ``version``, a name or a tag; None is the newest version.

        Raises SeasDataError if there is no such version, or if its manifest is damaged or of another format.
        """
        names = self.versions()
        if not names:
            raise SeasDataError(f"{self.root} has no version yet; build one with: seas-data build RECIPE")
        name = names[-1] if version is None else self.tags().get(version, version)
        if name not in names:
            raise SeasDataError(f"{self.root} has no version or tag {version}; its versions are {', '.join(names)}")
        return read_manifest(self.root / "versions" / f"{name}.json")

    def shard_path(self, table: str, shard: Shard) -> Path:
        """Return the path of the shard's file."""
        return self.root / "shards" / table / f"{shard.sha256}.parquet"

    def shard_paths(self, manifest: Manifest) -> dict[str, list[Path]]:
        """Return the files of each table of a version, and those of ``runs`` that can be read."""
        paths = {name: [self.shard_path(name, s) for s in shards] for name, shards in manifest.tables.items()}
        runs = [self.root / "runs" / f"{name}.parquet" for name in self.lineage(manifest)]
        return paths | {"runs": [path for path in runs if path.exists() and _holds_runs(path)]}

    def lineage(self, manifest: Manifest) -> list[str]:
        """Return the names of the version's ancestors and its own, oldest first; of a release only those present.

        Raises SeasDataError if the parent of a manifest is not an earlier version.
        """
        names = [manifest.version]
        while self._has_parent(manifest):
            parent = str(manifest.parent)
            if version_number(parent) >= version_number(names[-1]):
                raise SeasDataError(_no_earlier(names[-1], parent))
            manifest = self.manifest(parent)
            names.append(parent)
        return names[::-1]

    def _has_parent(self, manifest: Manifest) -> bool:
        """Return whether the version has a parent in this workspace; that of a pulled release may be missing."""
        if manifest.parent is None or manifest.profile is None:
            return manifest.parent is not None
        return manifest.parent in self.versions()

    def write_shard(self, table: str, frame: pl.DataFrame) -> Shard:
        """Write ``frame`` as a shard of ``table``. Equal rows make the same file, which is stored once."""
        return write_shard(self.root / "shards" / table, tables.cast(table, frame))

    def write_shards(self, table: str, rows: Rows) -> list[Shard]:
        """Write ``rows`` as shards of at most ``ROWS_PER_SHARD`` rows, in order; no rows make no shard."""
        return [self.write_shard(table, part) for part in rows.iter_slices(ROWS_PER_SHARD) if part.height]

    def commit(self, manifest: Manifest, runs: pl.DataFrame) -> Manifest:
        """Add a version: write its ``runs``, then its manifest with the computed digest, which is returned.

        Raises SeasDataError if the workspace, or a file of the version, has vanished meanwhile.
        """
        if not (self.root / _MARK).exists():
            raise SeasDataError(f"{self.root} is no longer a workspace; restore it and rerun the command")
        shards = [self.shard_path(table, each) for table, them in manifest.tables.items() for each in them]
        if gone := [path for path in shards if not path.exists()]:
            raise SeasDataError(
                f"{len(gone)} files of the version are gone ({gone[0]}); restore them, and run the command again"
            )
        committed = manifest.model_copy(update={"digest": manifest.computed_digest()})
        files.write_parquet(self.root / "runs" / f"{committed.version}.parquet", runs)
        files.write_text(self.root / "versions" / f"{committed.version}.json", committed.to_json())
        return committed

    def tag(self, version: str, name: str) -> Manifest:
        """Give ``version`` the tag ``name``. Raises SeasDataError if the tag already names another version."""
        manifest = self.manifest(version)
        require_tag_name(name)
        tagged = self.tags().get(name)
        if tagged not in (None, manifest.version):
            raise SeasDataError(f"tag {name} names {tagged} and tags cannot be moved; choose another name")
        files.write_text(self.root / "tags" / name, manifest.version + "\n")
        return manifest

    def verify(self, *manifests: Manifest) -> list[str]:
        """Hash every file of the versions again; return a message for each that is damaged or missing."""
        shards = {(table, shard): None for each in manifests for table, them in each.tables.items() for shard in them}
        problems = [problem for each in manifests for problem in self._check_manifest(each)]
        for table, shard in shards:
            path = self.shard_path(table, shard)
            name = path.relative_to(self.root)
            if not path.exists():
                problems.append(f"{name}: missing ({shard.rows} rows of {table})")
            elif files.sha256(path) != shard.sha256:
                problems.append(f"{name}: damaged ({shard.rows} rows of {table}); its content does not match its name")
        return problems

    def _check_manifest(self, manifest: Manifest) -> list[str]:
        """Return a message for each inconsistency in a manifest or with its parent."""
        problems = []
        if manifest.digest != manifest.computed_digest():
            problems.append(f"versions/{manifest.version}.json: its digest does not match its content")
        if manifest.parent is not None and version_number(manifest.parent) >= version_number(manifest.version):
            problems.append(_no_earlier(manifest.version, manifest.parent))
        if self._has_parent(manifest):
            parent = self.manifest(manifest.parent)
            # A release has the digest of its full parent; the parent here may itself be a release.
            digest = parent.digest if manifest.profile is None else parent.full_digest or parent.digest
            if digest != manifest.parent_digest:
                problems.append(
                    f"versions/{manifest.parent}.json: this is not the parent that {manifest.version} was built on"
                )
        return problems

    def require_intact(self, manifest: Manifest) -> None:
        """Raise SeasDataError if a file of the version is damaged or missing."""
        if problems := self.verify(manifest):
            raise self.damage_error(problems)

    def damage_error(self, problems: list[str]) -> SeasDataError:
        """Return the error to raise for the problems that ``verify`` found."""
        return SeasDataError(
            f"{len(problems)} files of {self.root} do not verify: {'; '.join(problems)}; restore them from a "
            "copy, or build the recipe into a new workspace: equal content has equal names"
        )

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the workspace for one build. Raises SeasDataError if another process holds the lock."""
        message = f"another seas-data build is running in {self.root}; wait until it ends, or use another --workspace"
        with files.exclusive_lock(self.root / "build.lock", message):
            for name in ("shards", "stages", "vectors", "versions", "tags", "runs"):
                files.remove_unfinished(self.root / name)
            yield

    def remove_stages(self) -> None:
        """Remove the stages of unfinished builds; called once a version is committed."""
        shutil.rmtree(self.root / "stages", ignore_errors=True)


def write_shard(folder: Path, rows: pl.DataFrame) -> Shard:
    """Write ``rows`` as a file of ``folder`` that is named by its SHA-256."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{files.TEMPORARY}shard"
    try:
        files.write_parquet(temporary, rows)
        shard = Shard(sha256=files.sha256(temporary), rows=rows.height, bytes=temporary.stat().st_size)
        temporary.replace(folder / f"{shard.sha256}.parquet")
    finally:
        temporary.unlink(missing_ok=True)
    return shard


def open_workspace(path: Path | str, *, create: bool = False) -> Workspace:
    """Open the workspace at ``path``; with ``create``, make one that only its owner can read if there is none.

    Raises SeasDataError if there is none, if the folder has other content, or if the format is older or newer.
    """
    root = Path(path)
    mark = root / _MARK
    if not mark.exists():
        if not create:
            raise SeasDataError(
                f"{root} is not a workspace; create one with: seas-data build RECIPE --workspace {root}"
            )
        if _has_other_content(root) and not mark.exists():  # another build may have created it meanwhile
            raise SeasDataError(f"{root} is not empty and not a workspace; name a new folder with --workspace")
        root.mkdir(parents=True, exist_ok=True)
        root.chmod(0o700)
        files.write_text(mark, json.dumps({"format": formats.WORKSPACE}) + "\n")
    formats.require_format(str(root), formats.format_of(mark.read_bytes()), formats.WORKSPACE)
    return Workspace(root)


def _holds_runs(path: Path) -> bool:
    """Return whether the file of ``runs`` can be read. No digest covers it, so a version is whole without it."""
    state = path.stat()
    return _are_runs(path, state.st_ino, state.st_size, state.st_mtime_ns)


@functools.lru_cache(maxsize=1000)
def _are_runs(path: Path, *_: int) -> bool:
    try:
        readable = "version" in pq.read_table(path).column_names
    except (pa.ArrowException, OSError):
        readable = False
    if not readable:
        files.warn_of_damage(path, "the times of its stages are left out")
    return readable


def _has_other_content(root: Path) -> bool:
    """Return whether ``root`` has anything but temporary files of a build that is creating it, or was killed then."""
    if not root.is_dir():
        return root.exists()
    return any(not path.name.startswith(files.TEMPORARY) for path in root.iterdir())
