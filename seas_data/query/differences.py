"""The difference between two versions.

Two versions of a workspace share most of their shards, and a prompt can differ between them only if a shard that they
do not share holds it, a decision on it or a relabel of it. Only such prompts are read.
"""

from pathlib import Path
from typing import Any

import polars as pl

from seas_data.query import sql

_LABELS = ("kind", "type", "risk_category", "attack_style")


_DECIDING = ("prompts", "decisions", "relabels")
"""The tables that decide what a prompt is in a version."""
_ROWS = """
with changed as ({changed})
select
    prompts.prompt_id, prompts.kind, prompts.type, prompts.risk_category, prompts.attack_style,
    dropped.step, dropped.reason, dropped.witness_id
from prompts semi join changed using (prompt_id) left join dropped using (prompt_id)
order by prompts.prompt_id
"""


def compare_versions(before: dict[str, list[Path]], after: dict[str, list[Path]]) -> dict[str, Any]:
    """Return the differences between two versions, given the Parquet files of each table.

    Keys: ``added`` and ``removed`` (kept rows by kind and type), ``dropped`` (rows kept before and dropped since),
    ``reasons`` (drop reasons of rows that are new in ``after``), ``relabelled`` (rows whose labels changed) and
    ``rows`` (number of prompts before and after). All values except ``rows`` are frames.
    """
    changed = {f"changed_{table}": sorted({*before.get(table, [])} ^ {*after.get(table, [])}) for table in _DECIDING}
    ids = [f"select prompt_id from {name}" for name, paths in changed.items() if paths]
    query = _ROWS.format(changed=" union ".join(ids) or "select prompt_id from prompts where false")
    queries: list[tuple[str, dict[str, object]]] = [(query, {}), ("select count(*) from prompts", {})]
    rows_before, count_before = sql.run_all(before | changed, queries)
    rows_after, count_after = sql.run_all(after | changed, queries)
    counts = {"before": count_before.item(), "after": count_after.item()}
    return {"rows": counts} | _compare_rows(rows_before, rows_after)


def _compare_rows(before: pl.DataFrame, after: pl.DataFrame) -> dict[str, Any]:
    """Return the differences between the prompts that may differ.

    Input columns: prompt_id, kind, type, risk_category, attack_style, step, reason, witness_id.
    """
    kept = pl.col("reason").is_null()
    kept_before, kept_after, drops = before.filter(kept), after.filter(kept), after.filter(~kept)
    no_longer_kept = kept_before.join(kept_after, on="prompt_id", how="anti")
    labels = [pl.col(f"{name}_after").ne_missing(pl.col(name)) for name in _LABELS]
    return {
        "added": _count_by_type(kept_after.join(kept_before, on="prompt_id", how="anti", maintain_order="left")),
        "removed": _count_by_type(no_longer_kept.join(after, on="prompt_id", how="anti")),
        "dropped": drops.join(no_longer_kept, on="prompt_id", how="semi", maintain_order="left").select(
            "prompt_id", "step", "reason", "witness_id"
        ),
        "reasons": _count(drops.join(before, on="prompt_id", how="anti"), "step", "reason"),
        "relabelled": before.join(after, on="prompt_id", suffix="_after", maintain_order="left")
        .filter(pl.any_horizontal(labels))
        .select("prompt_id", *(column for name in _LABELS for column in (name, f"{name}_after"))),
    }


def _count_by_type(frame: pl.DataFrame) -> pl.DataFrame:
    return _count(frame, "kind", "type")


def _count(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    return frame.group_by(columns).len("rows").sort("rows", *columns, descending=[True, *[False] * len(columns)])
