"""Forget: the one exception to append-only. A version without a row, and without all that hangs on it.

    ids -> what goes with them (``forget_rows``) -> shards without it, the others as they are -> tombstones -> version
        -> vectors and stages of the words removed -> which versions and published tags still hold them

The new version stands on the newest one and is of the same iteration. Earlier versions are not touched, here or where
they were published: what still holds the words is said, so that a person can remove it.
"""

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.release.hub import publish_log
from seas_data.release.takedown import rows as forget_rows
from seas_data.release.takedown.rows import Gone
from seas_data.similarity import vector_store
from seas_data.store import Manifest, Shard, Workspace, open_workspace
from seas_data.store import takedown as forgotten
from seas_data.store.stages import RUNS
from seas_data.text import normalise, text_digest


@dataclass(frozen=True)
class Forgot:
    """A forgetting's result: the new version, the rows that each table lost, the ids, and who still holds the words."""

    version: Version
    rows: dict[str, int]
    prompts: list[str]
    responses: list[str]
    versions: list[str]
    """Versions of this workspace that hold them."""
    published: list[str]
    """Where they were pushed to or pulled from, and as what."""
    unknown: list[str]
    """Published tags of which nobody here knows what they hold."""
    models: list[str]
    """Models that were trained on what is gone."""
    alike: list[str]
    """What stays and says much the same: prompts as whose double a forgotten one was dropped, and whatever holds the
    words of a forgotten response."""


def forget(root: Path, ids: list[str], because: str) -> Forgot:
    """Make a version of the workspace ``root`` without the prompts, attacks or responses ``ids``.

    Raises SeasDataError when an id is unknown, there is no reason or one that quotes the text, or the newest version is
    damaged.
    """
    if not because.strip():
        raise SeasDataError('say why: seas-data forget ID --because "..."; the reason stands in the version, for good')
    workspace = open_workspace(root)
    with workspace.lock(), publish_log.publish_lock(root):
        started = time.perf_counter()
        before = Version(workspace, workspace.manifest())
        workspace.require_whole(before.manifest)
        gone = forget_rows.find(before, ids)
        _require_discreet(because, forget_rows.named_texts(before, ids))
        texts = _texts(before, gone)
        # Guarded first: a kill from here on leaves too much out, never too little.
        forgotten.guard(root, [text_digest(text) for text in texts.filter("is_forgotten")["text"]])
        name = f"v{int(before.name[1:]) + 1}"
        left, lost = _shards(workspace, before.manifest, gone)
        tombstones = _tombstones(gone, name, because)
        aside = _set_aside(before, gone)
        for table, rows in {"tombstones": tombstones, "set_aside": aside}.items():
            if rows.height:
                left[table] = [*left.get(table, []), workspace.write_shard(table, rows)]
        parent = {"parent": before.name, "parent_digest": before.manifest.full_digest or before.digest}
        manifest = before.manifest.model_copy(update={"version": name, **parent, "full_digest": None, "tables": left})
        models, alike = _models(before, gone), _alike(before, gone)
        _purge(workspace, texts["text"])
        version = Version(workspace, workspace.commit(manifest, _runs(name, started, sum(lost.values()))))
    holding = _holding(workspace, gone, except_for=name)
    held, unknown = _published(root, holding)
    return Forgot(
        version,
        lost,
        gone.forgotten.to_list(),
        gone.responses_forgotten.to_list(),
        holding,
        held,
        unknown,
        models,
        alike,
    )


def _require_discreet(because: str, texts: list[str]) -> None:
    """Raise SeasDataError if the reason, which is published, quotes what is to be forgotten."""
    said = normalise(because)
    if any(len(text.strip()) >= forget_rows.SHORTEST and normalise(text) in said for text in texts):
        raise SeasDataError(
            "the reason quotes what is to be forgotten, and it is published with the version: say it in other words"
        )


def _shards(workspace: Workspace, manifest: Manifest, gone: Gone) -> tuple[dict[str, list[Shard]], dict[str, int]]:
    """Write each shard that holds something gone anew, without it; return all shards, and the rows each table lost."""
    rules = forget_rows.rules(gone)
    left: dict[str, list[Shard]] = {}
    lost: dict[str, int] = {}
    for table, shards in manifest.tables.items():
        left[table] = []
        for shard in shards:
            kept = _without(table, workspace.shard_path(table, shard), rules[table], gone.words)
            if kept is None:
                left[table].append(shard)
                continue
            lost[table] = lost.get(table, 0) + shard.rows - kept.height
            if kept.height:
                left[table].append(workspace.write_shard(table, kept))
    if "wrappers" in left and "templates" in lost:
        left["wrappers"], lost["wrappers"] = _wrappers(workspace, manifest, left, gone.words)
    return left, lost


def _without(table: str, path: Path, rule: pl.Expr, words: list[str]) -> pl.DataFrame | None:
    """Return what is left of a shard; None if that is all of it, as it was."""
    frame = tables.read(table, path, tables.empty(table).columns)
    kept = forget_rows.without_quotes(table, frame.filter(~rule), words)
    return None if kept.equals(frame) else kept


def _wrappers(
    workspace: Workspace, manifest: Manifest, left: dict[str, list[Shard]], words: list[str]
) -> tuple[list[Shard], int]:
    """Drop the fixed texts of templates that no prompt has any more."""
    paths = [workspace.shard_path("templates", shard) for shard in left["templates"]]
    templates = [tables.read("templates", path, ["template_id"]) for path in paths]
    used = pl.concat([tables.empty("templates").select("template_id"), *templates])["template_id"].drop_nulls()
    unused = ~pl.col("template_id").is_in(used.implode())
    shards, lost = [], 0
    for shard in manifest.tables["wrappers"]:
        kept = _without("wrappers", workspace.shard_path("wrappers", shard), unused, words)
        if kept is None:
            shards.append(shard)
            continue
        lost += shard.rows - kept.height
        shards += [workspace.write_shard("wrappers", kept)] if kept.height else []
    return shards, lost


def _tombstones(gone: Gone, version: str, because: str) -> pl.DataFrame:
    rows = [{"prompt_id": each, "response_id": None} for each in gone.forgotten]
    rows += [{"prompt_id": None, "response_id": each} for each in gone.responses_forgotten]
    shape = {"prompt_id": pl.String, "response_id": pl.String}
    frame = pl.DataFrame(rows, schema=shape).with_columns(version=pl.lit(version), because=pl.lit(because.strip()))
    return tables.cast("tombstones", pl.concat([tables.empty("tombstones"), frame], how="diagonal"))


def _set_aside(before: Version, gone: Gone) -> pl.DataFrame:
    """Return the rows that later builds would otherwise write when they meet the forgotten rows in their sources."""
    rows = before.select("select prompt_id, source from prompts where iteration = 0 order by prompt_id")
    return forgotten.set_aside(rows.filter(pl.col("prompt_id").is_in(gone.forgotten.implode())))


def _texts(before: Version, gone: Gone) -> pl.DataFrame:
    """Return the ``text`` of every prompt and payload that is gone, and whether it ``is_forgotten`` as a whole."""
    found = before.select(
        "select prompt_id, text, true as whole from prompts where text is not null "
        "union select prompt_id, text, true from attacks "
        "union select prompt_id, payload, false from templates where payload is not null"
    )
    found = found.filter(pl.col("prompt_id").is_in(gone.prompts.implode()))
    is_forgotten = pl.col("whole") & pl.col("prompt_id").is_in(gone.forgotten.implode())
    return found.select("text", is_forgotten=is_forgotten).sort("text", "is_forgotten")


def _purge(workspace: Workspace, texts: pl.Series) -> None:
    """Remove what the workspace keeps of the words beside its versions: vectors, and what unfinished work left."""
    vector_store.remove_texts(workspace.root / "vectors", vector_store.compute_text_keys(texts))
    workspace.forget_stages()
    for name in ("push", "pull"):
        shutil.rmtree(workspace.root / name, ignore_errors=True)


def _models(before: Version, gone: Gone) -> list[str]:
    """Return the models that were trained when something gone was there to learn from, and those made of them."""
    trained = before.select(
        "select seed_id, prompt_id, iteration from pairs union all "
        "select seed_id, prompt_id, iteration from demonstrations union all "
        "select seed_id, null, iteration from seeds where split = 'train'"
    )
    hit = trained.filter(
        pl.col("seed_id").is_in(gone.seeds.implode()) | pl.col("prompt_id").is_in(gone.prompts.implode())
    )
    if hit.is_empty():
        return []
    first = hit["iteration"].min()
    known = (
        "select model from checkpoints where iteration >= $first and method in ('sft', 'dpo') order by iteration, model"
    )
    return before.select(known, {"first": first})["model"].to_list()


def _alike(before: Version, gone: Gone) -> list[str]:
    """Return what stays and says much the same: see ``Forgot.alike``."""
    duplicates = before.select("select prompt_id, witness_id from dropped where reason like '%duplicate' order by 2")
    named = duplicates.filter(pl.col("prompt_id").is_in(gone.forgotten.implode()))["witness_id"]
    doubles = named.filter(~named.is_in(gone.prompts.implode())).unique(maintain_order=True).to_list()
    return list(dict.fromkeys([*doubles, *forget_rows.same_words(before, gone)]))


def _holding(workspace: Workspace, gone: Gone, *, except_for: str) -> list[str]:
    """Return the versions of the workspace that hold anything forgotten."""
    ids = pl.concat([gone.forgotten.rename("id"), gone.responses_forgotten.rename("id")]).implode()
    query = "select prompt_id as id from prompts union select prompt_id from attacks"
    query += " union select response_id from responses"
    versions = (Version(workspace, workspace.manifest(name)) for name in workspace.versions() if name != except_for)
    return [each.name for each in versions if each.select(query)["id"].is_in(ids).any()]


def _published(root: Path, versions: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return where a release of one of ``versions`` is published, and the tags that may be of any version."""
    holding = set(versions)
    entries = [each for each in publish_log.read(root) if each.kind == "dataset"]
    known = {(each.repository, each.commit) for each in entries if each.way != "seen"}
    held = [
        f"{each.repository}@{each.tag or each.commit[:7]} ({each.version}, {each.profile}{', public' * each.public})"
        for each in entries
        if each.version in holding
    ]
    unknown = [
        f"{each.repository}@{each.tag}"
        for each in entries
        if each.way == "seen" and (each.repository, each.commit) not in known
    ]
    return list(dict.fromkeys(held)), list(dict.fromkeys(unknown))


def _runs(version: str, started: float, rows: int) -> pl.DataFrame:
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
