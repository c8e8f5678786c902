"""From a query's header and its answer to a Vega-Lite chart: one function for the whole library.

The header says which mark and which column each channel shows. What else a picture needs is read off the answer:

- a column of text, or one that names things by number (an iteration, a cluster), is a category; others are quantities;
- bars that count are stacked; bars that are rates, or have an interval, stand side by side;
- rows that would lie on one another, since a column tells them apart that no channel shows, get a panel for each of its
  values;
- more lines than an eye can follow become small panels, one a line.

Columns go by their place (``c0``, ``c1`` ...), and rows come from the page (data named ``rows``), so no word of the data
stands in a specification, where Vega would read expressions. Categories keep the order of the rows. Text takes the colour
of the page (``currentColor``), so that one picture serves a light screen, a dark one and paper.
"""

from dataclasses import dataclass
from typing import Any

import altair as alt
import polars as pl

from seas_data.analysis.library import Chart, Query

ROWS = "rows"
ACCENT = "#d9622b"
COOL = "#2f8fa8"
_HOT, _COLD = "#b0401a", "#1d6a80"  # full cells of a heat map, on which white can be read
PALETTE = (
    *("#d9622b", "#2f8fa8", "#8a6fd1", "#4f9d5b", "#c9a227", "#c4568f", "#5b7fd6"),
    *("#8c6d4f", "#3aa79b", "#b3484f", "#7f8c99", "#94a83a", "#a05fc0", "#d08a5c"),
)
CONFIG: dict[str, Any] = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "range": {"category": list(PALETTE), "ordinal": list(PALETTE), "ramp": [COOL, ACCENT]},
    "axis": {
        **{name: "currentColor" for name in ("labelColor", "titleColor", "domainColor", "tickColor", "gridColor")},
        **{"gridOpacity": 0.12, "domainOpacity": 0.35, "tickOpacity": 0.35, "labelFontSize": 11, "titleFontSize": 11},
        **{"titleFontWeight": "normal", "titleOpacity": 0.75, "labelLimit": 220, "labelOverlap": True},
    },
    "axisBand": {"grid": False, "labelOverlap": False},
    "axisQuantitative": {"tickCount": 6},
    "header": {"labelColor": "currentColor", "titleColor": "currentColor", "labelFontSize": 12, "labelFontWeight": 600},
    "legend": {
        **{"labelColor": "currentColor", "titleColor": "currentColor", "labelFontSize": 11, "titleFontSize": 11},
        **{"titleFontWeight": "normal", "orient": "top", "symbolStrokeWidth": 2, "titleOpacity": 0.75},
    },
    "text": {"color": "currentColor"},
    "rule": {"color": "currentColor"},
}
"""What all charts share; the page hands it to Vega-Embed."""

_NUMBERED = ("iteration", "cluster", "sample", "number", "round")  # whole numbers that name rather than count
_ZERO: Any = {"condition": {"test": "datum.value === 0", "value": 0.7}, "value": 0.12}
_MOST_CATEGORIES = 40
_MOST_SERIES = 8  # lines in one panel
_MOST_COLOURS = len(PALETTE)
_MOST_PANELS = 16
_MOST_TOLD = 12  # columns in a tooltip


@dataclass(frozen=True)
class Drawing:
    """A Vega-Lite specification, which of the answer's rows it shows (all if None), and what to say of it."""

    spec: dict[str, Any]
    rows: list[int] | None = None
    note: str | None = None


def draw(query: Query, answer: pl.DataFrame) -> Drawing | None:
    """Return the chart that the header of ``query`` asks for; None for a table, or where nothing could be drawn.

    A header may name a column that the answer has not, for instance because the file was changed; the note then says so.
    """
    asked = query.chart
    if asked.mark == "table" or answer.is_empty():
        return None
    missing = [column for column in asked.channels.values() if column not in answer.columns]
    if missing or not {"x", "y"} <= asked.channels.keys():
        return Drawing({}, note=f"No chart: {', '.join(missing) or 'x or y'} is missing in the answer.")
    shown, note = _first_categories(asked, answer)
    picture = _Picture(asked, answer, shown)
    chart = {"bar": _bars, "line": _lines, "point": _points, "heatmap": _heatmap}[asked.mark](picture)
    if chart is None:
        return Drawing({}, note="No chart: there is nothing in it but nulls.")
    chart = chart.properties(description=f"{query.title}. {query.question}")
    spec = chart.to_dict(validate=False)
    spec.pop("config", None)  # Altair's own look; the page brings CONFIG
    return Drawing(spec, shown["row"].to_list() if shown.height < answer.height else None, note)


def field(answer: pl.DataFrame, column: str) -> str:
    """Return the name under which the page knows ``column``."""
    return f"c{answer.columns.index(column)}"


class _Picture:
    """A chart in the making: the header's channels, and what kind of column each of them is."""

    def __init__(self, asked: Chart, answer: pl.DataFrame, shown: pl.DataFrame) -> None:
        self.answer, self.shown = answer, shown
        self.channels = dict(asked.channels)
        if "color" in self.channels and self.categorical("color") and self.values("color") > _MOST_COLOURS:
            del self.channels["color"]
        if asked.mark == "bar" and "color" in self.channels and self._colour_repeats():
            del self.channels["color"]
        if not {"low", "high"} <= self.channels.keys() or self.shown[self.channels["low"]].null_count() == shown.height:
            self.channels = {name: column for name, column in self.channels.items() if name not in ("low", "high")}

    def _colour_repeats(self) -> bool:
        """Tell whether each bar has a colour of its own, which says nothing that its name does not."""
        name = self.channels["y" if self.value() == "x" else "x"]
        colour = self.channels["color"]
        told = self.shown.select(name, colour).unique()
        return name != colour and told.height == told[name].n_unique() == told[colour].n_unique() > 1

    def has(self, *channels: str) -> bool:
        return all(channel in self.channels for channel in channels)

    def field(self, channel: str) -> str:
        return field(self.answer, self.channels[channel])

    def values(self, channel: str) -> int:
        return self.shown[self.channels[channel]].n_unique()

    def categorical(self, channel: str) -> bool:
        column = self.channels[channel]
        return not self.answer.schema[column].is_numeric() or column in _NUMBERED

    def title(self, channel: str) -> str:
        return self.channels[channel].replace("_", " ")

    def tooltip(self) -> list[alt.Tooltip]:
        return [
            alt.Tooltip(
                f"c{place}",
                type="quantitative" if kind.is_numeric() else "nominal",
                title=name.replace("_", " "),
                **({"format": ",.4~f" if kind.is_float() else ",d"} if kind.is_numeric() else {}),
            )
            for place, (name, kind) in enumerate(self.answer.schema.items())
        ][:_MOST_TOLD]

    def value(self) -> str:
        """Return the channel of x and y that carries the quantity; y where both could."""
        if self.categorical("x"):
            return "y"
        return "x" if self.categorical("y") else "y"

    def panels(self) -> list[str]:
        """Return the columns to make panels of: the header's, or one that alone tells rows on one spot apart."""
        given = [self.channels[name] for name in ("row", "column") if name in self.channels]
        if given:
            return given
        spot = [self.channels[name] for name in ("x", "y", "color") if name in self.channels]
        spot = [column for column in spot if column != self.channels[self.value()] or self.value_is_category()]
        if not self.shown.select(spot).is_duplicated().any():
            return []
        others = [name for name in self.answer.columns if name not in self.channels.values()]
        for name in others:
            kind = self.answer.schema[name]
            apart = kind == pl.String or name in _NUMBERED
            if (
                apart
                and 1 < self.shown[name].n_unique() <= _MOST_PANELS
                and not self.shown.select(*spot, name).is_duplicated().any()
            ):
                return [name]
        return []

    def value_is_category(self) -> bool:
        return self.categorical("x") and self.categorical("y")


def _first_categories(asked: Chart, answer: pl.DataFrame) -> tuple[pl.DataFrame, str | None]:
    """Return the rows (with their number as ``row``) of the first categories of x and of y, and a note on the others."""
    shown = answer.with_row_index("row")
    notes = []
    for channel in ("x", "y"):
        column = asked.channels[channel]
        kind = answer.schema[column]
        if kind.is_numeric() and column not in _NUMBERED:
            continue
        found = answer[column].unique(maintain_order=True)
        if len(found) > _MOST_CATEGORIES:
            shown = shown.filter(pl.col(column).is_in(found.head(_MOST_CATEGORIES), nulls_equal=True))
            notes.append(f"Drawn are the first {_MOST_CATEGORIES} of {len(found):,} ({column.replace('_', ' ')}).")
    return shown, " ".join(notes) or None


def _category(picture: _Picture, channel: str, cls: Any, **more: Any) -> Any:
    kind = "ordinal" if picture.answer.schema[picture.channels[channel]].is_numeric() else "nominal"
    if cls is alt.X and kind == "ordinal":
        more["axis"] = alt.Axis(labelAngle=0)
    title = None if cls is alt.Y else picture.title(channel)  # beside the names themselves it only takes room
    return cls(picture.field(channel), type=kind, title=title, sort=None, **more)


def _quantity(picture: _Picture, channel: str, cls: Any, **more: Any) -> Any:
    least = picture.shown[picture.channels[channel]].min()
    if cls in (alt.X, alt.Y) and isinstance(least, int | float) and least < 0:
        more["axis"] = alt.Axis(gridOpacity=_ZERO)  # a line at zero
    return cls(picture.field(channel), type="quantitative", title=picture.title(channel), **more)


def _colour(picture: _Picture) -> dict[str, Any]:
    if not picture.has("color"):
        return {"color": alt.value(ACCENT)}
    if picture.categorical("color") or picture.values("color") <= 1:
        return {"color": _category(picture, "color", alt.Color)}
    return {"color": _quantity(picture, "color", alt.Color)}


def _bars(picture: _Picture) -> Any:
    value = picture.value()
    category = "y" if value == "x" else "x"
    across, along = ("y", "x") if value == "x" else ("x", "y")
    column = picture.shown[picture.channels[value]]
    interval = picture.has("low", "high")
    side = interval or (column.dtype.is_float() and float(column.abs().max() or 0) <= 1)  # type: ignore[arg-type]
    coloured = picture.has("color") and picture.categorical("color")
    place: dict[str, Any] = {across: _category(picture, category, {"x": alt.X, "y": alt.Y}[across])}
    if side and coloured and picture.channels["color"] != picture.channels[category]:
        offset = alt.YOffset if across == "y" else alt.XOffset
        place[f"{across}Offset"] = _category(picture, "color", offset)
    position = {"x": alt.X, "y": alt.Y}[along]
    base = alt.Chart().encode(**place)
    stack = None if side else "zero"
    parts = [
        base.mark_bar(cornerRadiusEnd=2).encode(
            **{along: _quantity(picture, value, position, stack=stack)}, **_colour(picture), tooltip=picture.tooltip()
        )
    ]
    if interval:
        parts.append(base.mark_rule(strokeWidth=1.2, opacity=0.75, aria=False).encode(**_interval(picture, along)))
    series = picture.values("color") if f"{across}Offset" in place else 0
    step = {"step": max(18, 7 * series + 10), "for": "position"}
    return _put(picture, parts, height=step if across == "y" else 260, width=None if across == "y" else step, panel=420)


def _lines(picture: _Picture) -> Any:
    panels = [picture.channels[name] for name in ("row", "column") if name in picture.channels]
    series = picture.values("color") if picture.has("color") else 1
    if not panels and series > _MOST_SERIES:
        panels = [picture.channels["color"]]
        del picture.channels["color"]
    x = (
        _category(picture, "x", alt.X, scale=alt.Scale(padding=0.3))
        if picture.categorical("x")
        else _quantity(picture, "x", alt.X)
    )
    base = alt.Chart().encode(x=x, **_colour(picture))
    y = _quantity(picture, "y", alt.Y)
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
    return _put(picture, parts, height=130 if panels else 260, panel=230, panels=panels or None)


def _points(picture: _Picture) -> Any:
    if not picture.categorical("x") and not picture.categorical("y"):
        return _scatter(picture)
    value = picture.value()
    across, along = ("y", "x") if value == "x" else ("x", "y")
    cls = {"x": alt.X, "y": alt.Y}
    place: dict[str, Any] = {across: _category(picture, across, cls[across])}
    coloured = picture.has("color") and picture.categorical("color")
    if coloured and picture.channels["color"] != picture.channels[across]:
        place[f"{across}Offset"] = _category(picture, "color", alt.YOffset if across == "y" else alt.XOffset)
    base = alt.Chart().encode(**place, **_colour(picture))
    parts = [
        base.mark_point(filled=True, size=55, opacity=1).encode(
            **{along: _quantity(picture, value, cls[along])}, tooltip=picture.tooltip()
        )
    ]
    if picture.has("low", "high"):
        parts.insert(
            0, base.mark_rule(strokeWidth=1.6, opacity=0.7, aria=False).encode(**_interval(picture, along))
        )
    step = {"step": max(20, 8 * (picture.values("color") if coloured else 1) + 10), "for": "position"}
    return _put(picture, parts, height=step if across == "y" else 260, width=None if across == "y" else step, panel=420)


def _scatter(picture: _Picture) -> Any:
    """Return points in a plane; whiskers where the answer has ``<column>_low`` and ``<column>_high``, names where few."""
    base = alt.Chart().encode(**_colour(picture))
    parts = []
    for along, cls in (("x", alt.X), ("y", alt.Y)):
        other, other_cls = ("y", alt.Y) if along == "x" else ("x", alt.X)
        ends = _ends(picture, along)
        if ends:
            parts.append(
                base.mark_rule(strokeWidth=1.4, opacity=0.55, aria=False).encode(
                    **{
                        along: cls(ends[0], type="quantitative", title=picture.title(along)),
                        f"{along}2": ends[1],
                        other: _quantity(picture, other, other_cls),
                    }
                )
            )
    position = {"x": _quantity(picture, "x", alt.X), "y": _quantity(picture, "y", alt.Y)}
    size = {"size": _quantity(picture, "size", alt.Size)} if picture.has("size") else {}
    parts.append(
        base.mark_point(filled=True, opacity=0.95, **({} if size else {"size": 90})).encode(
            **position, **size, tooltip=picture.tooltip()
        )
    )
    if picture.has("color") and picture.categorical("color") and picture.values("color") == picture.shown.height <= 20:
        parts.append(
            alt.Chart()
            .mark_text(align="left", dx=9, dy=-9, fontSize=12, fontWeight=600, aria=False)
            .encode(**position, text=alt.Text(picture.field("color"), type="nominal"))
        )
    return _put(picture, parts, height=320, panel=420)


def _ends(picture: _Picture, along: str) -> tuple[str, str] | None:
    name = picture.channels[along]
    if {f"{name}_low", f"{name}_high"} <= set(picture.answer.columns):
        return field(picture.answer, f"{name}_low"), field(picture.answer, f"{name}_high")
    if along == "y" and picture.has("low", "high"):
        return picture.field("low"), picture.field("high")
    return None


def _heatmap(picture: _Picture) -> Any:
    if not picture.has("color"):
        return None
    column = picture.shown[picture.channels["color"]].cast(pl.Float64, strict=False).drop_nulls()
    if column.is_empty():
        return None
    top = max(float(column.abs().max() or 0), 1e-9)  # type: ignore[arg-type]
    shade, name = picture.field("color"), picture.title("color")
    interval = picture.has("low", "high")
    wide = interval and picture.values("x") <= 12
    digits = ".3f" if wide else ".2f" if column.dtype.is_float() and not (column % 1 == 0).all() else ",d"
    place = {
        "x": _category(picture, "x", alt.X, axis=alt.Axis(orient="top", labelAngle=0 if wide else -45)),
        "y": _category(picture, "y", alt.Y).title(picture.title("y")),
    }
    base = alt.Chart().encode(**place).transform_calculate(shade=f"abs(datum.{shade})", dark=f"abs(datum.{shade})/{top}")
    cells = base.mark_rect(cornerRadius=3, stroke="currentColor", strokeOpacity=0.12).encode(
        fill=alt.condition(f"datum.{shade} < 0", alt.value(_COLD), alt.value(_HOT)),
        fillOpacity=alt.FillOpacity(
            "shade", type="quantitative", scale=alt.Scale(domain=[0, top], range=[0.04, 0.95]), legend=None
        ),
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
    return _put(picture, parts, width=size[0], height=size[1], panel=420)


def _interval(picture: _Picture, along: str) -> dict[str, Any]:
    low = {"x": alt.X, "y": alt.Y}[along]
    return {
        along: low(picture.field("low"), type="quantitative", title=picture.title(picture.value())),
        f"{along}2": picture.field("high"),
    }


def _put(
    picture: _Picture, parts: list[Any], *, height: Any, width: Any = None, panel: int, panels: list[str] | None = None
) -> Any:
    """Return ``parts`` as one chart, as wide as the page has room, or in panels, which the page sizes (``panel``)."""
    panels = picture.panels() if panels is None else panels
    wide = {"width": width} if width is not None else {}
    layered = alt.layer(*parts).properties(height=height, **(wide or ({} if panels else {"width": "container"})))
    data = alt.NamedData(ROWS)
    if not panels:
        return layered.properties(data=data)
    titles = [_panel_title(picture, column) for column in panels]
    if len(panels) == 2:
        chart = layered.facet(row=alt.Row(**titles[0]), column=alt.Column(**titles[1]), data=data)
    else:
        chart = layered.facet(alt.Facet(**titles[0]), columns=1, data=data)
    if picture.shown.height and (picture.has("x", "y")):
        own = [channel for channel in ("x", "y") if picture.categorical(channel)]
        free = {name: "independent" for channel in own for name in (channel, f"{channel}Offset")}
        chart = chart.resolve_scale(**free) if free and panel == 420 else chart
    names = [len(str(name)) for name in picture.shown[picture.channels["y"]].unique()] if picture.categorical("y") else [5]
    return chart.properties(usermeta={"panel": panel, "fixed": width is not None, "names": max(names)})


def _panel_title(picture: _Picture, column: str) -> dict[str, Any]:
    return {
        "shorthand": field(picture.answer, column),
        "type": "nominal",
        "title": None,
        "sort": None,
        "header": alt.Header(labelAnchor="start", labelPadding=4),
    }
