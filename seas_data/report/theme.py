"""The theme of all charts: colours that can be distinguished on light and dark, and text in the colour of the page.

The browser resolves ``currentColor``, so the same chart works in light mode, in dark mode and on paper.
"""

from typing import Any

ROWS = "rows"
ACCENT = "#d9622b"
COOL = "#2f8fa8"
HOT, COLD = "#b0401a", "#1d6a80"  # full cells of a heat map, readable with white text
GRID = "rgba(128, 128, 128, 0.25)"
PALETTE = (
    *("#d9622b", "#2f8fa8", "#8a6fd1", "#4f9d5b", "#c9a227", "#c4568f", "#5b7fd6"),
    *("#8c6d4f", "#3aa79b", "#b3484f", "#7f8c99", "#94a83a", "#a05fc0", "#d08a5c", "#5f8f7a", "#a9856f"),
)
CONFIG: dict[str, Any] = {
    "background": None,
    "font": "system-ui, sans-serif",
    "view": {"stroke": None},
    "range": {"category": list(PALETTE), "ordinal": list(PALETTE), "ramp": [COOL, ACCENT]},
    "axis": {
        **dict.fromkeys(("labelColor", "titleColor", "domainColor", "tickColor"), "currentColor"),
        **{"gridColor": GRID, "domainOpacity": 0.35, "tickOpacity": 0.35, "labelFontSize": 11, "titleFontSize": 11},
        **{"titleFontWeight": "normal", "titleOpacity": 0.75, "labelLimit": 220, "labelOverlap": True},
    },
    "axisBand": {"grid": False, "labelOverlap": False},
    "axisQuantitative": {"tickCount": 6},
    "header": {"labelColor": "currentColor", "titleColor": "currentColor", "labelFontSize": 12, "labelFontWeight": 600},
    "legend": {
        **{"labelColor": "currentColor", "titleColor": "currentColor", "labelFontSize": 11, "titleFontSize": 11},
        **{
            "titleFontWeight": "normal",
            "orient": "top",
            "symbolStrokeWidth": 2,
            "titleOpacity": 0.75,
            "symbolOpacity": 1,
        },
    },
    "text": {"color": "currentColor"},
    "rule": {"color": "currentColor"},
}
"""The Vega-Lite configuration of all charts; the page passes it to Vega-Embed."""
