"""Results files of evaluation harnesses: read one, and add its figures to a workspace as a new version.

Versions never change, so the figures are a shard of one more version with the same rows, recipe and iteration.
"""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.sources.jsonl import parse_object
from seas_data.sources.logs.json_files import KeyPath, json_values
from seas_data.sources.logs.zip_members import MemberError, open_zip
from seas_data.sources.raw_rows import InvalidLineError
from seas_data.store import files
from seas_data.store.stages import RUNS
from seas_data.store.version import Version
from seas_data.store.workspace import Workspace, next_version
from seas_data.text import printable
from seas_data.utility import inspect_results, lm_eval_results
from seas_data.utility.figures import NAME, Results, utility_metrics

_EXPECTED = "give results_*.json of lm-evaluation-harness, or a .eval or .json log of inspect_ai"


def read_results(path: Path) -> Results:
    """Return the figures in a results file. Raises SeasDataError if it is none, broken, unfinished or empty."""
    if not path.is_file():
        raise SeasDataError(f"there is no results file at {path}; {_EXPECTED}")
    if path.stat().st_size == 0:
        raise SeasDataError(f"{path} is empty; {_EXPECTED}")
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PK\x03\x04":
        return inspect_results.read_inspect_results(_eval_header(path), str(path))
    content = _top_level(path)
    if "status" in content and "eval" in content:
        return inspect_results.read_inspect_results(content, str(path))
    if isinstance(content.get("results"), dict) and "eval" not in content:
        return lm_eval_results.read_lm_eval(content, str(path))
    raise SeasDataError(f"{path} is no results file: it has no results of a harness; {_EXPECTED}")


def _top_level(path: Path) -> dict[str, Any]:
    """Return the keys of a JSON file that a reader takes; the samples of a log are passed over one by one."""
    content: dict[str, Any] = {}
    wanted = {*lm_eval_results.KEYS, *inspect_results.KEYS, "lm_eval_version", "model_name"}

    def descend(keys: KeyPath) -> bool:
        return keys in ((), ("samples",), ("reductions",))

    for keys, value in json_values(path, descend):
        if len(keys) != 1 or keys[0] not in wanted:
            continue
        if keys[0] in content:
            raise SeasDataError(f"{path} has the key {keys[0]} twice; {_EXPECTED}")
        content[str(keys[0])] = value
    return content


def _eval_header(path: Path) -> dict[str, Any]:
    with open_zip(path) as members:
        if "header.json" not in members:
            raise SeasDataError(f"{path} has no header.json, so its run did not end; run it to its end")
        try:
            return parse_object(members.read("header.json").decode())
        except (MemberError, UnicodeDecodeError, InvalidLineError) as problem:
            raise SeasDataError(f"{path} has a header.json that cannot be read; get the log again") from problem


def add_results(workspace: Workspace, path: Path, model: str, *, partial: bool = False) -> tuple[Version, pl.DataFrame]:
    """Add the figures of a results file to ``workspace`` as figures of ``model``; return the new version and its rows.

    ``partial``: take figures of a part of a task too. Raises SeasDataError if the file cannot be used, was added
    before, or is of another checkpoint; then nothing is written.
    """
    results = read_results(path)
    digest = files.sha256(path)
    with workspace.lock():
        parent = Version(workspace, workspace.manifest())
        if parent.manifest.profile is not None:
            raise SeasDataError(f"{parent.name} is a release; add the results in the workspace that it was made in")
        workspace.require_intact(parent.manifest)
        _require_model(parent, model, results, path)
        _require_new(parent, digest, path)
        if not partial and (part := next((each for each in results.figures if each.partial), None)):
            raise SeasDataError(
                f"{path} has figures of a part of a task ({printable(part.task)}: {part.partial} samples); run all of "
                "it, or add --partial to take them as they are"
            )
        rows = utility_metrics(results, model, digest)
        return _commit(parent, rows), rows


def _require_model(version: Version, model: str, results: Results, path: Path) -> None:
    known = version.table("checkpoints", ["model", "role"])
    targets = known.filter(pl.col("role") == "target")["model"].to_list()
    if model not in targets:
        raise SeasDataError(
            f"{version.name} has no target {printable(model)[:60]}; its targets are {', '.join(targets) or 'none'}"
        )
    named = re.split(r"[\\/]", (results.model or "").rstrip("\\/"))[-1]
    if named != model and named in known["model"].to_list():
        raise SeasDataError(f"{path} is of a model that it calls {named}, not {model}; add it with --model {named}")


def _require_new(version: Version, digest: str, path: Path) -> None:
    rows = version.table("metrics", ["name", "version", "facets"]).filter(pl.col("name") == NAME)
    for added, facets in rows.select("version", "facets").iter_rows():
        if (found := json.loads(facets)).get("results") == digest:
            raise SeasDataError(f"{path} was added before, to {found['target']} in {added}; nothing was added")


def _commit(parent: Version, rows: pl.DataFrame) -> Version:
    """Commit a version of the same rows with ``rows`` as one more shard of ``metrics``."""
    workspace, name = parent.workspace, next_version(parent.name)
    shard = workspace.write_shard("metrics", tables.cast("metrics", rows.with_columns(version=pl.lit(name))))
    shards = parent.manifest.tables | {"metrics": [*parent.manifest.tables.get("metrics", []), shard]}
    changes = {"version": name, "parent": parent.name, "parent_digest": parent.digest, "tables": shards}
    started = datetime.now(UTC).isoformat(timespec="seconds")
    run = {"version": name, "stage": "metrics", "started": started, "seconds": 0.0, "rows": rows.height, "tools": "{}"}
    manifest = parent.manifest.model_copy(update=changes)
    return Version(workspace, workspace.commit(manifest, pl.DataFrame([run], schema=RUNS)))
