"""The map of the kept prompts in two dimensions, by what they are about: packed columns, and the charts that show them.

The page cannot hold a hundred thousand points and stay light, so it gets a share of them, the same share of each
cluster (at least one), chosen by id, which is a hash. Coordinates are rounded to 16 bits, ids are bytes, labels are
numbers of a list: 15,000 points are 600 KB.

What a point can be coloured by:

    kind, type, source, iteration, cluster    as in the tables
    success     the share of its judged responses that were unsafe, all targets together; of prompts that were asked
    novelty     one less the highest cosine with a kept prompt of an earlier iteration; of prompts of later ones
"""

import base64
from typing import Any

import altair as alt
import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.query.version import Version
from seas_data.report.success_rates import SUCCESS, matrix
from seas_data.report.theme import ROWS
from seas_data.tables.taxonomy import KINDS
from seas_data.text import printable

POINTS = 15_000
NOVEL = 2_000  # points whose nearest earlier prompt is looked for
_WHOLE = 65_535
_NONE = 65_535
_EDGE = 1_300  # around the outermost points
_MOST_NAMES = 16  # that can be told apart as colours
_RAMP = ("#2f8fa8", "#c9a227", "#d9422b")

QUERY = f"""
with {SUCCESS.strip()}
select
    kept.prompt_id, clusters.x, clusters.y,
    kept.kind, kept.type, kept.source, cast(kept.iteration as varchar) as iteration,
    clusters.label as cluster, clusters.cluster as number, kept.iteration as round, success.success
from clusters join kept using (prompt_id) left join success using (prompt_id)
where isfinite(clusters.x) and isfinite(clusters.y)
order by kept.prompt_id
"""
VECTORS = """
-- A prompt of another embedder's has no place on the map, and its vector cannot be compared.
select prompt_id, kept.iteration as round, embeddings.vector
from embeddings join kept using (prompt_id) join clusters using (prompt_id)
order by prompt_id
"""


def cluster_map(version: Version, every: pl.DataFrame) -> tuple[dict[str, Any], str] | None:
    """Return what the page draws the map from, and a sentence on how much of it is shown; None without a map.

    ``every``: what ``QUERY`` says of ``version``.

    Keys: ``x``, ``y``, ``ids``, ``columns`` (key, title, colour, names, packed), ``whole`` (the range of both axes) and
    the charts ``categories`` and ``shares``.
    """
    if every.is_empty():
        return None
    shown = thinned(every, POINTS)
    shown, note = _with_novelty(version, shown)
    columns = [
        _categories(shown, name)
        for name in ("kind", "type", "iteration", "source", "cluster")
        if shown[name].n_unique() > 1
    ]
    columns += [
        {"key": name, "title": title, "colour": True, "packed": _packed(_thousandths(shown[name]))}
        for name, title in (("success", "attack success"), ("novelty", "novelty"))
        if shown[name].null_count() < shown.height
    ]
    if not any(column["colour"] for column in columns):
        columns = [_categories(shown, "kind")]
    told = ["id", *(column["key"] for column in columns if "names" in column)]
    said = (
        f"{shown.height:,} of {every.height:,} prompts, the same share of each cluster. "
        if shown.height < every.height
        else f"All {every.height:,} prompts that have a place. "
    )
    content = {
        "x": _packed(_spread(every["x"], shown["x"])),
        "y": _packed(_spread(every["y"], shown["y"])),
        "ids": base64.b64encode(bytes.fromhex("".join(shown["prompt_id"]))).decode(),
        "columns": columns,
        "whole": [-_EDGE, _WHOLE + _EDGE],
        "categories": _chart(told, categories=True),
        "shares": _chart([*told, "colour"], categories=False),
    }
    return content, said + note + "Drag to move, pinch or use Ctrl and the wheel to zoom, click a point for its id."


def ids(content: dict[str, Any]) -> list[str]:
    """Return the ids of the points of a map."""
    packed = base64.b64decode(content["ids"])
    wide = len(packed) // (len(base64.b64decode(content["x"])) // 2)
    return [packed[start : start + wide].hex() for start in range(0, len(packed), wide)]


def thinned(points: pl.DataFrame, most: int) -> pl.DataFrame:
    """Return about ``most`` rows, the same share of each cluster ``number``, at least one: the first by prompt_id."""
    if points.height <= most:
        return points
    room = max(most - points["number"].n_unique(), 0)
    wanted = 1 + (pl.len().over("number") * room / points.height).floor()
    return points.sort("prompt_id").filter(pl.int_range(pl.len()).over("number") < wanted)


def _with_novelty(version: Version, shown: pl.DataFrame) -> tuple[pl.DataFrame, str]:
    later = shown.filter(pl.col("round") > 0).select("prompt_id", "round").sort("prompt_id")
    if later.is_empty():
        return shown.with_columns(novelty=pl.lit(None, pl.Float64)), ""
    asked = later.head(NOVEL)
    rows = version.select(VECTORS)
    found = [pl.DataFrame(schema={"prompt_id": pl.String, "novelty": pl.Float64})]
    for number in sorted(asked["round"].unique()):
        new = rows.filter(pl.col("round") == number).join(asked, on="prompt_id", how="semi")
        old = rows.filter(pl.col("round") < number)
        if new.height and old.height:
            highest = _highest(matrix(new["vector"]), matrix(old["vector"]))
            found.append(pl.DataFrame({"prompt_id": new["prompt_id"], "novelty": 1 - highest}))
    told = f"Novelty is known for {asked.height:,} of them. " if asked.height < later.height else ""
    return shown.join(pl.concat(found), on="prompt_id", how="left", maintain_order="left"), told


def _highest(new: NDArray[np.float32], old: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the highest cosine of each row with one of ``old``, to the three digits that a colour needs.

    ``neighbours.nearest`` is exact to the last bit, and brings PyTorch, whose import takes longer than this.
    """
    parts = [(new[start : start + 256] @ old.T).max(axis=1) for start in range(0, len(new), 256)]
    return np.concatenate(parts).astype(np.float64).round(4)


def _spread(every: pl.Series, shown: pl.Series) -> NDArray[np.uint16]:
    """Return ``shown`` as whole numbers from 0 to 65,535 over the range of ``every``."""
    low, high = float(every.min()), float(every.max())  # type: ignore[arg-type]
    share = (shown.to_numpy().astype(np.float64) - low) / max(high - low, 1e-12)
    return np.rint(share * _WHOLE).astype(np.uint16)


def _thousandths(shares: pl.Series) -> NDArray[np.uint16]:
    return (shares.clip(0, 1) * 1000).round().cast(pl.UInt16).fill_null(_NONE).to_numpy()


def _categories(shown: pl.DataFrame, name: str) -> dict[str, Any]:
    """Return a column of labels, kinds in their order, others the most frequent first; only a few can be colours."""
    values = shown[name].fill_null("none")
    names = values.value_counts().sort("count", name, descending=[True, False])[name]
    if name == "kind":
        names = pl.Series([kind for kind in KINDS if kind in names])
    codes = values.replace_strict(names, pl.Series(range(len(names)), dtype=pl.UInt16), return_dtype=pl.UInt16)
    return {
        "key": name,
        "title": name,
        "colour": len(names) <= _MOST_NAMES,
        "names": [printable(each) for each in names],
        "packed": _packed(codes.to_numpy()),
    }


def _packed(numbers: NDArray[np.uint16]) -> str:
    return base64.b64encode(numbers.astype("<u2").tobytes()).decode()


def _chart(told: list[str], *, categories: bool) -> dict[str, Any]:
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
    scale = alt.Scale(domain=[-_EDGE, _WHOLE + _EDGE], nice=False, zero=False)
    chart = (
        alt.Chart(alt.NamedData(ROWS))
        .mark_circle(size=14, clip=True)
        .encode(
            x=alt.X("x", type="quantitative", axis=None, scale=scale),
            y=alt.Y("y", type="quantitative", axis=None, scale=scale),
            color=colour,
            opacity=alt.condition(chosen, alt.value(0.7), alt.value(0.05)) if categories else alt.value(0.75),
            tooltip=[alt.Tooltip(name, type="nominal", title=name) for name in told],
        )
        .add_params(*((view, chosen) if categories else (view,)))
        .properties(description="Map of the kept prompts by what they are about")
    )
    spec: dict[str, Any] = chart.to_dict(validate=False)
    spec.pop("config", None)
    return spec
