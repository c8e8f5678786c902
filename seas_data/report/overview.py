"""The first page: the numbers that matter as tiles, and what changed since the parent version or another one."""

from typing import Any

import polars as pl

from seas_data.query import headline


def tiles(after: pl.DataFrame, before: pl.DataFrame | None, before_name: str | None) -> list[dict[str, Any]]:
    """Return a tile for each figure: name, value, interval, change, and whether that is better or worse, as texts."""
    return [_tile(row, before_name) for row in headline.compared(after, before).iter_rows(named=True)]


def _tile(row: dict[str, Any], before_name: str | None) -> dict[str, Any]:
    rate = row["better"] is not None
    tile: dict[str, Any] = {
        "name": f"{row['figure']}, {row['of']}" if row["of"] else row["figure"],
        "value": f"{row['value']:.3f}" if rate else f"{row['value']:,.0f}",
        "interval": f"{row['low']:.3f} to {row['high']:.3f}" if row["low"] is not None else None,
        "change": None,
        "direction": headline.verdict(row) or "",
    }
    if row["change"] is not None:
        moved = f"{row['change']:+.3f}" if rate else f"{row['change']:+,.0f}"
        tile["change"] = f"{moved} since {before_name}" if row["change"] else f"as in {before_name}"
    return tile


def changes(found: dict[str, Any]) -> pl.DataFrame:
    """Return what ``explain.compared`` found as one table: change, kind, type, because, rows."""
    drops = found["dropped"].group_by("step", "reason").agg(rows=pl.len())
    relabelled = found["relabelled"]
    parts = [
        _part("added", found["added"]),
        _part("gone", found["removed"]),
        _part("new, dropped", _because(found["reasons"])),
        _part("kept before, dropped", _because(drops)),
    ]
    if relabelled.height:
        counted = relabelled.group_by(kind="kind_after", type="type_after").agg(rows=pl.len())
        parts.append(_part("relabelled", counted))
    return pl.concat(parts).sort(
        *("change", "rows", "kind", "type", "because"), descending=[False, True, False, False, False], nulls_last=True
    )


def _part(change: str, rows: pl.DataFrame) -> pl.DataFrame:
    wanted = {"kind": pl.String(), "type": pl.String(), "because": pl.String(), "rows": pl.Int64()}
    columns = [
        pl.col(name).cast(kind) if name in rows.columns else pl.lit(None, kind).alias(name)
        for name, kind in wanted.items()
    ]
    return rows.select(pl.lit(change).alias("change"), *columns)


def _because(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(pl.concat_str("step", "reason", separator=": ").alias("because"), "rows")
