"""Links between conversations: pairs of prompts of which one has a turn that the other asks.

Such prompts are no duplicates, and neither drops the other; but if one is tested, the other may not be trained on. What
a prompt asks: its whole text, and its turns that ask (``curate.turns``). Two turns are the same if they are equal in
folded form, or reach a duplicate threshold; from a group threshold up they link like any texts.

Many conversations can share a turn. Instead of all pairs of them, each is linked with the first of an earlier version
that asks it, and with the first new one.
"""

import polars as pl

from seas_data.curate.dedup.items import Items

_COLUMNS = ("left", "right", "reason", "score")


def link_turns(items: Items, similar: pl.DataFrame) -> pl.DataFrame:
    """Return the pairs of units of which one has a turn that the other asks, each once with its best score.

    Input columns of ``similar`` (pairs of items): ``left``, ``right``, ``reason``, ``score``.
    Output columns: those of ``similar``, for units.
    """
    if items.turns.is_empty():
        return similar.clear()
    units = items.units.with_row_index("unit").select(pl.col("unit").cast(pl.Int64), "leak_digest", "earlier")
    whole = units.with_columns(item="unit", asks=True)
    turns = items.turns.join(units.select("unit", "earlier"), on="unit")
    members = pl.concat([whole, turns.select(whole.columns)])

    same = members.join(turns, on="leak_digest", how="semi")
    equal = _first_asking(same, "leak_digest").join(same.select("leak_digest", "unit"), on="leak_digest")
    equal = equal.with_columns(
        reason=pl.lit("exact_duplicate", dtype=similar.schema["reason"]), score=pl.lit(1.0, dtype=pl.Float32)
    )
    of_turns = turns["item"].unique().implode()
    pairs = similar.filter(pl.col("left").is_in(of_turns) | pl.col("right").is_in(of_turns))
    both = pl.concat([pairs, pairs.select("reason", "score", left="right", right="left").select(_COLUMNS)])
    alike = both.join(_first_asking(members, "item"), left_on="left", right_on="item").join(
        members.select("item", "unit").unique(), left_on="right", right_on="item"
    )
    links = pl.concat([each.select("first", "unit", "reason", "score") for each in (equal, alike)])
    ends = links.filter(pl.col("first") != pl.col("unit")).select(
        "reason", "score", left=pl.min_horizontal("first", "unit"), right=pl.max_horizontal("first", "unit")
    )
    ends = ends.sort("left", "right", "score", "reason", descending=[False, False, True, False])
    return ends.unique(["left", "right"], keep="first", maintain_order=True).select(_COLUMNS)


def _first_asking(members: pl.DataFrame, key: str) -> pl.DataFrame:
    """Return for each ``key`` the ``first`` unit of an earlier version that asks it, and the first new one."""
    return members.filter("asks").group_by(key, "earlier").agg(first=pl.col("unit").min()).select(key, "first")
