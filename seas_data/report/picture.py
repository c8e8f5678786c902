"""A chart in the making: what the header of a query asks to be shown, and what the answer says of it.

A column of text, or one that names things by number (an iteration, a cluster), is a category; others are quantities.
Only the first forty categories are drawn, and colours that say nothing new, or are too many to tell apart, are left
out. Rows that would lie on one another, since a column tells them apart that no channel shows, get a panel for each of
its values.

Columns go by their place (``c0``, ``c1`` ...), so that no word of the data stands in a specification.
"""

from typing import Any

import altair as alt
import polars as pl

from seas_data.query.library import Chart
from seas_data.report.theme import ACCENT, GRID, PALETTE

_NUMBERED = ("iteration", "cluster", "sample", "number", "round")  # whole numbers that name rather than count
_ZERO: Any = {"condition": {"test": "datum.value === 0", "value": "currentColor"}, "value": GRID}
_MOST_CATEGORIES = 40
_MOST_COLOURS = len(PALETTE)
_MOST_PANELS = 16
_MOST_TOLD = 12  # columns in a tooltip


class Picture:
    """A chart in the making: the header's channels, and what kind of column each of them shows.

    ``shown`` are the rows to draw, with their number as ``row``; ``note`` says which were left out.
    """

    def __init__(self, asked: Chart, answer: pl.DataFrame) -> None:
        self.answer, self.channels = answer, dict(asked.channels)
        self.shown, self.note = self._first(asked)
        if "color" in self.channels and self.categorical("color") and self.values("color") > _MOST_COLOURS:
            del self.channels["color"]
        if asked.mark == "bar" and "color" in self.channels and self._colour_repeats():
            del self.channels["color"]
        if not self.has("low", "high") or self.shown[self.channels["low"]].is_null().all():
            self.channels = {name: column for name, column in self.channels.items() if name not in ("low", "high")}

    def _first(self, asked: Chart) -> tuple[pl.DataFrame, str | None]:
        """Return the rows that have a quantity to show, of the first categories only, and a note on the others."""
        shown, notes = self.answer.with_row_index("row"), []
        for channel in ("x", "y", *(["color"] if asked.mark == "heatmap" else [])):
            if channel not in self.channels:
                continue
            column = self.channels[channel]
            if not self.categorical(channel):
                shown = shown.filter(pl.col(column).is_not_null())
                continue
            found = shown[column].unique(maintain_order=True)
            if len(found) > _MOST_CATEGORIES:
                shown = shown.filter(pl.col(column).is_in(found.head(_MOST_CATEGORIES), nulls_equal=True))
                notes.append(f"Drawn are the first {_MOST_CATEGORIES} of {len(found):,} ({column.replace('_', ' ')}).")
        return shown, " ".join(notes) or None

    def _colour_repeats(self) -> bool:
        """Tell whether each bar has a colour of its own, which says nothing that its name does not."""
        name = self.channels["y" if self.value() == "x" else "x"]
        colour = self.channels["color"]
        told = self.shown.select(name, colour).unique()
        return name != colour and told.height == told[name].n_unique() == told[colour].n_unique() > 1

    def has(self, *channels: str) -> bool:
        """Tell whether the header gives all of ``channels``."""
        return all(channel in self.channels for channel in channels)

    def field(self, channel: str) -> str:
        """Return the name under which the page knows the channel's column."""
        return field(self.answer, self.channels[channel])

    def values(self, channel: str) -> int:
        """Return how many different values the channel shows."""
        return self.shown[self.channels[channel]].n_unique()

    def categorical(self, channel: str) -> bool:
        """Tell whether the channel's column names things, rather than measures them."""
        column = self.channels[channel]
        return not self.answer.schema[column].is_numeric() or column in _NUMBERED

    def title(self, channel: str) -> str:
        """Return what to call the channel on the page."""
        return self.channels[channel].replace("_", " ")

    def tooltip(self) -> list[alt.Tooltip]:
        """Return what a mark tells when it is pointed at: its whole row."""
        columns = list(enumerate(self.answer.schema.items()))[:_MOST_TOLD]
        return [_told(f"c{place}", name.replace("_", " "), kind) for place, (name, kind) in columns]

    def value(self) -> str:
        """Return the channel of x and y that carries the quantity; y where both could."""
        if self.categorical("x"):
            return "y"
        return "x" if self.categorical("y") else "y"

    def units(self, panels: list[str]) -> bool:
        """Tell whether one panel shows shares and another larger numbers, which no axis could serve both."""
        if self.categorical(self.value()):
            return False
        largest = self.shown.group_by(panels).agg(most=pl.col(self.channels[self.value()]).abs().max())["most"]
        return bool((largest <= 1).any() and (largest > 1).any())

    def panels(self) -> list[str]:
        """Return the columns to make panels of: the header's, or one that alone tells rows on one spot apart."""
        given = [self.channels[name] for name in ("row", "column") if name in self.channels]
        if given:
            return given
        spot = [self.channels[name] for name in ("x", "y", "color") if self.has(name) and self.categorical(name)]
        if not self.shown.select(spot).is_duplicated().any():
            return []
        for name, kind in self.answer.schema.items():
            apart = name not in self.channels.values() and (kind == pl.String or name in _NUMBERED)
            few = apart and 1 < self.shown[name].n_unique() <= _MOST_PANELS
            if few and not self.shown.select(*spot, name).is_duplicated().any():
                return [name]
        return []


def field(answer: pl.DataFrame, column: str) -> str:
    """Return the name under which the page knows ``column``."""
    return f"c{answer.columns.index(column)}"


def category(picture: Picture, channel: str, cls: Any, **more: Any) -> Any:
    """Return ``channel`` as names on the encoding ``cls`` (alt.X, alt.Color ...), in the order of the rows."""
    kind = "ordinal" if picture.answer.schema[picture.channels[channel]].is_numeric() else "nominal"
    if cls is alt.X and kind == "ordinal":
        more["axis"] = alt.Axis(labelAngle=0)
    title = None if cls is alt.Y else picture.title(channel)  # beside the names themselves it only takes room
    return cls(picture.field(channel), type=kind, title=title, sort=None, **more)


def quantity(picture: Picture, channel: str, cls: Any, **more: Any) -> Any:
    """Return ``channel`` as a quantity on the encoding ``cls``, with a line at zero where it goes below."""
    least = picture.shown[picture.channels[channel]].min()
    if cls in (alt.X, alt.Y) and isinstance(least, int | float) and least < 0:
        more["axis"] = alt.Axis(gridColor=_ZERO)
    return cls(picture.field(channel), type="quantitative", title=picture.title(channel), **more)


def colour(picture: Picture) -> dict[str, Any]:
    """Return the encoding of colour: what the header gives, or the accent."""
    if not picture.has("color"):
        return {"color": alt.value(ACCENT)}
    if picture.categorical("color") or picture.values("color") <= 1:
        return {"color": category(picture, "color", alt.Color)}
    return {"color": quantity(picture, "color", alt.Color)}


def _told(name: str, title: str, kind: pl.DataType) -> alt.Tooltip:
    if not kind.is_numeric():
        return alt.Tooltip(name, type="nominal", title=title)
    return alt.Tooltip(name, type="quantitative", title=title, format=",.4~f" if kind.is_float() else ",d")
