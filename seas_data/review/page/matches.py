"""The rows that pass a filter, as sorted positions: computed once for a filter, then kept up to date row by row."""

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence


class Matches:
    """The positions of the ``rows`` for which ``wanted`` is true."""

    def __init__(self, rows: Sequence[str], wanted: Callable[[str], bool]) -> None:
        self._rows, self._wanted = rows, wanted
        self._positions = [at for at, row_id in enumerate(rows) if wanted(row_id)]

    def update(self, at: int) -> None:
        """Look again at the row at position ``at``, because it changed."""
        place = bisect_left(self._positions, at)
        was = place < len(self._positions) and self._positions[place] == at
        if self._wanted(self._rows[at]) and not was:
            insort(self._positions, at)
        elif was and not self._wanted(self._rows[at]):
            del self._positions[place]

    def __len__(self) -> int:
        """Return how many rows pass."""
        return len(self._positions)

    def __contains__(self, at: int) -> bool:
        """Return whether the row at position ``at`` passes."""
        return self.first_from(at) == at

    def count_before(self, at: int) -> int:
        """Return how many rows pass before position ``at``."""
        return bisect_left(self._positions, at)

    def first_from(self, at: int) -> int | None:
        """Return the first position from ``at`` on."""
        place = bisect_left(self._positions, at)
        return self._positions[place] if place < len(self._positions) else None

    def last_before(self, at: int) -> int | None:
        """Return the last position before ``at``."""
        place = bisect_left(self._positions, at)
        return self._positions[place - 1] if place else None
