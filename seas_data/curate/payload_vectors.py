"""Vectors of what each kept prompt asks: the input of labels and clusters, and the stored ``embeddings`` table."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from seas_data import recipe, tables
from seas_data.curate.clusters import EarlierClusters, cluster_prompts
from seas_data.curate.dedup.items import Items
from seas_data.similarity.embeddings import Embedded
from seas_data.store.shared_matrix import Matrix, choose_rows


@dataclass(frozen=True)
class PayloadVectors:
    """The vector of each prompt's payload if it is wrapped, else of its whole text.

    ``rows``: ``prompt_id``, ``template_id``, ``item`` (UInt32, the row of ``Items.items`` that the vector is of),
    ``model``, ``row`` (in ``matrices[model]``), one per prompt; prompts without a vector are left out.
    """

    rows: pl.DataFrame
    matrices: dict[str, NDArray[np.float32]]

    def of(self, prompts: pl.DataFrame) -> "PayloadVectors":
        """Return the vectors of those of the prompts that are in ``prompts`` (``prompt_id``)."""
        return replace(self, rows=self.rows.join(prompts, on="prompt_id", how="semi", maintain_order="left"))

    def of_main_model(self, earlier_ids: pl.Series | None = None) -> tuple[pl.DataFrame, Matrix]:
        """Return the rows and vectors of one model, because vectors of different models are not comparable.

        The model is the one that embeds most of the prompts ``earlier_ids``; ties, and no earlier prompts, are decided
        by the number of all prompts it embeds.
        """
        is_earlier = pl.lit(False) if earlier_ids is None else pl.col("prompt_id").is_in(earlier_ids.implode())
        counts = (
            self.rows.group_by("model")
            .agg(is_earlier.sum().alias("earlier"), pl.len().alias("all"))
            .sort("earlier", "all", "model", descending=[True, True, False])
        )
        if counts.is_empty():
            return self.rows, Matrix(np.empty((0, 1), dtype=np.float32))
        rows = self.rows.filter(pl.col("model") == counts["model"][0])
        return rows, choose_rows(self.matrices[counts["model"][0]], rows["row"].to_numpy())

    def embeddings(self, prompts: pl.DataFrame) -> "EmbeddingRows":
        """Return the ``embeddings`` table's rows for the prompts of ``prompts`` (``prompt_id``)."""
        rows = self.rows.join(prompts, on="prompt_id", how="semi").select("prompt_id", "model", "row")
        return EmbeddingRows(rows.sort("prompt_id"), self.matrices)


@dataclass(frozen=True)
class EmbeddingRows:
    """Rows of the ``embeddings`` table, whose vectors are read slice by slice, because all may be too many for memory.

    ``rows``: ``prompt_id``, ``model``, ``row`` (in ``matrices[model]``).
    """

    rows: pl.DataFrame
    matrices: dict[str, NDArray[np.float32]]

    @property
    def height(self) -> int:
        """The number of rows."""
        return self.rows.height

    def iter_slices(self, n_rows: int) -> Iterator[pl.DataFrame]:
        """Yield the rows in slices of ``n_rows``."""
        for rows in self.rows.iter_slices(n_rows):
            parts = [
                of_model.select("prompt_id", "model", _as_lists(self.matrices[str(model)][of_model["row"].to_numpy()]))
                for (model,), of_model in rows.partition_by("model", as_dict=True).items()
            ]
            # The rows of one model are in order, and need not be copied.
            yield parts[0] if len(parts) == 1 else pl.concat([tables.empty("embeddings"), *parts]).sort("prompt_id")

    def to_frame(self) -> pl.DataFrame:
        """Return all rows."""
        return pl.concat([tables.empty("embeddings"), *self.iter_slices(max(1, self.height))])


def _as_lists(vectors: NDArray[np.float32]) -> pl.Series:
    """Return the rows of ``vectors`` as a list column, without copying their numbers."""
    offsets = np.arange(len(vectors) + 1, dtype=np.int64) * vectors.shape[1]
    return pl.Series("vector", pa.LargeListArray.from_arrays(offsets, pa.array(vectors.reshape(-1))))


def select_payload_vectors(
    prompts: pl.DataFrame, items: Items, embedded: Embedded, templates: pl.DataFrame
) -> PayloadVectors:
    """Return the payload vectors of ``prompts``; the other arguments cover all training prompts.

    ``embedded``: the embeddings of ``items.items``. The vector of a long text is the mean of its windows.

    Input columns: of ``prompts``: ``prompt_id``, ``text_digest``; of ``templates``: ``prompt_id``, ``template_id``.
    """
    lookup = embedded.lookup.select("model", row="mean").with_row_index("item")
    embedded_items = lookup.drop_nulls("model")
    units = items.units.with_row_index("unit").with_columns(
        item=pl.when(pl.col("payload_item").is_in(embedded_items["item"].implode()))
        .then("payload_item")
        .otherwise("unit")
    )
    rows = (
        prompts.select("prompt_id", "text_digest")
        .join(units.select("text_digest", "item"), on="text_digest")
        .join(embedded_items, on="item")
        .join(templates.select("prompt_id", "template_id"), on="prompt_id", how="left")
        .select("prompt_id", "template_id", "item", "model", "row")
        .sort("prompt_id")
    )
    return PayloadVectors(rows, embedded.matrices)


def cluster_new_prompts(
    vectors: PayloadVectors, texts: pl.Series, earlier: pl.DataFrame, settings: recipe.Clusters
) -> pl.DataFrame:
    """Return the ``clusters`` table's rows for the prompts that ``earlier``, that table so far, lacks.

    ``texts``: those of all items (``item`` of ``vectors.rows``).

    They are clustered with the model used for the earlier ones, whichever model embeds most prompts now. If that model
    embeds none of the earlier prompts any more, the new clusters are numbered after the earlier ones.

    Output columns: the ``clusters`` table without ``version``.
    """
    rows, matrix = vectors.of_main_model(earlier["prompt_id"])
    rows = rows.select("prompt_id", texts.gather(rows["item"]).alias("text"))
    placed = rows.select("prompt_id").with_row_index("at").join(earlier, on="prompt_id", maintain_order="left")
    is_placed = np.zeros(rows.height, dtype=bool)
    is_placed[placed["at"].to_numpy()] = True
    if placed.height:
        earlier_clusters = EarlierClusters(placed.drop("at"), matrix.select(np.flatnonzero(is_placed)))
        unplaced = rows.filter(pl.Series(~is_placed))
        return cluster_prompts(unplaced, matrix.select(np.flatnonzero(~is_placed)), settings, earlier_clusters)
    new = cluster_prompts(rows, matrix, settings)
    return new.with_columns(pl.col("cluster") + earlier["cluster"].max() + 1) if earlier.height else new
