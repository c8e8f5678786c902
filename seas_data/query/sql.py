"""Asking a version: one SELECT over its views, answered as a Polars frame.

``run`` is for queries that people write: it answers in a process of its own, which cannot outlive its time or outgrow
its memory. ``read`` is for the package's own queries: the same closed reader, in this process, a few times faster to
start. Values are bound to ``$name`` by DuckDB in both; nothing is ever pasted into a query.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import polars as pl
import pyarrow as pa

from seas_data.errors import SeasDataError
from seas_data.query import macros, reader, views
from seas_data.text import printable

SECONDS = 60.0
MEMORY = "4GB"
_GRACE = 3.0  # for the reader to start, and to stop by itself
_UNITS = {"KB": 1e3, "MB": 1e6, "GB": 1e9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


def run(
    shards: dict[str, list[Path]],
    query: str,
    parameters: dict[str, object] | None = None,
    *,
    seconds: float = SECONDS,
    memory: str = MEMORY,
) -> pl.DataFrame:
    """Return what one SELECT, written by anybody, says of the tables in ``shards`` (Parquet files, table by table).

    It reads those files and no other, writes nothing, and is stopped after ``seconds`` or beyond ``memory`` (the whole
    of what its process takes). Raises SeasDataError with one sentence for whatever it is not allowed or cannot do.
    """
    request = _request(shards, [query], seconds, memory, parameters)
    try:
        ended = subprocess.run(
            [sys.executable, "-P", "-X", "utf8", str(reader.__file__)],
            input=reader.to_json(request).encode(),
            capture_output=True,
            timeout=seconds + _GRACE,
            env={name: value for name, value in os.environ.items() if name in _ENVIRONMENT},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise SeasDataError(reader.too_long(seconds)) from None
    if ended.returncode < 0:  # killed: by its limit, by the kernel for want of memory, or by a fault in it
        raise SeasDataError(reader.too_much(request.memory))
    if ended.returncode:
        said = ended.stderr.decode(errors="replace").strip().splitlines()
        if any("MemoryError" in line or "bad_alloc" in line for line in said):
            raise SeasDataError(reader.too_much(request.memory))
        raise SeasDataError(f"the query's process failed: {printable(said[-1] if said else str(ended.returncode))}")
    start = ended.stdout.index(b"\n") + 1
    if refused := json.loads(ended.stdout[:start]).get("refused"):
        raise SeasDataError(printable(refused))
    return _frame(pa.ipc.open_stream(pa.py_buffer(memoryview(ended.stdout)[start:])).read_all())


def read(shards: dict[str, list[Path]], query: str, parameters: dict[str, object] | None = None) -> pl.DataFrame:
    """Return what one of the package's own queries says, within the limits that DuckDB keeps. Raises SeasDataError."""
    return read_all(shards, [(query, parameters or {})])[0]


def read_all(
    shards: dict[str, list[Path]], asked: Sequence[tuple[str, dict[str, object]]], held: Sequence[str] = ()
) -> list[pl.DataFrame]:
    """Return what several of the package's own queries say, each with its parameters: as ``read``, but opened once.

    ``held`` names views that many of them ask: those are worked out once and held in memory meanwhile.
    """
    found = []
    for each in read_each(shards, asked, held):
        if isinstance(each, SeasDataError):
            raise each
        found.append(each)
    return found


def read_each(
    shards: dict[str, list[Path]], asked: Sequence[tuple[str, dict[str, object]]], held: Sequence[str] = ()
) -> list[pl.DataFrame | SeasDataError]:
    """Return as ``read_all``, with the error in an answer's place. Raises SeasDataError where none can be asked."""
    request = _request(shards, [query for query, _ in asked], SECONDS, MEMORY)
    try:
        tables = reader.answers(request, asked, held)
    except reader.RefusedError as problem:
        raise SeasDataError(printable(str(problem))) from problem
    return [
        SeasDataError(printable(str(each))) if isinstance(each, reader.RefusedError) else _frame(each)
        for each in tables
    ]


def _frame(table: pa.Table) -> pl.DataFrame:
    return cast(pl.DataFrame, pl.from_arrow(table))


# What a process needs to start. The rest of the environment may hold tokens and is nothing to a query.
_ENVIRONMENT = {"PATH", "HOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "SYSTEMROOT"}


def _request(
    shards: dict[str, list[Path]],
    queries: Sequence[str],
    seconds: float,
    memory: str,
    parameters: dict[str, Any] | None = None,
) -> reader.Request:
    places = {table: [str(path.absolute()) for path in paths] for table, paths in shards.items()}
    return reader.Request(
        views=views.statements(places, variables=any(map(macros.asked_for, queries))),
        paths=[path for paths in places.values() for path in paths],
        query=queries[0] if queries else "",
        parameters=parameters or {},
        seconds=seconds,
        memory=_bytes(memory),
    )


def _bytes(size: str) -> int:
    found = re.fullmatch(r"\s*([0-9.]+)\s*([KMG]i?B)\s*", size, re.IGNORECASE)
    if found is None:
        raise SeasDataError(f"{size!r} is no amount of memory; write it as 500MB or 4GB")
    return int(float(found[1]) * _UNITS[found[2].upper()])
