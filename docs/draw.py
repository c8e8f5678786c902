"""Draw the pictures of docs/analysis.md: the charts that the queries' headers ask for, as SVG, without a browser.

    python docs/draw.py WORKSPACE docs/pictures [QUERY ...]

A picture holds what its query answers and no more: counts, shares and names of types, styles and sources, no prompt.
"""

import json
import sys
from pathlib import Path

import polars.selectors as cs
import vl_convert

import seas_data as sd
from seas_data.query import library
from seas_data.report import charts
from seas_data.report import theme as look
from seas_data.resources import folder

QUERIES = ("thin-types", "style-wrappers", "risk-by-style")
INK = "#6e7781"  # can be read on white and on black
WIDTH = 520


def main(workspace: str, output: str, *names: str) -> None:
    """Write the chart of each query in ``names`` (``QUERIES`` if none) to ``output``/NAME.svg."""
    version = sd.open(workspace).version()
    queries = library.load(folder("sql"))
    for name in names or QUERIES:
        query = queries[name]
        answer = version.select(query.sql, query.values([]))
        drawing = charts.draw(query, answer)
        if drawing is None or not drawing.spec:
            raise SystemExit(f"{name}: no chart")
        shown = answer if drawing.rows is None else answer[drawing.rows]
        shown = shown.with_columns(cs.string().fill_null("none"))  # as the page says it
        shown.columns = [f"c{place}" for place in range(shown.width)]  # what charts call them
        spec = drawing.spec | {"config": look.CONFIG, "datasets": {look.ROWS: shown.to_dicts()}}
        text = json.dumps(spec).replace("currentColor", INK).replace('"container"', str(WIDTH))
        picture = vl_convert.vegalite_to_svg(json.loads(text))
        place = Path(output) / f"{name}.svg"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(picture + "\n", encoding="utf-8")
        print(place, file=sys.stderr)


if __name__ == "__main__":
    main(*sys.argv[1:])
