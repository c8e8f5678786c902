"""Parts: results of work units, each stored in a file whose name is the digest of everything that determines it.

A step that takes long maps a pure function from frame to frame over slices of its input. ``Parts.map`` names each part
by the function, its settings and the rows, asks an engine to compute the parts that are not stored, and reads them in
the order of the slices. An engine only decides where a unit runs: in this process (``LOCAL``) or on a cluster
(``seas_data.engine_ray``). A part appears by a rename when it is complete, so it does not matter how often, where and
by whom a unit was started: a killed process or machine loses the units it was working on, and parts that one engine
stored are read by the other.
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from seas_data.store import files

Function = Callable[[pl.DataFrame, Mapping[str, Any]], pl.DataFrame]
"""A pure function of a module, so that another process can import it: of a slice and settings (values of JSON)."""


class Engine(Protocol):
    """Runs a function on work units, in any order and possibly more than once."""

    def run(
        self, function: Callable[[Any], None], units: Iterable[Any], count: int, what: str, *, gpus: int = 0
    ) -> None:
        """Call ``function``, which stores its result, on each of the ``count`` units; return when all are finished.

        ``what`` describes the work to people; ``gpus`` is the number of GPUs that a unit uses. Raises SeasDataError if
        a unit cannot be finished.
        """


class Local:
    """Runs units one after the other in this process."""

    def run(
        self, function: Callable[[Any], None], units: Iterable[Any], count: int, what: str, *, gpus: int = 0
    ) -> None:
        """Call ``function`` on each unit."""
        for unit in units:
            function(unit)


LOCAL = Local()


@dataclass(frozen=True)
class Parts:
    """A folder of parts and the engine that computes them.

    The folder must be for one state of the code only. Without a folder, parts are computed in this process and not
    stored.
    """

    folder: Path | None
    engine: Engine = LOCAL

    def map(
        self, function: Function, cut: Callable[[int], pl.DataFrame], count: int, settings: Mapping[str, Any], what: str
    ) -> Iterator[pl.DataFrame]:
        """Yield ``function(cut(number), settings)`` for the numbers 0 to ``count`` - 1, in order.

        ``cut`` returns a slice of the input each time it is asked for it, so not all slices are in memory at once. A
        single part of this process is not stored: there is nothing to resume.

        Raises SeasDataError if a part cannot be computed or stored.
        """
        if self.folder is None or (count == 1 and self.engine is LOCAL):
            for number in range(count):
                yield function(cut(number), settings)
            return
        paths = [self.folder / _name(function, settings, to_bytes(cut(number))) for number in range(count)]
        missing = {path: number for number, path in enumerate(paths) if not path.exists()}
        units = (Unit(function, to_bytes(cut(number)), settings, path) for path, number in missing.items())
        self.engine.run(store_part, units, len(missing), what)
        for number, path in enumerate(paths):
            content = files.read_verified(path, "it is computed again")
            if content is None:  # damaged, or not yet visible on this machine
                content = Unit(function, to_bytes(cut(number)), settings, path).store()
            yield pl.read_ipc(io.BytesIO(content))


@dataclass(frozen=True)
class Unit:
    """One work unit: ``function`` of the frame in ``rows`` (Arrow IPC), to be stored at ``path``."""

    function: Function
    rows: bytes
    settings: Mapping[str, Any]
    path: Path

    def store(self) -> bytes:
        """Compute the part, store it and return its bytes (Arrow IPC)."""
        content = to_bytes(self.function(pl.read_ipc(io.BytesIO(self.rows)), self.settings))
        files.write_with_digest(self.path, content)
        return content


def store_part(unit: Unit) -> None:
    """Compute and store a part, unless another process has stored it in the meantime."""
    if not unit.path.exists():
        unit.store()


def _name(function: Function, settings: Mapping[str, Any], rows: bytes) -> str:
    determined_by = json.dumps([function.__module__, function.__qualname__, dict(settings)], sort_keys=True)
    digest = hashlib.sha256(determined_by.encode() + b"\0")
    digest.update(rows)
    return f"{function.__name__.strip('_')}-{digest.hexdigest()[:32]}.part"


def to_bytes(frame: pl.DataFrame) -> bytes:
    """Return ``frame`` as Arrow IPC; equal rows have equal bytes."""
    buffer = io.BytesIO()
    # One chunk, and strings without the buffers of the frame that a slice was cut from: equal rows, equal bytes.
    frame.rechunk().write_ipc(buffer, compat_level=pl.CompatLevel.oldest())
    return buffer.getvalue()
