"""The kept prompts as a Parquet file for embedding-atlas, and the command that opens it.

The file has a row for each kept prompt with map coordinates, sorted by prompt_id; of more than 100,000 it has a
sample, the same proportion of each cluster:

    prompt_id, text, kind, type, risk_category, attack_style, difficulty, label_source, source, licence, language,
    iteration, split, cluster       as in the tables
    success     the proportion of its judged responses that are unsafe, over all targets; null without responses
    x, y        its map coordinates
    neighbours  {ids, distances}: its nearest rows (from 0) and 1 - cosine, nearest first; exact

It contains the texts of prompts but no responses. embedding-atlas has about a hundred dependencies that this project
does not need, so it runs in a separate environment.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.report.placed_sample import sample_cte
from seas_data.report.success_rates import SUCCESS_CTE, vector_matrix
from seas_data.store.files import write_parquet

NEIGHBOURS = 10
POINTS = 100_000  # all are compared with all: a minute or two on two cores, four times as long for twice as many
FILE = "prompts.parquet"
RELEASE = "0.26.0"  # of embedding-atlas; the file was tested with it

_HAS_VECTOR = "prompt_id in (select prompt_id from embeddings)"
_QUERY = f"""
with {SUCCESS_CTE.strip()},
{sample_cte(_HAS_VECTOR)}
select
    prompt_id, kept.text, kept.kind, kept.type, kept.risk_category, kept.attack_style, kept.difficulty,
    kept.label_source, kept.source, kept.licence, kept.language, kept.iteration, splits.split,
    clusters.label as cluster, success.success, clusters.x, clusters.y, embeddings.vector
from kept
semi join sampled using (prompt_id)
join clusters using (prompt_id)
join embeddings using (prompt_id)
left join splits using (prompt_id)
left join success using (prompt_id)
order by prompt_id
"""
_COUNT_QUERY = f"""
select
    (select count(*) from kept) as kept,
    (select count(*) from clusters anti join dropped using (prompt_id) where {_HAS_VECTOR}) as placed
"""


@dataclass(frozen=True)
class AtlasFile:
    """The file written: its path and rows, the kept prompts with coordinates and those without, and the command that
    opens it.
    """

    path: Path
    rows: int
    with_coordinates: int
    without_coordinates: int
    command: str


def write_atlas(version: Version, folder: Path, *, neighbours: int = NEIGHBOURS) -> AtlasFile:
    """Write the kept prompts of ``version`` into ``folder``. Raises SeasDataError if none has coordinates."""
    rows = atlas_frame(version, neighbours=neighbours)
    kept, placed = version.select(_COUNT_QUERY).row(0)
    path = folder / FILE
    write_parquet(path, rows)
    path.chmod(0o600)
    return AtlasFile(path, rows.height, placed, kept - placed, open_command(path))


def atlas_frame(version: Version, *, neighbours: int = NEIGHBOURS) -> pl.DataFrame:
    """Return the rows of the file; the module lists the output columns. Raises SeasDataError if there are none."""
    from seas_data.similarity.cosine_neighbours import find_top

    rows = version.select(_QUERY, {"limit": POINTS})
    if rows.is_empty():
        raise SeasDataError(
            f"no kept prompt of {version.name} has map coordinates; build it with an embedder and the clusters step"
        )
    index, cosine = find_top(vector_matrix(rows["vector"]), min(neighbours, max(rows.height - 1, 0)))
    neighbour_columns = pl.DataFrame(
        {
            "ids": pl.Series(index, dtype=pl.List(pl.Int64)),
            "distances": pl.Series(np.maximum(1 - cosine.astype(np.float64), 0), dtype=pl.List(pl.Float64)),
        }
    )
    return rows.drop("vector").with_columns(neighbours=neighbour_columns.to_struct())


def open_command(path: Path) -> str:
    """Return the shell command that opens the file in embedding-atlas."""
    return f"uvx embedding-atlas@{RELEASE} {shlex.quote(str(path))} --text text --x x --y y --neighbors neighbours"
