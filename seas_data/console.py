"""Lines for people: results on standard output, messages on standard error, with unsafe characters made visible.

Names, paths and servers' words may hold control characters, so nothing else in the package prints to a terminal.
"""

import sys

from seas_data.text import printable


def echo(text: str = "") -> None:
    """Print ``text`` to standard output, with control characters of its lines made visible."""
    print(_visible(text))


def say(text: str = "", *, end: str = "\n") -> None:
    """Print ``text`` to standard error, with control characters of its lines made visible."""
    print(_visible(text), end=end, file=sys.stderr, flush=True)


def _visible(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))
