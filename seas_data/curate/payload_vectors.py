"""What each kept prompt asks, as vectors: what labels and clusters are made from, and what is stored of embeddings."""

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data import recipe, tables
from seas_data.curate import clusters
from seas_data.curate.dedup import items
from seas_data.similarity.embeddings import Embedded


@dataclass(frozen=True)
class Focus:
    """What each kept prompt asks, where an embedder sees it: its payload if it is wrapped, else all of its text.

    ``rows``: prompt_id, template_id, text, model, row (of ``matrices[model]``), one for each such prompt.
    """

    rows: pl.DataFrame
    matrices: dict[str, NDArray[np.float32]]

    def main(self, standing: pl.Series | None = None) -> tuple[pl.DataFrame, NDArray[np.float32]]:
        """Return the rows of one model and their vectors: one space, so comparable.

        The model is the one that sees the most of the prompts ``standing`` (ids); if none does, the most of all.
        """
        stands = pl.lit(False) if standing is None else pl.col("prompt_id").is_in(standing.implode())
        counts = (
            self.rows.group_by("model")
            .agg(stands.sum().alias("standing"), pl.len().alias("all"))
            .sort("standing", "all", "model", descending=[True, True, False])
        )
        if counts.is_empty():
            return self.rows, np.empty((0, 1), dtype=np.float32)
        rows = self.rows.filter(pl.col("model") == counts["model"][0])
        return rows, self.matrices[counts["model"][0]][rows["row"].to_numpy()]

    def embeddings(self, placed: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of the embeddings table for the prompts of ``placed``."""
        parts = [tables.empty("embeddings")]
        for (model,), rows in (
            self.rows.join(placed, on="prompt_id", how="semi").partition_by("model", as_dict=True).items()
        ):
            vectors = pl.Series("vector", self.matrices[str(model)][rows["row"].to_numpy()])
            parts.append(rows.select("prompt_id", "model").with_columns(vectors.cast(pl.List(pl.Float32))))
        return pl.concat(parts).sort("prompt_id")


def focus(kept: pl.DataFrame, compared: items.Items, embedded: Embedded, templates: pl.DataFrame) -> Focus:
    """Return what the prompts of ``kept`` ask; the other arguments are of all training prompts."""
    sight = embedded.lookup.select("text", "model", "row").with_row_index("item")
    seen = sight.drop_nulls("model")
    units = compared.units.with_row_index("unit").with_columns(
        item=pl.when(pl.col("payload_item").is_in(seen["item"].implode())).then("payload_item").otherwise("unit")
    )
    rows = (
        kept.select("prompt_id", "text_digest")
        .join(units.select("text_digest", "item"), on="text_digest")
        .join(seen, on="item")
        .join(templates.select("prompt_id", "template_id"), on="prompt_id", how="left")
        .select("prompt_id", "template_id", "text", "model", "row")
        .sort("prompt_id")
    )
    return Focus(rows, embedded.matrices)


def clustered(focus: Focus, earlier: pl.DataFrame, settings: recipe.Clusters) -> pl.DataFrame:
    """Return the rows of the clusters table for the prompts that ``earlier``, that table so far, does not hold.

    They are clustered by the model by which earlier ones were, whichever sees the most now. Where it sees none of those
    any more, there is nothing to join: the clusters are new ones, numbered behind the earlier.
    """
    rows, matrix = focus.main(earlier["prompt_id"])
    standing = rows.select("prompt_id").with_row_index("at").join(earlier, on="prompt_id", maintain_order="left")
    old = np.zeros(rows.height, dtype=bool)
    old[standing["at"].to_numpy()] = True
    before = clusters.Placed(standing.drop("at"), matrix[old]) if standing.height else None
    found = clusters.clusters(rows.filter(pl.Series(~old)).select("prompt_id", "text"), matrix[~old], settings, before)
    if before is None and earlier.height:
        return found.with_columns(pl.col("cluster") + earlier["cluster"].max() + 1)
    return found
