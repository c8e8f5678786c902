"""From a query's header and its answer to a Vega-Lite chart: one function for the whole library.

The header says which mark and which column each channel shows; ``picture`` reads the rest off the answer. Here is what
each mark makes of it: bars that count are stacked, bars that are rates or have an interval stand side by side; more
lines than an eye can follow become small panels; points in a plane get whiskers where their intervals are known.

Rows come from the page (data named ``rows``), so that no word of the data stands in a specification, where Vega would
read expressions.
"""

from dataclasses import dataclass
from typing import Any

import altair as alt
import polars as pl

from seas_data.query.library import Query
from seas_data.report.picture import Picture, category, colour, field, quantity
from seas_data.report.theme import COLD, HOT, ROWS

_MOST_SERIES = 8  # lines in one panel
_WIDE, _SMALL = 420, 230  # the least width of a panel, in pixels
_AT: dict[str, Any] = {"x": alt.X, "y": alt.Y}
_OFFSET: dict[str, Any] = {"x": alt.XOffset, "y": alt.YOffset}


@dataclass(frozen=True)
class Drawing:
    """A Vega-Lite specification, which of the answer's rows it shows (all if None), and what to say of it."""

    spec: dict[str, Any]
    rows: list[int] | None = None
    note: str | None = None


def draw(query: Query, answer: pl.DataFrame) -> Drawing | None:
    """Return the chart that the header of ``query`` asks for; None for a table, or where nothing could be drawn.

    A header may name a column that the answer has not, because somebody changed the file; the note then says so.
    """
    asked = query.chart
    if asked.mark == "table" or answer.is_empty():
        return None
    missing = [column for column in asked.channels.values() if column not in answer.columns]
    if missing or not {"x", "y"} <= asked.channels.keys():
        return Drawing({}, note=f"No chart: {', '.join(missing) or 'x or y'} is missing in the answer.")
    picture = Picture(asked, answer)
    chart = None
    if picture.shown.height and (asked.mark == "heatmap" or not picture.categorical(picture.value())):
        chart = {"bar": _bars, "line": _lines, "point": _points, "heatmap": _heatmap}[asked.mark](picture)
    if chart is None:
        return Drawing({}, note="No chart: there is no figure in the answer that it could show.")
    spec = {"$schema": alt.SCHEMA_URL, "description": f"{query.title}. {query.question}", **chart}
    rows = picture.shown["row"].to_list() if picture.shown.height < answer.height else None
    return Drawing(spec, rows, picture.note)


def _bars(picture: Picture) -> dict[str, Any]:
    value = picture.value()
    across, along = ("y", "x") if value == "x" else ("x", "y")
    column = picture.shown[picture.channels[value]]
    interval = picture.has("low", "high")
    side = interval or (column.dtype.is_float() and float(column.abs().max() or 0) <= 1)  # type: ignore[arg-type]
    coloured = picture.has("color") and picture.categorical("color")
    place: dict[str, Any] = {across: category(picture, across, _AT[across])}
    if side and coloured and picture.channels["color"] != picture.channels[across]:
        place[f"{across}Offset"] = category(picture, "color", _OFFSET[across])
    position = _AT[along]
    base = alt.Chart().encode(**place)
    stack = None if side else "zero"
    parts = [
        base.mark_bar(cornerRadiusEnd=2).encode(
            **{along: quantity(picture, value, position, stack=stack)}, **colour(picture), tooltip=picture.tooltip()
        )
    ]
    if interval:
        parts.append(base.mark_rule(strokeWidth=1.2, opacity=0.75, aria=False).encode(**_interval(picture, along)))
    series = picture.values("color") if f"{across}Offset" in place else 0
    return _banded(picture, parts, across, max(18, 7 * series + 10))


def _lines(picture: Picture) -> dict[str, Any]:
    panels = [picture.channels[name] for name in ("row", "column") if name in picture.channels]
    series = picture.values("color") if picture.has("color") else 1
    if not panels and series > _MOST_SERIES:
        panels = [picture.channels["color"]]
        del picture.channels["color"]
    x = (
        category(picture, "x", alt.X, scale=alt.Scale(padding=0.3))
        if picture.categorical("x")
        else quantity(picture, "x", alt.X)
    )
    base = alt.Chart().encode(x=x, **colour(picture))
    y = quantity(picture, "y", alt.Y)
    parts = []
    if picture.has("low", "high"):
        parts.append(
            base.mark_area(opacity=0.16, aria=False)
            if series <= 5 or panels
            else base.mark_rule(opacity=0.4, aria=False)
        )
        parts[0] = parts[0].encode(**_interval(picture, "y"))
    parts.append(
        base.mark_line(point=alt.OverlayMarkDef(size=36, filled=True), strokeWidth=2).encode(
            y=y, tooltip=picture.tooltip()
        )
    )
    return _put(picture, parts, height=130 if panels else 260, panel=_SMALL, panels=panels or None)


def _points(picture: Picture) -> dict[str, Any]:
    if not picture.categorical("x") and not picture.categorical("y"):
        return _scatter(picture)
    value = picture.value()
    across, along = ("y", "x") if value == "x" else ("x", "y")
    place: dict[str, Any] = {across: category(picture, across, _AT[across])}
    coloured = picture.has("color") and picture.categorical("color")
    if coloured and picture.channels["color"] != picture.channels[across]:
        place[f"{across}Offset"] = category(picture, "color", _OFFSET[across])
    base = alt.Chart().encode(**place, **colour(picture))
    parts = [
        base.mark_point(filled=True, size=55, opacity=1).encode(
            **{along: quantity(picture, value, _AT[along])}, tooltip=picture.tooltip()
        )
    ]
    if picture.has("low", "high"):
        parts.insert(0, base.mark_rule(strokeWidth=1.6, opacity=0.7, aria=False).encode(**_interval(picture, along)))
    return _banded(picture, parts, across, max(20, 8 * (picture.values("color") if coloured else 1) + 10))


def _scatter(picture: Picture) -> dict[str, Any]:
    """Return points in a plane, with whiskers where the answer has ``<column>_low`` and ``<column>_high``."""
    base = alt.Chart().encode(**colour(picture))
    parts = []
    for along, other in (("x", "y"), ("y", "x")):
        ends = _ends(picture, along)
        if ends:
            low = _AT[along](ends[0], type="quantitative", title=picture.title(along))
            span = {along: low, f"{along}2": ends[1], other: quantity(picture, other, _AT[other])}
            parts.append(base.mark_rule(strokeWidth=1.4, opacity=0.55, aria=False).encode(**span))
    position = {"x": quantity(picture, "x", alt.X), "y": quantity(picture, "y", alt.Y)}
    size = quantity(picture, "size", alt.Size) if picture.has("size") else alt.value(90)
    parts.append(base.mark_point(filled=True, opacity=0.95).encode(**position, size=size, tooltip=picture.tooltip()))
    if picture.has("color") and picture.categorical("color") and picture.values("color") == picture.shown.height <= 20:
        parts.append(
            alt.Chart()
            .mark_text(align="left", dx=9, dy=-9, fontSize=12, fontWeight=600, aria=False)
            .encode(**position, text=alt.Text(picture.field("color"), type="nominal"))
        )
    return _put(picture, parts, height=320, panel=_WIDE)


def _ends(picture: Picture, along: str) -> tuple[str, str] | None:
    name = picture.channels[along]
    if {f"{name}_low", f"{name}_high"} <= set(picture.answer.columns):
        return field(picture.answer, f"{name}_low"), field(picture.answer, f"{name}_high")
    if along == "y" and picture.has("low", "high"):
        return picture.field("low"), picture.field("high")
    return None


def _heatmap(picture: Picture) -> dict[str, Any] | None:
    if not picture.has("color"):
        return None
    column = picture.shown[picture.channels["color"]].cast(pl.Float64, strict=False).drop_nulls()
    if column.is_empty():
        return None
    top = max(float(column.abs().max() or 0), 1e-9)  # type: ignore[arg-type]
    shade, name = picture.field("color"), picture.title("color")
    interval = picture.has("low", "high")
    wide = interval and picture.values("x") <= 8  # there is room for the intervals
    digits = ".3f" if wide else ".2f" if column.dtype.is_float() and not (column % 1 == 0).all() else ",d"
    longer = picture.shown[picture.channels["x"]].cast(pl.String).str.len_chars() > 14
    level = wide and not longer.any()  # level, they would run into each other
    place = {
        "x": category(picture, "x", alt.X, axis=alt.Axis(orient="top", labelAngle=0 if level else -45)),
        "y": category(picture, "y", alt.Y).title(picture.title("y")),
    }
    root = top > 1  # of counts a few are large: the others are to differ too
    dark = f"sqrt(abs(datum.{shade})/{top})" if root else f"abs(datum.{shade})/{top}"
    scale = alt.Scale(type="sqrt" if root else "linear", domain=[0, top], range=[0.04, 0.95])
    base = alt.Chart().encode(**place).transform_calculate(shade=f"abs(datum.{shade})", dark=dark)
    cells = base.mark_rect(cornerRadius=3, stroke="currentColor", strokeOpacity=0.12).encode(
        fill=alt.condition(f"datum.{shade} < 0", alt.value(COLD), alt.value(HOT)),
        fillOpacity=alt.FillOpacity("shade", type="quantitative", scale=scale, legend=None),
        tooltip=picture.tooltip(),
    )
    written = base.mark_text(fontSize=12, fontWeight=600, dy=-6 if wide else 0, aria=False).encode(
        text=alt.Text(shade, type="quantitative", format=digits, title=name),
        color=alt.condition("datum.dark > 0.78", alt.value("#ffffff"), alt.value("currentColor")),
    )
    parts = [cells]
    if picture.values("x") <= 24:
        parts.append(written)
    if wide:
        low, high = picture.field("low"), picture.field("high")
        parts.append(
            base.transform_calculate(interval=f"format(datum.{low}, '.3f') + ' – ' + format(datum.{high}, '.3f')")
            .mark_text(fontSize=10, dy=10, opacity=0.85, aria=False)
            .encode(
                text=alt.Text("interval", type="nominal"),
                color=alt.condition("datum.dark > 0.78", alt.value("#ffffff"), alt.value("currentColor")),
            )
        )
    size = ({"step": 92}, {"step": 46}) if wide else ({"step": 40}, {"step": 26})
    return _put(picture, parts, width=size[0], height=size[1], panel=_WIDE)


def _interval(picture: Picture, along: str) -> dict[str, Any]:
    low = quantity(picture, "low", _AT[along]).title(picture.title(picture.value()))
    return {along: low, f"{along}2": picture.field("high")}


def _banded(picture: Picture, parts: list[Any], across: str, step: int) -> dict[str, Any]:
    """Return ``parts`` with ``step`` pixels for each name on the axis ``across``."""
    size = {"step": step, "for": "position"}
    if across == "y":
        return _put(picture, parts, height=size, panel=_WIDE)
    return _put(picture, parts, height=260, width=size, panel=_WIDE)


def _put(
    picture: Picture, parts: list[Any], *, height: Any, width: Any = None, panel: int, panels: list[str] | None = None
) -> dict[str, Any]:
    """Return ``parts`` as one chart, as wide as the page has room, or in panels, which the page sizes (``panel``)."""
    panels = picture.panels() if panels is None else panels
    layered: dict[str, Any] = {"layer": [_plain(part) for part in parts], "height": height}
    if width is not None or not panels:
        layered["width"] = width or "container"
    data = {"data": {"name": ROWS}}
    if not panels:
        return data | layered
    facets = [_panel(picture, column) for column in panels]
    own = [channel for channel in ("x", "y") if picture.categorical(channel)]
    names = picture.shown[picture.channels["y"]].unique() if "y" in own else ["0.00"]
    longest = max(len(str(name)) for name in names)
    beside = picture.shown[panels[1]].n_unique() if len(panels) == 2 else 1
    told = {"panel": panel, "fixed": width is not None, "names": longest, "columns": beside}
    chart = data | {"spec": layered, "usermeta": told}
    if panel == _WIDE:  # each panel has its own names, and only those
        free = {name: "independent" for channel in own for name in (channel, f"{channel}Offset")}
        if picture.units(panels):
            free[picture.value()] = "independent"
        chart["resolve"] = {"scale": free}
    if len(panels) == 2:
        return chart | {"facet": dict(zip(("row", "column"), facets, strict=True))}
    return chart | {"facet": facets[0], "columns": 1}


def _plain(part: Any) -> dict[str, Any]:
    """Return a layer without what Altair writes for a chart of its own."""
    spec: dict[str, Any] = part.to_dict(validate=False)
    return {name: each for name, each in spec.items() if name not in ("$schema", "config", "data", "datasets")}


def _panel(picture: Picture, column: str) -> dict[str, Any]:
    name = field(picture.answer, column)
    header = {"labelAnchor": "start", "labelPadding": 4}
    return {"field": name, "type": "nominal", "title": None, "sort": None, "header": header}
