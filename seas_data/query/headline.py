"""The few numbers of a version that matter most, by one name each, so that two versions can be compared.

Sizes, how safe the newest target is, what that costs, and how far the labels can be trusted: the query ``headline``.
The report's first page and ``show`` print these, beside those of another version.
"""

from typing import Any

import polars as pl

from seas_data.query import library
from seas_data.query.version import Version
from seas_data.resources import folder


def figures(version: Version) -> pl.DataFrame:
    """Return the figures of ``version``: figure, of (which models), value, low, high, better (lower, higher, null)."""
    query = library.load(folder("sql"))["headline"]
    return version.select(query.sql, query.values([]))


def parent(version: Version) -> Version | None:
    """Return the version that ``version`` was built on, where this workspace has it: one that was pulled may not."""
    name = version.manifest.parent
    if name is None or name not in version.workspace.versions():
        return None
    return Version(version.workspace, version.workspace.manifest(name))


def compared(after: pl.DataFrame, before: pl.DataFrame | None) -> pl.DataFrame:
    """Return the figures ``after`` with those of another version, or nulls; less the counts of nothing in either.

    New columns: before, before_low, before_high, of_before (its value, interval and models) and change.
    """
    other = after.clear() if before is None else before
    renamed = other.select("figure", before="value", before_low="low", before_high="high", of_before="of")
    both = after.join(renamed, on="figure", how="left", maintain_order="left")
    nothing = pl.col("better").is_null() & (pl.col("value") == 0) & (pl.col("before").fill_null(0) == 0)
    return both.filter(~nothing).with_columns(change=pl.col("value") - pl.col("before"))


def verdict(row: dict[str, Any]) -> str | None:
    """Say whether a row of ``compared`` went the right way: better, worse, or None where that is not clear.

    It is clear where each value lies outside the other's interval.
    """
    change, better = row["change"], row["better"]
    if not change or not better or row["low"] is None or row["before_low"] is None:
        return None
    if row["low"] <= row["before"] <= row["high"] or row["before_low"] <= row["value"] <= row["before_high"]:
        return None
    return "better" if (change < 0) == (better == "lower") else "worse"
