"""The release folder of a version: Parquet files, card and manifest, as ``push`` uploads them.

README.md                            the card; names configs and splits, so that ``datasets.load_dataset(FOLDER)`` works
data/CONFIG/SPLIT-00000-of-00001.parquet   the configs that people load (``configs.py``), written for each version
tables/TABLE/SHA256.parquet          the shards of the profile (``visibility.py``): those of the version, or redacted
views.sql                            the tables and ``kept`` as views: run it in the duckdb shell, in this folder
croissant.json                       the release in machine-readable form
manifest.json                        the profile's manifest: its shards, the full version's digest, what is withheld

The manifest has the form of a workspace's (``store.Manifest``), so a release can be pulled into one and verified there.
"""

import json
import shutil
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.query import views
from seas_data.query.version import Version
from seas_data.redact import redact_recipe
from seas_data.release import card, configs, croissant, licences, pseudonyms
from seas_data.release.card import queries
from seas_data.release.visibility import Profile, redact, table_rule
from seas_data.store import Manifest, Shard, Withheld, files, formats
from seas_data.store.workspace import write_shard
from seas_data.tables import stored_schema

Put = Callable[[Path, Path], None]


def checkout(
    version: Version,
    folder: Path,
    profile: Profile = "public",
    waivers: dict[str, str] | None = None,
    *,
    linked: bool = False,
) -> Manifest:
    """Write the release of ``version`` in ``profile`` to ``folder`` and return its manifest.

    The folder appears only when it is complete, and the same version gives the same bytes. ``waivers``: the reason for
    each waived check, for the card. ``linked``: hard-link the shards instead of verifying and copying them, if the
    caller has verified the version and nobody writes to the folder.
    Raises SeasDataError if the folder exists, or if the version is itself a release of a smaller profile.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SeasDataError(f"{folder} already exists; choose another folder, or remove it first")
    if version.manifest.profile not in (None, "gated", profile):
        raise SeasDataError(
            f"{version.name} of {version.workspace.root} is a {version.manifest.profile} release and lacks parts of "
            f"the {profile} profile; use --profile {version.manifest.profile}, or the workspace that built the version"
        )
    if not linked:
        version.workspace.require_intact(version.manifest)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder = folder.absolute()  # "." has no name beside which to write
    unfinished = folder.with_name(f"{files.TEMPORARY}{uuid.uuid4().hex}")
    unfinished.mkdir(mode=0o700)
    try:
        manifest = _write(version, unfinished, profile, waivers or {}, files.link_or_copy if linked else _copy)
        if folder.exists():
            folder.rmdir()
        unfinished.replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return manifest


def _write(version: Version, folder: Path, profile: Profile, waivers: dict[str, str], put: Put) -> Manifest:
    manifest = _write_shards(version, folder, profile, put)
    paths = {
        table: [f"tables/{table}/{shard.sha256}.parquet" for shard in shards]
        for table, shards in manifest.tables.items()
    }
    files.write_text(folder / "views.sql", views.duckdb_script(paths))
    files.write_text(folder / "manifest.json", manifest.to_json())
    shards = {table: [folder / path for path in listed] for table, listed in paths.items()}
    filled = []
    for config in configs.for_profile(profile):
        rows = _write_splits(folder / "data" / config.name, configs.splits(shards, config, profile))
        filled += [config] if rows else []
    found = queries.run_queries(version, queries.CROISSANT)
    written = croissant.describe(manifest, folder, filled, found, _licences(version, profile))
    files.write_text(folder / "croissant.json", json.dumps(written, indent=1, ensure_ascii=False) + "\n")
    for path, text in card.dataset_files(version, profile, waivers).items():
        files.write_text(folder / path, text)
    return manifest


def _write_shards(version: Version, folder: Path, profile: Profile, put: Put) -> Manifest:
    """Write the shards of the profile and return its manifest."""
    full = version.manifest
    tables: dict[str, list[Shard]] = {}
    withheld = list(full.withheld)
    for table, shards in full.tables.items():
        tables[table] = []
        for shard in shards:
            path = version.workspace.shard_path(table, shard)
            rule = table_rule(table, profile, stored_schema(path))
            instead = shard if rule is None else _redacted(version, table, shard, folder, profile)
            if instead == shard:
                target = folder / "tables" / table / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                put(path, target)
            elif rule is not None:
                sha256 = instead.sha256 if instead else None
                withheld.append(Withheld(table=table, sha256=shard.sha256, instead=sha256, because=rule.because))
            tables[table] += [instead] if instead else []
    release = full.model_copy(
        update={
            "recipe": redact_recipe(full.recipe),
            "tables": tables,
            "format": formats.RELEASE,
            "profile": profile,
            "full_digest": full.full_digest or full.digest,
            "withheld": withheld,
        }
    )
    return release.model_copy(update={"digest": release.computed_digest()})


def _redacted(version: Version, table: str, shard: Shard, folder: Path, profile: Profile) -> Shard | None:
    """Write and return the redacted shard; return the shard itself if nothing is withheld, None if no row is left."""
    frame = pl.read_parquet(version.workspace.shard_path(table, shard), glob=False)
    held = redact(table, frame, profile, partial(pseudonyms.load_key, version.workspace.root))
    if held.equals(frame):
        return shard
    if held.is_empty():
        return None
    del frame
    return write_shard(folder / "tables" / table, held)


def _write_splits(folder: Path, parts: Iterator[tuple[str, pl.DataFrame]]) -> int:
    """Write the rows of each split to files of at most ``configs.BYTES_PER_FILE`` in memory; return how many rows."""
    waiting: dict[str, list[pl.DataFrame]] = {}
    sizes: dict[str, int] = {}
    written: dict[str, int] = {}
    height = 0
    for split, part in parts:
        height += part.height
        for rows, size in _slices(part):
            if waiting.get(split) and sizes[split] + size > configs.BYTES_PER_FILE:
                _write_part(folder, split, written, waiting.pop(split))
            sizes[split] = size + (sizes[split] if split in waiting else 0)
            waiting.setdefault(split, []).append(rows)
    for split, rest in waiting.items():
        _write_part(folder, split, written, rest)
    for split, count in written.items():
        for number in range(count):
            path = folder / f"{split}-{number:05d}.parquet"
            path.rename(folder / f"{split}-{number:05d}-of-{count:05d}.parquet")
    return height


def _slices(part: pl.DataFrame) -> Iterator[tuple[pl.DataFrame, int]]:
    """Yield ``part`` in slices that fit into a file, each with its bytes in memory, which depend on the rows alone."""
    count = max(1, -(-_size(part) // configs.BYTES_PER_FILE))
    for rows in part.iter_slices(max(1, -(-part.height // count))) if part.height else [part]:
        yield rows, _size(rows)


def _size(rows: pl.DataFrame) -> int:
    return int(rows.to_arrow(compat_level=pl.CompatLevel.oldest()).nbytes)


def _write_part(folder: Path, split: str, written: dict[str, int], rows: list[pl.DataFrame]) -> None:
    number = written.get(split, 0)
    files.write_parquet(folder / f"{split}-{number:05d}.parquet", pl.concat(rows))
    written[split] = number + 1


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def _licences(version: Version, profile: Profile) -> list[str]:
    """Return where to read the licence of the release; if it has none, where to read those of its parts."""
    result = licences.derive_licence(version, profile)
    if result.licence is not None:
        return [result.licence.url]
    stated = {part.licence: part.terms for part in result.parts if part.licence}
    return sorted({terms.url if terms else name for name, terms in stated.items()})
