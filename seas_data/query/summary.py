"""Summaries of versions for ``log``, ``show`` and ``build``: plain values, ready for the terminal and for JSON."""

from typing import Any

import polars as pl

from seas_data.query import headline, library, sql
from seas_data.query.version import Version
from seas_data.resources import folder
from seas_data.store import Workspace


def list_versions(workspace: Workspace, version: str | None = None) -> list[dict[str, Any]]:
    """Return one record per version, oldest first; with ``version``, only that version and its ancestors."""
    names = workspace.versions() if version is None else workspace.lineage(workspace.manifest(version))
    return [_describe_manifest(workspace, name) for name in names]


def _describe_manifest(workspace: Workspace, name: str) -> dict[str, Any]:
    manifest = workspace.manifest(name)
    return {
        "version": name,
        "digest": manifest.digest,
        "parent": manifest.parent,
        "iteration": manifest.iteration,
        "recipe": manifest.recipe.get("name"),
        "prompts": manifest.rows().get("prompts", 0),
        "tags": [tag for tag, of in workspace.tags().items() if of == name],
    }


def describe_version(version: Version) -> dict[str, Any]:
    """Return a summary of a version.

    Keys: ``version``, ``digest``, ``parent``, ``iteration``, ``folding`` (the version of the folded forms), ``tables``
    (rows of each), ``recipe``, ``tags``, ``kept``, ``kinds`` and ``splits`` (kept rows of each), ``kinds_before`` (of
    the parent), ``decisions`` (rows by step, decision and reason), ``figures`` (``headline.compare_figures`` with the
    parent) and ``matrix`` (the result of the
    query attack-success-matrix).
    """
    manifest = version.manifest
    queries = library.load(folder("sql"))
    headline_query, *loop_queries = (
        (queries[name].sql, queries[name].values([])) for name in ("headline", *_LOOP_QUERIES)
    )
    figures, matrix, frontier, kinds, decisions = sql.run_all(
        version.paths(), [headline_query, *loop_queries, (_KINDS, {}), (_DECISIONS, {})]
    )
    parent = headline.load_parent(version)
    before = sql.run_all(parent.paths(), [headline_query, (_KINDS, {})]) if parent else None
    return {
        "version": manifest.version,
        "digest": manifest.digest,
        "parent": manifest.parent,
        "iteration": manifest.iteration,
        "folding": manifest.folding,
        "tables": manifest.rows(),
        "recipe": manifest.recipe,
        "tags": [tag for tag, of in version.workspace.tags().items() if of == manifest.version],
        "kept": int(kinds["rows"].sum()),
        "kinds": _sum_rows(kinds, "kind"),
        "kinds_before": _sum_rows(before[1], "kind") if before else {},
        "splits": _sum_rows(kinds, "split"),
        "decisions": decisions.to_dicts(),
        "figures": headline.compare_figures(figures, before[0] if before else None).to_dicts(),
        "matrix": matrix.to_dicts(),
        "frontier": frontier.to_dicts(),
    }


def describe_loop(version: Version) -> dict[str, Any]:
    """Return a summary of the loop that built a version.

    Keys: ``version``, ``digest``, ``iteration``, ``matrix`` and ``frontier`` (the results of the queries
    attack-success-matrix and safety-frontier) and ``statements`` (those of the checkpoints, such as why a model was
    left unchanged).
    """
    queries = library.load(folder("sql"))
    chosen = [queries[name] for name in _LOOP_QUERIES]
    matrix, frontier = sql.run_all(version.paths(), [(query.sql, query.values([])) for query in chosen])
    return {
        "version": version.name,
        "digest": version.digest,
        "iteration": version.manifest.iteration,
        "matrix": matrix.to_dicts(),
        "frontier": frontier.to_dicts(),
        "statements": version.table("checkpoints")["statement"].drop_nulls().to_list(),
    }


_LOOP_QUERIES = ("attack-success-matrix", "safety-frontier")
_DECISIONS = (
    "select step, decision, reason, count(*) as rows from decisions group by all order by rows desc, step, reason"
)
_KINDS = "select kind, split, count(*) as rows from kept left join splits using (prompt_id) group by all"


def _sum_rows(counts: pl.DataFrame, column: str) -> dict[str, int]:
    totals = counts.group_by(column).agg(pl.col("rows").sum()).sort("rows", column, descending=[True, False])
    return {str(name): int(rows) for name, rows in totals.iter_rows()}
