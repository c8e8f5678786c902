"""Novelty: how similar the attacks that joined are to earlier attacks. Lower is newer."""

import polars as pl

from seas_data.metrics.diversity import mean_nearest
from seas_data.metrics.inputs import JoinedAttacks
from seas_data.metrics.registry import Metric


def of_joined(data: JoinedAttacks) -> pl.DataFrame:
    """Return the mean of each joined attack's highest cosine similarity to an earlier attack."""
    return mean_nearest("novelty", data.vectors, data.earlier_vectors, {"iteration": data.iteration})


METRIC = Metric(
    description="mean of each joined attack's highest cosine similarity to an earlier attack",
    facets=("iteration",),
    compute={JoinedAttacks: of_joined},
)
