"""HTML page of the report: one file whose content security policy allows only its own scripts and style sheet.

Sections and charts come from the files of ``sql/``: a new one is a new file there.

Scripts and the style sheet are allowed by their hashes; there is no ``unsafe-inline`` and no ``unsafe-eval``, and
nothing may be fetched. Data is in JSON blocks, which browsers do not run and in which no character can end the block.
The template escapes everything it writes (Jinja2 with autoescape).
"""

import base64
import hashlib
import json
from functools import cache
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_RESOURCES = Path(__file__).parent / "resources"
_SCRIPTS = ("page.js", "tables.js", "map.js", "region.js", "charts.js")  # the last one starts drawing


def render_page(**values: Any) -> str:
    """Return the page. ``values``: the variables of ``page.html.j2``; ``data`` and ``text_data`` become JSON."""
    css = _resource("page.css")
    scripts = [_bundle(), *(_resource(name) for name in _SCRIPTS)]
    policy = "; ".join(
        (
            "default-src 'none'",
            f"script-src {' '.join(map(_hash, scripts))}",
            f"style-src {_hash(css)}",
            "img-src data: blob:",
            "connect-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )
    environment = Environment(
        loader=FileSystemLoader(_RESOURCES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        **values | {"data": safe_json(values["data"]), "text_data": safe_json(values["text_data"])},
        policy=Markup(policy),
        css=Markup(css),
        scripts=[Markup(script) for script in scripts],
        comment=Markup("<!--\n{}\n{}\n-->").format(
            values["warning"] or "No prompt text in this file.", Markup(_resource("LICENCES.txt"))
        ),
    )


def safe_json(content: Any) -> Markup:
    """Return ``content`` as JSON for a script element: characters with a meaning in HTML or JavaScript are escaped."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)


def _resource(name: str) -> str:
    return (_RESOURCES / name).read_text(encoding="utf-8")


@cache
def _bundle() -> str:
    """Return Vega, Vega-Lite and Vega-Embed (with Vega's expression interpreter) as one script."""
    import vl_convert

    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    if "</script" in bundle.lower() or "<!--" in bundle:
        raise ValueError(
            f"vl-convert-python {installed('vl-convert-python')} bundles a script that would end its element"
        )
    return bundle


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
