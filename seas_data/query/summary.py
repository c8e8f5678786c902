"""What ``log`` and ``show`` tell of versions: small facts, ready for the terminal and for JSON."""

from typing import Any

import polars as pl

from seas_data.query import headline, library, sql
from seas_data.query.version import Version
from seas_data.resources import folder
from seas_data.store import Workspace


def log(workspace: Workspace, version: str | None = None) -> list[dict[str, Any]]:
    """Return one record a version, oldest first; with ``version``, of its ancestors and itself."""
    names = workspace.versions() if version is None else workspace.lineage(workspace.manifest(version))
    return [_entry(workspace, name) for name in names]


def _entry(workspace: Workspace, name: str) -> dict[str, Any]:
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


def show(version: Version) -> dict[str, Any]:
    """Return what a version holds.

    Keys: ``version``, ``digest``, ``parent``, ``iteration``, ``tables`` (rows each), ``recipe``, ``tags``, ``kept``,
    ``kinds`` and ``splits`` (kept rows of each), ``kinds_before`` (of the parent), ``decisions`` (rows by step,
    decision and reason), ``figures`` (``headline.compared`` with the parent) and ``matrix`` (the answer of the query
    attack-success-matrix).
    """
    manifest = version.manifest
    queries = library.load(folder("sql"))
    asked = [(query.sql, query.values([])) for query in (queries["headline"], queries["attack-success-matrix"])]
    figures, matrix, kinds, decisions = sql.read_all(version.paths(), [*asked, (_KINDS, {}), (_DECISIONS, {})])
    before = headline.parent(version)
    then = sql.read_all(before.paths(), [asked[0], (_KINDS, {})]) if before else None
    return {
        "version": manifest.version,
        "digest": manifest.digest,
        "parent": manifest.parent,
        "iteration": manifest.iteration,
        "tables": manifest.rows(),
        "recipe": manifest.recipe,
        "tags": [tag for tag, of in version.workspace.tags().items() if of == manifest.version],
        "kept": int(kinds["rows"].sum()),
        "kinds": _totals(kinds, "kind"),
        "kinds_before": _totals(then[1], "kind") if then else {},
        "splits": _totals(kinds, "split"),
        "decisions": decisions.to_dicts(),
        "figures": headline.compared(figures, then[0] if then else None).to_dicts(),
        "matrix": matrix.to_dicts(),
    }


def loop(version: Version) -> dict[str, Any]:
    """Return how a loop went.

    Keys: ``version``, ``digest``, ``iteration``, ``matrix`` and ``frontier`` (the answers of the queries
    attack-success-matrix and safety-frontier, less the intervals of the latter) and ``statements`` (why a model is as
    it was).
    """
    queries = library.load(folder("sql"))
    asked = [queries[name] for name in ("attack-success-matrix", "safety-frontier")]
    matrix, frontier = sql.read_all(version.paths(), [(query.sql, query.values([])) for query in asked])
    frontier = frontier.select(name for name in frontier.columns if not name.endswith(("_low", "_high")))
    return {
        "version": version.name,
        "digest": version.digest,
        "iteration": version.manifest.iteration,
        "matrix": matrix.to_dicts(),
        "frontier": frontier.to_dicts(),
        "statements": version.table("checkpoints")["statement"].drop_nulls().to_list(),
    }


_DECISIONS = (
    "select step, decision, reason, count(*) as rows from decisions group by all order by rows desc, step, reason"
)
_KINDS = "select kind, split, count(*) as rows from kept left join splits using (prompt_id) group by all"


def _totals(counts: pl.DataFrame, column: str) -> dict[str, int]:
    totals = counts.group_by(column).agg(pl.col("rows").sum()).sort("rows", column, descending=[True, False])
    return {str(name): int(rows) for name, rows in totals.iter_rows()}
