"""The registry of metrics: names, facets and documentation agree with the rows, and bad rows are reported."""

import json
from pathlib import Path

import polars as pl
import pytest

import seas_data as sd
from seas_data.errors import SeasDataError
from seas_data.metrics import METRICS, MatrixAnswers, Metric, compute_metrics
from seas_data.metrics.rows import metric_frame, metric_row
from tests.conftest import CHECKOUT

CELLS = MatrixAnswers(
    pl.DataFrame(
        {name: ["x"] for name in ("red_team", "target", "judge", "seed_id", "prompt_id")}
        | {"invalid": pl.Series([None], dtype=pl.String), "verdict": ["safe"]}
    )
)


def test_every_metric_is_computed_from_an_input_and_documented() -> None:
    page = (CHECKOUT / "docs" / "loop.md").read_text(encoding="utf-8")
    for name, metric in METRICS.all().items():
        assert metric.compute, name
        facets = ", ".join(f"`{facet}`" for facet in metric.facets)
        assert f"| `{name}` | {metric.description} | {facets} |" in page


def test_rows_have_the_name_and_facets_of_their_metric(made: Path) -> None:
    metrics = METRICS.all()
    rows = sd.open(made).version().table("metrics").filter(pl.col("name").is_in(list(metrics)))
    assert rows["name"].n_unique() > 8
    for name, facets in rows.select("name", "facets").iter_rows():
        assert set(json.loads(facets)) <= set(metrics[name].facets), name


def test_a_metric_gets_only_the_inputs_that_it_is_computed_from(monkeypatch: pytest.MonkeyPatch) -> None:
    def count(data: MatrixAnswers) -> pl.DataFrame:
        return metric_frame([metric_row("cells", 1.0, {}, n=data.answers.height)])

    entries = {"cells": Metric("number of cells", (), {MatrixAnswers: count}), "none": Metric("none", (), {})}
    monkeypatch.setattr(METRICS, "all", lambda: entries)
    assert compute_metrics(CELLS).rows() == [("cells", 1.0, None, None, 1, "{}")]


def test_a_metric_with_other_columns_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {"odd": Metric("odd", (), {MatrixAnswers: lambda data: data.answers})}
    monkeypatch.setattr(METRICS, "all", lambda: entries)
    with pytest.raises(SeasDataError, match="metric 'odd' did not return rows of the table metrics"):
        compute_metrics(CELLS)
