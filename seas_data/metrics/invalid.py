"""Invalid attacks: the proportion of a red team's attacks that were sent to a target but are invalid, by reason."""

import polars as pl

from seas_data.metrics.inputs import RedTeamAttacks
from seas_data.metrics.registry import Metric
from seas_data.metrics.rows import metric_frame, proportions
from seas_data.tables.values import INVALID_REASONS


def of_attacks(data: RedTeamAttacks) -> pl.DataFrame:
    """Return the proportion for each reason, also where it is 0."""
    parts = [metric_frame([])]
    for reason in INVALID_REASONS:
        rows = data.attacks.with_columns(invalid=(pl.col("invalid") == reason).fill_null(False))
        facets = {"red_team": data.red_team, "reason": reason}
        parts.append(proportions("invalid", rows, "invalid", "seed_id", (), facets))
    return pl.concat(parts)


METRIC = Metric(
    description="proportion of attacks that were sent to a target but are invalid, by reason",
    facets=("red_team", "reason"),
    compute={RedTeamAttacks: of_attacks},
)
