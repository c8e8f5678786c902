"""A version as a folder that other tools open.

README.md                          names the splits, so that ``datasets.load_dataset(FOLDER)`` finds them
data/prompts/train-*.parquet       kept rows of train, test and harmless, with template, request, group and cluster
tables/TABLE/SHA256.parquet        the version's own shards, unchanged
views.sql                          the tables and ``kept`` as views: run it in the duckdb shell, in this folder
manifest.json                      which shards make the version, and its digest
"""

import json
import shutil
import uuid
from pathlib import Path

from seas_data import files, resources, views
from seas_data.errors import SeasDataError
from seas_data.version import Version

_KEPT = """
select kept.*, template_id, payload, request_id, split, group_id, cluster, clusters.label as cluster_label, x, y
from kept
left join templates using (prompt_id) left join splits using (prompt_id) left join clusters using (prompt_id)
where split <> 'holdout'
order by prompt_id
"""


def checkout(version: Version, folder: Path) -> None:
    """Write ``version`` to ``folder``, which appears only when whole. Raises SeasDataError if it is there already."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SeasDataError(f"{folder} exists already; name a folder that does not, or remove it first")
    version.workspace.require_whole(version.manifest)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = folder.with_name(f"{files.TEMPORARY}{uuid.uuid4().hex}")
    unfinished.mkdir(mode=0o700)
    try:
        _write(version, unfinished)
        if folder.exists():
            folder.rmdir()
        unfinished.replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _write(version: Version, folder: Path) -> None:
    kept = version.select(_KEPT)
    splits = []
    for split in ("train", "test", "harmless"):
        if (rows := kept.filter(split=split)).height:
            files.write_parquet(folder / "data" / "prompts" / f"{split}-00000-of-00001.parquet", rows)
            splits.append(f"  - split: {split}\n    path: data/prompts/{split}-*.parquet\n")
    template = (resources.folder("cards") / "folder.md").read_text(encoding="utf-8")
    readme = template.format(
        files="".join(splits), recipe=version.manifest.recipe["name"], version=version.name, digest=version.digest
    )
    files.write_text(folder / "README.md", readme)
    places: dict[str, list[str]] = {}
    for table, paths in version.paths().items():
        places[table] = [f"tables/{table}/{path.name}" for path in paths]
        for path, place in zip(paths, places[table], strict=True):
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    files.write_text(folder / "views.sql", views.script(places))
    manifest = json.dumps(version.manifest.model_dump(mode="json"), indent=1, ensure_ascii=False)
    files.write_text(folder / "manifest.json", manifest + "\n")
