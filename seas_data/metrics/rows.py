"""Rows of the table ``metrics``: one figure each, with its 95 % interval, what it counts and its facets."""

import json
from collections.abc import Mapping, Sequence

import polars as pl

from seas_data import tables
from seas_data.metrics.intervals import effective_interval

METRIC_SCHEMA = tables.empty("metrics").drop("version").schema
"""The schema of the table ``metrics`` without ``version``."""

MetricRow = dict[str, object]


def metric_row(
    name: str,
    value: float | None,
    facets: Mapping[str, object],
    *,
    low: float | None = None,
    high: float | None = None,
    n: int | None,
) -> MetricRow:
    """Return one row of ``METRIC_SCHEMA``. Facets that are None are left out; ``n`` is None if it is unknown."""
    given = {key: each for key, each in facets.items() if each is not None}
    encoded = json.dumps(given, sort_keys=True, ensure_ascii=False)
    return {"name": name, "value": value, "low": low, "high": high, "n": n, "facets": encoded}


def metric_frame(rows: Sequence[MetricRow]) -> pl.DataFrame:
    """Return ``rows`` as a frame of ``METRIC_SCHEMA``."""
    return pl.DataFrame(rows, schema=METRIC_SCHEMA)


def proportions(
    name: str, rows: pl.DataFrame, value: str, cluster: str, by: Sequence[str], facets: Mapping[str, object]
) -> pl.DataFrame:
    """Return the proportion of rows whose ``value`` is true, for each group of ``by``, as ``METRIC_SCHEMA``.

    Rows whose ``value`` is null are not counted. ``cluster`` is the column that says which rows are not independent:
    the interval is Wilson's on the effective number of rows. The facets of a row are ``facets`` and its group's values.
    """
    counted = rows.drop_nulls(value).with_columns(pl.col(value).cast(pl.Boolean)).sort([*by, cluster, value])
    result: list[MetricRow] = []
    for group in counted.partition_by(list(by), maintain_order=True) if by else [counted]:
        if group.is_empty():
            continue
        flags = group[value].to_numpy()
        low, high = effective_interval(flags, group[cluster].to_numpy())
        about = {**facets, **{column: group[column][0] for column in by}}
        result.append(metric_row(name, float(flags.mean()), about, low=low, high=high, n=len(flags)))
    return metric_frame(result)
