"""The difference between two versions."""

from typing import Any

import polars as pl

_LABELS = ("kind", "type", "risk_category", "attack_style")


PROMPT_ROWS = """
select
    prompts.prompt_id, prompts.kind, prompts.type, prompts.risk_category, prompts.attack_style,
    dropped.step, dropped.reason, dropped.witness_id
from prompts left join dropped using (prompt_id)
order by prompts.prompt_id
"""
"""The query whose result ``compare_rows`` takes: each prompt's labels and, if it was dropped, the step and reason."""


def compare_rows(before: pl.DataFrame, after: pl.DataFrame) -> dict[str, Any]:
    """Return the differences between the ``PROMPT_ROWS`` of two versions.

    Keys: ``added`` and ``removed`` (kept rows by kind and type), ``dropped`` (rows kept before and dropped since),
    ``reasons`` (drop reasons of rows that are new in ``after``), ``relabelled`` (rows whose labels changed) and
    ``rows`` (number of prompts before and after). All values except ``rows`` are frames.

    Input columns: prompt_id, kind, type, risk_category, attack_style, step, reason, witness_id.
    """
    kept = pl.col("reason").is_null()
    kept_before, kept_after, drops = before.filter(kept), after.filter(kept), after.filter(~kept)
    no_longer_kept = kept_before.join(kept_after, on="prompt_id", how="anti")
    labels = [pl.col(f"{name}_after").ne_missing(pl.col(name)) for name in _LABELS]
    return {
        "rows": {"before": before.height, "after": after.height},
        "added": _count_by_type(kept_after.join(kept_before, on="prompt_id", how="anti", maintain_order="left")),
        "removed": _count_by_type(no_longer_kept.join(after, on="prompt_id", how="anti")),
        "dropped": drops.join(no_longer_kept, on="prompt_id", how="semi", maintain_order="left").select(
            "prompt_id", "step", "reason", "witness_id"
        ),
        "reasons": _count(drops.join(before, on="prompt_id", how="anti"), "step", "reason"),
        "relabelled": before.join(after, on="prompt_id", suffix="_after", maintain_order="left")
        .filter(pl.any_horizontal(labels))
        .select("prompt_id", *(column for name in _LABELS for column in (name, f"{name}_after"))),
    }


def _count_by_type(frame: pl.DataFrame) -> pl.DataFrame:
    return _count(frame, "kind", "type")


def _count(frame: pl.DataFrame, *columns: str) -> pl.DataFrame:
    return frame.group_by(columns).len("rows").sort("rows", *columns, descending=[True, *[False] * len(columns)])
