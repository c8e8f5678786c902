"""The sections of the report: one for each query of the library, grouped by the topic in its header.

A new file in ``sql/`` is a new section; nothing has to be added here.
"""

from dataclasses import dataclass, field
from typing import Any

import polars as pl
from markupsafe import Markup

from seas_data.query.cells import TEXT_COLUMNS, format_cell
from seas_data.query.library import Query
from seas_data.report.charts_from_sql import ChartSpec, draw_chart
from seas_data.text import printable

ROWS = 1_000  # of a result that the page contains
_LONG = 160  # characters of a cell; labels, sentences and reasons are shorter

TITLES = {
    "overview": "Overview",
    "safety": "Attack and defence",
    "coverage": "Coverage and novelty",
    "data": "Prompts",
    "curation": "Curation",
    "pairs": "Preference pairs",
    "quality": "Labels and judges",
    "cost": "Time and tokens",
    "more": "Other queries",
}
"""The titles of ``library.TOPICS``, in the order of the page."""
FIRST = (  # within each topic these come first, then the others by name
    *("attack-success-matrix", "safety-frontier", "utility", "attack-success-by-iteration", "attack-success-by-type"),
    "attack-success-by-risk-and-style",
    *("risk-by-style", "rows-by-type", "rows-by-source", "flow", "ledger", "drop-reasons", "pairs-by-role", "judges"),
)
VARIANTS = {"attack-success-by-iteration": (("by=type",), ("by=difficulty",))}  # queries with more than one section


@dataclass
class Section:
    """One section: what the template writes and, in ``content``, the data that the scripts draw."""

    id: str
    title: str
    question: str
    kind: str = "query"
    command: str | None = None
    note: str | None = None
    rows: str | None = None
    chart: bool = False
    svg: Markup | None = None
    content: dict[str, Any] = field(default_factory=dict)


@dataclass
class Topic:
    """Sections under one heading. The overview also has tiles."""

    id: str
    title: str
    sections: list[Section]
    tiles: list[dict[str, Any]] = field(default_factory=list)


def order_queries(queries: dict[str, Query]) -> list[tuple[Query, tuple[str, ...]]]:
    """Return the queries with their parameters in the order of the report: those of ``FIRST``, then by name."""
    by_position = sorted(queries.values(), key=lambda query: (_position(query.name), query.name))
    return [(query, given) for query in by_position for given in VARIANTS.get(query.name, ((),))]


def _position(name: str) -> int:
    return FIRST.index(name) if name in FIRST else len(FIRST)


def query_section(query: Query, given: tuple[str, ...], result: pl.DataFrame, version: str) -> Section:
    """Return the section of one query with the parameters ``given``. Its result must have rows."""
    chart = draw_chart(query, result.head(ROWS))
    name = "-".join((f"q-{query.name}", *(each.replace("=", "-") for each in given)))
    title = ", ".join((query.title, *(each.replace("=", " ") for each in given)))
    section = table_section(name, title, query.question, result, chart)
    section.command = " ".join(
        ("seas-data sql", query.name, *(f"--param {each}" for each in given), f"--version {version}")
    )
    return section


def table_section(
    name: str, title: str, question: str, result: pl.DataFrame, chart: ChartSpec | None = None
) -> Section:
    """Return a section that shows ``result`` as a table, and as a chart if there is one."""
    shown = result.head(ROWS)
    columns = [_column(shown[column]) for column in shown.columns]
    content = {
        "id": name,
        "title": title,
        "total": result.height,
        "columns": [
            {"name": printable(column), "kind": kind} for column, (kind, _) in zip(shown.columns, columns, strict=True)
        ],
        "values": [values for _, values in columns],
    }
    section = Section(name, title, question, content=content, rows=_count_rows(result.height))
    if chart is not None:
        section.note, section.chart = chart.note, bool(chart.spec)
        content |= {"spec": chart.spec} if chart.spec else {}
        content |= {"drawn": chart.rows} if chart.rows is not None else {}
    return section


def prompt_ids(content: dict[str, Any]) -> list[str]:
    """Return the ids in the table of a section."""
    return [
        value
        for column, values in zip(content["columns"], content["values"], strict=True)
        if column["kind"] == "id"
        for value in values
        if value is not None
    ]


def _count_rows(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows:,} rows"


def _column(column: pl.Series) -> tuple[str, list[Any]]:
    """Return a column's kind (number, id, text) and its cells, without texts of prompts or responses."""
    if column.dtype.is_numeric():
        finite = column.cast(pl.Float64).is_finite() if column.dtype.is_float() else column.is_not_null()
        values = [value if good else None for value, good in zip(column.to_list(), finite, strict=True)]
        return "number", [round(value, 6) if isinstance(value, float) else value for value in values]
    kind = "id" if column.name.endswith("_id") and column.dtype == pl.String else "text"
    return kind, [None if value is None else _cell(column.name, value) for value in column.to_list()]


def _cell(name: str, value: Any) -> str:
    text = format_cell(name, value, reveal=True)
    if name in TEXT_COLUMNS or len(text) > _LONG:
        return f"({len(text):,} characters)"
    return text
