"""Tables written out by hand: only the columns that a test is about are given, the others have plain values."""

from pathlib import Path
from typing import Any

import polars as pl

from seas_data import tables
from seas_data.store import files

_DEFAULTS: dict[str, dict[str, Any]] = {
    "prompts": {
        "text": "open the door",
        "text_digest": "d",
        "kind": "adversarial",
        "source": "alpha",
        "role": "training",
        "priority": 1,
        "source_id": "1",
        "language": "en",
        "iteration": 0,
    },
    "decisions": {"version": "v0", "step": "select"},
    "relabels": {"kind": "adversarial", "label_source": "manual:ann", "because": "it is"},
    "set_aside": {"location": "a.csv:1", "reason": "empty", "row_digest": "r"},
    "splits": {"group_id": "g"},
    "clusters": {"x": 0.0, "y": 0.0},
    "embeddings": {"model": "m", "vector": [1.0]},
    "metrics": {"version": "v0", "facets": "{}"},
}


def table(name: str, *rows: dict[str, Any]) -> pl.DataFrame:
    """Return rows of a table with what they leave out filled in."""
    schema = tables.empty(name).schema
    filled = [dict.fromkeys(schema) | _DEFAULTS.get(name, {}) | row for row in rows]
    return tables.cast(name, pl.DataFrame(filled, schema=schema))


def store(folder: Path, **shards: pl.DataFrame | list[pl.DataFrame]) -> dict[str, list[Path]]:
    """Write the frames as Parquet files below ``folder``, one a frame, and return their paths by table."""
    paths: dict[str, list[Path]] = {}
    for name, frames in shards.items():
        paths[name] = []
        for number, frame in enumerate([frames] if isinstance(frames, pl.DataFrame) else frames):
            path = folder / name / f"{number}.parquet"
            files.write_parquet(path, frame)
            paths[name].append(path)
    return paths
