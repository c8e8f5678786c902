"""Diversity, the paper's measure: the mean over attacks of the highest cosine similarity. Lower is more diverse."""

from collections.abc import Mapping
from math import sqrt

import numpy as np
import polars as pl

from seas_data.metrics.inputs import RedTeamAttacks
from seas_data.metrics.intervals import Z
from seas_data.metrics.registry import Metric
from seas_data.metrics.rows import metric_frame, metric_row
from seas_data.similarity.cosine_neighbours import find_nearest
from seas_data.similarity.vector_products import Vectors


def of_attacks(data: RedTeamAttacks) -> pl.DataFrame:
    """Return the similarity to prompts of ``train`` and to the red team's other attacks; no rows without vectors."""
    if data.vectors is None:
        return metric_frame([])
    parts = [mean_nearest("diversity", data.vectors, None, {"red_team": data.red_team, "against": "itself"})]
    if data.train_vectors is not None:
        facets = {"red_team": data.red_team, "against": "train"}
        parts.append(mean_nearest("diversity", data.vectors, data.train_vectors, facets))
    return pl.concat(parts)


def mean_nearest(name: str, vectors: Vectors, others: Vectors | None, facets: Mapping[str, object]) -> pl.DataFrame:
    """Return the mean over ``vectors`` of the highest cosine similarity to a row of ``others``, as one metric row.

    Without ``others`` each row is compared with the other rows of ``vectors``. No rows if there are fewer than two
    vectors, or no others. The interval is the normal one of a mean.
    """
    if len(vectors) < 2 or (others is not None and not len(others)):
        return metric_frame([])
    itself = np.arange(len(vectors), dtype=np.int64) if others is None else None
    _, best = find_nearest(vectors, vectors if others is None else others, exclude=itself)
    scores = np.sort(best.astype(np.float64))
    half = Z * float(scores.std(ddof=1)) / sqrt(len(scores))
    value = float(scores.mean())
    return metric_frame([metric_row(name, value, facets, low=value - half, high=value + half, n=len(scores))])


METRIC = Metric(
    description="mean of each attack's highest cosine similarity to a prompt of train, or to another attack",
    facets=("red_team", "against"),
    compute={RedTeamAttacks: of_attacks},
)
