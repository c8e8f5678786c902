"""The page: one HTML file whose policy lets run what it brings and nothing else.

Scripts and the style sheet are allowed by their hashes; there is no ``unsafe-inline`` and no ``unsafe-eval``, and
nothing may be fetched. Data stands in JSON blocks, which no browser runs and in which no character can end the block.
The template escapes every word it writes (Jinja2, autoescape on).
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
_SCRIPTS = ("page.js", "tables.js", "map.js", "charts.js")  # the last one starts the drawing


def render(**told: Any) -> str:
    """Return the page. ``told``: what ``page.html.j2`` names, ``data`` and ``text_data`` as values, not yet as JSON."""
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
        **told | {"data": safe_json(told["data"]), "text_data": safe_json(told["text_data"])},
        policy=Markup(policy),
        css=Markup(css),
        scripts=[Markup(script) for script in scripts],
        remark=Markup("<!--\n{}\n{}\n-->").format(
            told["marked"] or "No prompt text in this file.", Markup(_resource("LICENCES.txt"))
        ),
    )


def safe_json(content: Any) -> Markup:
    """Return ``content`` as JSON that can stand inside a script element: no character that HTML or JavaScript knows."""
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
