"""Writing files so that they are whole or not there at all, and Parquet so that the same rows give the same bytes."""

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from seas_data.errors import SeasDataError

TEMPORARY = ".unfinished-"
ROWS_PER_GROUP = 50_000


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary neighbour of ``path`` that takes its place when the block ends well, and goes when it does not.

    The file and its folder are flushed to the disk first, so a power cut leaves the old state or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        temporary.unlink(missing_ok=True)


def read_text(path: Path) -> str:
    """Return what stands in a text file; raise SeasDataError if it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as problem:
        raise SeasDataError(f"{path} is not text in UTF-8 (byte {problem.start}); save it as that") from problem


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` in UTF-8, whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_parquet(path: Path, frame: pl.DataFrame) -> None:
    """Write ``frame`` to ``path``, whole or not at all.

    Content-defined chunking cuts pages by content, so that a file which shares rows with another shares its bytes too
    and the Hub stores them once. Without rows there is no group of rows: `datasets` cannot read one that is empty.
    """
    table = _arrow(frame)
    with (
        atomic_write(path) as temporary,
        pq.ParquetWriter(
            temporary, table.schema, compression="zstd", use_content_defined_chunking=True, write_page_index=True
        ) as writer,
    ):
        if table.num_rows:
            writer.write_table(table, row_group_size=ROWS_PER_GROUP)


def link_or_copy(path: Path, target: Path) -> None:
    """Put the file at ``path`` at ``target`` too: as a link where the disk can, so that it takes no room."""
    try:
        os.link(path, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(path, target)


def sha256(path: Path) -> str:
    """Return the SHA-256 of the file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def exclusive_lock(path: Path, otherwise: str) -> Iterator[None]:
    """Hold the lock at ``path``. Raises SeasDataError with the sentence ``otherwise`` when another process holds it."""
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise SeasDataError(otherwise) from None
    try:
        yield
    finally:
        lock.release()


def remove_unfinished(folder: Path) -> None:
    """Remove what writers that were killed left below ``folder``."""
    for path in folder.rglob(f"{TEMPORARY}*"):
        path.unlink(missing_ok=True)


def _arrow(frame: pl.DataFrame) -> pa.Table:
    # Polars hands over large_string; plain string is what other tools write and read.
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    return table.cast(pa.schema([pa.field(field.name, _plain(field.type)) for field in table.schema]))


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_large_list(kind):
        return pa.list_(pa.field("element", _plain(kind.value_type)))
    return kind
