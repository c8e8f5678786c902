"""What a build has done so far: each slow stage's frames, kept until the version is whole, and how long each took.

A stage is a function of what the build's key covers (the rows, the recipe, the parent version, the program's version),
so a killed build that is started again with the same key takes the finished stages from here and goes on. Parts of what
models write are named by all that made them (``models.parts``), so they outlive a change of the key: a build that was
stopped to change a setting goes on with those that are still what it would write.
"""

import json
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version as installed
from pathlib import Path

import polars as pl

from seas_data.store import files

_WHOLE = "whole.json"
"""Marks a finished stage, and says when it was computed and how long that took."""
RUNS = {
    "version": pl.String(),
    "stage": pl.String(),
    "started": pl.String(),
    "seconds": pl.Float64(),
    "rows": pl.Int64(),
    "peak_megabytes": pl.Int64(),
    "tools": pl.String(),
}
"""Columns of ``runs``: when a stage started (UTC), how long it took, the rows it got, the process's peak so far."""


class Stages:
    """The stages of one build, in ``folder``/``key``; those of other builds there are forgotten.

    ``parts`` is the folder for parts of what models write, which is every build's of this program.
    """

    def __init__(self, folder: Path, key: str):
        self.folder = folder / key
        self.parts = folder / f"parts-{installed('seas-data')}"
        self._records: list[dict[str, object]] = []
        for other in folder.glob("*"):
            if other not in (self.folder, self.parts):
                shutil.rmtree(other, ignore_errors=True)

    def run(self, name: str, rows: int, compute: Callable[[], dict[str, pl.DataFrame]]) -> dict[str, pl.DataFrame]:
        """Return what ``compute`` returns, from the folder if this stage was finished before; ``rows`` go in."""
        place = self.folder / name
        if (place / _WHOLE).exists():
            record = json.loads((place / _WHOLE).read_text(encoding="utf-8"))
            self._records.append(record)
            print(f"{_line(record)}, done before", file=sys.stderr)
            return {path.stem: pl.read_ipc(path) for path in sorted(place.glob("*.arrow"))}
        with self.timed(name, rows):
            frames = compute()
            for table, frame in frames.items():
                with files.replacing(place / f"{table}.arrow") as temporary:
                    frame.write_ipc(temporary)
        files.write_text(place / _WHOLE, json.dumps(self._records[-1]) + "\n")
        return frames

    @contextmanager
    def timed(self, name: str, rows: int) -> Iterator[None]:
        """Record how long the stage ``name`` takes and say so on standard error."""
        started, clock = datetime.now(UTC).isoformat(timespec="seconds"), time.perf_counter()
        yield
        seconds = round(time.perf_counter() - clock, 3)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        record = {"stage": name, "started": started, "seconds": seconds, "rows": rows, "peak_megabytes": peak}
        self._records.append(record)
        print(_line(record), file=sys.stderr)

    def runs(self, version: str, tools: str) -> pl.DataFrame:
        """Return the records so far with the columns of ``RUNS``; ``tools`` names the versions of what was used."""
        rows = [{**record, "version": version, "tools": tools} for record in self._records]
        return pl.DataFrame(rows, schema=RUNS)


def _line(record: dict[str, object]) -> str:
    return f"{record['stage']:<14}{record['rows']:>10,} rows {record['seconds']:>8.1f} s"
