"""The prompts most similar to an item, exact: one product with all vectors, for many items at a time and ahead of them.

A product with one item reads every vector, which takes tens of milliseconds for 100,000 prompts. A product with the
items that follow in the sheet costs little more, so it is computed in a thread while the reviewer reads.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import polars as pl
from numpy.typing import NDArray

SIMILAR = 5
"""The number of similar prompts of an item."""
_AHEAD = 48  # items before the end of what is known, at which the next ones are computed
_PRODUCT = 8_000_000  # numbers of a product, so that it takes 32 MB
_MOST_ROWS = 128  # items of a product

Found = list[tuple[str, float]]


class Neighbours:
    """Finds the prompts of ``kept`` most similar to one, among those that the same model embedded.

    Input columns of ``vectors``: prompt_id, model, vector (of length 1). ``order``: the ids of the sheet.
    """

    def __init__(self, vectors: pl.DataFrame, kept: set[str], order: Sequence[str]) -> None:
        self._groups: list[tuple[list[str], NDArray[np.float32], NDArray[np.bool_]]] = []
        self._place: dict[str, tuple[int, int]] = {}
        for group, (_, rows) in enumerate(vectors.group_by("model", maintain_order=True)):
            ids = rows["prompt_id"].to_list()
            matrix = rows["vector"].explode().to_numpy().astype(np.float32).reshape(len(ids), -1)
            self._groups.append((ids, matrix, np.array([row_id not in kept for row_id in ids])))
            self._place |= {row_id: (group, at) for at, row_id in enumerate(ids)}
        self._order = [row_id for row_id in order if row_id in self._place]
        self._at = {row_id: at for at, row_id in enumerate(self._order)}
        self._found: dict[str, Found] = {}
        self._worker = ThreadPoolExecutor(1, "neighbours")
        self._ahead: Future[None] | None = None

    def of(self, row_id: str) -> Found:
        """Return the most similar prompts with their cosines, most similar first; none without a vector."""
        if row_id not in self._place:
            return []
        if row_id not in self._found:
            self._compute([row_id])
        found = self._found[row_id]
        self._look_ahead(self._at.get(row_id, len(self._order)))
        return found

    def close(self) -> None:
        """Stop computing ahead."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _look_ahead(self, at: int) -> None:
        """Compute the items from the first unknown one on, if it is one of the next."""
        if self._ahead is not None and not self._ahead.done():
            return
        start = next((next_at for next_at in range(at + 1, at + 1 + _AHEAD) if self._is_unknown(next_at)), None)
        if start is not None:
            largest = max(len(ids) for ids, _, _ in self._groups)
            count = max(1, min(_MOST_ROWS, _PRODUCT // largest))
            self._ahead = self._worker.submit(self._compute, self._order[start : start + count])

    def _is_unknown(self, at: int) -> bool:
        return at < len(self._order) and self._order[at] not in self._found

    def _compute(self, row_ids: Sequence[str]) -> None:
        for group, (ids, matrix, is_dropped) in enumerate(self._groups):
            asked = [(row_id, self._place[row_id][1]) for row_id in row_ids if self._place[row_id][0] == group]
            if not asked:
                continue
            positions = np.array([at for _, at in asked])
            cosines = matrix[positions] @ matrix.T if len(positions) > 1 else (matrix @ matrix[positions[0]])[None]
            cosines[:, is_dropped] = -2.0
            cosines[np.arange(len(positions)), positions] = -2.0
            best = np.argpartition(cosines, -min(SIMILAR, len(ids)), axis=1)[:, -SIMILAR:]
            for (row_id, _), row, columns in zip(asked, cosines, best, strict=True):
                columns = columns[np.argsort(-row[columns], kind="stable")]
                self._found[row_id] = [(ids[each], float(row[each])) for each in columns if row[each] > -2.0]
