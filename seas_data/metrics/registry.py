"""Registry of metrics: each is an entry point of the group ``seas_data.metrics``, and a file of its own.

The name of the entry point is the ``name`` of its rows in the table ``metrics``. Metrics of other distributions are
computed beside these.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.metrics.inputs import MetricInput
from seas_data.metrics.rows import METRIC_SCHEMA, metric_frame
from seas_data.registry import Registry


@dataclass(frozen=True)
class Metric:
    """A metric: what it says, and how it is computed from each kind of input."""

    description: str
    """What the value is, in a few words."""
    facets: tuple[str, ...]
    """The facets that its rows may have."""
    compute: Mapping[type[MetricInput], Callable[[Any], pl.DataFrame]]
    """For each class of ``metrics.inputs`` that it is computed from, a function from that input to rows of
    ``METRIC_SCHEMA``."""


METRICS = Registry("seas_data.metrics", "metric", Metric)


def compute_metrics(data: MetricInput) -> pl.DataFrame:
    """Return the rows of every registered metric that is computed from ``data``, as ``METRIC_SCHEMA``.

    Output columns: name, value, low, high, n, facets. Raises SeasDataError if a metric cannot be loaded or returns
    other columns.
    """
    results = [metric_frame([])]
    for name, metric in METRICS.all().items():
        if type(data) in metric.compute:
            rows = metric.compute[type(data)](data)
            try:
                results.append(rows.select(METRIC_SCHEMA.names()).cast(METRIC_SCHEMA))
            except pl.exceptions.PolarsError as problem:
                raise SeasDataError(f"metric {name!r} did not return rows of the table metrics: {problem}") from problem
    return pl.concat(results)
