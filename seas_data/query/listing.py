"""The library of queries as a list: for ``seas-data sql --list``, and for the docs, which are written from it.

python -m seas_data.query.listing docs/sql.md
"""

import sys
from pathlib import Path

import polars as pl

from seas_data.query.library import Parameter, Query, load, shown

_MARK, _END = "<!-- queries -->\n", "<!-- /queries -->"


def overview(queries: dict[str, Query]) -> pl.DataFrame:
    """Return one row a query: name, question, parameters (as they are given on the command line)."""
    return pl.DataFrame(
        {
            "name": list(queries),
            "question": [query.question for query in queries.values()],
            "parameters": [" ".join(map(_given, query.parameters.values())) for query in queries.values()],
        },
        schema={"name": pl.String, "question": pl.String, "parameters": pl.String},
    )


def markdown(queries: dict[str, Query]) -> str:
    """Return the queries as a section of the docs."""
    parts = []
    for query in queries.values():
        lines = [f"### {query.name}", "", f"**{query.title}.** {query.question}", ""]
        lines += [
            f"- `--param {_given(each)}` ({', '.join(each.choices) or each.type}): {each.description}."
            for each in query.parameters.values()
        ]
        parts.append("\n".join(lines).rstrip() + "\n")
    return "\n".join(parts)


def document(page: Path, folder: Path) -> None:
    """Write the section of ``page`` that lists the queries of ``folder`` anew."""
    before, _, rest = page.read_text(encoding="utf-8").partition(_MARK)
    after = rest.partition(_END)[2]
    page.write_text(before + _MARK + markdown(load(folder)) + _END + after, encoding="utf-8")


def _given(parameter: Parameter) -> str:
    return f"{parameter.name}={shown(parameter.default)}"


if __name__ == "__main__":
    from seas_data.resources import folder as shipped

    document(Path(sys.argv[1]), shipped("sql"))
