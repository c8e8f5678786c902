"""Takedown: a new version without some rows and all that depends on them. The one exception to append-only.

    ids -> what is removed (``rows.py``) -> shards without it, the others unchanged -> tombstones -> version
        -> its vectors and stages deleted -> which versions and published tags still contain it

The parent of the new version is the newest one, and its iteration is the same. Earlier versions are not changed, here
or where they were published; the result names all that still contain the texts, so that a person can remove them.
"""

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import polars as pl

from seas_data import tables
from seas_data.conversation import all_texts, whole_texts
from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.release import publish_log
from seas_data.release.takedown.rows import (
    MIN_QUOTE_CHARACTERS,
    Removal,
    clear_quotes,
    find_removal,
    find_same_text,
    find_shared_turns,
    removal_conditions,
    select_texts,
)
from seas_data.similarity import vector_store
from seas_data.store import Manifest, Shard, Workspace, open_workspace
from seas_data.store.stages import RUNS
from seas_data.store.takedown import build_set_aside, record_texts
from seas_data.store.version import read_shard
from seas_data.store.workspace import next_version
from seas_data.text import normalise


@dataclass(frozen=True)
class Takedown:
    """The result of a takedown."""

    version: Version
    """The new version."""
    rows: dict[str, int]
    """How many rows each table lost."""
    prompts: list[str]
    """Ids of the prompts and attacks that were taken down."""
    responses: list[str]
    """Ids of the responses that were taken down."""
    versions: list[str]
    """Versions of this workspace that still contain them."""
    published: list[str]
    """Releases that contain them: where each was pushed to or pulled from, its version and profile."""
    unknown: list[str]
    """Published tags whose content this workspace does not know."""
    models: list[str]
    """Models that were trained on what was removed."""
    alike: list[str]
    """Similar rows that stay: prompts that a removed one was a duplicate of or that have what it asks in a turn, and
    rows with the text of a removed response."""


def take_down(root: Path, ids: list[str], because: str) -> Takedown:
    """Commit a version of the workspace at ``root`` without the prompts, attacks or responses ``ids``.

    ``because``: the reason, which is published with the version.
    Raises SeasDataError if an id is unknown, if the reason is blank or quotes a text that is taken down, or if the
    newest version is damaged.
    """
    if not because.strip():
        raise SeasDataError(
            'the reason is missing; give it with seas-data forget ID --because "...", the version keeps it permanently'
        )
    workspace = open_workspace(root)
    with workspace.lock(), publish_log.publish_lock(root):
        started = time.perf_counter()
        before = Version(workspace, workspace.manifest())
        workspace.require_intact(before.manifest)
        removal = find_removal(before, ids)
        _require_no_quote(because, select_texts(before, ids))
        texts = _removed_texts(before, removal)
        # Recorded first: if the process is killed after this, later builds set aside too much, never too little.
        record_texts(root, texts.filter("is_taken_down")["text"])
        name = next_version(before.name)
        shards, lost = _rewrite_shards(workspace, before.manifest, removal)
        gone = pl.concat([removal.responses_taken_down, _logged(before, removal)]).unique().sort()
        tombstones, set_aside = _build_tombstones(removal, gone, name, because), _build_set_aside(before, removal)
        for table, rows in {"tombstones": tombstones, "set_aside": set_aside}.items():
            if rows.height:
                shards[table] = [*shards.get(table, []), workspace.write_shard(table, rows)]
        parent = {"parent": before.name, "parent_digest": before.manifest.full_digest or before.digest}
        manifest = before.manifest.model_copy(update={"version": name, **parent, "full_digest": None, "tables": shards})
        models, alike = _find_trained_models(before, removal), _find_similar(before, removal)
        _delete_traces(workspace, texts["text"])
        version = Version(workspace, workspace.commit(manifest, _build_runs(name, started, sum(lost.values()))))
    versions = _find_versions(workspace, removal, except_for=name)
    published, unknown = _find_published(root, versions)
    return Takedown(
        version=version,
        rows=lost,
        prompts=removal.prompts_taken_down.to_list(),
        responses=removal.responses_taken_down.to_list(),
        versions=versions,
        published=published,
        unknown=unknown,
        models=models,
        alike=alike,
    )


def _require_no_quote(because: str, texts: list[str]) -> None:
    """Raise SeasDataError if the reason, which is published, quotes a text that is taken down."""
    reason = normalise(because)
    if any(len(text.strip()) >= MIN_QUOTE_CHARACTERS and normalise(text) in reason for text in texts):
        raise SeasDataError(
            "the reason quotes the text that is taken down, and it is published with the version; rephrase --because"
        )


def _rewrite_shards(
    workspace: Workspace, manifest: Manifest, removal: Removal
) -> tuple[dict[str, list[Shard]], dict[str, int]]:
    """Write the shards again that contain something to remove; return all shards, and how many rows each table lost."""
    conditions = removal_conditions(removal)
    left: dict[str, list[Shard]] = {}
    lost: dict[str, int] = {}
    for table, shards in manifest.tables.items():
        left[table] = []
        for shard in shards:
            kept = _remove(table, workspace.shard_path(table, shard), conditions[table], removal.quotes)
            if kept is None:
                left[table].append(shard)
                continue
            lost[table] = lost.get(table, 0) + shard.rows - kept.height
            if kept.height:
                left[table].append(workspace.write_shard(table, kept))
    if "wrappers" in left and "templates" in lost:
        left["wrappers"], lost["wrappers"] = _rewrite_wrappers(workspace, manifest, left, removal.quotes)
    return left, lost


def _remove(table: str, path: Path, condition: pl.Expr, quotes: list[str]) -> pl.DataFrame | None:
    """Return what is left of a shard; None if it is unchanged."""
    frame = tables.read(table, path, tables.empty(table).columns)
    kept = clear_quotes(table, frame.filter(~condition), quotes)
    return None if kept.equals(frame) else kept


def _rewrite_wrappers(
    workspace: Workspace, manifest: Manifest, left: dict[str, list[Shard]], quotes: list[str]
) -> tuple[list[Shard], int]:
    """Remove the wrappers that no prompt has any more; return the shards, and how many rows were lost."""
    paths = [workspace.shard_path("templates", shard) for shard in left["templates"]]
    templates = [tables.read("templates", path, ["template_id"]) for path in paths]
    used = pl.concat([tables.empty("templates").select("template_id"), *templates])["template_id"].drop_nulls()
    unused = ~pl.col("template_id").is_in(used.implode())
    shards, lost = [], 0
    for shard in manifest.tables["wrappers"]:
        kept = _remove("wrappers", workspace.shard_path("wrappers", shard), unused, quotes)
        if kept is None:
            shards.append(shard)
            continue
        lost += shard.rows - kept.height
        shards += [workspace.write_shard("wrappers", kept)] if kept.height else []
    return shards, lost


def _logged(before: Version, removal: Removal) -> pl.Series:
    """Return the removed responses to prompts that stay, which a later build would read in their source again."""
    rows = before.select("select response_id, prompt_id from responses where source is not null")
    removed = pl.col("response_id").is_in(removal.responses.implode())
    return rows.filter(removed & ~pl.col("prompt_id").is_in(removal.prompts.implode()))["response_id"]


def _build_tombstones(removal: Removal, responses: pl.Series, version: str, because: str) -> pl.DataFrame:
    rows = [{"prompt_id": each, "response_id": None} for each in removal.prompts_taken_down]
    rows += [{"prompt_id": None, "response_id": each} for each in responses]
    shape = {"prompt_id": pl.String, "response_id": pl.String}
    frame = pl.DataFrame(rows, schema=shape).with_columns(version=pl.lit(version), because=pl.lit(because.strip()))
    return tables.cast("tombstones", pl.concat([tables.empty("tombstones"), frame], how="diagonal"))


def _build_set_aside(before: Version, removal: Removal) -> pl.DataFrame:
    """Return the rows that later builds would otherwise add when they read the removed rows in their sources."""
    rows = before.select("select prompt_id, source from prompts where iteration = 0 order by prompt_id")
    return build_set_aside(rows.filter(pl.col("prompt_id").is_in(removal.prompts_taken_down.implode())))


def _removed_texts(before: Version, removal: Removal) -> pl.DataFrame:
    """Return the texts of removed prompts, their turns and payloads.

    Output columns: text, is_taken_down (whether it is the whole text of a prompt that is taken down).
    """
    found = before.select(
        "select prompt_id, text, true as whole from prompts where text is not null "
        "union select prompt_id, text, true from attacks "
        "union select prompt_id, payload, false from templates where payload is not null"
    )
    turns = before.select("select prompt_id, text, messages from prompts where messages is not null")
    parts = [
        (prompt_id, each, each in whole_texts(text, messages))
        for prompt_id, text, messages in turns.iter_rows()
        for each in all_texts(text, messages)
    ]
    found = pl.concat([found, pl.DataFrame(parts, schema=found.schema, orient="row")]).unique()
    found = found.filter(pl.col("prompt_id").is_in(removal.prompts.implode()))
    is_taken_down = pl.col("whole") & pl.col("prompt_id").is_in(removal.prompts_taken_down.implode())
    return found.select("text", is_taken_down=is_taken_down).sort("text", "is_taken_down")


def _delete_traces(workspace: Workspace, texts: pl.Series) -> None:
    """Delete what the workspace keeps of ``texts`` outside its versions: vectors, and files of unfinished work."""
    vector_store.remove_texts(workspace.root / "vectors", vector_store.compute_text_keys(texts))
    workspace.remove_stages()
    for name in ("push", "pull"):
        shutil.rmtree(workspace.root / name, ignore_errors=True)


def _find_trained_models(before: Version, removal: Removal) -> list[str]:
    """Return the models that were trained on something removed, and those trained from them."""
    trained = before.select(
        "select seed_id, prompt_id, iteration from pairs union all "
        "select seed_id, prompt_id, iteration from demonstrations union all "
        "select seed_id, null, iteration from seeds where split = 'train'"
    )
    affected = trained.filter(
        pl.col("seed_id").is_in(removal.seeds.implode()) | pl.col("prompt_id").is_in(removal.prompts.implode())
    )
    if affected.is_empty():
        return []
    first = affected["iteration"].min()
    query = (
        "select model from checkpoints where iteration >= $first and method in ('sft', 'dpo') order by iteration, model"
    )
    return before.select(query, {"first": first})["model"].to_list()


def _find_similar(before: Version, removal: Removal) -> list[str]:
    """Return the ids of similar rows that stay: see ``Takedown.alike``."""
    duplicates = before.select("select prompt_id, witness_id from dropped where reason like '%duplicate' order by 2")
    taken_down = pl.col("prompt_id").is_in(removal.prompts_taken_down.implode())
    witnesses = duplicates.filter(taken_down)["witness_id"]
    staying = witnesses.filter(~witnesses.is_in(removal.prompts.implode())).unique(maintain_order=True).to_list()
    return list(dict.fromkeys([*staying, *find_shared_turns(before, removal), *find_same_text(before, removal)]))


def _find_versions(workspace: Workspace, removal: Removal, *, except_for: str) -> list[str]:
    """Return the versions of the workspace that contain anything that is taken down."""
    ids = pl.concat([removal.prompts_taken_down.rename("id"), removal.responses_taken_down.rename("id")]).implode()

    @cache
    def holds(table: str, column: str, path: Path) -> bool:  # versions share most of their shards
        return bool(read_shard(table, path, [column])[column].is_in(ids).any())

    columns = {"prompts": "prompt_id", "attacks": "prompt_id", "responses": "response_id"}
    versions = {name: workspace.shard_paths(workspace.manifest(name)) for name in workspace.versions()}
    return [
        name
        for name, shards in versions.items()
        if name != except_for
        and any(holds(table, column, path) for table, column in columns.items() for path in shards.get(table, []))
    ]


def _find_published(root: Path, versions: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return where a release of one of ``versions`` is published, and the tags whose version is unknown."""
    containing = set(versions)
    entries = [each for each in publish_log.read(root) if each.kind == "dataset"]
    known = {(each.repository, each.commit) for each in entries if each.way != "seen"}
    held = [
        f"{each.repository}@{each.tag or each.commit[:7]} ({each.version}, {each.profile}{', public' * each.public})"
        for each in entries
        if each.version in containing
    ]
    unknown = [
        f"{each.repository}@{each.tag}"
        for each in entries
        if each.way == "seen" and (each.repository, each.commit) not in known
    ]
    return list(dict.fromkeys(held)), list(dict.fromkeys(unknown))


def _build_runs(version: str, started: float, rows: int) -> pl.DataFrame:
    record = {
        "version": version,
        "stage": "forget",
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - started, 3),
        "rows": rows,
        "peak_megabytes": None,
        "tools": "{}",
    }
    return pl.DataFrame([record], schema=RUNS)
