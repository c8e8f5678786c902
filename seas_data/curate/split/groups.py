"""Groups: the prompts that must stay together, on one side of the split.

A group is a connected component over all that is alike: the same template, near or semantic edges from the group
threshold up, exact copies of opposite kinds and, if the recipe says so, the same request. Chains of half-alike prompts
can join into a component so large that no fair split is left; one of over 1 % of the rows is reported and cut: in it
only duplicates (of opposite kinds, the others having been dropped), copies and templates still hold rows together.
"""

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from seas_data.curate.dedup.edges import holds_together
from seas_data.recipe import Curation
from seas_data.text import content_id

LARGEST = 0.01
"""Share of the rows above which a component is cut."""
SMALL = 50
"""Rows up to which no component is cut, whatever its share."""


def groups(
    kept: pl.DataFrame,
    edges: pl.DataFrame,
    templates: pl.DataFrame,
    settings: Curation,
    earlier: pl.DataFrame | None = None,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return ``prompt_id``, ``group_id`` of each row, and a report of the components that were too large.

    ``kept``: ``prompt_id``, ``text_digest``. ``edges``: those among the kept rows (``edges.among``), all of which link.
    ``templates``: ``prompt_id``, ``template_id`` and, for ``settings.split.by_request``, ``request_id``. ``earlier``:
    ``prompt_id``, ``group_id`` of the rows of earlier versions. The report: ``group_id`` (of the uncut component),
    ``rows``, ``groups`` (that it was cut into), ``largest`` (rows of the largest of them).

    The id of a group is the hash of the smallest ``prompt_id`` in it. A row of an earlier version keeps its group, and
    a later one that is linked to it joins that (of several, the one with the smallest id).
    """
    before = pl.DataFrame(schema={"prompt_id": pl.String, "group_id": pl.String}) if earlier is None else earlier
    rows = (
        kept.select("prompt_id", "text_digest")
        .join(templates.select("prompt_id", *shared(settings)), on="prompt_id", how="left")
        .join(before.select("prompt_id", before_id="group_id"), on="prompt_id", how="left")
        .sort("prompt_id")
        .with_row_index("row")
        .with_columns(pl.col("row").cast(pl.Int64))
    )
    links = _links(rows, edges, settings)
    whole = _smallest(rows.height, links)
    held = _smallest(rows.height, links.filter("strong"))
    large = np.bincount(whole, minlength=rows.height)[whole] > max(LARGEST * rows.height, SMALL)
    ids = rows["prompt_id"]
    rows = rows.with_columns(
        whole=ids.gather(whole), root=ids.gather(np.where(large, held, whole)), large=pl.Series(large)
    )
    # Frozen groups alone are no news: a component is reported when a new row is in it.
    news = pl.col("before_id").is_null().any().over("whole")
    reports = (
        rows.filter("large", news)
        .group_by("whole", "root")
        .len()
        .group_by("whole")
        .agg(rows=pl.col("len").sum(), groups=pl.len(), largest=pl.col("len").max())
        .select("rows", "groups", "largest", group_id=group_id(pl.col("whole")))
        .select("group_id", "rows", "groups", "largest")
        .sort("group_id")
    )
    named = (
        rows.group_by("root")
        .agg(pl.col("before_id").min())
        .select("root", group_id=pl.coalesce("before_id", group_id(pl.col("root"))))
    )
    members = rows.join(named, on="root").select("prompt_id", group_id=pl.coalesce("before_id", "group_id"))
    return members.sort("prompt_id"), reports


def shared(settings: Curation) -> list[str]:
    """Return the columns of ``templates`` that hold rows together."""
    return ["template_id", "request_id"] if settings.split.by_request else ["template_id"]


def group_id(prompt_id: pl.Expr) -> pl.Expr:
    """Return the id of the group whose smallest ``prompt_id`` this is."""
    return prompt_id.map_elements(lambda smallest: content_id("group", smallest), return_dtype=pl.String)


def _links(rows: pl.DataFrame, edges: pl.DataFrame, settings: Curation) -> pl.DataFrame:
    """Return ``left``, ``right`` (row numbers), ``strong`` (not cut in a large component) of all that is linked."""
    number = rows.select("prompt_id", "row")
    alike = (
        edges.select("prompt_id", "neighbour_id", strong=holds_together(settings))
        .join(number, on="prompt_id")
        .join(number, left_on="neighbour_id", right_on="prompt_id", suffix="_right")
        .select("strong", left="row", right="row_right")
    )
    # Each row is linked to the first that shares its key.
    stars = [
        rows.drop_nulls(key)
        .select("row", left=pl.col("row").first().over(key))
        .filter(pl.col("left") != pl.col("row"))
        .select(pl.lit(key != "request_id").alias("strong"), "left", right="row")
        for key in ("text_digest", *shared(settings))
    ]
    return pl.concat([alike, *stars])


def _smallest(count: int, links: pl.DataFrame) -> NDArray[np.int64]:
    """Return for each of ``count`` rows the smallest row of its connected component."""
    ends = (links["left"].to_numpy(), links["right"].to_numpy())
    graph = coo_array((np.ones(links.height, dtype=np.int8), ends), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    smallest = np.unique(labels, return_index=True)[1]
    return np.asarray(smallest[labels], dtype=np.int64)
