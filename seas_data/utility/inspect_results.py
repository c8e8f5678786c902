"""Results of an evaluation in a log of inspect_ai: the metrics of its scorers, from the header alone.

Tested with logs that inspect_ai 0.3.285 wrote.
"""

from collections.abc import Mapping
from typing import Any, Final

from seas_data.errors import SeasDataError
from seas_data.sources.logs.values import count_or_none, items, mapping, number_or_none, text_or_none
from seas_data.utility.figures import Figure, Results, choose_primary, part_of, require_names

TOOL: Final = "inspect_ai"
KEYS: Final = ("version", "status", "eval", "results")
"""Keys of a log's header that are read."""
_SPREAD: Final = ("stderr", "bootstrap_stderr", "std", "var")
_HIGHER: Final = ("accuracy",)
"""Metrics that are known to be better when higher."""


def read_inspect_results(header: Mapping[str, Any], source: str) -> Results:
    """Return the figures of a log by its header. ``source`` names the log in messages.

    The filter of a figure is its scorer, and its reducer if the log names one. The standard error is that of the
    scorer, for ``accuracy`` and ``mean``. Primary is the first ``accuracy``. A figure is partial if samples of the
    dataset were not run (``--limit``, ``--sample-id``), failed or were not scored.

    Raises SeasDataError if the run did not succeed or has no figures.
    """
    status = header.get("status")
    if status != "success":
        state = status if isinstance(status, str) and status in ("started", "cancelled", "error") else "unknown"
        raise SeasDataError(f"{source} is the log of a run that did not succeed (status {state}); run it to its end")
    about, results = mapping(header.get("eval")), mapping(header.get("results"))
    run = part_of(count_or_none(results.get("completed_samples")), _planned(about, results))
    figures: list[Figure] = []
    better: dict[int, bool] = {}
    for score in map(mapping, items(results.get("scores"))):
        scorer, metrics = _filter(score), mapping(score.get("metrics"))
        scored, unscored = (count_or_none(score.get(key)) for key in ("scored_samples", "unscored_samples"))
        partial = run or part_of(scored, None if scored is None else scored + (unscored or 0))
        values = {name: number_or_none(mapping(metric).get("value")) for name, metric in metrics.items()}
        for name, value in values.items():
            if name in _SPREAD:
                continue
            if value is None:
                raise SeasDataError(f"{source} has no number as {name} of {scorer}; run the evaluation again")
            better[len(figures)] = name in _HIGHER
            stderr = values.get("stderr", values.get("bootstrap_stderr")) if name in ("accuracy", "mean") else None
            figures.append(
                Figure(
                    task=text_or_none(about.get("task")) or "",
                    metric=name,
                    value=value,
                    stderr=stderr if stderr is None or stderr >= 0 else None,
                    n=scored,
                    filter=scorer,
                    task_version=_version(about.get("task_version")),
                    partial=partial,
                )
            )
    version = text_or_none(mapping(about.get("packages")).get("inspect_ai"))
    model = text_or_none(about.get("model"))
    return require_names(Results(TOOL, version, model, choose_primary(figures, better)), source)


def _planned(about: Mapping[str, Any], results: Mapping[str, Any]) -> int | None:
    """Return how many samples the dataset has in all epochs; ``total_samples`` is without those beyond a limit."""
    samples = count_or_none(mapping(about.get("dataset")).get("samples"))
    epochs = count_or_none(mapping(about.get("config")).get("epochs")) or 1
    total = count_or_none(results.get("total_samples"))
    return max((each for each in (total, samples and samples * epochs) if each is not None), default=None)


def _filter(score: Mapping[str, Any]) -> str | None:
    scorer, reducer = text_or_none(score.get("name")), text_or_none(score.get("reducer"))
    return scorer if scorer is None or reducer is None else f"{scorer}, {reducer}"


def _version(value: object) -> str | None:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else text_or_none(value)
