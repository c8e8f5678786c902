"""Training figures as rows of the table ``metrics``.

Counts are for the whole training. The trainer's figures are means over the rows since the previous log and carry the
step. A chosen reward that falls together with the rejected one shows up here first.
"""

from collections.abc import Mapping
from math import ceil, isfinite
from typing import Final

from seas_data.metrics.rows import MetricRow, metric_row

LOGGED: Final = {
    "loss": "loss",
    "grad_norm": "gradient_norm",
    "mean_token_accuracy": "token_accuracy",
    "rewards/chosen": "reward_chosen",
    "rewards/rejected": "reward_rejected",
    "rewards/accuracies": "reward_accuracy",
    "rewards/margins": "reward_margin",
    "logps/chosen": "log_probability_chosen",
    "logps/rejected": "log_probability_rejected",
}
"""Metric name by the trainer's name. Rewards are beta times the log ratio to the reference model."""


def metrics_from_log(
    history: list[dict[str, float]], counts: Mapping[str, float], facets: Mapping[str, str | int], *, batch: int
) -> list[MetricRow]:
    """Return the rows of ``METRIC_SCHEMA`` for the trainer log ``history`` and ``counts`` of ``rows.check_rows``."""
    rows = int(counts["rows"])
    left_out = ("too_long", "same_cut_off", "refused_turns")
    total = rows + sum(int(counts.get(name, 0)) for name in left_out)
    found = [
        _row(name, value, total if name in ("rows", *left_out, "control_tokens") else rows, facets)
        for name, value in counts.items()
    ]
    before = 0
    for entry in history:
        if "loss" not in entry:
            continue
        step = int(entry["step"])
        seen = _seen(step, rows, batch) - _seen(before, rows, batch)
        before = step
        found += [
            _row(ours, entry[theirs], seen, {**facets, "step": step})
            for theirs, ours in LOGGED.items()
            if theirs in entry
        ]
    return found


def _row(name: str, value: float, n: int, facets: Mapping[str, str | int]) -> MetricRow:
    # A diverged loss is NaN or infinite; the table stores null.
    number = float(value) if isfinite(value) else None
    return metric_row(f"training/{name}", number, facets, n=n)


def _seen(step: int, rows: int, batch: int) -> int:
    """Return how many rows the first ``step`` updates used; the last batch of an epoch may be smaller."""
    epochs, rest = divmod(step, ceil(rows / batch))
    return epochs * rows + min(rest * batch, rows)
