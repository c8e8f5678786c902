"""Progress bars on standard error, shown after two seconds of work."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from seas_data.text import printable


def bar(total: int | None, description: str, unit: str = "rows") -> "tqdm[None]":
    """Return a bar with the rate and the remaining time: a context manager with ``update(n)``.

    ``total`` is None if it is unknown; then there is no remaining time.

    Piped output gets a line every ten seconds instead of a moving bar.
    """
    interactive = sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=printable(description),
        unit=f" {unit}",
        delay=2,
        mininterval=0.2 if interactive else 10,
        dynamic_ncols=True,
        leave=False,
        file=sys.stderr,
    )


@contextmanager
def hide_library_bars() -> Iterator[None]:
    """Hide the progress bars of transformers, datasets and accelerate, so that only ours is shown."""
    import datasets
    from transformers.utils import logging

    # accelerate reads the variable at each bar; tqdm read it at import, so our bar is still shown.
    before = os.environ.get("TQDM_DISABLE"), logging.is_progress_bar_enabled(), datasets.are_progress_bars_disabled()
    os.environ["TQDM_DISABLE"] = "1"
    logging.disable_progress_bar()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        os.environ.pop("TQDM_DISABLE")
        if before[0] is not None:
            os.environ["TQDM_DISABLE"] = before[0]
        if before[1]:
            logging.enable_progress_bar()
        if not before[2]:
            datasets.enable_progress_bars()
