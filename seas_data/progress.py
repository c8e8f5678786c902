"""Progress bars on standard error, shown only for work that takes over two seconds."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

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


@contextmanager
def hide_library_bars() -> Iterator[None]:
    """Hide the bars of transformers, datasets and accelerate, so that ours is the only one."""
    import datasets
    from transformers.utils import logging

    # accelerate asks the environment at each bar; tqdm itself asked it at import, so ours still shows.
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
