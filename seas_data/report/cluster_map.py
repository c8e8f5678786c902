"""The two-dimensional map of the kept prompts in the report: packed columns, and the charts that draw them.

To keep the page small it gets a sample of the prompts: the same proportion of each cluster (at least one), by id, which
is a hash (``placed_sample``). Coordinates are rounded to 16 bits, ids are bytes, labels are indices into a list: 15,000
points take 600 KB.

A point can be coloured by:

    kind, type, source, iteration, cluster    as in the tables
    success     the proportion of its judged responses that are unsafe, over all targets
    novelty     1 - the highest cosine to a kept prompt of an earlier iteration, for prompts of later iterations
"""

import base64
from collections.abc import Iterator
from typing import Any, cast

import altair as alt
import numpy as np
import polars as pl
import pyarrow.parquet as pq
from numpy.typing import NDArray

from seas_data import tables
from seas_data.query.version import Version
from seas_data.report.placed_sample import sample_cte
from seas_data.report.success_rates import SUCCESS_CTE, vector_matrix
from seas_data.report.theme import ROWS
from seas_data.tables.values import KINDS
from seas_data.text import printable

POINTS = 15_000
NOVEL = 2_000  # points for which novelty is computed; fewer if they have more than a million earlier prompts
_COSINES = NOVEL * 1_000_000
_VECTORS_PER_PART = 20_000
_RANGE = 65_535
_MISSING = 65_535
_MARGIN = 1_300  # around the outermost points
_MOST_COLOURS = 16  # categories that can be distinguished as colours
_RAMP = ("#2f8fa8", "#c9a227", "#d9422b")

_HAS_PLACE = "isfinite(clusters.x) and isfinite(clusters.y)"
EXTENT_QUERY = f"""
select
    count(*) as points, min(clusters.x) as left, max(clusters.x) as right, min(clusters.y) as bottom,
    max(clusters.y) as top
from clusters anti join dropped using (prompt_id)
where {_HAS_PLACE}
"""
_POINTS_QUERY = f"""
with {SUCCESS_CTE.strip()},
{sample_cte(_HAS_PLACE)}
select
    prompts.prompt_id, clusters.x, clusters.y,
    prompts.kind, prompts.type, prompts.source, cast(prompts.iteration as varchar) as iteration,
    clusters.label as cluster, clusters.cluster as number, prompts.iteration as round, success.success
from sampled join clusters using (prompt_id) join prompts using (prompt_id) left join success using (prompt_id)
order by prompts.prompt_id
"""
# Prompts of another embedder have no coordinates, and their vectors cannot be compared.
_ROUNDS_QUERY = "select prompt_id, kept.iteration as round from kept semi join clusters using (prompt_id)"


def points_query() -> tuple[str, dict[str, object]]:
    """Return the query for the points to show and its parameters."""
    return _POINTS_QUERY, {"limit": POINTS}


def build_map(version: Version, extent: pl.DataFrame, shown: pl.DataFrame) -> tuple[dict[str, Any], str] | None:
    """Return the data of the map and a note on how much of it is shown; None if no prompt has coordinates.

    ``extent``, ``shown``: the results of ``EXTENT_QUERY`` and of ``points_query``.

    Keys: ``x``, ``y``, ``ids``, ``columns`` (key, title, colour, names, packed), ``range`` (of both axes) and the
    charts ``categories`` and ``rates``.
    """
    if shown.is_empty():
        return None
    every = extent.row(0, named=True)
    shown, novelty_note = _add_novelty(version, shown, every["points"])
    columns = [
        _categories(shown, name)
        for name in ("kind", "type", "iteration", "source", "cluster")
        if shown[name].n_unique() > 1
    ]
    columns += [
        {"key": name, "title": title, "colour": True, "packed": _pack(_thousandths(shown[name]))}
        for name, title in (("success", "attack success"), ("novelty", "novelty"))
        if shown[name].null_count() < shown.height
    ]
    if not any(column["colour"] for column in columns):
        columns = [_categories(shown, "kind")]
    tooltip = ["id", *(column["key"] for column in columns if "names" in column)]
    note = (
        f"{shown.height:,} of {every['points']:,} prompts, the same proportion of each cluster. "
        if shown.height < every["points"]
        else f"All {shown.height:,} prompts with coordinates. "
    )
    content = {
        "x": _pack(_scale(shown["x"], every["left"], every["right"])),
        "y": _pack(_scale(shown["y"], every["bottom"], every["top"])),
        "ids": base64.b64encode(bytes.fromhex("".join(shown["prompt_id"]))).decode(),
        "columns": columns,
        "range": [-_MARGIN, _RANGE + _MARGIN],
        "categories": _chart(tooltip, categories=True),
        "rates": _chart([*tooltip, "colour"], categories=False),
    }
    return (
        content,
        note + novelty_note + "Drag to move, pinch or use Ctrl and the wheel to zoom, click a point for its id. "
        "Region: draw around points, or use the arrow keys; save their ids for seas-data review --selection.",
    )


def point_ids(content: dict[str, Any]) -> list[str]:
    """Return the ids of the points of a map."""
    packed = base64.b64decode(content["ids"])
    width = len(packed) // (len(base64.b64decode(content["x"])) // 2)
    return [packed[start : start + width].hex() for start in range(0, len(packed), width)]


def _add_novelty(version: Version, shown: pl.DataFrame, points: int) -> tuple[pl.DataFrame, str]:
    later = shown.filter(pl.col("round") > 0).select("prompt_id", "round").sort("prompt_id")
    if later.is_empty():
        return shown.with_columns(novelty=pl.lit(None, pl.Float64)), ""
    chosen = later.head(min(NOVEL, max(1, _COSINES // max(1, points))))
    rounds = version.select(_ROUNDS_QUERY)
    new = pl.concat([part.join(chosen, on="prompt_id", how="semi") for part in _read_vectors(version, rounds)])
    known = pl.DataFrame(schema={"prompt_id": pl.String, "novelty": pl.Float64})
    if new.height:
        new = new.sort("prompt_id")
        earlier = _read_vectors(version, rounds)
        highest = _highest_cosine(vector_matrix(new["vector"]), new["round"].to_numpy(), earlier)
        known = pl.DataFrame({"prompt_id": new["prompt_id"], "novelty": 1 - highest}).filter(pl.col("novelty") < 3)
    note = f"Novelty is known for {chosen.height:,} of them. " if chosen.height < later.height else ""
    return shown.join(known, on="prompt_id", how="left", maintain_order="left"), note


def _read_vectors(version: Version, rounds: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Yield prompt_id, vector and round of the prompts in ``rounds``, in the order of the files, so that sums are the
    same each time; a frame without rows comes first.
    """
    columns = ["prompt_id", "vector"]
    yield tables.empty("embeddings").select(columns).join(rounds.clear(), on="prompt_id")
    for path in version.paths().get("embeddings", []):
        ids = tables.read("embeddings", path, ["prompt_id"])
        left = ids.join(rounds, on="prompt_id", how="left", maintain_order="left")["round"]
        for batch in pq.ParquetFile(path).iter_batches(_VECTORS_PER_PART, columns=columns):
            vectors = cast(pl.DataFrame, pl.from_arrow(batch))
            yield vectors.with_columns(round=left.head(vectors.height)).drop_nulls("round")
            left = left.slice(vectors.height)


def _highest_cosine(
    new: NDArray[np.float32], rounds: NDArray[np.int32], earlier: Iterator[pl.DataFrame]
) -> NDArray[np.float64]:
    """Return the highest cosine of each row of ``new`` to a vector of an earlier round, rounded to four digits.

    -2 for a row without any. ``earlier`` has parts of all vectors, with their rounds.
    ``similarity.neighbours`` would be exact to the last bit, but imports PyTorch, which takes longer than this.
    """
    highest = np.full(len(new), -2.0, np.float32)
    for part in earlier:
        for number in np.unique(rounds):
            old = part.filter(pl.col("round") < int(number))
            if old.height:
                of_round = rounds == number
                cosines = new[of_round] @ vector_matrix(old["vector"]).T
                highest[of_round] = np.maximum(highest[of_round], cosines.max(axis=1))
    return highest.astype(np.float64).round(4)


def _scale(shown: pl.Series, low: float, high: float) -> NDArray[np.uint16]:
    """Return ``shown`` as integers from 0 to 65,535 over the range from ``low`` to ``high``."""
    position = (shown.to_numpy().astype(np.float64) - low) / max(high - low, 1e-12)
    return np.rint(position * _RANGE).astype(np.uint16)


def _thousandths(proportions: pl.Series) -> NDArray[np.uint16]:
    return (proportions.clip(0, 1) * 1000).round().cast(pl.UInt16).fill_null(_MISSING).to_numpy()


def _categories(shown: pl.DataFrame, name: str) -> dict[str, Any]:
    """Return a column of labels: kinds in the schema's order, others by frequency; up to 16 can be colours."""
    values = shown[name].fill_null("none")
    names = values.value_counts().sort("count", name, descending=[True, False])[name]
    if name == "kind":
        names = pl.Series([kind for kind in KINDS if kind in names])
    codes = values.replace_strict(names, pl.Series(range(len(names)), dtype=pl.UInt16), return_dtype=pl.UInt16)
    return {
        "key": name,
        "title": name,
        "colour": len(names) <= _MOST_COLOURS,
        "names": [printable(each) for each in names],
        "packed": _pack(codes.to_numpy()),
    }


def _pack(numbers: NDArray[np.uint16]) -> str:
    return base64.b64encode(numbers.astype("<u2").tobytes()).decode()


def _chart(tooltip: list[str], *, categories: bool) -> dict[str, Any]:
    view = alt.selection_interval(
        name="view",
        bind="scales",
        zoom="wheel![event.ctrlKey || event.metaKey]",
    )
    chosen = alt.selection_point(name="chosen", fields=["colour"], bind="legend")
    colour = (
        alt.Color("colour", type="nominal", title=None, sort=None)
        if categories
        else alt.Color("colour", type="quantitative", title=None, scale=alt.Scale(domain=[0, 1], range=list(_RAMP)))
    )
    scale = alt.Scale(domain=[-_MARGIN, _RANGE + _MARGIN], nice=False, zero=False)
    chart = (
        alt.Chart(alt.NamedData(ROWS))
        .mark_circle(size=14, clip=True)
        .encode(
            x=alt.X("x", type="quantitative", axis=None, scale=scale),
            y=alt.Y("y", type="quantitative", axis=None, scale=scale),
            color=colour,
            opacity=alt.condition(chosen, alt.value(0.7), alt.value(0.05)) if categories else alt.value(0.75),
            tooltip=[alt.Tooltip(name, type="nominal", title=name) for name in tooltip],
        )
        .add_params(*((view, chosen) if categories else (view,)))
        .properties(description="Map of the kept prompts by what they are about")
    )
    spec: dict[str, Any] = chart.to_dict(validate=False)
    spec.pop("config", None)
    return spec
