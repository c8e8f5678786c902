"""A Sankey diagram of the query ``flow``: from each source through keep or drop to a split or a drop reason.

It is drawn as SVG, because Vega-Lite has no mark for it. Colours are classes of the page's style sheet, so that the
diagram follows the theme and needs no inline style. All text from the data is escaped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import polars as pl
from markupsafe import Markup

from seas_data.text import printable

_WIDTH, _BAR, _LABEL = 960, 12, 170
_TALL, _PITCH, _GAP = 320, 16, 6  # height of all bars; minimum distance of labels; gap between bars
_MOST_SOURCES = 16
_OTHERS = "other sources"


@dataclass
class _Node:
    name: str
    outcome: str
    rows: int
    top: float = 0
    used_left: float = 0
    used_right: float = 0


def draw_flow(flow: pl.DataFrame) -> Markup:
    """Return the result of the query ``flow`` as an SVG diagram with three columns.

    Input columns: source, outcome, detail, rows.
    """
    sizes = flow.group_by("source").agg(pl.col("rows").sum()).sort("rows", "source", descending=[True, False])
    named = (
        sizes["source"].head(_MOST_SOURCES).to_list() if sizes.height > _MOST_SOURCES + 1 else sizes["source"].to_list()
    )
    flow = flow.with_columns(source=pl.when(pl.col("source").is_in(named)).then("source").otherwise(pl.lit(_OTHERS)))
    first = flow.group_by("source", "outcome").agg(pl.col("rows").sum())
    second = flow.group_by("outcome", "detail").agg(pl.col("rows").sum())
    order = {name: position for position, name in enumerate(("kept", "dropped", "set aside"))}
    sources = [_Node(name, "", rows) for name, rows in _sums(flow, "source")]
    sources.sort(key=lambda node: (node.name == _OTHERS, -node.rows, node.name))
    outcomes = sorted(
        (_Node(name, name, rows) for name, rows in _sums(flow, "outcome")), key=lambda node: order[node.name]
    )
    details = [_Node(detail, outcome, rows) for outcome, detail, rows in second.iter_rows()]
    details.sort(key=lambda node: (order[node.outcome], -node.rows, node.name))

    scale = _TALL / int(flow["rows"].sum())
    height = max(_stack(column, scale) for column in (sources, outcomes, details)) + 8
    left, middle, right = _LABEL, _WIDTH / 2 - _BAR / 2, _WIDTH - _LABEL - _BAR
    by_source, by_outcome = {node.name: node for node in sources}, {node.name: node for node in outcomes}
    shapes: list[Markup] = []
    for one in sources:
        for other in outcomes:
            rows = int(first.filter(source=one.name, outcome=other.name)["rows"].sum())
            if rows:
                shapes.append(_link(by_source[one.name], by_outcome[other.name], rows, scale, (left + _BAR, middle)))
    shapes += [
        _link(by_outcome[detail.outcome], detail, detail.rows, scale, (middle + _BAR, right)) for detail in details
    ]
    shapes += [_node(node, scale, left, -8, "end") for node in sources]
    shapes += [_node(node, scale, middle, _BAR + 8, "start") for node in outcomes]
    shapes += [_node(node, scale, right, _BAR + 8, "start") for node in details]
    return Markup(
        '<svg class="flow" viewBox="0 0 {width} {height:.0f}" role="img" aria-label="{label}">{shapes}</svg>'
    ).format(
        width=_WIDTH,
        height=height,
        label=f"{int(flow['rows'].sum()):,} rows of {sizes.height} sources: "
        + ", ".join(f"{node.rows:,} {node.name}" for node in outcomes),
        shapes=Markup("").join(shapes),
    )


def _sums(flow: pl.DataFrame, column: str) -> list[tuple[str, int]]:
    return list(flow.group_by(column).agg(pl.col("rows").sum()).sort(column).iter_rows())


def _stack(nodes: Sequence[_Node], scale: float) -> float:
    """Stack the nodes, far enough apart for their labels, and return the bottom of the last one."""
    if nodes:
        nodes[0].top = 4
    for above, below in pairwise(nodes):
        below.top = above.top + max(above.rows * scale + _GAP, _PITCH)
    return nodes[-1].top + max(nodes[-1].rows * scale, _PITCH) if nodes else 0


def _link(one: _Node, other: _Node, rows: int, scale: float, span: tuple[float, float]) -> Markup:
    start, end = one.top + one.used_right, other.top + other.used_left
    thick = rows * scale
    one.used_right += thick
    other.used_left += thick
    thick = max(thick, 0.8)
    (x0, x1), bend = span, sum(span) / 2
    path = (
        f"M{x0:.1f} {start:.1f}C{bend:.1f} {start:.1f} {bend:.1f} {end:.1f} {x1:.1f} {end:.1f}V{end + thick:.1f}"
        f"C{bend:.1f} {end + thick:.1f} {bend:.1f} {start + thick:.1f} {x0:.1f} {start + thick:.1f}Z"
    )
    title = f"{printable(one.name)} to {printable(other.name)}: {rows:,}"
    return Markup('<path class="link {kind}" d="{path}"><title>{title}</title></path>').format(
        kind=_class(other.outcome), path=path, title=title
    )


def _node(node: _Node, scale: float, x: float, label: float, anchor: str) -> Markup:
    tall = max(node.rows * scale, 1.5)
    name = printable(node.name)
    return Markup(
        '<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{bar}" height="{tall:.1f}" rx="1.5"></rect>'
        '<text x="{at:.1f}" y="{middle:.1f}" dy="0.35em" text-anchor="{anchor}">{name} '
        '<tspan class="soft">{rows}</tspan></text>'
    ).format(
        kind=_class(node.outcome),
        x=x,
        y=node.top,
        bar=_BAR,
        tall=tall,
        at=x + label,
        middle=node.top + tall / 2,
        anchor=anchor,
        name=name.replace("_", " ") if len(name) <= 20 else f"{name[:19]}…",
        rows=f"{node.rows:,}",
    )


def _class(outcome: str) -> str:
    return {"kept": "hold", "dropped": "lost", "set aside": "lost"}.get(outcome, "plain")
