"""The new rows of the table ``prompts``: those of the sources, with the labels that curation gave."""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from seas_data import tables
from seas_data.curate.incoming import Incoming

LABEL_COLUMNS = (*tables.LABELS, "label_probability")


@dataclass(frozen=True)
class PromptRows:
    """Rows of the ``prompts`` table, read slice by slice, because all texts and columns may be too many for memory.

    ``labels``: ``prompt_id`` and ``LABEL_COLUMNS`` of the kept rows; other rows keep those of their source.
    """

    incoming: Incoming
    labels: pl.DataFrame

    @property
    def height(self) -> int:
        """The number of rows."""
        return self.incoming.height

    def iter_slices(self, n_rows: int) -> Iterator[pl.DataFrame]:
        """Yield the rows in slices of ``n_rows``, sorted by ``prompt_id``."""
        for rows in self.incoming.iter_prompts(n_rows):
            first, last = pl.lit(rows["prompt_id"][0]), pl.lit(rows["prompt_id"][-1])
            yield _with_labels(rows, self.labels.filter(pl.col("prompt_id").is_between(first, last)))

    def to_frame(self) -> pl.DataFrame:
        """Return all rows."""
        return _with_labels(self.incoming.read_prompts(), self.labels)


def _with_labels(rows: pl.DataFrame, labels: pl.DataFrame) -> pl.DataFrame:
    found = labels.select("prompt_id", *LABEL_COLUMNS, is_kept=True)
    found = rows.select("prompt_id").join(found, on="prompt_id", how="left", maintain_order="left")
    is_kept = found["is_kept"].fill_null(False)
    return rows.with_columns(found[name].zip_with(is_kept, rows[name]) for name in LABEL_COLUMNS)
