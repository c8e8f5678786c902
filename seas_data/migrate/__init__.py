"""Migration: a workspace or release of an older format, copied into a new workspace of the current format.

    OLD, read only -> every file hashed -> recipes and rows converted, step by step -> NEW, verified, in one rename

Versions keep their names and rows. Their digests change, because a digest covers the format and the recipe; the result
says which digest became which. What a later build computes again by itself is not copied. ``steps`` has what changes
from each format to the next.
"""

import shutil
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import yaml
from pydantic import ValidationError

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.migrate.steps import Step, steps_from
from seas_data.recipe import Recipe
from seas_data.store import Manifest, Shard, Withheld, Workspace, files, formats, open_workspace
from seas_data.store.stages import RUNS
from seas_data.store.workspace import version_number

_COPIED_FILES = ("forgotten.json", "published.json", "reviewers.json")
_RECOMPUTED = ("vectors", "stages", "sandbox", "scans", "utility", "pull", "push")
_CONVERTED = ("workspace.json", "versions", "shards", "tags", "runs", "models", "recipes", *_COPIED_FILES)
_LOCKS = ("build.lock", "push.lock")


@dataclass(frozen=True)
class Migrated:
    """The result of a migration."""

    workspace: Workspace
    old_format: int
    digests: dict[str, tuple[str, str]]
    """Of each version: its digest before and now."""
    copied: list[str] = field(default_factory=list)
    """Files and folders of the workspace, besides its versions, that were carried over."""
    recomputed: list[str] = field(default_factory=list)
    """Folders that were not copied, because a build or release computes them again."""
    left: list[str] = field(default_factory=list)
    """Files and folders that were not copied, because they are not part of a workspace."""


@dataclass(frozen=True)
class _Old:
    """A workspace or release of an older format."""

    root: Path
    number: int
    manifests: list[Manifest]
    shards: Path
    steps: list[Step]


def migrate(old: Path, new: Path) -> Migrated:
    """Copy the workspace or release at ``old`` into a new workspace at ``new``, which appears whole or not at all.

    A release becomes a workspace that holds its one version. ``old`` is not written to; nobody may write to it
    meanwhile. Raises SeasDataError if ``old`` is neither, has the current or a newer format, or is damaged, or if
    ``new`` exists and is not an empty folder.
    """
    source = _open(old)
    if new.exists() and (not new.is_dir() or any(new.iterdir())):
        raise SeasDataError(f"{new} exists already; name a new folder")
    new = new.absolute()
    if new.resolve().is_relative_to(old.resolve()):
        raise SeasDataError(f"{new} is inside {old}, which is only read; name a folder elsewhere")
    new.parent.mkdir(parents=True, exist_ok=True)
    unfinished = new.with_name(f"{files.TEMPORARY}{uuid.uuid4().hex}")
    try:
        workspace = open_workspace(unfinished, create=True)
        digests = _convert_versions(source, workspace)
        copied = _copy_rest(source, unfinished)
        if problems := workspace.verify(*map(workspace.manifest, workspace.versions())):
            raise workspace.damage_error(problems)
        if new.exists():
            new.rmdir()
        unfinished.replace(new)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    there = sorted(path.name for path in old.iterdir()) if source.shards.name == "shards" else []
    recomputed = [name for name in there if name in _RECOMPUTED]
    left = [name for name in there if name not in (*_RECOMPUTED, *_CONVERTED, *_LOCKS)]
    return Migrated(Workspace(new), source.number, digests, copied, recomputed, left)


def _open(old: Path) -> _Old:
    """Return what is at ``old``, once its format and its manifests are checked."""
    if (mark := old / "workspace.json").is_file():
        number = _older_format(old, mark, formats.WORKSPACE)
        paths = sorted((old / "versions").glob("v*.json"), key=lambda path: version_number(path.stem))
        manifests, shards = [_read_manifest(path) for path in paths], old / "shards"
    elif (mark := old / "manifest.json").is_file():
        number = _older_format(old, mark, formats.RELEASE)
        manifests, shards = [_read_manifest(mark)], old / "tables"
    else:
        raise SeasDataError(f"{old} is neither a workspace nor a release; it has no workspace.json or manifest.json")
    return _Old(old, number, manifests, shards, steps_from(number, formats.WORKSPACE))


def _older_format(old: Path, mark: Path, current: int) -> int:
    number = formats.format_of(mark.read_bytes())
    if number == current:
        raise SeasDataError(f"{old} has format {current} already; there is nothing to migrate")
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number < current:
        formats.require_format(str(old), number, current)
        raise AssertionError
    return number


def _read_manifest(path: Path) -> Manifest:
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as problem:
        raise SeasDataError(f"the manifest {path} is damaged; restore it from a copy") from problem
    if manifest.digest != manifest.computed_digest():
        raise SeasDataError(f"the digest in {path} does not match its content; restore the file from a copy")
    return manifest


def _convert_versions(source: _Old, workspace: Workspace) -> dict[str, tuple[str, str]]:
    """Write each version in the current format; return its digests before and now."""
    shards: dict[tuple[str, str], Shard] = {}
    digests: dict[str, tuple[str, str]] = {}
    for manifest in source.manifests:
        converted: dict[str, list[Shard]] = {}
        for table, listed in manifest.tables.items():
            for shard in listed:
                if (table, shard.sha256) not in shards:
                    shards[table, shard.sha256] = _convert_shard(source, workspace, table, shard)
            converted[table] = [shards[table, shard.sha256] for shard in listed]
        recipe = _convert_recipe(source, manifest)
        update = {
            "format": formats.WORKSPACE if manifest.profile is None else formats.RELEASE,
            "recipe": recipe.canonical(),
            "recipe_digest": recipe.digest(),
            "tables": converted,
            "withheld": [_convert_withheld(each, shards) for each in manifest.withheld],
        }
        if manifest.parent is not None and manifest.profile is None:
            # The parent's digest in a release is that of the full version, which is not here to be converted.
            update["parent_digest"] = digests[manifest.parent][1]
        committed = workspace.commit(manifest.model_copy(update=update), _read_runs(source, manifest))
        digests[manifest.version] = manifest.digest, committed.digest
    return digests


def _convert_shard(source: _Old, workspace: Workspace, table: str, shard: Shard) -> Shard:
    path = source.shards / table / f"{shard.sha256}.parquet"
    if not path.is_file() or files.sha256(path) != shard.sha256:
        raise SeasDataError(f"{path} is damaged or missing; restore it from a copy")
    rows = pl.read_parquet(path, glob=False)
    for step in source.steps:
        rows = step.tables[table](rows) if table in step.tables else rows
    schema = tables.empty(table).schema
    added = {name: pl.lit(None, dtype=kind) for name, kind in schema.items() if name not in rows.columns}
    return workspace.write_shard(table, rows.with_columns(**added))


def _convert_recipe(source: _Old, manifest: Manifest) -> Recipe:
    content = manifest.recipe
    for step in source.steps:
        content = step.recipe(content)
    try:
        return Recipe.model_validate(content)
    except ValidationError as problem:
        error = problem.errors()[0]
        key = ".".join(map(str, error["loc"]))
        raise SeasDataError(
            f"the recipe of {manifest.version} cannot be converted ({key}: {error['msg']}); please report it"
        ) from problem


def _convert_withheld(withheld: Withheld, shards: dict[tuple[str, str], Shard]) -> Withheld:
    if withheld.instead is None:
        return withheld
    return withheld.model_copy(update={"instead": shards[withheld.table, withheld.instead].sha256})


def _read_runs(source: _Old, manifest: Manifest) -> pl.DataFrame:
    path = source.root / "runs" / f"{manifest.version}.parquet"
    return pl.read_parquet(path, glob=False) if path.is_file() else pl.DataFrame(schema=RUNS)


def _copy_rest(source: _Old, new: Path) -> list[str]:
    """Copy what belongs to a workspace besides its versions; return its names. Models are linked where possible."""
    copied = []
    for name in _COPIED_FILES:
        if (path := source.root / name).is_file():
            shutil.copyfile(path, new / name)
            (new / name).chmod(0o644 if name == "published.json" else 0o600)
            copied.append(name)
    for name in ("tags", "models", "recipes"):
        paths = [path for path in sorted((source.root / name).rglob("*")) if path.is_file() and path.name[0] != "."]
        for path in paths:
            target = new / path.relative_to(source.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            if name == "models":
                files.link_or_copy(path, target)
            elif name == "tags":
                shutil.copyfile(path, target)
            else:
                files.write_text(target, _convert_recipe_file(source, path))
        copied += [name] if paths else []
    return copied


def _convert_recipe_file(source: _Old, path: Path) -> str:
    """Return the recipe that came with a pulled version, with the comment at its top."""
    text = files.read_text(path)
    comment = [line for line in text.splitlines(keepends=True) if line.startswith("#")]
    content = yaml.safe_load(text)
    for step in source.steps:
        content = step.recipe(content)
    return "".join(comment) + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
