"""The overview: headline figures as tiles, and the changes since the parent version or another one."""

from typing import Any

import polars as pl

from seas_data.query import headline


def build_tiles(after: pl.DataFrame, before: pl.DataFrame | None, before_name: str | None) -> list[dict[str, Any]]:
    """Return a tile per headline figure: its name, value, interval, change and direction (better, worse) as texts."""
    return [_tile(row, before_name) for row in headline.compare_figures(after, before).iter_rows(named=True)]


def _tile(row: dict[str, Any], before_name: str | None) -> dict[str, Any]:
    rate = row["better"] is not None
    tile: dict[str, Any] = {
        "name": f"{row['figure']}, {row['models']}" if row["models"] else row["figure"],
        "value": f"{row['value']:.3f}" if rate else f"{row['value']:,.0f}",
        "interval": f"{row['low']:.3f} to {row['high']:.3f}" if row["low"] is not None else None,
        "change": None,
        "direction": headline.change_direction(row) or "",
    }
    if row["change"] is not None:
        change = f"{row['change']:+.3f}" if rate else f"{row['change']:+,.0f}"
        tile["change"] = f"{change} since {before_name}" if row["change"] else f"unchanged since {before_name}"
    return tile


def changes_frame(difference: dict[str, Any]) -> pl.DataFrame:
    """Return the result of ``differences.compare_versions`` as one frame.

    Output columns: change, kind, type, because, rows.
    """
    drops = difference["dropped"].group_by("step", "reason").agg(rows=pl.len())
    relabelled = difference["relabelled"]
    parts = [
        _part("added", difference["added"]),
        _part("removed", difference["removed"]),
        _part("new, dropped", _with_reason(difference["reasons"])),
        _part("kept before, dropped", _with_reason(drops)),
    ]
    if relabelled.height:
        counted = relabelled.group_by(kind="kind_after", type="type_after").agg(rows=pl.len())
        parts.append(_part("relabelled", counted))
    return pl.concat(parts).sort(
        *("change", "rows", "kind", "type", "because"), descending=[False, True, False, False, False], nulls_last=True
    )


def _part(change: str, rows: pl.DataFrame) -> pl.DataFrame:
    schema = {"kind": pl.String(), "type": pl.String(), "because": pl.String(), "rows": pl.Int64()}
    columns = [
        pl.col(name).cast(kind) if name in rows.columns else pl.lit(None, kind).alias(name)
        for name, kind in schema.items()
    ]
    return rows.select(pl.lit(change).alias("change"), *columns)


def _with_reason(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.select(pl.concat_str("step", "reason", separator=": ").alias("because"), "rows")
