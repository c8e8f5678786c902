"""Validity: the proportion of a red team's attacks that were sent to a target and are valid."""

import polars as pl

from seas_data.metrics.inputs import RedTeamAttacks
from seas_data.metrics.registry import Metric
from seas_data.metrics.rows import proportions


def of_attacks(data: RedTeamAttacks) -> pl.DataFrame:
    """Return the proportion for the red team."""
    rows = data.attacks.with_columns(valid=pl.col("reason").is_null() & pl.col("invalid").is_null())
    return proportions("validity", rows, "valid", "seed_id", (), {"red_team": data.red_team})


METRIC = Metric(
    description="proportion of attacks that were sent to a target and are valid",
    facets=("red_team",),
    compute={RedTeamAttacks: of_attacks},
)
