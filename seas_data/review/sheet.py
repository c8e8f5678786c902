"""Review sheets: stratified samples of prompts or responses, written as CSV files for people to fill in.

A filled-in sheet of prompts (decision, label, who, because) is read by ``sources.overrides``, a filled-in sheet of
responses (verdict, refusal, who, because) by ``gold``. The latter shows neither the judges' verdicts nor the models, so
that they do not influence the reviewer. Cells that a spreadsheet would compute are guarded (``sources.sheets``).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.review.response_index import CELL, index_responses, response_texts
from seas_data.sources.sheets import guard_cell, read_sheet, write_cells
from seas_data.text import content_id

PROMPT_STRATA: Final = ("kind", "type", "source")
"""The columns whose combinations are the strata of prompts."""
PROMPT_COLUMNS: Final = ("prompt_id", "text", *PROMPT_STRATA)
PROMPT_INPUTS: Final = ("label", "decision", "who", "because")
"""The columns of a sheet of prompts that people fill in."""
RESPONSE_STRATA: Final = (*CELL, "verdicts")
"""The columns whose combinations are the strata of responses: the cell, and the verdicts of all judges."""
RESPONSE_COLUMNS: Final = ("response_id", "prompt", "response")
RESPONSE_INPUTS: Final = ("verdict", "refusal", "who", "because")
"""The columns of a sheet of responses that people fill in."""


def sample_prompts(
    prompts: pl.DataFrame, size: int, seed: int = 0, strata: Sequence[str] = PROMPT_STRATA
) -> pl.DataFrame:
    """Return a stratified sample of ``size`` rows of ``prompts`` in pseudo-random order.

    Strata are the combinations of ``strata``. Each stratum gets one row, the largest first if ``size`` is
    smaller than their number; further rows are apportioned to the size of the strata (Sainte-Laguë's divisors 1, 3, 5,
    ...). A hash of ``seed`` and prompt_id selects the rows of a stratum, so the same call returns the same rows.

    Input columns: prompt_id, ``strata``, and others. Output columns: those of ``prompts``.
    """
    return _draw(prompts, size, seed, "prompt_id", strata, pl.col("rows"))


def sample_responses(version: Version, size: int, seed: int = 0) -> pl.DataFrame:
    """Return a stratified sample of ``size`` judged responses of ``version`` in pseudo-random order.

    Like ``sample_prompts``, with the strata ``RESPONSE_STRATA`` and apportioned to the square roots of their sizes: the
    few responses that a judge found unsafe tell as much about it as the many that it found safe. Within a stratum all
    responses have the same probability, so each one has the weight (rows of its stratum) / (sampled rows of its
    stratum), which ``gold`` computes again from the version.

    Output columns: response_id, prompt, response.
    """
    drawn = _draw(index_responses(version), size, seed, "response_id", RESPONSE_STRATA, pl.col("rows").sqrt())
    texts = response_texts(version, drawn["response_id"])
    return drawn.select("response_id").join(texts, on="response_id", maintain_order="left")


def write_sheet(
    sample: pl.DataFrame, path: Path, columns: Sequence[str] = PROMPT_COLUMNS, inputs: Sequence[str] = PROMPT_INPUTS
) -> None:
    """Write ``columns`` of the sample, and empty columns ``inputs`` to fill in, as a CSV with a byte-order mark.

    The file is replaced atomically.
    """
    filled = [""] * len(inputs)
    rows = ([*map(guard_cell, (cell or "" for cell in row)), *filled] for row in sample.select(columns).iter_rows())
    write_cells(path, [*columns, *inputs], rows)


def require_unfilled(path: Path) -> None:
    """Raise SeasDataError if a file at ``path`` is anything but a sheet that nobody has filled in."""
    if not path.is_file():
        return
    header, records = read_sheet(path, "review sheet")
    inputs = [at for at, name in enumerate(header) if name in (*PROMPT_INPUTS, *RESPONSE_INPUTS)]
    cells = (None if record.fields is None else record.fields[at] for record in records for at in inputs)
    if not inputs or any(cell is None or cell.strip() for cell in cells):
        raise SeasDataError(
            f"{path} holds decisions or is no review sheet; pass another file with -o, or move this one"
        )


def _draw(rows: pl.DataFrame, size: int, seed: int, key: str, strata: Sequence[str], weight: pl.Expr) -> pl.DataFrame:
    """Return ``size`` of ``rows``: one of each stratum, the others apportioned to ``weight`` (of a stratum's rows)."""
    order = pl.Series("order", [content_id("review", seed, row_id) for row_id in rows[key]], pl.String)
    ranked = (
        rows.with_columns(order)
        .sort("order")
        .with_columns(pl.len().over(strata).alias("rows"), pl.int_range(pl.len()).over(strata).alias("rank"))
        .with_columns(
            quotient=pl.when(pl.col("rank") > 0).then(weight / (2 * pl.col("rank") + 1)).otherwise(float("inf"))
        )
    )
    drawn = ranked.sort("quotient", "rows", "order", descending=[True, True, False]).head(size)
    return drawn.sort("order").select(rows.columns)
