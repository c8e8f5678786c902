"""SQLite files of tools: plain tables, read without writing, locking or running anything that the file defines."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from seas_data.errors import SeasDataError

MAGIC: Final = b"SQLite format 3\x00"
MAX_VALUE: Final = 256 << 20
"""A value with more bytes than this is refused."""


class SqliteFile:
    """An open database. ``rows`` reads the named columns of a table; a column that it lacks is null."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection, self._path = connection, path
        found = connection.execute("select name, sql from sqlite_master where type = 'table'").fetchall()
        self._tables = {
            name: [column[1] for column in connection.execute(f"pragma table_info({_quoted(name)})")]
            for name, statement in found
            if isinstance(statement, str) and not statement.lstrip().casefold().startswith("create virtual")
        }

    def __contains__(self, table: str) -> bool:
        return table in self._tables

    def rows(self, table: str, columns: tuple[str, ...], order: tuple[str, ...] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a table in the order of ``order``; nothing if there is no such table.

        Raises SeasDataError if the file is damaged.
        """
        if table not in self._tables:
            return
        names = self._tables[table]
        selected = ", ".join(_quoted(name) if name in names else "null" for name in columns)
        ordered = ", ".join(_quoted(name) for name in order if name in names)
        query = f"select {selected} from {_quoted(table)}" + (f" order by {ordered}" if ordered else "")
        try:
            yield from self._connection.execute(query)
        except (sqlite3.Error, OverflowError) as problem:
            raise _unreadable(self._path, problem) from problem


@contextmanager
def open_sqlite(path: Path) -> Iterator[SqliteFile]:
    """Open a database for reading. Raises SeasDataError if it is none, is damaged, or was not closed by its tool."""
    for ending in ("-wal", "-journal"):
        beside = path.with_name(path.name + ending)
        if beside.exists() and beside.stat().st_size:
            raise SeasDataError(
                f"{path} has rows that are still in {beside.name}: close its tool, or write them into the file with: "
                f'sqlite3 {path.name} "pragma wal_checkpoint(truncate)"'
            )
    address = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
    try:
        connection = sqlite3.connect(address, uri=True)
    except sqlite3.Error as problem:
        raise _unreadable(path, problem) from problem
    try:
        connection.text_factory = lambda value: value.decode(errors="surrogateescape")
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE)
        connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
        yield SqliteFile(connection, path)
    except sqlite3.Error as problem:
        raise _unreadable(path, problem) from problem
    finally:
        connection.close()


def json_or_none(value: object) -> Any:
    """Return the JSON value of a text column; None if it is none."""
    if not isinstance(value, str):
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _unreadable(path: Path, problem: Exception) -> SeasDataError:
    return SeasDataError(f"{path} cannot be read as an SQLite database ({problem}); get the file again")
