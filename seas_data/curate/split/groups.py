"""Groups: prompts that must stay together on one side of the split.

A group is a connected component over all similar prompts: the same template, near or semantic edges from the group
threshold up, exact copies of opposite kinds and, if the recipe says so, the same request. Chains of moderately similar
prompts can form a component too large for a fair split. A component of over 1 % of the rows is reported and cut: only
duplicates (of opposite kinds, since the others were dropped), copies and templates hold its rows together.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from seas_data.curate.dedup.edges import must_stay_together
from seas_data.recipe import Curation
from seas_data.text import content_id

MAX_COMPONENT_PROPORTION = 0.01
"""A component with a greater proportion of the rows is cut."""
MIN_CUT_ROWS = 50
"""Components of up to this many rows are never cut."""


def build_groups(
    kept: pl.DataFrame,
    edges: pl.DataFrame,
    templates: pl.DataFrame,
    settings: Curation,
    earlier: pl.DataFrame | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the group of each row of ``kept``, and a report of the components that were cut.

    The id of a group is the hash of the lowest ``prompt_id`` in it. A row of an ``earlier`` version keeps its group,
    and a later row linked to it joins that group (of several, the one with the lowest id).

    Input columns: of ``kept``: ``prompt_id``, ``text_digest``; of ``edges`` (between kept rows, see
    ``edges.restrict_to_kept``): ``prompt_id``, ``neighbour_id``, ``reason``, ``score``; of ``templates``:
    ``prompt_id``, ``template_id`` and, for ``settings.split.group_by_request``, ``request_id``; of ``earlier``:
    ``prompt_id``, ``group_id``.
    Output columns: ``prompt_id``, ``group_id``; of the report: ``group_id`` (of the uncut component), ``rows``,
    ``groups`` (number of groups it was cut into), ``largest`` (rows of the largest of them).
    """
    earlier_groups = (
        pl.DataFrame(schema={"prompt_id": pl.String, "group_id": pl.String}) if earlier is None else earlier
    )
    rows = (
        kept.select("prompt_id", "text_digest")
        .join(templates.select("prompt_id", *grouping_columns(settings)), on="prompt_id", how="left")
        .join(earlier_groups.select("prompt_id", earlier_group_id="group_id"), on="prompt_id", how="left")
        .sort("prompt_id")
        .with_row_index("row")
        .with_columns(pl.col("row").cast(pl.Int64))
    )
    links = _collect_links(rows, edges, settings)
    component = _first_row_of_component(rows.height, links)
    strong_component = _first_row_of_component(rows.height, links.filter("strong"))
    large = np.bincount(component, minlength=rows.height)[component] > max(
        MAX_COMPONENT_PROPORTION * rows.height, MIN_CUT_ROWS
    )
    ids = rows["prompt_id"]
    rows = rows.with_columns(
        component=ids.gather(component),
        root=ids.gather(np.where(large, strong_component, component)),
        large=pl.Series(large),
    )
    # Components of earlier rows only were reported in their own version.
    has_new_row = pl.col("earlier_group_id").is_null().any().over("component")
    reports = (
        rows.filter("large", has_new_row)
        .group_by("component", "root")
        .len()
        .group_by("component")
        .agg(rows=pl.col("len").sum(), groups=pl.len(), largest=pl.col("len").max())
        .select("rows", "groups", "largest", group_id=compute_group_id(pl.col("component")))
        .select("group_id", "rows", "groups", "largest")
        .sort("group_id")
    )
    group_ids = (
        rows.group_by("root")
        .agg(pl.col("earlier_group_id").min())
        .select("root", group_id=pl.coalesce("earlier_group_id", compute_group_id(pl.col("root"))))
    )
    members = rows.join(group_ids, on="root").select("prompt_id", group_id=pl.coalesce("earlier_group_id", "group_id"))
    return members.sort("prompt_id"), reports


def grouping_columns(settings: Curation) -> list[str]:
    """Return the columns of ``templates`` whose equal values keep rows together."""
    return ["template_id", "request_id"] if settings.split.group_by_request else ["template_id"]


def compute_group_id(prompt_id: pl.Expr) -> pl.Expr:
    """Return the id of the group whose lowest ``prompt_id`` this is."""
    return prompt_id.map_elements(lambda smallest: content_id("group", smallest), return_dtype=pl.String)


def _collect_links(rows: pl.DataFrame, edges: pl.DataFrame, settings: Curation) -> pl.DataFrame:
    """Return all links between rows: ``left``, ``right`` (row numbers), ``strong`` (kept when a component is cut)."""
    number = rows.select("prompt_id", "row")
    edge_links = (
        edges.select("prompt_id", "neighbour_id", strong=must_stay_together(settings))
        .join(number, on="prompt_id")
        .join(number, left_on="neighbour_id", right_on="prompt_id", suffix="_right")
        .select("strong", left="row", right="row_right")
    )
    # Each row is linked to the first row with the same key.
    key_links = [
        rows.drop_nulls(key)
        .select("row", left=pl.col("row").first().over(key))
        .filter(pl.col("left") != pl.col("row"))
        .select(pl.lit(key != "request_id").alias("strong"), "left", right="row")
        for key in ("text_digest", *grouping_columns(settings))
    ]
    return pl.concat([edge_links, *key_links])


def _first_row_of_component(count: int, links: pl.DataFrame) -> NDArray[np.int64]:
    """Return, for each of ``count`` rows, the first row of its connected component."""
    ends = (links["left"].to_numpy(), links["right"].to_numpy())
    graph = coo_array((np.ones(links.height, dtype=np.int8), ends), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    smallest = np.unique(labels, return_index=True)[1]
    return np.asarray(smallest[labels], dtype=np.int64)
