"""Progress bars on standard error, shown only for work that takes over two seconds."""

import sys

from tqdm import tqdm


def bar(total: int, description: str, unit: str = "rows") -> "tqdm[None]":
    """Return a bar with rate and time left; ``update(n)`` it and close it (it is a context manager).

    Piped output gets a line every ten seconds instead of a moving bar.
    """
    interactive = sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=description,
        unit=f" {unit}",
        delay=2,
        mininterval=0.2 if interactive else 10,
        dynamic_ncols=True,
        leave=False,
        file=sys.stderr,
    )
