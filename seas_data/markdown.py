"""Markdown: escaped values and tables, in which a value from the data can never be more than text.

``escape`` is for pages. It puts a value on one line, makes control, bidi and invisible characters visible (``line``),
and cuts long values. A value of only letters, digits and harmless punctuation stays as it is; any other goes into a
code span, in which no renderer interprets emphasis, links, HTML, mathematics, mentions or emoji. The backtick and the
bar, which could end the span or a table cell, are replaced. The list of harmless characters is short on purpose:
renderers differ in what they interpret, and interpret more over time.

``escape_entities`` is for output that other programs may embed: no character with a meaning in Markdown, HTML or a
template engine is left in it.
"""

import html
import re
from collections.abc import Iterable, Iterator, Sequence

from markupsafe import Markup

from seas_data.text import printable

LONGEST = 120
LONGEST_SENTENCE = 1_000  # of text that a person wrote for the page: a reason, a description

# Letters of any script, digits and other non-ASCII characters; of ASCII punctuation only what starts nothing within a
# line. A colon only before a blank (no URL, no emoji), a dot not inside a word (no bare domain), an underscore only
# inside a word (no emphasis), and no list marker at the beginning.
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
    """Return ``value`` on one line of at most ``longest`` characters, without invisible characters."""
    whole = " ".join(str(value).split())
    text = printable(whole[: longest + 1]).strip()
    return text if max(len(whole), len(text)) <= longest else text[: longest - 1] + "…"


def escape(value: object, longest: int = LONGEST) -> Markup:
    """Return ``value`` as Markdown that renders as its text, also within a table. None is a dash.

    Text is cut at ``longest`` characters. Numbers get thousands separators. ``Markup`` is returned unchanged.
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
    return Markup(text) if _PLAIN.fullmatch(text) else Markup("`" + _without_delimiters(text, longest) + "`")


def escape_sentence(value: object) -> Markup:
    """Return text that a person wrote for the page, escaped and cut only at ``LONGEST_SENTENCE``."""
    return escape(value, LONGEST_SENTENCE)


def escape_entities(text: str) -> str:
    """Return ``text`` with entities for all characters that Markdown, HTML or a template engine interprets."""
    escaped = html.escape(printable(text), quote=False)
    escaped = re.sub(r"[|`*\[\]\\~!@{}$#:^\"']|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", _entity, escaped)
    return re.sub(r"(?i)(?<=www)\.", "&#46;", escaped)


def code(value: object) -> Markup:
    """Return ``value`` in a code span: for names of columns, files and commands."""
    return Markup("`" + (_without_delimiters(line(value), LONGEST) or " ") + "`")


def table(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> Markup:
    """Return a GFM table with every cell escaped; columns of only numbers and percentages are right-aligned."""
    names = list(columns)
    cells = [[escape(cell) for cell in row] for row in rows]
    if any(len(row) != len(names) for row in cells):
        raise ValueError(f"a row of the table {names} has another number of cells")
    numeric = [_is_numeric([row[index] for row in cells]) for index in range(len(names))]
    return Markup("\n".join(table_lines([escape(name) for name in names], cells, numeric)))


def table_lines(header: Sequence[str], rows: Iterable[Sequence[str]], numeric: Sequence[bool]) -> Iterator[str]:
    """Yield the lines of a GFM table of escaped cells; ``numeric`` columns are right-aligned."""
    for cells in (header, ["---:" if right else "---" for right in numeric]):
        yield f"| {' | '.join(cells)} |"
    for cells in rows:
        yield f"| {' | '.join(cells)} |"


def _is_numeric(cells: Sequence[str]) -> bool:
    return any(cell != "–" for cell in cells) and all(cell == "–" or _NUMBER.fullmatch(cell) for cell in cells)


_NUMBER = re.compile(r"-?\d[\d,.]*(e[+-]?\d+| %)?( \(.*\))?")


def _without_delimiters(text: str, longest: int) -> str:
    return line(text.replace("`", r"\u{60}").replace("|", r"\u{7c}"), longest)


def _entity(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"
