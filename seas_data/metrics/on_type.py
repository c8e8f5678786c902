"""On-type rate: the proportion of a red team's sent attacks whose type is that of their seed."""

import polars as pl

from seas_data.metrics.inputs import RedTeamAttacks
from seas_data.metrics.registry import Metric
from seas_data.metrics.rows import metric_frame, proportions


def of_attacks(data: RedTeamAttacks) -> pl.DataFrame:
    """Return the proportion among attacks that were classified; no rows if nothing classifies them."""
    if data.types is None:
        return metric_frame([])
    valid = data.attacks.filter(pl.col("reason").is_null()).drop_nulls("type")
    typed = valid.join(data.types.select("prompt_id", "predicted"), on="prompt_id")
    typed = typed.with_columns(on_type=(pl.col("predicted") == pl.col("type")).fill_null(False))
    return proportions("on_type", typed, "on_type", "seed_id", (), {"red_team": data.red_team})


METRIC = Metric(
    description="proportion of sent attacks that are of the type that was asked for",
    facets=("red_team",),
    compute={RedTeamAttacks: of_attacks},
)
