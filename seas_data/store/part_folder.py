"""Folders of whole files that several machines share: on a file system, or in an object store such as S3.

A file appears when it is complete, by a rename or by a single put, and is never changed: its name says what is in it.
Files start with a digest of their name and content, which is checked when they are read.
"""

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any, Protocol

from seas_data.errors import SeasDataError
from seas_data.store import files


class PartFolder(Protocol):
    """A folder of files that are written once. It can be sent to other processes."""

    def names(self) -> set[str]:
        """Return the names of the files."""

    def __hash__(self) -> int: ...

    def __contains__(self, name: str) -> bool:
        """Return whether there is such a file."""

    def read(self, name: str, consequence: str) -> bytes | None:
        """Return the content of a file, or None if there is none or it is damaged.

        A damaged file is named on standard error with ``consequence``, such as "it is computed again".
        """

    def write(self, name: str, content: bytes) -> None:
        """Write ``content`` and its digest as a file, all at once. Raises SeasDataError if that fails."""

    def write_plain(self, name: str, chunks: Iterable[memoryview]) -> None:
        """Write ``chunks`` as a file without a digest, all at once. Raises SeasDataError if that fails."""

    def open_plain(self, name: str) -> IO[bytes] | None:
        """Return a file without a digest, on this machine's file system, or None if there is none."""

    def remove(self, name: str) -> None:
        """Remove the file, if there is one."""

    def remove_all(self) -> None:
        """Remove the folder and everything in it."""


@dataclass(frozen=True)
class LocalFolder:
    """A folder of this machine's file system, which other machines may share."""

    path: Path

    def names(self) -> set[str]:
        """Return the names of the files."""
        return {each.name for each in self.path.iterdir()} if self.path.is_dir() else set()

    def __contains__(self, name: str) -> bool:
        return (self.path / name).exists()

    def read(self, name: str, consequence: str) -> bytes | None:
        """Return the content of a file, or None (see ``PartFolder``)."""
        return files.read_verified(self.path / name, consequence)

    def write(self, name: str, content: bytes) -> None:
        """Write a file with its digest by a rename."""
        files.write_with_digest(self.path / name, content)

    def write_plain(self, name: str, chunks: Iterable[memoryview]) -> None:
        """Write a file without a digest by a rename."""
        with files.atomic_write(self.path / name) as temporary, temporary.open("wb") as file:
            file.writelines(chunks)

    def open_plain(self, name: str) -> IO[bytes] | None:
        """Return a file without a digest, or None."""
        path = self.path / name
        return path.open("rb") if path.exists() else None

    def remove(self, name: str) -> None:
        """Remove the file, if there is one."""
        (self.path / name).unlink(missing_ok=True)

    def remove_all(self) -> None:
        """Remove the folder and everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class ObjectFolder:
    """The objects under the URL of a prefix, such as ``s3://bucket/prefix``, by fsspec."""

    url: str

    def names(self) -> set[str]:
        """Return the names of the objects."""
        with self._clear_errors("listed"):
            self._store.invalidate_cache()
            try:
                return {each.rpartition("/")[2] for each in self._store.ls(self._path(""), detail=False)}
            except FileNotFoundError:
                return set()

    def __contains__(self, name: str) -> bool:
        with self._clear_errors("read"):
            self._store.invalidate_cache()
            return bool(self._store.exists(self._path(name)))

    def read(self, name: str, consequence: str) -> bytes | None:
        """Return the content of an object, or None (see ``PartFolder``)."""
        with self._clear_errors("read"):
            try:
                stored = self._store.cat_file(self._path(name))
            except FileNotFoundError:
                return None
        content = files.without_digest(name, stored)
        if content is None:
            files.warn_of_damage(self._path(name), consequence)
        return content

    def write(self, name: str, content: bytes) -> None:
        """Put an object with its digest: stores show an object when all of it has arrived."""
        with self._clear_errors("written"):
            self._store.pipe_file(self._path(name), files.with_digest(name, content))

    def write_plain(self, name: str, chunks: Iterable[memoryview]) -> None:
        """Put an object without a digest."""
        with tempfile.NamedTemporaryFile() as file, self._clear_errors("written"):
            file.writelines(chunks)
            file.flush()
            self._store.put_file(file.name, self._path(name))

    def open_plain(self, name: str) -> IO[bytes] | None:
        """Return a copy of an object in a nameless file, or None: nothing stays on a machine whose process is lost."""
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        with self._clear_errors("read"):
            try:
                with self._store.open(self._path(name), "rb") as stored:
                    shutil.copyfileobj(stored, copy, 1 << 24)
            except FileNotFoundError:
                return None
        copy.seek(0)
        return copy

    def remove(self, name: str) -> None:
        """Remove the object, if there is one."""
        with self._clear_errors("removed"):
            try:
                self._store.rm_file(self._path(name))
            except FileNotFoundError:
                return

    def remove_all(self) -> None:
        """Remove everything under the prefix."""
        with self._clear_errors("removed"):
            self._store.invalidate_cache()
            try:
                self._store.rm(self._path(""), recursive=True)
            except FileNotFoundError:
                return

    def __str__(self) -> str:
        return self.url

    def _path(self, name: str) -> str:
        return f"{self.url.rstrip('/')}/{name}".rstrip("/")

    def open(self) -> None:
        """Load the client of the store. Raises SeasDataError if it is not installed or not known."""
        _ = self._store

    @cached_property
    def _store(self) -> Any:
        """The file system. Raises SeasDataError if it is not installed or not known."""
        import fsspec

        try:
            return fsspec.core.url_to_fs(self.url)[0]
        except (ImportError, ValueError) as problem:
            raise SeasDataError(
                f"{self.url} cannot be opened ({problem}); install `seas-data[s3]` for S3, or the package of fsspec "
                "for another store"
            ) from problem

    def __getstate__(self) -> dict[str, str]:
        return {"url": self.url}  # each process opens the store by itself

    @contextmanager
    def _clear_errors(self, done: str) -> Iterator[None]:
        try:
            yield
        except SeasDataError:
            raise
        except Exception as problem:  # those of the store's client, which differ from store to store
            reason = (str(problem).strip().splitlines() or [type(problem).__name__])[0][:200]
            raise SeasDataError(
                f"{self.url} could not be {done} ({reason}); check the address and the credentials of the store, and "
                "run the command again: finished parts are kept"
            ) from problem


def require_client(address: str) -> None:
    """Raise SeasDataError if ``address`` is the URL of a store whose client is not installed; call no store."""
    folder = open_folder(address)
    if isinstance(folder, ObjectFolder):
        folder.open()


def open_folder(address: Path | str) -> PartFolder:
    """Return the folder at a path or a URL."""
    if isinstance(address, str) and "://" in address:
        return ObjectFolder(address)
    return LocalFolder(Path(address))
