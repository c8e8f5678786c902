"""Uniqueness: the number of distinct texts among a red team's sent attacks, divided by their number."""

import polars as pl

from seas_data.metrics.inputs import RedTeamAttacks
from seas_data.metrics.intervals import wilson
from seas_data.metrics.registry import Metric
from seas_data.metrics.rows import metric_frame, metric_row
from seas_data.text import normalise


def of_attacks(data: RedTeamAttacks) -> pl.DataFrame:
    """Return the proportion for the red team; texts that differ in case or white space alone are the same."""
    valid = data.attacks.filter(pl.col("reason").is_null())
    if valid.is_empty():
        return metric_frame([])
    distinct = valid["text"].map_elements(normalise, return_dtype=pl.String).n_unique()
    low, high = wilson(distinct, valid.height)
    facets = {"red_team": data.red_team}
    return metric_frame([metric_row("unique", distinct / valid.height, facets, low=low, high=high, n=valid.height)])


METRIC = Metric(
    description="distinct texts of the sent attacks, divided by their number",
    facets=("red_team",),
    compute={RedTeamAttacks: of_attacks},
)
