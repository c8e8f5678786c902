"""Parts: results of work units, each stored in a file whose name is the digest of everything that determines it.

A step that takes long maps a pure function from frame to frame over slices of its input. ``Parts.map`` names each part
by the function, its settings and the rows, asks an engine to compute the parts that are not stored, and reads them in
the order of the slices. An engine only decides where a unit runs: in this process (``LOCAL``) or on a cluster
(``seas_data.engine_ray``). A part appears by a rename when it is complete, so it does not matter how often, where and
by whom a unit was started: a killed process or machine loses the units it was working on, and parts that one engine
stored are read by the other.

Units that compare vectors share one matrix, which is written once, and only if an engine runs them elsewhere.
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from seas_data.store.part_folder import PartFolder, open_folder
from seas_data.store.shared_matrix import Matrix, read_matrix

Function = Callable[..., pl.DataFrame]
"""A pure function of a module, so that another process can import it: of a slice, settings (values of JSON) and, if the
units share one, a ``Matrix``."""


class Engine(Protocol):
    """Runs a function on work units, in any order and possibly more than once."""

    store: str | None
    """The folder or URL where units store results; None if they see the workspace."""

    def run(
        self, function: Callable[[Any], None], units: Iterable[Any], count: int, what: str, *, gpus: int = 0
    ) -> None:
        """Call ``function``, which stores its result, on each of the ``count`` units; return when all are finished.

        ``what`` describes the work to people; ``gpus`` is the number of GPUs that a unit uses. Raises SeasDataError if
        a unit cannot be finished.
        """


class Local:
    """Runs units one after the other in this process."""

    store: str | None = None

    def run(
        self, function: Callable[[Any], None], units: Iterable[Any], count: int, what: str, *, gpus: int = 0
    ) -> None:
        """Call ``function`` on each unit."""
        for unit in units:
            function(unit)


LOCAL = Local()


@dataclass(frozen=True)
class Parts:
    """A folder of parts (a path, or the URL of an object store) and the engine that computes them.

    The folder must be for one state of the code only. Without a folder, parts are computed in this process and not
    stored.
    """

    folder: Path | str | None
    engine: Engine = LOCAL

    def map(
        self,
        function: Function,
        cut: Callable[[int], pl.DataFrame],
        count: int,
        settings: Mapping[str, Any],
        what: str,
        *,
        matrix: Matrix | None = None,
        gpus: int = 0,
    ) -> Iterator[pl.DataFrame]:
        """Yield ``function(cut(number), settings)`` for the numbers 0 to ``count`` - 1, in order.

        ``cut`` returns a slice of the input each time it is asked for it, so not all slices are in memory at once. With
        a ``matrix``, whose rows the slices refer to, that is the function's third argument. A unit uses ``gpus`` GPUs.
        A single part of this process is not stored: there is nothing to resume.

        Raises SeasDataError if a part cannot be computed or stored.
        """
        shared = () if matrix is None else (matrix,)
        if self.folder is None or (count == 1 and self.engine is LOCAL):
            for number in range(count):
                yield function(cut(number), settings, *shared)
            return
        folder = open_folder(self.folder)
        names = [_name(function, settings, matrix, to_bytes(cut(number))) for number in range(count)]
        if self.engine is not LOCAL:
            stored = folder.names()
            missing = {name: number for number, name in enumerate(names) if name not in stored}
            described = None
            if matrix is not None and missing:
                matrix.write(folder)
                described = (matrix.name, matrix.shape)
            units = (
                Unit(function, to_bytes(cut(number)), settings, folder, name, described)
                for name, number in missing.items()
            )
            self.engine.run(store_part, units, len(missing), what, gpus=gpus)
        for number, name in enumerate(names):
            content = folder.read(name, "it is computed again")
            if content is None:  # of this process, damaged, or not yet visible on this machine
                content = to_bytes(function(cut(number), settings, *shared))
                folder.write(name, content)
            yield pl.read_ipc(io.BytesIO(content))


@dataclass(frozen=True)
class Unit:
    """One work unit: ``function`` of the frame in ``rows`` (Arrow IPC), to be stored in ``folder`` as ``name``.

    ``matrix``: the name and the shape of the matrix that the rows refer to.
    """

    function: Function
    rows: bytes
    settings: Mapping[str, Any]
    folder: PartFolder
    name: str
    matrix: tuple[str, tuple[int, int]] | None = None

    def store(self) -> None:
        """Compute the part and store it."""
        shared = () if self.matrix is None else (read_matrix(self.folder, *self.matrix),)
        part = self.function(pl.read_ipc(io.BytesIO(self.rows)), self.settings, *shared)
        self.folder.write(self.name, to_bytes(part))


def store_part(unit: Unit) -> None:
    """Compute and store a part, unless another process has stored it in the meantime."""
    if unit.name not in unit.folder:
        unit.store()


def _name(function: Function, settings: Mapping[str, Any], matrix: Matrix | None, rows: bytes) -> str:
    shared = [] if matrix is None else [matrix.name]
    determined_by = json.dumps([function.__module__, function.__qualname__, dict(settings), *shared], sort_keys=True)
    digest = hashlib.sha256(determined_by.encode() + b"\0")
    digest.update(rows)
    return f"{function.__name__.strip('_')}-{digest.hexdigest()[:32]}.part"


def to_bytes(frame: pl.DataFrame) -> bytes:
    """Return ``frame`` as Arrow IPC; equal rows have equal bytes."""
    buffer = io.BytesIO()
    # One chunk, and strings without the buffers of the frame that a slice was cut from: equal rows, equal bytes.
    frame.rechunk().write_ipc(buffer, compat_level=pl.CompatLevel.oldest())
    return buffer.getvalue()
