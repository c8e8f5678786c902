"""Figures of an evaluation harness: one metric of one task each, and their rows in the table ``metrics``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isclose, sqrt
from typing import Final

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.metrics.intervals import Z, wilson
from seas_data.metrics.rows import metric_frame, metric_row
from seas_data.text import printable

NAME: Final = "utility"
"""The ``name`` of these rows in the table ``metrics``."""
MAX_NAME: Final = 200
"""Names of tasks, metrics and filters are at most this many characters long."""


@dataclass(frozen=True)
class Figure:
    """One metric of one task."""

    task: str
    metric: str
    value: float
    stderr: float | None
    """Standard error, or None if the harness has none."""
    n: int | None
    """Samples that the figure counts, or None if the harness does not say."""
    filter: str | None = None
    """How the answer was taken from the output, if the harness says so; of inspect_ai, the scorer."""
    task_version: str | None = None
    shots: int | None = None
    """Examples in the prompt."""
    primary: bool = False
    """Whether this is the task's figure in the comparison of targets: from 0 to 1, and higher is better."""
    partial: str | None = None
    """``n of N`` if only a part of the task was run."""

    def interval(self) -> tuple[float | None, float | None]:
        """Return the 95 % interval, or None for both ends if there is no standard error.

        If the standard error is that of a proportion (or 0, as it is of equal values) the interval is Wilson's, so that
        it has a width at 0 and 1; otherwise it is the normal one, between 0 and 1 for a figure between 0 and 1.
        """
        if self.stderr is None:
            return None, None
        unit = 0 <= self.value <= 1
        if unit and self.n and self.n > 1:
            binary = sqrt(self.value * (1 - self.value) / (self.n - 1))
            if self.stderr == 0 or isclose(self.stderr, binary, rel_tol=1e-3):
                return wilson(self.value * self.n, self.n)
        if self.stderr == 0:
            return None, None
        low, high = self.value - Z * self.stderr, self.value + Z * self.stderr
        return (max(low, 0.0), min(high, 1.0)) if unit else (low, high)


@dataclass(frozen=True)
class Results:
    """What one run of a harness says of one model."""

    tool: str
    tool_version: str | None
    model: str | None
    """The name by which the harness called the model."""
    figures: tuple[Figure, ...]


def require_names(results: Results, source: str) -> Results:
    """Return ``results``.

    Raises SeasDataError if it has no figures, a name is too long or not printable, or a figure is there twice.
    """
    if not results.figures:
        raise SeasDataError(f"{source} has no figure of any task; give the file of a run that ended")
    named = [results.tool_version, *(each for figure in results.figures for each in _names(figure))]
    for name in named:
        if name is not None and (len(name) > MAX_NAME or printable(name) != name or not name.strip()):
            raise SeasDataError(
                f"{source} has a name that is longer than {MAX_NAME} characters, empty or not printable: "
                f"{printable(name)[:60]!r}; rename the task"
            )
    seen = set()
    for each in results.figures:
        if (key := (each.task, each.metric, each.filter)) in seen:
            raise SeasDataError(f"{source} has the {each.metric} of the task {each.task} twice; run it again")
        seen.add(key)
    return results


def _names(figure: Figure) -> tuple[str | None, ...]:
    return figure.task, figure.metric, figure.filter, figure.task_version


def utility_metrics(results: Results, target: str, digest: str) -> pl.DataFrame:
    """Return the figures of ``target`` as rows of ``metrics`` without ``version``.

    ``digest``: of the results file, or of what the run was computed from. Output columns: name (utility), value, low,
    high, n, facets (target, task, metric, filter, task_version, shots, primary, partial, tool, tool_version, results).
    """
    rows = [_row(each, results, target, digest) for each in results.figures]
    return metric_frame(rows)


def _row(figure: Figure, results: Results, target: str, digest: str) -> dict[str, object]:
    facets = {
        "target": target,
        "task": figure.task,
        "metric": figure.metric,
        "filter": figure.filter,
        "task_version": figure.task_version,
        "shots": figure.shots,
        "primary": True if figure.primary else None,
        "partial": figure.partial,
        "tool": results.tool,
        "tool_version": results.tool_version,
        "results": digest,
    }
    low, high = figure.interval()
    return metric_row(NAME, figure.value, facets, low=low, high=high, n=figure.n)


def part_of(done: int | None, total: int | None) -> str | None:
    """Return ``Figure.partial``: None if all samples were run, or it is not known how many there are."""
    return f"{done} of {total}" if done is not None and total is not None and done < total else None


def choose_primary(figures: Sequence[Figure], higher_is_better: dict[int, bool]) -> tuple[Figure, ...]:
    """Return ``figures`` with the first of each task that can stand for it marked as primary.

    ``higher_is_better``: by position; a figure that is missing there, or is not between 0 and 1, cannot stand for it.
    """
    chosen: dict[str, int] = {}
    for position, figure in enumerate(figures):
        if higher_is_better.get(position, False) and 0 <= figure.value <= 1:
            chosen.setdefault(figure.task, position)
    return tuple(replace(each, primary=chosen.get(each.task) == at) for at, each in enumerate(figures))
