"""Samples for people to judge, as files that a spreadsheet can open and that can come back.

Prompts are attacks on models, and in a spreadsheet a cell that starts with ``=`` is an attack on its reader: such cells
are written with an apostrophe before them, which ``unguarded`` takes off again.

A sheet of prompts, filled in (decision, label, who, because), is what ``overrides`` reads; a sheet of responses
(verdict, refusal, who, because) is what ``gold`` reads. The latter shows what was asked and what was answered and
nothing of what the judges said, nor which model it was: who judges the judges should not know.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl

from seas_data.query.version import Version
from seas_data.review import response_index as answered
from seas_data.sources.sheets import guard_cell
from seas_data.store.files import replacing
from seas_data.text import content_id

STRATA: Final = ("kind", "type", "source")
GIVEN: Final = ("prompt_id", "text", *STRATA)
ASKED: Final = ("label", "decision", "who", "because")
PLACES: Final = (*answered.PLACE, "verdicts")
"""Strata of responses: where they stand, and what all their judges said."""
RESPONSE_GIVEN: Final = ("response_id", "prompt", "response")
RESPONSE_ASKED: Final = ("verdict", "refusal", "who", "because")


def sample(prompts: pl.DataFrame, size: int, seed: int = 0) -> pl.DataFrame:
    """Return ``size`` rows of ``prompts`` (prompt_id, kind, type, source, ...) in an order as good as random.

    Strata are the combinations of kind, type and source. Each gives one row, the largest first if ``size`` is too
    small for all; the further seats go to strata in proportion to their rows (Sainte-Laguë's divisors 1, 3, 5, ...).
    Which rows of a stratum are taken is decided by a hash of ``seed`` and prompt_id, so the same call takes the same.
    """
    return _drawn(prompts, size, seed, "prompt_id", STRATA, pl.col("rows"))


def responses(version: Version, size: int, seed: int = 0) -> pl.DataFrame:
    """Return ``size`` of the judged responses of ``version``: response_id, prompt and response, in a random order.

    As ``sample``, but by ``PLACES`` and in proportion to the square roots of their rows: the few that a judge found
    unsafe say as much about it as the many that it found safe. Inside a stratum all are as likely to be drawn, so each
    stands for (rows of its stratum) / (rows drawn of it) responses, which ``gold`` counts from the version again.
    """
    drawn = _drawn(answered.standing(version), size, seed, "response_id", PLACES, pl.col("rows").sqrt())
    texts = answered.texts(version, drawn["response_id"])
    return drawn.select("response_id").join(texts, on="response_id", maintain_order="left")


def write(sample: pl.DataFrame, path: Path, given: Sequence[str] = GIVEN, asked: Sequence[str] = ASKED) -> None:
    """Write the sample as a CSV with a byte-order mark, whole or not at all: what to judge, and columns to judge in."""
    shown = sample.select(pl.col(name).map_elements(guard_cell, return_dtype=pl.String) for name in given)
    sheet = shown.with_columns(pl.lit(None, pl.String).alias(name) for name in asked)
    with replacing(path) as temporary:
        sheet.write_csv(temporary, include_bom=True, line_terminator="\r\n", quote_style="always")


def _drawn(rows: pl.DataFrame, size: int, seed: int, key: str, strata: Sequence[str], claim: pl.Expr) -> pl.DataFrame:
    """Return ``size`` of ``rows``: one of each stratum, then by each one's ``claim`` (of its number of rows)."""
    lots = pl.Series("lot", [content_id("review", seed, row_id) for row_id in rows[key]], pl.String)
    seats = (
        rows.with_columns(lots)
        .sort("lot")
        .with_columns(pl.len().over(strata).alias("rows"), pl.int_range(pl.len()).over(strata).alias("seat"))
        .with_columns(
            pl.when(pl.col("seat") > 0).then(claim / (2 * pl.col("seat") + 1)).otherwise(float("inf")).alias("claim")
        )
    )
    taken = seats.sort("claim", "rows", "lot", descending=[True, True, False]).head(size)
    return taken.sort("lot").select(rows.columns)
