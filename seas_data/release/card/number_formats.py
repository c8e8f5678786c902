"""Formats of the numbers in a card: proportions and metrics with their intervals, as Markdown."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

DASH = Markup("–")


def percent(value: float | None, digits: int = 1) -> Markup:
    """Return a proportion from 0 to 1 as a percentage; a dash for None."""
    return DASH if value is None else Markup(f"{100 * value:.{digits}f} %")


def percent_interval(row: Mapping[str, Any]) -> Markup:
    """Return the proportion ``value`` of a metrics row with its interval ``low`` to ``high``, as percentages."""
    if row["value"] is None or row["low"] is None or row["high"] is None:
        return percent(row["value"])
    return Markup(f"{100 * row['value']:.1f} % ({100 * row['low']:.1f}–{100 * row['high']:.1f})")


def percent_number(row: Mapping[str, Any]) -> Markup:
    """Return the proportion ``value`` of a metrics row as a percentage without its sign, for narrow columns."""
    return DASH if row["value"] is None else Markup(f"{100 * row['value']:.1f}")


def number(value: float | None) -> Markup:
    """Return a number that is not a proportion, with three decimals; a dash for None."""
    return DASH if value is None else Markup(f"{value:.3f}")


def number_interval(row: Mapping[str, Any]) -> Markup:
    """Return the ``value`` of a metrics row that is not a proportion, with its interval."""
    if row["value"] is None:
        return DASH
    if row["low"] is None or row["high"] is None:
        return Markup(f"{row['value']:.3f}")
    return Markup(f"{row['value']:.3f} ({row['low']:.3f}–{row['high']:.3f})")
