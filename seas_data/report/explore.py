"""A version as a map to walk through in embedding-atlas: one Parquet file, and the command that opens it.

The file has a row for each kept prompt that has a place on the map, sorted by prompt_id:

    prompt_id, text, kind, type, risk_category, attack_style, difficulty, label_source, source, licence, language,
    iteration, split, cluster       as in the tables
    success     the share of its judged responses that were unsafe, all targets together; null if it was not asked
    x, y        its place
    neighbours  {ids, distances}: the rows (from 0) most alike and one less their cosine, nearest first; exact

Texts of prompts are in it, since they are what one looks for there; responses never are. embedding-atlas brings a
hundred packages that this project does not need, so that it runs in an environment of its own.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.report.success_rates import SUCCESS, matrix
from seas_data.store.files import write_parquet

NEIGHBOURS = 10
FILE = "prompts.parquet"
RELEASE = "0.26.0"  # of embedding-atlas, with which the file was opened

_QUERY = f"""
with {SUCCESS.strip()}
select
    prompt_id, kept.text, kept.kind, kept.type, kept.risk_category, kept.attack_style, kept.difficulty,
    kept.label_source, kept.source, kept.licence, kept.language, kept.iteration, splits.split,
    clusters.label as cluster, success.success, clusters.x, clusters.y, embeddings.vector
from kept
join clusters using (prompt_id)
join embeddings using (prompt_id)
left join splits using (prompt_id)
left join success using (prompt_id)
order by prompt_id
"""


@dataclass(frozen=True)
class Explored:
    """What was written: the file, its rows, the kept prompts without a place, and the command that opens it."""

    path: Path
    rows: int
    without: int
    command: str


def write(version: Version, folder: Path, *, neighbours: int = NEIGHBOURS) -> Explored:
    """Write the map of ``version`` into ``folder``. Raises SeasDataError where no prompt has a place."""
    found = frame(version, neighbours=neighbours)
    kept = int(version.select("select count(*) as rows from kept").item())
    path = folder / FILE
    write_parquet(path, found)
    return Explored(path, found.height, kept - found.height, command(path))


def frame(version: Version, *, neighbours: int = NEIGHBOURS) -> pl.DataFrame:
    """Return the rows of the map; see the module for its columns."""
    from seas_data.similarity.cosine_neighbours import find_top

    rows = version.select(_QUERY)
    if rows.is_empty():
        raise SeasDataError(
            f"no kept prompt of {version.name} has a place on the map: its recipe names no embedder, or no cluster step"
        )
    index, cosine = find_top(matrix(rows["vector"]), min(neighbours, max(rows.height - 1, 0)))
    alike = pl.DataFrame(
        {
            "ids": pl.Series(index, dtype=pl.List(pl.Int64)),
            "distances": pl.Series(np.maximum(1 - cosine.astype(np.float64), 0), dtype=pl.List(pl.Float64)),
        }
    )
    return rows.drop("vector").with_columns(neighbours=alike.to_struct())


def command(path: Path) -> str:
    """Return the one command that opens the file, in an environment of its own."""
    return f"uvx embedding-atlas@{RELEASE} {shlex.quote(str(path))} --text text --x x --y y --neighbors neighbours"
