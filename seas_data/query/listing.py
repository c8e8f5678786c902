"""The query library as a list: for ``seas-data sql --list``, and for docs/sql.md, which ``docs/generate.py`` writes."""

import polars as pl

from seas_data.query import sql
from seas_data.query.library import Parameter, Query, format_value

_START, _END = "<!-- queries -->\n", "<!-- /queries -->"


def queries_frame(queries: dict[str, Query]) -> pl.DataFrame:
    """Return one row per query.

    Output columns: name, question, parameters (with their defaults, as they are given on the command line).
    """
    return pl.DataFrame(
        {
            "name": list(queries),
            "question": [query.question for query in queries.values()],
            "parameters": [" ".join(map(_format_parameter, query.parameters.values())) for query in queries.values()],
        },
        schema={"name": pl.String, "question": pl.String, "parameters": pl.String},
    )


def queries_markdown(queries: dict[str, Query]) -> str:
    """Return the queries as Markdown, one section per query, with the columns of its result."""
    results = sql.run_all({}, [(query.sql, query.values([])) for query in queries.values()])
    sections = []
    for query, result in zip(queries.values(), results, strict=True):
        lines = [f"### {query.name}", "", f"**{query.title}.** {query.question}", ""]
        lines += [
            f"- `--param {_format_parameter(each)}` ({', '.join(each.choices) or each.type}): {each.description}."
            for each in query.parameters.values()
        ]
        lines.append(f"- Columns: {', '.join(f'`{name}`' for name in result.columns)}.")
        sections.append("\n".join(lines).rstrip() + "\n")
    return "\n".join(sections)


def update_text(page: str, queries: dict[str, Query]) -> str:
    """Return the text of a page with ``queries`` in place of what stands between the query markers."""
    before, _, rest = page.partition(_START)
    return before + _START + queries_markdown(queries) + _END + rest.partition(_END)[2]


def _format_parameter(parameter: Parameter) -> str:
    return f"{parameter.name}={format_value(parameter.default)}"
