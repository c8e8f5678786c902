"""A sample for people to judge, as a file that a spreadsheet can open and that can come back.

Prompts are attacks on models, and in a spreadsheet a cell that starts with ``=`` is an attack on its reader: such cells
are written with an apostrophe before them, which ``unguarded`` takes off again. What people fill in (decision, label,
who, because) is what ``overrides`` reads.
"""

import re
from pathlib import Path

import polars as pl

from seas_data.files import replacing
from seas_data.text import content_id

STRATA = ("kind", "type", "source")
GIVEN = ("prompt_id", "text", *STRATA)
ASKED = ("verdict", "label", "decision", "who", "because")

# What a spreadsheet computes (`=`, `+`, `-`, `@`, also behind a tab or return) or takes for a number (ids of digits,
# with an `e` as an exponent); apostrophes that the text has itself are guarded too, so that the guard can come off.
_RISKY = re.compile(r"'*(?:[=+\-@\t\r].*|\d+(?:[.,]?\d+)?(?:[eE]\d+)?\Z)", re.DOTALL)


def sample(prompts: pl.DataFrame, size: int, seed: int = 0) -> pl.DataFrame:
    """Return ``size`` rows of ``prompts`` (prompt_id, kind, type, source, ...) in an order as good as random.

    Strata are the combinations of kind, type and source. Each gives one row, the largest first if ``size`` is too
    small for all; the further seats go to strata in proportion to their rows (Sainte-Laguë's divisors 1, 3, 5, ...).
    Which rows of a stratum are taken is decided by a hash of ``seed`` and prompt_id, so the same call takes the same.
    """
    lots = pl.Series("lot", [content_id("review", seed, prompt_id) for prompt_id in prompts["prompt_id"]], pl.String)
    seats = (
        prompts.with_columns(lots)
        .sort("lot")
        .with_columns(pl.len().over(STRATA).alias("rows"), pl.int_range(pl.len()).over(STRATA).alias("seat"))
        .with_columns(
            pl.when(pl.col("seat") > 0)
            .then(pl.col("rows") / (2 * pl.col("seat") + 1))
            .otherwise(float("inf"))
            .alias("claim")
        )
    )
    taken = seats.sort("claim", "rows", "lot", descending=[True, True, False]).head(size)
    return taken.sort("lot").select(prompts.columns)


def write(sample: pl.DataFrame, path: Path) -> None:
    """Write the sample as a CSV with a byte-order mark, whole or not at all: what to judge, and columns to judge in."""
    given = sample.select(pl.col(name).map_elements(guarded, return_dtype=pl.String) for name in GIVEN)
    sheet = given.with_columns(pl.lit(None, pl.String).alias(name) for name in ASKED)
    with replacing(path) as temporary:
        sheet.write_csv(temporary, include_bom=True, line_terminator="\r\n", quote_style="always")


def guarded(cell: str) -> str:
    """Return ``cell`` so that a spreadsheet shows it as it is and computes nothing."""
    return f"'{cell}" if _RISKY.match(cell) else cell


def unguarded(cell: str) -> str:
    """Take off the guard of ``guarded``, or the ``="..."`` in which some people put what should stay text."""
    if cell.startswith("'") and _RISKY.match(cell[1:]):
        return cell[1:]
    formula = re.fullmatch('="(.*)"', cell, re.DOTALL)
    return formula[1] if formula else cell
