"""promptfoo: a YAML list of tests for ``tests: file://FILE``, each with the variable ``prompt``.

promptfoo renders variables as Nunjucks templates, and opens or runs the file that a variable beginning with ``file://``
or ``package:`` names. Such characters are written as raw blocks, so that what it sends is the prompt.
"""

from typing import Any, Final

import yaml

from seas_data.release.export.rows import About, ExportRow

_OPENS: Final = ("file:", "package:")


def write(rows: list[ExportRow], about: About) -> str:
    """Return the text of the file."""
    tests: list[dict[str, Any]] = [
        {
            "description": row.prompt_id,
            "vars": {"prompt": escape(row.text)},
            "metadata": {name: escape(value) for name, value in about.labels(row).items()},
        }
        for row in rows
    ]
    return f"# {about.sentence}\n" + yaml.safe_dump(tests, sort_keys=False, allow_unicode=True, width=10_000)


def escape(text: str) -> str:
    """Return a Nunjucks template that renders to ``text`` and names no file."""
    if text.startswith(_OPENS):
        return _raw(text[0]) + escape(text[1:])
    escaped = text.replace("{", _raw("{")).replace("#}", f"{_raw('#')}}}")
    return escaped[:-1] + _raw("\n") if escaped.endswith("\n") else escaped


def _raw(character: str) -> str:
    return f"{{% raw %}}{character}{{% endraw %}}"
