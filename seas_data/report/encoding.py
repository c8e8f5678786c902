"""The encoding of a chart: the channels of a query's header, applied to the columns of its result.

A text column, or a number that names something (an iteration, a cluster), is categorical; other columns are
quantitative. Only the first forty categories are drawn. Colour is dropped if it repeats another channel or has too many
values to distinguish. If rows would be drawn on top of each other because a column that no channel shows differs, each
value of that column gets a panel.

Fields are named by position (``c0``, ``c1`` ...), so that no text from the data is in a specification.
"""

from typing import Any

import altair as alt
import polars as pl

from seas_data.query.library import Chart
from seas_data.report.theme import ACCENT, GRID, PALETTE

_NUMBERED = ("iteration", "cluster", "sample", "number", "round")  # integers that name something rather than count
_ZERO: Any = {"condition": {"test": "datum.value === 0", "value": "currentColor"}, "value": GRID}
_MOST_CATEGORIES = 40
_MOST_COLOURS = len(PALETTE)
_MOST_PANELS = 16
_MOST_IN_TOOLTIP = 12  # columns


class ChartEncoding:
    """The channels of a chart and the rows that it draws.

    ``rows``: the rows to draw, with their number as column ``row``; ``note``: which rows were left out.
    """

    def __init__(self, chart: Chart, result: pl.DataFrame) -> None:
        self.result, self.channels = result, dict(chart.channels)
        self.rows, self.note = self._first_categories(chart)
        if "color" in self.channels and self.is_categorical("color") and self.distinct_values("color") > _MOST_COLOURS:
            del self.channels["color"]
        if chart.mark == "bar" and "color" in self.channels and self._colour_repeats():
            del self.channels["color"]
        if not self.has("low", "high") or self.rows[self.channels["low"]].is_null().all():
            self.channels = {name: column for name, column in self.channels.items() if name not in ("low", "high")}
        if "size" in self.channels and self.rows[self.channels["size"]].has_nulls():
            del self.channels["size"]  # a point without a size would not be drawn

    def _first_categories(self, chart: Chart) -> tuple[pl.DataFrame, str | None]:
        """Return the rows with a quantity in the first categories, and a note on the categories left out."""
        rows, notes = self.result.with_row_index("row"), []
        for channel in ("x", "y", *(["color"] if chart.mark == "heatmap" else [])):
            if channel not in self.channels:
                continue
            column = self.channels[channel]
            if not self.is_categorical(channel):
                rows = rows.filter(pl.col(column).is_not_null())
                continue
            values = rows[column].unique(maintain_order=True)
            if len(values) > _MOST_CATEGORIES:
                rows = rows.filter(pl.col(column).is_in(values.head(_MOST_CATEGORIES), nulls_equal=True))
                notes.append(
                    f"Only the first {_MOST_CATEGORIES} of {len(values):,} values of {_title(column)} are drawn."
                )
        return rows, " ".join(notes) or None

    def _colour_repeats(self) -> bool:
        """Return whether colour maps one to one to the categories of the axis, and so adds nothing."""
        name = self.channels["y" if self.value_channel() == "x" else "x"]
        colour = self.channels["color"]
        pairs = self.rows.select(name, colour).unique()
        return name != colour and pairs.height == pairs[name].n_unique() == pairs[colour].n_unique() > 1

    def has(self, *channels: str) -> bool:
        """Return whether the chart has all of ``channels``."""
        return all(channel in self.channels for channel in channels)

    def field(self, channel: str) -> str:
        """Return the field name of the channel's column."""
        return field_name(self.result, self.channels[channel])

    def distinct_values(self, channel: str) -> int:
        """Return the number of distinct values of the channel."""
        return self.rows[self.channels[channel]].n_unique()

    def is_categorical(self, channel: str) -> bool:
        """Return whether the channel's column is categorical."""
        column = self.channels[channel]
        return not self.result.schema[column].is_numeric() or column in _NUMBERED

    def title(self, channel: str) -> str:
        """Return the title of the channel."""
        return _title(self.channels[channel])

    def tooltip(self) -> list[alt.Tooltip]:
        """Return the tooltip of a mark: the columns of its row."""
        columns = list(enumerate(self.result.schema.items()))[:_MOST_IN_TOOLTIP]
        return [_tooltip_field(f"c{index}", _title(name), kind) for index, (name, kind) in columns]

    def value_channel(self) -> str:
        """Return which of x and y is the quantity; y if both are."""
        if self.is_categorical("x"):
            return "y"
        return "x" if self.is_categorical("y") else "y"

    def has_mixed_scales(self, panels: list[str]) -> bool:
        """Return whether some panels show proportions and others larger numbers, which cannot share an axis."""
        if self.is_categorical(self.value_channel()):
            return False
        largest = self.rows.group_by(panels).agg(most=pl.col(self.channels[self.value_channel()]).abs().max())["most"]
        return bool((largest <= 1).any() and (largest > 1).any())

    def panel_columns(self) -> list[str]:
        """Return the columns that make panels: the header's, or one that separates rows drawn on the same spot."""
        given = [self.channels[name] for name in ("row", "column") if name in self.channels]
        if given:
            return given
        spot = [self.channels[name] for name in ("x", "y", "color") if self.has(name) and self.is_categorical(name)]
        if not self.rows.select(spot).is_duplicated().any():
            return []
        for name, kind in self.result.schema.items():
            separates = name not in self.channels.values() and (kind == pl.String or name in _NUMBERED)
            few = separates and 1 < self.rows[name].n_unique() <= _MOST_PANELS
            if few and not self.rows.select(*spot, name).is_duplicated().any():
                return [name]
        return []


def _title(column: str) -> str:
    return column.replace("_", " ")


def field_name(result: pl.DataFrame, column: str) -> str:
    """Return the field name of ``column``."""
    return f"c{result.columns.index(column)}"


def categorical_encoding(encoding: ChartEncoding, channel: str, cls: Any, **more: Any) -> Any:
    """Return ``channel`` as a categorical encoding ``cls`` (alt.X, alt.Color ...), in the order of the rows."""
    kind = "ordinal" if encoding.result.schema[encoding.channels[channel]].is_numeric() else "nominal"
    if cls is alt.X and kind == "ordinal":
        more["axis"] = alt.Axis(labelAngle=0)
    title = None if cls is alt.Y else encoding.title(channel)  # the names of the categories explain themselves
    return cls(encoding.field(channel), type=kind, title=title, sort=None, **more)


def quantitative_encoding(encoding: ChartEncoding, channel: str, cls: Any, **more: Any) -> Any:
    """Return ``channel`` as a quantitative encoding ``cls``, with a line at zero if there are negative values."""
    least = encoding.rows[encoding.channels[channel]].min()
    if cls in (alt.X, alt.Y) and isinstance(least, int | float) and least < 0:
        more["axis"] = alt.Axis(gridColor=_ZERO)
    return cls(encoding.field(channel), type="quantitative", title=encoding.title(channel), **more)


def colour_encoding(encoding: ChartEncoding) -> dict[str, Any]:
    """Return the colour encoding: the header's, or the accent colour."""
    if not encoding.has("color"):
        return {"color": alt.value(ACCENT)}
    if encoding.is_categorical("color") or encoding.distinct_values("color") <= 1:
        return {"color": categorical_encoding(encoding, "color", alt.Color)}
    return {"color": quantitative_encoding(encoding, "color", alt.Color)}


def _tooltip_field(name: str, title: str, kind: pl.DataType) -> alt.Tooltip:
    if not kind.is_numeric():
        return alt.Tooltip(name, type="nominal", title=title)
    return alt.Tooltip(name, type="quantitative", title=title, format=",.4~f" if kind.is_float() else ",d")
