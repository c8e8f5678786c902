"""A version as a folder that other tools open, and as ``push`` uploads it.

README.md                            the card; names configs and splits, so that ``datasets.load_dataset(FOLDER)`` works
data/CONFIG/SPLIT-00000-of-00001.parquet   what people load (``configs.py``), made anew for each version
tables/TABLE/SHA256.parquet          the shards that the profile holds (``profile.py``): the version's own, or redacted
views.sql                            the tables and ``kept`` as views: run it in the duckdb shell, in this folder
croissant.json                       the same for machines
manifest.json                        the profile's manifest: its shards, the full version's digest, what is withheld

The manifest is a workspace's own kind (``store.Manifest``), so a release can be pulled into one and verifies there.
"""

import json
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.query import views
from seas_data.query.version import Version
from seas_data.release import card, configs, croissant, licences
from seas_data.release.card import answers
from seas_data.release.privacy import redact as scrub
from seas_data.release.visibility import Profile, redact, rule
from seas_data.store import Manifest, Shard, Withheld, files
from seas_data.store.workspace import write_shard

Put = Callable[[Path, Path], None]


def checkout(
    version: Version,
    folder: Path,
    profile: Profile = "public",
    allowed: dict[str, str] | None = None,
    *,
    linked: bool = False,
) -> Manifest:
    """Write what ``profile`` holds of ``version`` to ``folder``, which appears only when whole; return its manifest.

    ``allowed``: checks that a person let pass, and why, for the card. ``linked``: the version was hashed just now, and
    nobody writes to the folder, so shards are the workspace's own. The same version gives the same bytes.
    Raises SeasDataError if the folder is there already, or the version is itself a release that holds less.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SeasDataError(f"{folder} exists already; name a folder that does not, or remove it first")
    if version.manifest.profile not in (None, "gated", profile):
        raise SeasDataError(
            f"{version.name} of {version.workspace.root} is a {version.manifest.profile} release and holds no more "
            f"than that; check out its own profile, or the {profile} one from the workspace that it was made in"
        )
    if not linked:
        version.workspace.require_whole(version.manifest)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder = folder.absolute()  # "." has no name beside which to write
    unfinished = folder.with_name(f"{files.TEMPORARY}{uuid.uuid4().hex}")
    unfinished.mkdir(mode=0o700)
    try:
        manifest = _write(version, unfinished, profile, allowed or {}, files.link if linked else _copy)
        if folder.exists():
            folder.rmdir()
        unfinished.replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return manifest


def _write(version: Version, folder: Path, profile: Profile, allowed: dict[str, str], put: Put) -> Manifest:
    manifest = _shards(version, folder, profile, put)
    places = {
        table: [f"tables/{table}/{shard.sha256}.parquet" for shard in shards]
        for table, shards in manifest.tables.items()
    }
    files.write_text(folder / "views.sql", views.script(places))
    files.write_text(folder / "manifest.json", manifest.to_json())
    shards = {table: [folder / place for place in listed] for table, listed in places.items()}
    filled = []
    for config in configs.of(profile):
        for split, held in configs.splits(shards, config):
            filled += [config] if held.height and config not in filled else []
            _write_split(folder / "data" / config.name, split, held)
    found = answers.gather(version, answers.CROISSANT)
    written = croissant.describe(manifest, folder, filled, found, _licences(version, profile))
    files.write_text(folder / "croissant.json", json.dumps(written, indent=1, ensure_ascii=False) + "\n")
    for place, text in card.dataset_files(version, profile, allowed).items():
        files.write_text(folder / place, text)
    return manifest


def _shards(version: Version, folder: Path, profile: Profile, put: Put) -> Manifest:
    """Write the shards that the profile holds, and return the profile's manifest."""
    full = version.manifest
    tables: dict[str, list[Shard]] = {}
    withheld = list(full.withheld)
    for table, shards in full.tables.items():
        tables[table] = []
        found = rule(table, profile)
        for shard in shards:
            path = version.workspace.shard_path(table, shard)
            instead = shard if found is None else _redacted(table, path, shard, folder, profile)
            if instead == shard:
                target = folder / "tables" / table / path.name
                target.parent.mkdir(parents=True, exist_ok=True)
                put(path, target)
            elif found is not None:
                sha256 = instead.sha256 if instead else None
                withheld.append(Withheld(table=table, sha256=shard.sha256, instead=sha256, because=found.because))
            tables[table] += [instead] if instead else []
    release = full.model_copy(
        update={
            "recipe": scrub.recipe(full.recipe),
            "tables": tables,
            "profile": profile,
            "full_digest": full.full_digest or full.digest,
            "withheld": withheld,
        }
    )
    return release.model_copy(update={"digest": release.computed_digest()})


def _redacted(table: str, path: Path, shard: Shard, folder: Path, profile: Profile) -> Shard | None:
    """Write what the profile holds of a shard; return the shard itself if that is all of it, None if it is nothing."""
    frame = pl.read_parquet(path)
    held = redact(table, frame, profile)
    if held.equals(frame):
        return shard
    if held.is_empty():
        return None
    del frame
    return write_shard(folder / "tables" / table, held)


def _write_split(folder: Path, split: str, rows: pl.DataFrame) -> None:
    count = max(1, -(-rows.to_arrow().nbytes // configs.BYTES_PER_FILE))
    height = -(-rows.height // count)
    for number in range(count):
        place = folder / f"{split}-{number:05d}-of-{count:05d}.parquet"
        files.write_parquet(place, rows.slice(number * height, height))


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def _licences(version: Version, profile: Profile) -> list[str]:
    """Return where to read the licence of the release; where none follows from its parts, theirs."""
    found = licences.of(version, profile)
    if found.licence is not None:
        return [found.licence.read]
    stated = {part.licence: part.known for part in found.parts if part.licence}
    return sorted({known.read if known else name for name, known in stated.items()})
