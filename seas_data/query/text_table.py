"""The one writer of tables for the terminal: aligned, coloured on a terminal, plain text otherwise.

On a terminal a table fits the width: the widest columns wrap first and, within a word, end in an ellipsis. Columns that
would get fewer than a dozen characters are left out from the right, and a note says how many. In a pipe or a file
nothing is cut.
"""

import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seas_data.query.cells import format_cell
from seas_data.text import printable

_GAP = 2
_NARROW = 12  # characters; the minimum width of a cut column


def write_table(
    columns: Iterable[str],
    rows: Iterable[Iterable[Any]],
    *,
    stream: TextIO | None = None,
    numeric: Sequence[bool] | None = None,
    reveal: bool = True,
    title: str | None = None,
    hint: str = "--json",
) -> None:
    """Write ``rows`` under the names of their ``columns`` to ``stream`` (standard output without one).

    ``numeric``: which columns to align right; without it those whose values are all numbers. ``reveal``: show texts
    whole instead of masked (``format_cell``). ``hint``: the option, named in the note on hidden columns, that shows
    all of them.
    """
    stream = sys.stdout if stream is None else stream
    names, listed = list(columns), [list(row) for row in rows]
    if numeric is None:
        numeric = [bool(listed) and all(_is_number(row[at]) for row in listed) for at in range(len(names))]
    cells = [[format_cell(name, row[at], reveal) for row in listed] for at, name in enumerate(names)]
    if title:
        stream.write(f"{title}\n")
    hidden = _write_cells([printable(name) for name in names], cells, numeric, stream)
    if hidden:
        stream.write(f"... and {hidden} more columns: use a wider terminal or {hint}\n")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | None)


def _write_cells(
    names: Sequence[str], columns: Sequence[Sequence[str]], numeric: Sequence[bool], stream: TextIO
) -> int:
    """Write columns of cells and return how many columns did not fit. Cells are printed as text, never as markup."""
    console = Console(file=stream, highlight=False, emoji=False, markup=False)
    widths = [max(map(cell_len, (name, *cells))) for name, cells in zip(names, columns, strict=True)]
    if console.is_terminal:
        widths = fit_widths(widths, console.width)
    else:
        total = max(sum(widths) + _GAP * len(widths), 1)
        console = Console(file=stream, highlight=False, emoji=False, markup=False, width=total, color_system=None)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold cyan")
    for name, number, width in zip(names, numeric, widths, strict=False):
        table.add_column(Text(name), justify="right" if number else "left", width=width, overflow="ellipsis")
    for row in zip(*columns[: len(widths)], strict=True):
        table.add_row(*map(Text, row))
    console.print(table)
    return len(names) - len(widths)


def fit_widths(widths: Sequence[int], available: int) -> list[int]:
    """Return the widths of the columns that fit into ``available`` characters, the widest cut to a common width."""
    kept = list(widths)
    while len(kept) > 1 and sum(min(width, _NARROW) for width in kept) + _GAP * (len(kept) - 1) > available:
        kept.pop()
    left = available - _GAP * (len(kept) - 1)
    maximum = left
    for position, width in enumerate(sorted(kept)):
        equal_part = left // (len(kept) - position)
        if width > equal_part:
            maximum = equal_part
            break
        left -= width
    return [min(width, maximum) for width in kept]
