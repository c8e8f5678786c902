"""What stands in the report: a section for each query of the library, by topic, and what the page has to know of each.

A query stands under the topic that its header names. So a new file in ``sql/`` is a new section, with no line to add
here.
"""

from dataclasses import dataclass, field
from typing import Any

import polars as pl
from markupsafe import Markup

from seas_data.query import formats as table
from seas_data.query.library import Query
from seas_data.report.charts import Drawing, draw
from seas_data.text import printable

ROWS = 1_000  # of an answer that the page holds
_LONG = 160  # characters of a cell: labels, sentences and reasons are shorter

TITLES = {
    "overview": "Overview",
    "safety": "Attack and defence",
    "coverage": "Coverage and novelty",
    "data": "What the data holds",
    "curation": "Curation",
    "pairs": "Preference pairs",
    "quality": "Labels and judges",
    "cost": "Time and tokens",
    "more": "More",
}
"""The topics of ``library.TOPICS``, in the order in which they stand on the page."""
FIRST = (  # what people look for first; the others follow by name
    *("attack-success-matrix", "safety-frontier", "attack-success-by-iteration", "attack-success-by-type"),
    "attack-success-by-risk-and-style",
    *("risk-by-style", "rows-by-type", "rows-by-source", "flow", "ledger", "drop-reasons", "pairs-by-role", "judges"),
)
VARIANTS = {"attack-success-by-iteration": (("by=type",), ("by=difficulty",))}  # asked more than once


@dataclass
class Section:
    """One section: what the template writes and, in ``content``, what the scripts draw."""

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
    """Sections under one heading; the overview has tiles too."""

    id: str
    title: str
    sections: list[Section]
    tiles: list[dict[str, Any]] = field(default_factory=list)


def ordered(queries: dict[str, Query]) -> list[tuple[Query, tuple[str, ...]]]:
    """Return the queries, with their parameters, in the order of the report: those of ``FIRST``, then by name."""
    found = sorted(queries.values(), key=lambda query: (_place(query.name), query.name))
    return [(query, given) for query in found for given in VARIANTS.get(query.name, ((),))]


def _place(name: str) -> int:
    return FIRST.index(name) if name in FIRST else len(FIRST)


def section(query: Query, given: tuple[str, ...], answer: pl.DataFrame, version: str) -> Section:
    """Return the section of one query, asked with the parameters ``given``, whose answer has rows."""
    drawing = draw(query, answer.head(ROWS))
    name = "-".join((f"q-{query.name}", *(each.replace("=", "-") for each in given)))
    title = ", ".join((query.title, *(each.replace("=", " ") for each in given)))
    made = tabled(name, title, query.question, answer, drawing)
    made.command = " ".join(
        ("seas-data sql", query.name, *(f"--param {each}" for each in given), f"--version {version}")
    )
    return made


def tabled(name: str, title: str, question: str, answer: pl.DataFrame, drawing: Drawing | None = None) -> Section:
    """Return a section that shows ``answer`` as a table, and as a chart if there is a ``drawing``."""
    shown = answer.head(ROWS)
    columns = [_column(shown[column]) for column in shown.columns]
    content = {
        "id": name,
        "title": title,
        "total": answer.height,
        "columns": [
            {"name": printable(column), "kind": kind} for column, (kind, _) in zip(shown.columns, columns, strict=True)
        ],
        "values": [values for _, values in columns],
    }
    made = Section(name, title, question, content=content, rows=_count(answer.height))
    if drawing is not None:
        made.note, made.chart = drawing.note, bool(drawing.spec)
        content |= {"spec": drawing.spec} if drawing.spec else {}
        content |= {"drawn": drawing.rows} if drawing.rows is not None else {}
    return made


def prompt_ids(content: dict[str, Any]) -> list[str]:
    """Return the ids in the table of a section."""
    return [
        value
        for column, values in zip(content["columns"], content["values"], strict=True)
        if column["kind"] == "id"
        for value in values
        if value is not None
    ]


def _count(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows:,} rows"


def _column(column: pl.Series) -> tuple[str, list[Any]]:
    """Return a column's kind (number, id, text) and its cells: no text of a prompt or an answer, nothing that acts."""
    if column.dtype.is_numeric():
        finite = column.cast(pl.Float64).is_finite() if column.dtype.is_float() else column.is_not_null()
        values = [value if good else None for value, good in zip(column.to_list(), finite, strict=True)]
        return "number", [round(value, 6) if isinstance(value, float) else value for value in values]
    kind = "id" if column.name.endswith("_id") and column.dtype == pl.String else "text"
    return kind, [None if value is None else _cell(column.name, value) for value in column.to_list()]


def _cell(name: str, value: Any) -> str:
    text = table.shown(name, value, reveal=True)
    if name in table.TEXTS or len(text) > _LONG:
        return f"({len(text):,} characters)"
    return text
