"""The headline figures of a version, named so that two versions can be compared.

The query ``headline`` computes them: sizes, attack success of the newest target, over-refusal, retention and label
accuracy. The report's overview and ``seas-data show`` print them beside those of the parent version.
"""

from typing import Any

import polars as pl

from seas_data.query import library
from seas_data.query.version import Version
from seas_data.resources import folder


def load_figures(version: Version) -> pl.DataFrame:
    """Return the headline figures of ``version``.

    Output columns: figure, models (which it measures, or null), value, low, high, better (lower, higher or null).
    """
    query = library.load(folder("sql"))["headline"]
    return version.select(query.sql, query.values([]))


def load_parent(version: Version) -> Version | None:
    """Return the parent version, or None if there is none or this workspace does not have it (after a pull)."""
    name = version.manifest.parent
    if name is None or name not in version.workspace.versions():
        return None
    return Version(version.workspace, version.workspace.manifest(name))


def compare_figures(after: pl.DataFrame, before: pl.DataFrame | None) -> pl.DataFrame:
    """Return the figures ``after`` beside those of another version, without counts that are 0 in both.

    Output columns: those of ``load_figures``, then before, before_low, before_high, models_before and change. The new
    columns are null without ``before``.
    """
    other = after.clear() if before is None else before
    renamed = other.select("figure", before="value", before_low="low", before_high="high", models_before="models")
    both = after.join(renamed, on="figure", how="left", maintain_order="left")
    empty = pl.col("better").is_null() & (pl.col("value") == 0) & (pl.col("before").fill_null(0) == 0)
    return both.filter(~empty).with_columns(change=pl.col("value") - pl.col("before"))


def change_direction(row: dict[str, Any]) -> str | None:
    """Return whether a row of ``compare_figures`` got better or worse, or None if the change is not significant.

    A change is significant if each value is outside the other's interval.
    """
    change, better = row["change"], row["better"]
    if not change or not better or row["low"] is None or row["before_low"] is None:
        return None
    if row["low"] <= row["before"] <= row["high"] or row["before_low"] <= row["value"] <= row["before_high"]:
        return None
    return "better" if (change < 0) == (better == "lower") else "worse"
