"""Queries over a version: one SELECT over its views, with the result as a Polars frame.

``run_untrusted`` is for queries that users write: it runs in a separate process with a time limit and a memory limit.
``run_trusted`` is for the package's own queries: the same closed reader in this process, which starts a few times
faster; what exceeds its memory goes to a temporary folder, and it has an hour. In both, DuckDB binds parameters to
``$name``; values are never inserted into the text of a query.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import polars as pl
import pyarrow as pa

from seas_data.errors import SeasDataError
from seas_data.query import macros, reader, views
from seas_data.text import printable

SECONDS = 60.0
TRUSTED_SECONDS = 3600.0
MEMORY = "4GB"
_UNITS = {"KB": 1e3, "MB": 1e6, "GB": 1e9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def run_untrusted(
    shards: dict[str, list[Path]],
    query: str,
    parameters: dict[str, object] | None = None,
    *,
    seconds: float = SECONDS,
    memory: str = MEMORY,
    exact: bool = False,
) -> pl.DataFrame:
    """Return the result of one untrusted SELECT over the tables in ``shards`` (Parquet files of each table).

    The query reads only those files and writes nothing. It is stopped after ``seconds``, or when its process uses more
    than ``memory``. With ``exact``, decimals and integers
    of more than 64 bits stay decimals instead of floats. Raises SeasDataError if the query is refused, fails or is
    stopped.
    """
    _require_text([query, *(value for value in (parameters or {}).values() if isinstance(value, str))])
    request = replace(_make_request(shards, [query], seconds, memory, parameters), exact=exact)
    try:
        process = subprocess.run(
            [sys.executable, "-P", "-X", "utf8", str(reader.__file__)],
            input=reader.to_json(request).encode(),
            capture_output=True,
            timeout=seconds + reader.GRACE,
            env={name: value for name, value in os.environ.items() if name in _ENVIRONMENT},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SeasDataError(reader.timeout_message(seconds)) from None
    if process.returncode == -signal.SIGXCPU:
        raise SeasDataError(reader.timeout_message(seconds))
    if process.returncode < 0:  # killed by its limit, by the kernel's out-of-memory killer, or by a crash
        raise SeasDataError(reader.memory_message(request.memory))
    if process.returncode:
        lines = process.stderr.decode(errors="replace").strip().splitlines()
        if any("MemoryError" in line or "bad_alloc" in line for line in lines):
            raise SeasDataError(reader.memory_message(request.memory))
        raise SeasDataError(
            f"the process of the query failed: {printable(lines[-1] if lines else str(process.returncode))}"
        )
    start = process.stdout.index(b"\n") + 1
    if refused := json.loads(process.stdout[:start]).get("refused"):
        raise SeasDataError(printable(refused))
    return _to_frame(pa.ipc.open_stream(pa.py_buffer(memoryview(process.stdout)[start:])).read_all())


def _require_text(given: Iterable[str]) -> None:
    """Raise SeasDataError unless every text can be encoded: bytes of the command line that are not UTF-8 cannot."""
    for each in given:
        try:
            each.encode()
        except UnicodeEncodeError as problem:
            raise SeasDataError(
                f"the query or a parameter is not UTF-8 text (character {problem.start + 1}); write it in UTF-8, or "
                "set PYTHONUTF8=1"
            ) from None


def run_trusted(shards: dict[str, list[Path]], query: str, parameters: dict[str, object] | None = None) -> pl.DataFrame:
    """Return the result of one of the package's own queries, within DuckDB's limits.

    Raises SeasDataError if it fails.
    """
    return run_all(shards, [(query, parameters or {})])[0]


def run_all(
    shards: dict[str, list[Path]], queries: Sequence[tuple[str, dict[str, object]]], materialised: Sequence[str] = ()
) -> list[pl.DataFrame]:
    """Return the results of several of the package's own queries, each with its parameters, on one connection.

    ``materialised``: views that many of the queries use; they are computed once and kept in memory until the end. For
    many queries on a small version these are all tables, too. Raises SeasDataError if a query fails.
    """
    frames = []
    for each in run_each(shards, queries, materialised):
        if isinstance(each, SeasDataError):
            raise each
        frames.append(each)
    return frames


def run_each(
    shards: dict[str, list[Path]], queries: Sequence[tuple[str, dict[str, object]]], materialised: Sequence[str] = ()
) -> list[pl.DataFrame | SeasDataError]:
    """Return the results as ``run_all`` does, with the error in place of the result of a query that fails.

    Raises SeasDataError if no query can be run, such as when a file is damaged.
    """
    texts = [query for query, _ in queries]
    request = _make_trusted_request(shards, texts, materialised)
    if len(queries) >= _MANY_QUERIES and _size(*shards.values()) <= _SMALL_BYTES:
        materialised = list(dict.fromkeys([*shards, "prompts", "dropped", "kept", *materialised]))
    elif _size(shards.get("prompts", [])) > _LARGE_BYTES:
        materialised = list(dict.fromkeys("dropped" if name in _LARGE_VIEWS else name for name in materialised))
    try:
        tables = _READERS.run(request, queries, materialised)
    except reader.RefusedError as problem:
        raise SeasDataError(printable(str(problem))) from problem
    return [
        SeasDataError(printable(str(each))) if isinstance(each, reader.RefusedError) else _to_frame(each)
        for each in tables
    ]


# Several queries on a version of a few megabytes take a third of the time if its files are read once, into memory.
_MANY_QUERIES = 5
_SMALL_BYTES = 16_000_000


# Views with the texts of all prompts would fill the memory; of them only the drops are computed once.
_LARGE_BYTES = 32_000_000  # of the files of prompts: from some 200,000 prompts on
_LARGE_VIEWS = ("kept", "target_prompts")


def _size(*paths: list[Path]) -> int:
    return sum(state[1] for listed in paths for path in listed if (state := _state(str(path))))


def stream_trusted(shards: dict[str, list[Path]], query: str, rows: int) -> Iterator[pl.DataFrame]:
    """Yield the result of one of the package's own queries in parts of ``rows`` rows; no rows are one part.

    Raises SeasDataError if it fails.
    """
    try:
        yield from map(_to_frame, _READERS.stream(_make_trusted_request(shards, [query]), query, rows))
    except reader.RefusedError as problem:
        raise SeasDataError(printable(str(problem))) from problem


class _Readers:
    """Readers that stay open, because a command often runs many queries on the same one or two versions.

    Those of one version may have two: with the views of the library, or without.

    A reader is used again only for the same views of the same unchanged files, and closed once a query failed on it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._open: dict[object, reader.Reader] = {}

    def run(
        self, request: reader.Request, queries: Sequence[tuple[str, dict[str, object]]], materialised: Sequence[str]
    ) -> list[pa.Table | reader.RefusedError]:
        """Return the results as ``reader.Reader.run`` does."""
        with self._borrow(request) as opened:
            results = opened.run(queries, materialised, request.variables)
            if any(isinstance(result, reader.RefusedError) for result in results):
                opened.close()
        return results

    def stream(self, request: reader.Request, query: str, rows: int) -> Iterator[pa.Table]:
        """Yield the result in parts as ``reader.Reader.stream`` does."""
        with self._borrow(request) as opened:
            yield from opened.stream(query, rows)

    @contextlib.contextmanager
    def _borrow(self, request: reader.Request) -> Iterator[reader.Reader]:
        """Give one caller a reader, and keep it afterwards unless it was closed or a query raised an error."""
        key = (tuple(request.views), request.seconds, request.memory, tuple(map(_state, request.paths)))
        with self._lock:
            opened = self._open.pop(key, None)
        opened = opened or reader.Reader(request)
        try:
            yield opened
        except BaseException:
            opened.close()
            raise
        if opened.closed:
            return
        with self._lock:
            if key in self._open:  # another thread gave one back meanwhile
                self._open.pop(key).close()
            self._open[key] = opened
            while len(self._open) > self._limit:
                self._open.pop(next(iter(self._open))).close()


_READERS = _Readers(4)


def _state(path: str) -> tuple[int, ...] | None:
    """Return what changes when the file at ``path`` does; None if there is none."""
    try:
        about = Path(path).stat()
    except (OSError, ValueError):
        return None
    return about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns


def _to_frame(table: pa.Table) -> pl.DataFrame:
    return cast(pl.DataFrame, pl.from_arrow(table))


# What a process needs to start. The rest of the environment may hold tokens, so the query's process does not get it.
_ENVIRONMENT = {"PATH", "HOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "SYSTEMROOT"}


def _make_trusted_request(
    shards: dict[str, list[Path]], queries: Sequence[str], materialised: Sequence[str] = ()
) -> reader.Request:
    needs_library = any(view in text for text in [*queries, *materialised] for view in views.LIBRARY_VIEWS)
    request = _make_request(shards, queries, TRUSTED_SECONDS, MEMORY, library_views=needs_library)
    return replace(request, spill=True)


def _make_request(
    shards: dict[str, list[Path]],
    queries: Sequence[str],
    seconds: float,
    memory: str,
    parameters: dict[str, Any] | None = None,
    library_views: bool = True,
) -> reader.Request:
    absolute = {table: [str(path.absolute()) for path in paths] for table, paths in shards.items()}
    return reader.Request(
        views=views.create_statements(absolute, variables=False, library_views=library_views),
        variables=macros.set_variables() if any(map(macros.needs_variables, queries)) else [],
        # DuckDB checks the pattern of a view and then each file that it matches.
        paths=[form for paths in absolute.values() for path in paths for form in {path, views.literal_path(path)}],
        query=queries[0] if queries else "",
        parameters=parameters or {},
        seconds=seconds,
        memory=_parse_bytes(memory),
    )


def _parse_bytes(size: str) -> int:
    match = re.fullmatch(r"\s*([0-9.]+)\s*([KMG]i?B)\s*", size, re.IGNORECASE)
    if match is None:
        raise SeasDataError(f"{size!r} is not an amount of memory; write it as 500MB or 4GB")
    return int(float(match[1]) * _UNITS[match[2].upper()])
