"""What pair making returns, and how matched rows become the tables ``pairs``, ``demonstrations`` and ``unpaired``."""

from dataclasses import dataclass

import polars as pl

from seas_data import tables
from seas_data.tables.ids import messages, row_ids


@dataclass(frozen=True)
class Paired:
    """``pairs``: the table of that name, by id. ``unpaired``: a row for each candidate that is in none of them."""

    pairs: pl.DataFrame
    unpaired: pl.DataFrame


def compose(matched: pl.DataFrame, *, role: str, iteration: int, judge: str | None) -> pl.DataFrame:
    """Return ``matched`` as the table ``pairs``, by id.

    Columns: input, chosen_text, rejected_text (texts); chosen_id, rejected_id; optional margin, type, prompt_id and
    seed_id.
    """
    rows = _with(matched, "margin", "type", "prompt_id", "seed_id").with_columns(
        role=pl.lit(role),
        iteration=pl.lit(iteration),
        prompt=messages("user", "input"),
        chosen=messages("assistant", "chosen_text"),
        rejected=messages("assistant", "rejected_text"),
        judge=pl.lit(judge),
        source=pl.lit(None),
    )
    return finished(rows)


def finished(rows: pl.DataFrame) -> pl.DataFrame:
    """Return ``rows``, complete but for their ids, as the table ``pairs``, by id."""
    parts = ("role", "iteration", "seed_id", "prompt_id", "chosen_id", "rejected_id")
    return tables.cast("pairs", rows.with_columns(pair_id=row_ids("pair", rows, *parts)).sort("pair_id"))


def demonstrated(rows: pl.DataFrame, *, role: str, iteration: int, judge: str | None) -> pl.DataFrame:
    """Return rows with the columns input, completion_text and completion_id as the table ``demonstrations``, by id."""
    rows = _with(rows, "type", "prompt_id", "seed_id").with_columns(
        role=pl.lit(role),
        iteration=pl.lit(iteration),
        prompt=messages("user", "input"),
        completion=messages("assistant", "completion_text"),
        judge=pl.lit(judge),
        source=pl.lit(None),
    )
    return _demonstrations(rows)


def chosen_only(pairs: pl.DataFrame) -> pl.DataFrame:
    """Return the chosen sides of ``pairs`` as the table ``demonstrations``: the ablation with SFT instead of DPO."""
    return _demonstrations(pairs.rename({"chosen": "completion", "chosen_id": "completion_id"}))


def _demonstrations(rows: pl.DataFrame) -> pl.DataFrame:
    parts = ("role", "iteration", "seed_id", "prompt_id", "completion_id")
    rows = rows.with_columns(demonstration_id=row_ids("demonstration", rows, *parts))
    return tables.cast("demonstrations", rows.unique("demonstration_id", keep="first").sort("demonstration_id"))


def unused(rows: pl.DataFrame, *, role: str, iteration: int) -> pl.DataFrame:
    """Return ``rows`` (candidate_id, reason and, maybe, prompt_id and seed_id) as the table ``unpaired``."""
    rows = _with(rows, "prompt_id", "seed_id").with_columns(role=pl.lit(role), iteration=pl.lit(iteration))
    return tables.cast("unpaired", rows).sort("candidate_id")


def _with(rows: pl.DataFrame, *columns: str) -> pl.DataFrame:
    return rows.with_columns(pl.lit(None).alias(name) for name in columns if name not in rows.columns)
