"""Stages of a build: the frames that each slow stage computed, kept until the version is committed, and their times.

A stage is a function of what the build's key covers (the rows, the recipe, the parent version and the code that
computes it), so a killed build that is started again with the same key reads the finished stages and continues. Each
file of a stage is stored with its SHA-256: a stage with a file that is missing or damaged is computed again. The
generation cache is separate: each batch that a model generated is named by everything that determines it
(``models.generation_cache``), so it outlives a change of the key, and a build that was stopped to change a setting
reuses the batches that are still valid.
"""

import hashlib
import io
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from seas_data.console import say
from seas_data.store import files
from seas_data.store.code import code_digest
from seas_data.store.part_folder import open_folder
from seas_data.store.parts import LOCAL, Engine, Parts

_FINISHED = "finished"
"""Marks a finished stage; holds its record (when it was computed, how long that took) and its files' SHA-256."""
RUNS = {
    "version": pl.String(),
    "stage": pl.String(),
    "started": pl.String(),
    "seconds": pl.Float64(),
    "rows": pl.Int64(),
    "peak_megabytes": pl.Int64(),
    "tools": pl.String(),
}
"""Columns of ``runs``: when a stage started (UTC), its seconds, its input rows, the process's peak memory so far."""


class Stages:
    """The stages of one build, in ``folder``/``key``. Creating it removes the stages of other keys.

    ``generation_cache`` is the folder of generated batches; builds of all keys share it as long as the code of
    ``models`` is the same. ``parts`` are those of unfinished stages, computed by ``engine``; builds of all keys share
    them as long as the code of ``similarity`` is the same. They are in ``folder``, or below the folder or URL
    ``parts``.
    """

    def __init__(self, folder: Path, key: str, engine: Engine = LOCAL, parts: str | None = None):
        self.folder = folder / key
        self.generation_cache = folder / f"generation-{code_digest('models')[:16]}"
        name = f"parts-{code_digest('similarity')[:16]}"
        self.parts = Parts(folder / name if parts is None else f"{parts.rstrip('/')}/{name}", engine)
        self._records: list[dict[str, object]] = []
        for other in folder.glob("*"):
            if other not in (self.folder, self.generation_cache, self.parts.folder):
                shutil.rmtree(other, ignore_errors=True)

    def run(self, name: str, rows: int, compute: Callable[[], dict[str, pl.DataFrame]]) -> dict[str, pl.DataFrame]:
        """Return the frames of ``compute``, from the folder if the stage is finished; ``rows`` is its input rows."""
        folder = self.folder / name
        stored = _read_stage(folder)
        if stored is not None:
            record, frames = stored
            self._records.append(record)
            say(f"{_line(record)}, reused")
            return frames
        shutil.rmtree(folder, ignore_errors=True)
        digests = {}
        with self.timed(name, rows):
            frames = compute()
            for table, frame in frames.items():
                with files.atomic_write(folder / f"{table}.arrow") as temporary:
                    frame.write_ipc(temporary)
                    digests[table] = files.sha256(temporary)
        finished = {"record": self._records[-1], "files": digests}
        files.write_with_digest(folder / _FINISHED, json.dumps(finished).encode())
        return frames

    @contextmanager
    def timed(self, name: str, rows: int) -> Iterator[None]:
        """Record how long the stage ``name`` takes and print it to standard error."""
        started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
        yield
        seconds = round(time.perf_counter() - clock, 3)
        peak = _peak_megabytes()
        record = {"stage": name, "started": started, "seconds": seconds, "rows": rows, "peak_megabytes": peak}
        self._records.append(record)
        say(_line(record))

    def remove_parts(self) -> None:
        """Remove the parts that are not in the workspace; those that are go with the other stages."""
        if isinstance(self.parts.folder, str):
            open_folder(self.parts.folder).remove_all()

    def runs(self, version: str, tools: str) -> pl.DataFrame:
        """Return the records so far as the table ``runs``; ``tools`` is a JSON object of the versions of the tools."""
        rows = [{**record, "version": version, "tools": tools} for record in self._records]
        return pl.DataFrame(rows, schema=RUNS)


def _read_stage(folder: Path) -> tuple[dict[str, object], dict[str, pl.DataFrame]] | None:
    """Return the record and the frames of a finished stage, or None unless all of its files are as they were written.

    Frames are read from the bytes that were hashed, not from the file again.
    """
    consequence = f"the stage {folder.name} is computed again"
    content = files.read_verified(folder / _FINISHED, consequence)
    if content is None:
        return None
    finished = json.loads(content)
    frames = {}
    for table, digest in finished["files"].items():
        path = folder / f"{table}.arrow"
        try:
            stored = path.read_bytes()
        except OSError as problem:
            files.warn_of_damage(path, consequence, f"cannot be read ({problem.strerror or problem})")
            return None
        if hashlib.sha256(stored).hexdigest() != digest:
            files.warn_of_damage(path, consequence)
            return None
        frames[table] = pl.read_ipc(io.BytesIO(stored))
    return finished["record"], frames


def _peak_megabytes() -> int | None:
    """Return the most memory that this process has used; None on systems that do not say."""
    try:
        import resource
    except ImportError:
        return None
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used // 1024 if sys.platform != "darwin" else used // 1024**2  # kilobytes, or bytes on macOS


def _line(record: dict[str, object]) -> str:
    return f"{record['stage']:<14}{record['rows']:>10,} rows {record['seconds']:>8.1f} s"
