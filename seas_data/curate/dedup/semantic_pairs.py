"""Pairs of items that an embedder finds similar, and how many of them a search in cells found."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.metrics.intervals import effective_interval
from seas_data.metrics.rows import metric_frame, metric_row
from seas_data.recipe.dedup import Semantic
from seas_data.similarity import cosine_neighbours
from seas_data.similarity.cosine_neighbours import Pairs, Recall
from seas_data.similarity.embeddings import Embedded
from seas_data.similarity.windows import pair_texts
from seas_data.store.parts import Parts


def compare_meaning(
    embedded: Embedded,
    model: str,
    blocks: NDArray[np.int64],
    earlier: NDArray[np.bool_],
    settings: Semantic,
    parts: Parts | None,
) -> tuple[Pairs, pl.DataFrame]:
    """Return the pairs of items that ``model`` finds similar, and ``semantic_recall`` if not all were compared."""
    floor = min(settings.group_threshold, settings.duplicate_threshold)
    owner, vectors = embedded.windows_of(model)
    in_block, is_earlier, exact_rows = blocks[owner], earlier[owner], settings.exact_rows
    found = cosine_neighbours.find_pairs(
        vectors, floor, blocks=in_block, earlier=is_earlier, exact_rows=exact_rows, parts=parts
    )
    measured = metric_frame([])
    if not cosine_neighbours.is_exact(is_earlier, exact_rows):
        recall = cosine_neighbours.measure_recall(
            vectors, found, floor, blocks=in_block, earlier=is_earlier, parts=parts
        )
        measured = _recall_metrics(model, recall, settings)
    return pair_texts(found, owner), measured


def _recall_metrics(model: str, recall: Recall, settings: Semantic) -> pl.DataFrame:
    """Return ``semantic_recall`` of one model: the proportion of the sample's pairs that were found."""
    rows = []
    for threshold in sorted({settings.group_threshold, settings.duplicate_threshold}):
        counted = recall.score >= threshold
        found, n = recall.found[counted], int(counted.sum())
        low, high = effective_interval(found, recall.row[counted])
        facets = {"model": model, "threshold": threshold, "rows_compared": recall.rows}
        value = float(found.mean()) if n else None
        rows.append(metric_row("semantic_recall", value, facets, low=low, high=high, n=n))
    return metric_frame(rows)
