"""Draw the pictures of docs/analysis.md: the charts of query headers as SVG, without a browser.

    python docs/draw.py WORKSPACE docs/pictures [QUERY ...]

A picture contains only its query's result: counts, proportions and names of types, styles and sources. No prompts.
"""

import json
import sys
from pathlib import Path

import polars.selectors as cs
import vl_convert

import seas_data as sd
from seas_data.query import library
from seas_data.report import charts_from_sql, theme
from seas_data.resources import folder

QUERIES = ("thin-types", "style-wrappers", "risk-by-style")
INK = "#6e7781"  # readable on white and on black
WIDTH = 520


def main(workspace: str, output: str, *names: str) -> None:
    """Write the chart of each query in ``names`` (default ``QUERIES``) to ``output``/NAME.svg."""
    version = sd.open(workspace).version()
    queries = library.load(folder("sql"))
    for name in names or QUERIES:
        query = queries[name]
        answer = version.select(query.sql, query.values([]))
        chart = charts_from_sql.draw_chart(query, answer)
        if chart is None or not chart.spec:
            raise SystemExit(f"{name}: no chart")
        shown = answer if chart.rows is None else answer[chart.rows]
        shown = shown.with_columns(cs.string().fill_null("none"))  # as on the page
        shown.columns = [f"c{place}" for place in range(shown.width)]  # the field names of charts
        spec = chart.spec | {"config": theme.CONFIG, "datasets": {theme.ROWS: shown.to_dicts()}}
        text = json.dumps(spec).replace("currentColor", INK).replace('"container"', str(WIDTH))
        picture = vl_convert.vegalite_to_svg(json.loads(text))
        place = Path(output) / f"{name}.svg"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(picture + "\n", encoding="utf-8")
        print(place, file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
