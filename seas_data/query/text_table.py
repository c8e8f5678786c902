"""A table on the terminal: aligned, coloured there, plain text where the output is piped.

On a terminal it fits the width: the widest columns give way first, by going on in the next line or, within a word, by
an ellipsis (the start of an id is enough to ask for it). Columns that would be left with less than a dozen characters
are left out from the right. Piped, nothing is cut.
"""

from collections.abc import Sequence
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

_GAP = 2
_NARROW = 12  # a column is not cut to less than this


def write(names: Sequence[str], columns: Sequence[Sequence[str]], numeric: Sequence[bool], stream: TextIO) -> int:
    """Write ``columns`` of cells under ``names`` and return how many columns had no place.

    Cells are printed as they are, never read as markup; they have to be safe to print already.
    """
    console = Console(file=stream, highlight=False, emoji=False, markup=False)
    widths = [max(map(cell_len, (name, *cells))) for name, cells in zip(names, columns, strict=True)]
    if console.is_terminal:
        widths = fitted(widths, console.width)
    else:
        whole = max(sum(widths) + _GAP * len(widths), 1)
        console = Console(file=stream, highlight=False, emoji=False, markup=False, width=whole, color_system=None)
    grid = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold cyan")
    for name, number, width in zip(names, numeric, widths, strict=False):
        grid.add_column(Text(name), justify="right" if number else "left", width=width, overflow="ellipsis")
    for row in zip(*columns[: len(widths)], strict=True):
        grid.add_row(*map(Text, row))
    console.print(grid)
    return len(names) - len(widths)


def fitted(widths: Sequence[int], room: int) -> list[int]:
    """Return the widths of the columns that fit into ``room`` characters, the widest cut to one common width."""
    kept = list(widths)
    while len(kept) > 1 and sum(min(width, _NARROW) for width in kept) + _GAP * (len(kept) - 1) > room:
        kept.pop()
    left = room - _GAP * (len(kept) - 1)
    cap = left
    for place, width in enumerate(sorted(kept)):
        share = left // (len(kept) - place)
        if width > share:
            cap = share
            break
        left -= width
    return [min(width, cap) for width in kept]
