"""Atomic writes, locks and hashes of files, and Parquet whose bytes depend on the rows alone."""

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from seas_data.console import say
from seas_data.errors import SeasDataError

TEMPORARY = ".unfinished-"
ROWS_PER_GROUP = 50_000
_ROWS_PER_GROUP_ASIDE = 20_000
_DIGEST_BYTES = 32


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces ``path`` when the block succeeds and is removed when it raises.

    The file and its folder are flushed to disk first, so a power cut leaves the old state or the new one.
    Raises SeasDataError if the file cannot be written, for example because the disk is full.
    """
    temporary = path.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as problem:
        raise SeasDataError(
            f"{path} could not be written ({problem.strerror or problem}); free space there or permit writing, and run "
            "the command again: no file was partly written"
        ) from problem
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def read_text(path: Path) -> str:
    """Return the content of a text file. Raises SeasDataError if it is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as problem:
        raise SeasDataError(f"{path} is not UTF-8 text (byte {problem.start}); save it as UTF-8") from problem


def write_text(path: Path, text: str, *, private: bool = False) -> None:
    """Write ``text`` to ``path`` atomically, in UTF-8. ``private``: only its owner can read it."""
    with atomic_write(path) as temporary:
        if private:
            temporary.touch(mode=0o600)
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_with_digest(path: Path, content: bytes) -> None:
    """Write the SHA-256 of the file's name and ``content``, then ``content``, to ``path`` atomically."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(with_digest(path.name, content))


def read_verified(path: Path, consequence: str) -> bytes | None:
    """Return what ``write_with_digest`` wrote to ``path``, or None if there is no such file or it is damaged.

    A damaged file is named on standard error with ``consequence``, such as "it is computed again".
    """
    try:
        stored = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as problem:
        warn_of_damage(path, consequence, f"cannot be read ({problem.strerror or problem})")
        return None
    content = without_digest(path.name, stored)
    if content is None:
        warn_of_damage(path, consequence)
    return content


def with_digest(name: str, content: bytes) -> bytes:
    """Return the SHA-256 of a file's ``name`` and ``content``, and ``content`` after it."""
    return hashlib.sha256(name.encode() + b"\0" + content).digest() + content


def without_digest(name: str, stored: bytes) -> bytes | None:
    """Return the content of what ``with_digest`` returned, or None if it is damaged."""
    content = stored[_DIGEST_BYTES:]
    return content if stored == with_digest(name, content) else None


def warn_of_damage(path: Path | str, consequence: str, problem: str = "is damaged") -> None:
    """Print that the file at ``path``, which can be made again, has a ``problem``, and the ``consequence``."""
    say(f"{path} {problem}; {consequence}")


def write_parquet(path: Path, frame: pl.DataFrame) -> None:
    """Write ``frame`` to ``path`` atomically.

    Content-defined chunking cuts pages by content, so a file that shares rows with another file shares bytes with it,
    and the Hub stores those bytes once. A frame without rows is written without a row group, because `datasets` cannot
    read an empty one.
    """
    schema = _arrow(frame.clear()).schema
    with (
        atomic_write(path) as temporary,
        pq.ParquetWriter(
            temporary, schema, compression="zstd", use_content_defined_chunking=True, write_page_index=True
        ) as writer,
    ):
        for part in frame.iter_slices(ROWS_PER_GROUP):  # memory holds one row group in Arrow's form
            if part.height:  # in one chunk: Arrow would cut pages where a chunk ends
                writer.write_table(_arrow(part.rechunk()), row_group_size=ROWS_PER_GROUP)


def put_aside(path: Path, frame: pl.DataFrame) -> None:
    """Write ``frame`` to ``path`` atomically, as Parquet, so that memory need not hold it until it is read again.

    Raises SeasDataError if the file cannot be written.
    """
    with atomic_write(path) as temporary:
        try:
            frame.write_parquet(temporary, compression="lz4", statistics=False, row_group_size=_ROWS_PER_GROUP_ASIDE)
        except pl.exceptions.ComputeError as problem:  # Polars writes other formats with an OSError
            raise OSError(str(problem).rpartition("IO error: ")[2]) from problem


def link_or_copy(path: Path, target: Path) -> None:
    """Make the file at ``path`` available at ``target``: by a hard link, which takes no space, or else a copy."""
    try:
        os.link(path, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(path, target)


def sha256(path: Path) -> str:
    """Return the SHA-256 of the file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def exclusive_lock(path: Path, message: str) -> Iterator[None]:
    """Hold the lock at ``path``. Raises SeasDataError with ``message`` if another process holds it."""
    lock = filelock.FileLock(path)
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise SeasDataError(message) from None
    try:
        yield
    finally:
        lock.release()


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files below ``folder`` that killed processes left."""
    for path in folder.rglob(f"{TEMPORARY}*"):
        path.unlink(missing_ok=True)


def _arrow(frame: pl.DataFrame) -> pa.Table:
    # Polars exports large_string; other tools write and expect string.
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    return table.cast(pa.schema([pa.field(field.name, _plain(field.type)) for field in table.schema]))


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_large_list(kind):
        return pa.list_(pa.field("element", _plain(kind.value_type)))
    return kind
