"""Arrays that may be larger than the memory: in a file without a name, whose pages the system drops and reads again.

Such pages are not memory that a process holds: the system keeps them while memory is free. A killed process leaves no
file, because it had no name.

Room is taken on the disk at once where the system can do that (Linux); elsewhere a disk that is full later ends the
process without a message.
"""

import errno
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from seas_data.errors import SeasDataError

IN_MEMORY_BYTES = 1 << 30
"""Size up to which an array is in memory: 700,000 vectors of 384 numbers."""


def new_array(folder: Path | None, shape: tuple[int, int], kind: DTypeLike = np.float32) -> NDArray[Any]:
    """Return an array that is not initialised: in memory, or above ``IN_MEMORY_BYTES`` in a file of ``folder``.

    Without a folder it is in memory.

    Raises SeasDataError if the disk has no room for it, or the file cannot be made.
    """
    size = np.dtype(kind).itemsize * shape[0] * shape[1]
    if folder is None or size <= IN_MEMORY_BYTES:
        return np.empty(shape, kind)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)  # a page that finds no room later would kill the process
            return np.memmap(file, kind, mode="r+", shape=shape)
    except OSError as problem:
        raise SeasDataError(
            f"{size / 1e9:.1f} GB of vectors could not be kept in {folder} ({problem.strerror or problem}); "
            f"{'free space' if problem.errno in (errno.ENOSPC, errno.EDQUOT) else 'permit writing'} there, and run the "
            "command again"
        ) from problem


def is_in_file(array: NDArray[Any]) -> bool:
    """Return whether the numbers of ``array`` are in a file."""
    return isinstance(array, np.memmap)


@contextmanager
def read_in_any_order(array: NDArray[Any]) -> Iterator[None]:
    """Read rows of ``array`` in any order: only their own pages, if they are in a file.

    By default the system reads many pages (Linux: 128 KB) around each that is not in memory, which takes a hundred
    times as long if the file is larger than the memory that is free.
    """
    pages = getattr(array, "_mmap", None)
    if pages is None or not hasattr(mmap, "MADV_RANDOM"):
        yield
        return
    pages.madvise(mmap.MADV_RANDOM)
    try:
        yield
    finally:
        pages.madvise(mmap.MADV_NORMAL)
