"""A matrix that work units share: their slices refer to its rows, and it is written to the folder of parts once.

The rows may be chosen from an array that is too large to be copied (see ``file_array``), and are read as needed.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from seas_data.errors import SeasDataError
from seas_data.store.part_folder import PartFolder

_ROWS_PER_CHUNK = 1 << 14


@dataclass(frozen=True, eq=False)
class Matrix:
    """Rows of float32 numbers: all of ``values``, or the ``chosen`` ones, in that order."""

    values: NDArray[np.float32]
    chosen: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.values if self.chosen is None else self.chosen)

    def __getitem__(self, rows: slice | NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the numbers of ``rows``; they may be those of ``values``, and are not to be changed."""
        return self.values[rows] if self.chosen is None else self.values[self.chosen[rows]]

    @property
    def shape(self) -> tuple[int, int]:
        """The number of rows and of the numbers of each."""
        return len(self), self.values.shape[1]

    def select(self, rows: NDArray[np.int64]) -> "Matrix":
        """Return the given ``rows`` as a matrix, without copying their numbers."""
        return choose_rows(self.values, rows if self.chosen is None else self.chosen[rows])

    @cached_property
    def name(self) -> str:
        """The name of its file: a digest of its shape and numbers."""
        digest = hashlib.sha256(json.dumps(self.shape).encode() + b"\0")
        for rows in self._chunks():
            digest.update(rows)
        return f"matrix-{digest.hexdigest()[:32]}"

    def write(self, folder: PartFolder) -> None:
        """Write the numbers to ``folder`` unless they are there; replace a damaged file."""
        if self.name not in folder.names() or not _is_whole(_open(folder, self.name, self.shape), self.name):
            folder.write_plain(self.name, self._chunks())

    def _chunks(self) -> Iterator[memoryview]:
        for start in range(0, len(self), _ROWS_PER_CHUNK):
            rows = np.ascontiguousarray(self[start : start + _ROWS_PER_CHUNK], "<f4")
            yield rows.reshape(-1).view(np.uint8).data


def as_matrix(vectors: NDArray[np.float32] | Matrix) -> Matrix:
    """Return ``vectors`` as a matrix."""
    return vectors if isinstance(vectors, Matrix) else Matrix(vectors)


def choose_rows(values: NDArray[np.float32], rows: NDArray[np.int64]) -> Matrix:
    """Return ``rows`` of ``values`` as a matrix, without copying their numbers."""
    return Matrix(values, None if _are_all(rows, len(values)) else rows)


def _are_all(rows: NDArray[np.int64], count: int) -> bool:
    return len(rows) == count and bool((rows == np.arange(count)).all())


@lru_cache(maxsize=1)
def read_matrix(folder: PartFolder, name: str, shape: tuple[int, int]) -> Matrix:
    """Return a matrix of ``folder``, once per process; memory holds the pages of its file that are used.

    Raises SeasDataError if it is missing or damaged.
    """
    matrix = _open(folder, name, shape)
    if matrix is None or not _is_whole(matrix, name):
        raise SeasDataError(f"{name} in {folder} is missing or damaged; run the command again, which writes it again")
    return matrix


def _open(folder: PartFolder, name: str, shape: tuple[int, ...]) -> Matrix | None:
    file = folder.open_plain(name)
    if file is None:
        return None
    with file:
        size = file.seek(0, 2)
        if size != 4 * int(np.prod(shape)):
            return None
        return Matrix(np.memmap(file, "<f4", mode="r", shape=shape))


def _is_whole(matrix: Matrix | None, name: str) -> bool:
    return matrix is not None and matrix.name == name
