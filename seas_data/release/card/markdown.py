"""Values in Markdown: nothing that comes from the data can be more than a word on the page.

A value is put on one line with every control, bidi and invisible character spelled out, and cut when it is long
(``line``). Then, if all of it is letters, digits and harmless punctuation, it stands as it is; anything else stands in
a code span, inside which no renderer looks for emphasis, links, HTML, mathematics, mentions or emoji. The two
characters that could end the span or a table's cell, the backtick and the bar, are spelled out as well. What is allowed
to be plain is a short list and not the other way round, because what renderers make of text differs and grows.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from seas_data.text import printable

LONGEST = 120
LONGEST_SENTENCE = 1_000  # of what a person wrote for the page: a reason, a description

# Letters of any script, digits and other non-ASCII characters; of ASCII punctuation what starts nothing in the middle
# of a line. A colon only before a blank (no URL, no emoji), a dot not inside a word (no bare domain), an underscore
# only inside a word (no emphasis); and neither a list's number nor a dash at the beginning.
_PLAIN = re.compile(
    r"""(?!\d+[.)](\s|$))            # 1. and 1) would begin a list
    [^\W_]                           # a letter or digit first
    (
        [^\W_] | [^\x00-\x7f] | [ \-,()'"/+%;?!=]
        | \.(?=\d|\s|$) | :(?=\s|$) | (?<=[^\W_])_(?=[^\W_])
    )*""",
    re.VERBOSE,
)


def line(value: object, longest: int = LONGEST) -> str:
    """Return ``value`` on one line of at most ``longest`` characters, with nothing invisible in it."""
    whole = " ".join(str(value).split())
    text = printable(whole[: longest + 1]).strip()
    return text if max(len(whole), len(text)) <= longest else text[: longest - 1] + "…"


def escape(value: object, longest: int = LONGEST) -> Markup:
    """Return ``value`` as Markdown that shows it and does nothing else, also within a table. None is a dash.

    Text is cut at ``longest`` characters. Numbers get thousands separators; what is ``Markup`` already stays as it is.
    """
    if isinstance(value, Markup):
        return value
    if value is None:
        return Markup("–")
    if isinstance(value, bool):
        return Markup("yes" if value else "no")
    if isinstance(value, int):
        return Markup(f"{value:,}")
    if isinstance(value, float):
        return Markup(f"{value:,.3g}")
    text = line(value, longest)
    if not text:
        return Markup("–")
    return Markup(text) if _PLAIN.fullmatch(text) else Markup("`" + _spelled(text, longest) + "`")


def sentence(value: object) -> Markup:
    """Return what a person wrote for the page, escaped, and cut only where nobody would read on."""
    return escape(value, LONGEST_SENTENCE)


def code(value: object) -> Markup:
    """Return ``value`` in a code span: for names of columns, files and commands."""
    return Markup("`" + (_spelled(line(value), LONGEST) or " ") + "`")


def share(value: float | None, digits: int = 1) -> Markup:
    """Return a share from 0 to 1 as per cent; a dash for None."""
    return Markup("–") if value is None else Markup(f"{100 * value:.{digits}f} %")


def interval(row: Mapping[str, Any]) -> Markup:
    """Return the share ``value`` of a row of metrics with its interval ``low`` to ``high``, in per cent."""
    if row["value"] is None or row["low"] is None or row["high"] is None:
        return share(row["value"])
    return Markup(f"{100 * row['value']:.1f} % ({100 * row['low']:.1f}–{100 * row['high']:.1f})")


def per_cent(row: Mapping[str, Any]) -> Markup:
    """Return the share ``value`` of a row of metrics as a number of per cent."""
    return Markup("–") if row["value"] is None else Markup(f"{100 * row['value']:.1f}")


def number(value: float | None) -> Markup:
    """Return a number that is no share, to three places."""
    return Markup("–") if value is None else Markup(f"{value:.3f}")


def plain_interval(row: Mapping[str, Any]) -> Markup:
    """Return the ``value`` of a row of metrics, which is no share, with its interval."""
    if row["value"] is None:
        return Markup("–")
    if row["low"] is None or row["high"] is None:
        return Markup(f"{row['value']:.3f}")
    return Markup(f"{row['value']:.3f} ({row['low']:.3f}–{row['high']:.3f})")


def table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Markup:
    """Return a GFM table with every cell escaped; a column that holds only numbers and percentages is right-aligned."""
    names = list(columns)
    cells = [[escape(cell) for cell in row] for row in rows]
    if any(len(row) != len(names) for row in cells):
        raise ValueError(f"a row of the table {names} has another number of cells")
    rules = ["---:" if _numbers([row[place] for row in cells]) else "---" for place in range(len(names))]
    lines: list[Sequence[str]] = [[escape(name) for name in names], rules, *cells]
    return Markup("\n".join(f"| {' | '.join(row)} |" for row in lines))


def _numbers(cells: Sequence[str]) -> bool:
    return any(cell != "–" for cell in cells) and all(cell == "–" or _NUMBER.fullmatch(cell) for cell in cells)


_NUMBER = re.compile(r"-?\d[\d,.]*(e[+-]?\d+| %)?( \(.*\))?")


def _spelled(text: str, longest: int) -> str:
    return line(text.replace("`", r"\u{60}").replace("|", r"\u{7c}"), longest)
