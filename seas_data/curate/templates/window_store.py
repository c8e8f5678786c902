"""The winnowed windows of all texts (``winnowing``), of which memory holds the selected ones only."""

import tempfile
from collections.abc import Callable

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.curate.templates.winnowing import Chunks, Windows, sort_windows, winnow_chunks

_WINDOWS_PER_CHUNK = 1 << 20
_BYTES_IN_MEMORY = 1 << 28
_MAX_COUNTERS = 1 << 28


class WindowStore:
    """The winnowed windows of many views, of which a part is read at a time. Use it in a ``with`` statement.

    There are some 50 windows to a text of ordinary length. Above ``_BYTES_IN_MEMORY`` they are in a temporary file.
    """

    def __init__(self, views: pl.Series) -> None:
        self._file = tempfile.SpooledTemporaryFile(_BYTES_IN_MEMORY)  # noqa: SIM115  (closed by __exit__)
        counts = np.zeros(len(views), np.int64)
        for hashes, rows in winnow_chunks(views):
            self._file.write(hashes.tobytes())
            np.add.at(counts, rows, 1)
        self._ends = np.cumsum(counts)

    def __enter__(self) -> "WindowStore":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def chunks(self) -> Chunks:
        """Yield the hashes and rows of all windows in parts, in order of the rows."""
        self._file.seek(0)
        total = int(self._ends[-1]) if self._ends.size else 0
        for start in range(0, total, _WINDOWS_PER_CHUNK):
            hashes = np.frombuffer(self._file.read(8 * _WINDOWS_PER_CHUNK), np.uint64)
            rows = np.searchsorted(self._ends, np.arange(start, start + hashes.size), side="right")
            yield hashes, rows.astype(np.int32)

    def select_hashes(self, hashes: NDArray[np.uint64]) -> Windows:
        """Return the windows with one of ``hashes``."""
        wanted = np.unique(hashes)
        return sort_windows(_filter(self.chunks(), lambda found, _: _is_among(found, wanted)))

    def select_frequent(self, min_texts: int, chosen: NDArray[np.bool_]) -> Windows:
        """Return the windows of the ``chosen`` rows, renumbered, that at least ``min_texts`` of these have.

        Counters of the low bits of a hash, which several hashes share, rule out most windows that are rarer.
        """
        total = int(self._ends[-1]) if self._ends.size else 0
        counters = np.zeros(1 << min(_MAX_COUNTERS.bit_length() - 1, max(8, (total // 4).bit_length())), np.uint8)
        low_bits = np.uint64(counters.size - 1)
        for hashes, rows in self.chunks():
            places, counts = np.unique(hashes[chosen[rows]] & low_bits, return_counts=True)
            counters[places] = np.minimum(counters[places] + counts, 255)
        enough = counters >= min(min_texts, 255)
        windows = sort_windows(_filter(self.chunks(), lambda found, rows: enough[found & low_bits] & chosen[rows]))
        first = np.flatnonzero(np.diff(windows.hashes, prepend=~windows.hashes[:1]))
        counts = np.diff(first, append=windows.hashes.size)
        frequent = np.repeat(counts >= min_texts, counts)
        numbers = np.cumsum(chosen, dtype=np.int32) - np.int32(1)
        return Windows(windows.hashes[frequent], numbers[windows.rows[frequent]])


def _filter(chunks: Chunks, condition: Callable[[NDArray[np.uint64], NDArray[np.int32]], NDArray[np.bool_]]) -> Chunks:
    for hashes, rows in chunks:
        kept = condition(hashes, rows)
        yield hashes[kept], rows[kept]


def _is_among(values: NDArray[np.uint64], among: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return which of ``values`` are in ``among`` (ascending)."""
    if not among.size:
        return np.zeros(values.size, np.bool_)
    found: NDArray[np.bool_] = among[np.searchsorted(among, values).clip(max=among.size - 1)] == values
    return found
