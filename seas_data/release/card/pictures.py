"""The pictures of a card: small SVG files, drawn from the figures without a browser, with reproducible bytes.

``draw_heat_map`` shows attack success by red team and target, ``draw_trend`` attack success and over-refusal from
target to target. All text is escaped for XML; the files contain no script, link or external style.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape

from seas_data.markdown import line
from seas_data.release.card.queries import Figures, Row, natural_key

_FONT = 'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif"'
_INK, _PALE = "#24292f", "#d0d7de"
_COLOURS = ("#b42318", "#175cd3")


def draw_pictures(found: Figures) -> dict[str, str]:
    """Return the SVG text of each picture that there are figures for, by its path."""
    pictures = {}
    if cells := found["attack_success_matrix"]:
        pictures["assets/attack-success.svg"] = draw_heat_map(cells)
    if lines := trend_lines(found["target_sets"]):
        pictures["assets/course.svg"] = draw_trend(lines)
    return pictures


def trend_lines(target_sets: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the lines of ``draw_trend``: rows by title, for one judge; nothing for fewer than two targets.

    Of several judges the one with the most rows is shown; ties by name.
    """
    measures = {
        "attack_success": ("test", "Attack success on test"),
        "over_refusal": ("harmless", "Over-refusal on harmless"),
    }
    judged = [row for row in target_sets if row["name"] in measures and row["prompt_set"] == measures[row["name"]][0]]
    counts = Counter(str(row["judge"]) for row in judged)
    judge = min(counts, key=lambda name: (-counts[name], name), default="")
    lines = {
        f"{title}, by {judge}": rows
        for name, (_, title) in measures.items()
        if (rows := [row for row in judged if row["name"] == name and str(row["judge"]) == judge])
    }
    return lines if len({row["target"] for rows in lines.values() for row in rows}) > 1 else {}


def draw_heat_map(cells: Sequence[Row]) -> str:
    """Return a heat map of ``cells`` (red_team, target, value, low, high): red teams in rows, targets in columns."""
    reds = sorted({str(cell["red_team"]) for cell in cells}, key=natural_key)
    targets = sorted({str(cell["target"]) for cell in cells}, key=natural_key)
    side, high, left, top = 72, 34, 72, 58
    parts = [_text(left, 18, "Attack success, red team by target", size=14, bold=True)]
    for place, name in enumerate(targets):
        parts.append(_text(left + place * side + side / 2, top - 8, name, anchor="middle"))
    for place, name in enumerate(reds):
        parts.append(_text(left - 10, top + place * high + high / 2 + 4, name, anchor="end"))
    for cell in cells:
        x, y = left + targets.index(str(cell["target"])) * side, top + reds.index(str(cell["red_team"])) * high
        value = cell["value"]
        title = f"{cell['red_team']} against {cell['target']}: {_format_interval(cell)}"
        parts.append(
            f'<g><title>{_xml(title)}</title><rect x="{x}" y="{y}" width="{side - 2}" height="{high - 2}" rx="3" '
            f'fill="{_colour(value)}"/>'
            + _text(x + side / 2 - 1, y + high / 2 + 4, _format_percent(value), anchor="middle", ink=_ink_on(value))
            + "</g>"
        )
    return _svg(max(left + side * len(targets) + 12, 360), top + high * len(reds) + 12, parts)


def draw_trend(lines: dict[str, list[Row]]) -> str:
    """Return a line chart over the targets, one line per title, with intervals. Rows: target, value, low, high."""
    targets = sorted({str(row["target"]) for rows in lines.values() for row in rows}, key=natural_key)
    width, height, left, top = 560, 220, 56, 66
    step = width / max(len(targets) - 1, 1)
    parts = [_text(left - 40, 18, "Attack success and over-refusal, target by target", size=14, bold=True)]
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = top + height * (1 - tick)
        parts.append(f'<line x1="{left}" y1="{y:g}" x2="{left + width}" y2="{y:g}" stroke="{_PALE}"/>')
        parts.append(_text(left - 8, y + 4, f"{100 * tick:g} %", anchor="end"))
    for place, name in enumerate(targets):
        parts.append(_text(left + place * step, top + height + 20, name, anchor="middle"))
    for number, (measure, rows) in enumerate(lines.items()):
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(f'<rect x="{left + number * 280}" y="32" width="12" height="12" rx="2" fill="{colour}"/>')
        parts.append(_text(left + number * 280 + 18, 43, measure))
        points = [
            (left + targets.index(str(row["target"])) * step, row)
            for row in sorted(rows, key=lambda row: natural_key(str(row["target"])))
            if row["value"] is not None
        ]
        path = " ".join(f"{x:.1f},{_y(row['value'], top, height):.1f}" for x, row in points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, row in points:
            parts.append(_point(x, row, colour, top, height, measure))
    return _svg(left + width + 40, top + height + 34, parts)


def _point(x: float, row: Row, colour: str, top: float, height: float, measure: str) -> str:
    tooltip = f"{measure}, {row['target']}: {_format_interval(row)}"
    title = f"<title>{_xml(tooltip)}</title>"
    bar = ""
    if row["low"] is not None and row["high"] is not None:
        low, high = _y(row["low"], top, height), _y(row["high"], top, height)
        bar = f'<line x1="{x:.1f}" y1="{low:.1f}" x2="{x:.1f}" y2="{high:.1f}" stroke="{colour}" stroke-width="1.5"/>'
    y = _y(row["value"], top, height)
    return f'<g>{title}{bar}<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/></g>'


def _y(value: float, top: float, height: float) -> float:
    return top + height * (1 - min(max(value, 0.0), 1.0))


def _colour(value: float | None) -> str:
    """Return a colour from near white (0) to deep red (1), mixed in RGB."""
    if value is None:
        return "#ffffff"
    proportion = min(max(value, 0.0), 1.0)
    mixed = (round(low + (high - low) * proportion) for low, high in ((254, 145), (243, 24), (242, 24)))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def _ink_on(value: float | None) -> str:
    return "#ffffff" if value is not None and value > 0.55 else _INK


def _format_percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _format_interval(row: Row) -> str:
    if row["low"] is None or row["high"] is None:
        return _format_percent(row["value"])
    return f"{_format_percent(row['value'])} ({100 * row['low']:.1f} to {100 * row['high']:.1f})"


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, bold: bool = False, ink: str = _INK
) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="{size}"{weight} fill="{ink}">{_xml(text)}</text>'
    )


def _xml(text: str) -> str:
    return escape(line(text, 60), {'"': "&quot;"})


def _svg(width: float, height: float, parts: Iterable[str]) -> str:
    inside = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}" role="img" {_FONT}>\n'
        f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>\n{inside}\n</svg>\n'
    )
