"""What a training reports, as rows of the table ``metrics``.

The counts are about the whole training; the trainer's own figures are means over the rows since the last log and carry
the step at which it was. A chosen reward that falls along with the rejected one is seen here first.
"""

import json
from collections.abc import Mapping
from math import ceil, isfinite
from typing import Any, Final

import polars as pl

SCHEMA: Final = {
    "name": pl.String(),
    "value": pl.Float64(),
    "low": pl.Float64(),
    "high": pl.Float64(),
    "n": pl.Int64(),
    "facets": pl.String(),
}
"""The table ``metrics`` less its version."""
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
"""The trainer's name of each figure, and ours. Rewards are beta times the log ratio to the reference."""


def of_training(
    history: list[dict[str, float]], counts: Mapping[str, float], facets: Mapping[str, str | int], *, batch: int
) -> list[dict[str, Any]]:
    """Return the rows of ``SCHEMA`` for a trainer's log ``history`` and the ``counts`` of ``rows.check``."""
    rows = int(counts["rows"])
    total = rows + int(counts["too_long"])
    found = [
        _row(name, value, total if name in ("rows", "too_long") else rows, facets) for name, value in counts.items()
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


def frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Return ``rows`` as a frame of ``SCHEMA``."""
    return pl.DataFrame(rows, schema=SCHEMA)


def _row(name: str, value: float, n: int, facets: Mapping[str, str | int]) -> dict[str, Any]:
    # A loss that ran away is no number; the table says so with a null.
    number = float(value) if isfinite(value) else None
    told = json.dumps(dict(facets), sort_keys=True, ensure_ascii=False)
    return {"name": f"training/{name}", "value": number, "low": None, "high": None, "n": n, "facets": told}


def _seen(step: int, rows: int, batch: int) -> int:
    """Return how many rows the first ``step`` updates took; an epoch's last batch may be a part of one."""
    epochs, rest = divmod(step, ceil(rows / batch))
    return epochs * rows + min(rest * batch, rows)
