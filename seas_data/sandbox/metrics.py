"""Metrics of the sandbox: whether attacks follow its grammar, and how varied their phrases are."""

import numpy as np
import polars as pl

from seas_data.metrics import Metric, RedTeamAttacks
from seas_data.metrics.rows import metric_frame, metric_row, proportions


def compute_grammatical(data: RedTeamAttacks) -> pl.DataFrame:
    """Return the proportion of sent attacks that are whole attacks of the sandbox; no rows outside the sandbox."""
    if data.phrases is None:
        return metric_frame([])
    return proportions("grammatical", data.phrases, "valid", "seed_id", (), {"red_team": data.red_team})


def compute_phrase_entropy(data: RedTeamAttacks) -> pl.DataFrame:
    """Return the entropy of the phrases in each place of the wrapper; no rows outside the sandbox."""
    if data.phrases is None:
        return metric_frame([])
    return metric_frame(
        [
            metric_row(
                "phrase_entropy",
                entropy(data.phrases[place]),
                {"red_team": data.red_team, "place": place},
                n=data.phrases.height,
            )
            for place in ("opener", "modifier", "ask", "closer")
        ]
    )


def entropy(values: pl.Series) -> float:
    """Return the entropy in nats of the distribution of ``values``; 0 if there are none."""
    counts = values.drop_nulls().value_counts().sort("count")["count"].to_numpy().astype(np.float64)
    if not len(counts):
        return 0.0
    parts = counts / counts.sum()
    return max(0.0, -float(np.sort(parts * np.log(parts)).sum()))


GRAMMATICAL = Metric(
    description="proportion of sent attacks that are whole attacks of the sandbox's grammar",
    facets=("red_team",),
    compute={RedTeamAttacks: compute_grammatical},
)
PHRASE_ENTROPY = Metric(
    description="entropy in nats of the phrases in one place of the sandbox's wrapper",
    facets=("red_team", "place"),
    compute={RedTeamAttacks: compute_phrase_entropy},
)
