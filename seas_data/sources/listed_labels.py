"""Labels of a row that has several: a list of them, or an object with a flag for each, in one value."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

_LONGEST: Final = 10_000
_QUOTED: Final = re.compile(r"""(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")\s*(?::\s*(\w+))?""")


def list_labels(value: str) -> list[str]:
    """Return the labels in ``value``, a list or an object as JSON or as Python writes them; none of any other text.

    Of an object these are the keys that are true, and the texts: ``{"Kitchen": true, "Garden": false}`` has the label
    Kitchen, and so has ``{"label": "Kitchen"}``.
    """
    if not value.lstrip().startswith(("[", "{")) or len(value) > _LONGEST:
        return []
    try:
        return list(_find_labels(json.loads(value)))
    except (ValueError, RecursionError):
        found = _QUOTED.finditer(value)  # a file of pandas has what Python writes
        return [each[1] or each[2] or "" for each in found if each[3] in (None, "True", "true", "1")]


def _find_labels(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _find_labels(each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if each == 1:  # or true
                yield key
            yield from _find_labels(each)
