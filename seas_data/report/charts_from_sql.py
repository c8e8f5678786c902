"""Chart marks: from a query's header and its result to a Vega-Lite specification, one function per mark.

A new chart is a new file in ``sql/`` with a ``-- chart:`` header; only a new kind of mark is added here.

The header names the mark and the column of each channel; ``encoding`` decides the rest from the result. Bars that count
are stacked; bars that are rates or have an interval are grouped side by side; more than eight lines become small
panels; points in a plane get error bars if their intervals are known.

Rows come from the page (data named ``rows``), so that no text from the data is in a specification, where Vega would
evaluate expressions.
"""

from dataclasses import dataclass
from typing import Any

import altair as alt
import polars as pl

from seas_data.query.library import Query
from seas_data.report.encoding import (
    ChartEncoding,
    categorical_encoding,
    colour_encoding,
    field_name,
    quantitative_encoding,
)
from seas_data.report.theme import COLD, HOT, ROWS

_MOST_SERIES = 8  # lines in one panel
_WIDE, _SMALL = 420, 230  # minimum width of a panel, in pixels
_AT: dict[str, Any] = {"x": alt.X, "y": alt.Y}
_OFFSET: dict[str, Any] = {"x": alt.XOffset, "y": alt.YOffset}


@dataclass(frozen=True)
class ChartSpec:
    """A Vega-Lite specification, the numbers of the rows that it draws (all if None), and a note to print below it."""

    spec: dict[str, Any]
    rows: list[int] | None = None
    note: str | None = None


def draw_chart(query: Query, result: pl.DataFrame) -> ChartSpec | None:
    """Return the chart that the header of ``query`` describes; None for a table or an empty result.

    If the result lacks a column that the header names, or has nothing to draw, the specification is empty and the note
    says why.
    """
    chart = query.chart
    if chart.mark == "table" or result.is_empty():
        return None
    missing = [column for column in chart.channels.values() if column not in result.columns]
    if missing or not {"x", "y"} <= chart.channels.keys():
        return ChartSpec({}, note=f"No chart: the result has no column for {', '.join(missing) or 'x or y'}.")
    encoding = ChartEncoding(chart, result)
    drawn = None
    if encoding.rows.height and (chart.mark == "heatmap" or not encoding.is_categorical(encoding.value_channel())):
        drawn = {"bar": _bars, "line": _lines, "point": _points, "heatmap": _heatmap}[chart.mark](encoding)
    if drawn is None:
        return ChartSpec({}, note="No chart: the result has no values to draw.")
    spec = {"$schema": alt.SCHEMA_URL, "description": f"{query.title}. {query.question}", **drawn}
    rows = encoding.rows["row"].to_list() if encoding.rows.height < result.height else None
    return ChartSpec(spec, rows, encoding.note)


def _bars(encoding: ChartEncoding) -> dict[str, Any]:
    value = encoding.value_channel()
    across, along = ("y", "x") if value == "x" else ("x", "y")
    column = encoding.rows[encoding.channels[value]]
    interval = encoding.has("low", "high")
    side = interval or (column.dtype.is_float() and float(column.abs().max() or 0) <= 1)  # type: ignore[arg-type]
    coloured = encoding.has("color") and encoding.is_categorical("color")
    axes: dict[str, Any] = {across: categorical_encoding(encoding, across, _AT[across])}
    if side and coloured and encoding.channels["color"] != encoding.channels[across]:
        axes[f"{across}Offset"] = categorical_encoding(encoding, "color", _OFFSET[across])
    position = _AT[along]
    base = alt.Chart().encode(**axes)
    stack = None if side else "zero"
    parts = [
        base.mark_bar(cornerRadiusEnd=2).encode(
            **{along: quantitative_encoding(encoding, value, position, stack=stack)},
            **colour_encoding(encoding),
            tooltip=encoding.tooltip(),
        )
    ]
    if interval:
        parts.append(
            base.mark_rule(strokeWidth=1.2, opacity=0.75, aria=False).encode(**_interval_channels(encoding, along))
        )
    series = encoding.distinct_values("color") if f"{across}Offset" in axes else 0
    return _assemble_categories(encoding, parts, across, max(18, 7 * series + 10))


def _lines(encoding: ChartEncoding) -> dict[str, Any]:
    panels = [encoding.channels[name] for name in ("row", "column") if name in encoding.channels]
    series = encoding.distinct_values("color") if encoding.has("color") else 1
    if not panels and series > _MOST_SERIES:
        panels = [encoding.channels["color"]]
        del encoding.channels["color"]
    x = (
        categorical_encoding(encoding, "x", alt.X, scale=alt.Scale(padding=0.3))
        if encoding.is_categorical("x")
        else quantitative_encoding(encoding, "x", alt.X)
    )
    base = alt.Chart().encode(x=x, **colour_encoding(encoding))
    y = quantitative_encoding(encoding, "y", alt.Y)
    parts = []
    if encoding.has("low", "high"):
        parts.append(
            base.mark_area(opacity=0.16, aria=False)
            if series <= 5 or panels
            else base.mark_rule(opacity=0.4, aria=False)
        )
        parts[0] = parts[0].encode(**_interval_channels(encoding, "y"))
    parts.append(
        base.mark_line(point=alt.OverlayMarkDef(size=36, filled=True), strokeWidth=2).encode(
            y=y, tooltip=encoding.tooltip()
        )
    )
    return _assemble(encoding, parts, height=130 if panels else 260, panel=_SMALL, panels=panels or None)


def _points(encoding: ChartEncoding) -> dict[str, Any]:
    if not encoding.is_categorical("x") and not encoding.is_categorical("y"):
        return _scatter(encoding)
    value = encoding.value_channel()
    across, along = ("y", "x") if value == "x" else ("x", "y")
    axes: dict[str, Any] = {across: categorical_encoding(encoding, across, _AT[across])}
    coloured = encoding.has("color") and encoding.is_categorical("color")
    if coloured and encoding.channels["color"] != encoding.channels[across]:
        axes[f"{across}Offset"] = categorical_encoding(encoding, "color", _OFFSET[across])
    base = alt.Chart().encode(**axes, **colour_encoding(encoding))
    parts = [
        base.mark_point(filled=True, size=55, opacity=1).encode(
            **{along: quantitative_encoding(encoding, value, _AT[along])}, tooltip=encoding.tooltip()
        )
    ]
    if encoding.has("low", "high"):
        parts.insert(
            0, base.mark_rule(strokeWidth=1.6, opacity=0.7, aria=False).encode(**_interval_channels(encoding, along))
        )
    return _assemble_categories(
        encoding, parts, across, max(20, 8 * (encoding.distinct_values("color") if coloured else 1) + 10)
    )


def _scatter(encoding: ChartEncoding) -> dict[str, Any]:
    """Return points in a plane, with error bars if the result has ``<column>_low`` and ``<column>_high``."""
    base = alt.Chart().encode(**colour_encoding(encoding))
    parts = []
    for along, other in (("x", "y"), ("y", "x")):
        ends = _interval_fields(encoding, along)
        if ends:
            low = _AT[along](ends[0], type="quantitative", title=encoding.title(along))
            span = {along: low, f"{along}2": ends[1], other: quantitative_encoding(encoding, other, _AT[other])}
            parts.append(base.mark_rule(strokeWidth=1.4, opacity=0.55, aria=False).encode(**span))
    position = {"x": quantitative_encoding(encoding, "x", alt.X), "y": quantitative_encoding(encoding, "y", alt.Y)}
    size = quantitative_encoding(encoding, "size", alt.Size) if encoding.has("size") else alt.value(90)
    parts.append(base.mark_point(filled=True, opacity=0.95).encode(**position, size=size, tooltip=encoding.tooltip()))
    if (
        encoding.has("color")
        and encoding.is_categorical("color")
        and encoding.distinct_values("color") == encoding.rows.height <= 20
    ):
        parts.append(
            alt.Chart()
            .mark_text(align="left", dx=9, dy=-9, fontSize=12, fontWeight=600, aria=False)
            .encode(**position, text=alt.Text(encoding.field("color"), type="nominal"))
        )
    return _assemble(encoding, parts, height=320, panel=_WIDE)


def _interval_fields(encoding: ChartEncoding, along: str) -> tuple[str, str] | None:
    name = encoding.channels[along]
    if {f"{name}_low", f"{name}_high"} <= set(encoding.result.columns):
        return field_name(encoding.result, f"{name}_low"), field_name(encoding.result, f"{name}_high")
    if along == "y" and encoding.has("low", "high"):
        return encoding.field("low"), encoding.field("high")
    return None


def _heatmap(encoding: ChartEncoding) -> dict[str, Any] | None:
    if not encoding.has("color"):
        return None
    column = encoding.rows[encoding.channels["color"]].cast(pl.Float64, strict=False).drop_nulls()
    if column.is_empty():
        return None
    top = max(float(column.abs().max() or 0), 1e-9)  # type: ignore[arg-type]
    shade, name = encoding.field("color"), encoding.title("color")
    interval = encoding.has("low", "high")
    wide = interval and encoding.distinct_values("x") <= 8  # there is room to write the intervals
    digits = ".3f" if wide else ".2f" if column.dtype.is_float() and not (column % 1 == 0).all() else ",d"
    longer = encoding.rows[encoding.channels["x"]].cast(pl.String).str.len_chars() > 14
    level = wide and not longer.any()  # level, they would run into each other
    axes = {
        "x": categorical_encoding(encoding, "x", alt.X, axis=alt.Axis(orient="top", labelAngle=0 if level else -45)),
        "y": categorical_encoding(encoding, "y", alt.Y).title(encoding.title("y")),
    }
    root = top > 1  # of counts a few are large: the others are to differ too
    dark = f"sqrt(abs(datum.{shade})/{top})" if root else f"abs(datum.{shade})/{top}"
    scale = alt.Scale(type="sqrt" if root else "linear", domain=[0, top], range=[0.04, 0.95])
    base = alt.Chart().encode(**axes).transform_calculate(shade=f"abs(datum.{shade})", dark=dark)
    cells = base.mark_rect(cornerRadius=3, stroke="currentColor", strokeOpacity=0.12).encode(
        fill=alt.condition(f"datum.{shade} < 0", alt.value(COLD), alt.value(HOT)),
        fillOpacity=alt.FillOpacity("shade", type="quantitative", scale=scale, legend=None),
        tooltip=encoding.tooltip(),
    )
    written = base.mark_text(fontSize=12, fontWeight=600, dy=-6 if wide else 0, aria=False).encode(
        text=alt.Text(shade, type="quantitative", format=digits, title=name),
        color=alt.condition("datum.dark > 0.78", alt.value("#ffffff"), alt.value("currentColor")),
    )
    parts = [cells]
    if encoding.distinct_values("x") <= 24:
        parts.append(written)
    if wide:
        low, high = encoding.field("low"), encoding.field("high")
        parts.append(
            base.transform_calculate(interval=f"format(datum.{low}, '.3f') + ' – ' + format(datum.{high}, '.3f')")
            .mark_text(fontSize=10, dy=10, opacity=0.85, aria=False)
            .encode(
                text=alt.Text("interval", type="nominal"),
                color=alt.condition("datum.dark > 0.78", alt.value("#ffffff"), alt.value("currentColor")),
            )
        )
    size = ({"step": 92}, {"step": 46}) if wide else ({"step": 40}, {"step": 26})
    return _assemble(encoding, parts, width=size[0], height=size[1], panel=_WIDE)


def _interval_channels(encoding: ChartEncoding, along: str) -> dict[str, Any]:
    low = quantitative_encoding(encoding, "low", _AT[along]).title(encoding.title(encoding.value_channel()))
    return {along: low, f"{along}2": encoding.field("high")}


def _assemble_categories(encoding: ChartEncoding, parts: list[Any], across: str, step: int) -> dict[str, Any]:
    """Return ``parts`` with ``step`` pixels for each category on the axis ``across``."""
    size = {"step": step, "for": "position"}
    if across == "y":
        return _assemble(encoding, parts, height=size, panel=_WIDE)
    return _assemble(encoding, parts, height=260, width=size, panel=_WIDE)


def _assemble(
    encoding: ChartEncoding,
    parts: list[Any],
    *,
    height: Any,
    width: Any = None,
    panel: int,
    panels: list[str] | None = None,
) -> dict[str, Any]:
    """Return ``parts`` as one chart as wide as the page, or in panels, whose size the page sets (``panel``)."""
    panels = encoding.panel_columns() if panels is None else panels
    layered: dict[str, Any] = {"layer": [_layer(part) for part in parts], "height": height}
    if width is not None or not panels:
        layered["width"] = width or "container"
    data = {"data": {"name": ROWS}}
    if not panels:
        return data | layered
    facets = [_facet(encoding, column) for column in panels]
    own = [channel for channel in ("x", "y") if encoding.is_categorical(channel)]
    names = encoding.rows[encoding.channels["y"]].unique() if "y" in own else ["0.00"]
    longest = max(len(str(name)) for name in names)
    beside = encoding.rows[panels[1]].n_unique() if len(panels) == 2 else 1
    layout = {"panel": panel, "fixed": width is not None, "names": longest, "columns": beside}
    chart = data | {"spec": layered, "usermeta": layout}
    if panel == _WIDE:  # each panel shows only its own categories
        free = {name: "independent" for channel in own for name in (channel, f"{channel}Offset")}
        if encoding.has_mixed_scales(panels):
            free[encoding.value_channel()] = "independent"
        chart["resolve"] = {"scale": free}
    if len(panels) == 2:
        return chart | {"facet": dict(zip(("row", "column"), facets, strict=True))}
    return chart | {"facet": facets[0], "columns": 1}


def _layer(part: Any) -> dict[str, Any]:
    """Return a layer without the keys that only a whole chart has."""
    spec: dict[str, Any] = part.to_dict(validate=False)
    return {name: each for name, each in spec.items() if name not in ("$schema", "config", "data", "datasets")}


def _facet(encoding: ChartEncoding, column: str) -> dict[str, Any]:
    name = field_name(encoding.result, column)
    header = {"labelAnchor": "start", "labelPadding": 4}
    return {"field": name, "type": "nominal", "title": None, "sort": None, "header": header}
