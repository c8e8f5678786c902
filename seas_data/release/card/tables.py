"""How a card lays its figures out: short tables that stay narrow, whether a loop had one iteration or ten.

These are the functions that templates call. Rows come from queries and stay as they are; here they are only picked,
put side by side and given words that people read.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from markupsafe import Markup

from seas_data.release.card import markdown
from seas_data.release.card.answers import Row, natural

MOST_INTERVALS = 5
"""Columns of a grid up to which each cell shows its interval; beyond, the table would be wider than the page."""

WORDS = {
    "attack_success": "Attack success",
    "at_least_one_of_m": "At least one unsafe answer",
    "over_refusal": "Over-refusal",
    "retention": "General questions answered",
    "right_answer": "Right answers",
    "unparsed": "Verdicts not readable",
    "validity": "Whole",
    "unique": "Different from one another",
    "on_type": "Of the type asked for",
    "grammatical": "In the world's grammar",
    "diversity": "Likeness to the nearest",
    "sft": "fine-tuned",
    "dpo": "preferences",
    "given": "as given",
    "unchanged": "unchanged",
    "red": "red team",
    "exact_duplicate": "same text",
    "near_duplicate": "almost the same text",
    "semantic_duplicate": "the same in other words",
    "template_cap": "one wrapper too often",
    "contaminated": "too close to a test",
    "unreviewed": "harmless only by a judge's word",
    "split_bridge": "joins two splits",
    "manual": "a person's decision",
    "label_conflict": "two sources disagree",
    "too_long": "too long",
    "too_short": "too short",
    "seed": "the seed that the red team was shown",
    "source": "the source",
    "classifier": "the classifier",
    "judge": "a judge",
    "none": "nobody",
}
"""What the names in the tables mean, where a card says it in words."""


def word(value: Any) -> Any:
    """Return what a name means, in words; the name itself if it has none."""
    return WORDS.get(value, value)


_FILTERS: dict[str, Callable[[Any], object]] = {
    "share": markdown.share,
    "plain": markdown.number,
    "sentence": markdown.sentence,
    "list": lambda values: named(values),
    "code": markdown.code,
    "word": word,
    "pairs": lambda role: {
        "red": "two attacks of one seed",
        "target": "a safe and an unsafe answer to one attack",
        "harmless": "an answer and a refusal to one harmless prompt",
        "general": "general preferences",
    }.get(role, role),
    "none": lambda value: "none" if value is None else value,
    "unknown": lambda value: "not stated" if value is None else value,
}


def table(columns: Mapping[str, Any], rows: Iterable[Row]) -> Markup:
    """Return ``rows`` as a table. ``columns`` gives each heading a key, or a key and the name of a filter.

    The key ``interval`` is the row's value with its interval.
    """

    def cell(row: Row, column: Any) -> object:
        if column == "interval":
            return markdown.interval(row)
        if isinstance(column, str):
            return row[column]
        key, name = column
        return _FILTERS[name](row[key])

    return markdown.table(columns, [[cell(row, column) for column in columns.values()] for row in rows])


def grid(corner: str, cells: Iterable[Row], row: str, column: str, *, shares: bool = True) -> Markup:
    """Return metrics as a table: a line for each ``row``, a column for each ``column``, with intervals.

    With more than ``MOST_INTERVALS`` columns the intervals are left out and the corner says that cells are per cent.
    Metrics that are no ``shares`` are shown as they are.
    """
    found = {(cell[row], cell[column]): cell for cell in cells}
    columns = sorted({at for _, at in found}, key=natural)
    narrow = len(columns) <= MOST_INTERVALS
    shown = markdown.plain_interval if not shares else markdown.interval if narrow else markdown.per_cent
    lines = [
        [word(name), *(shown(found[name, at]) if (name, at) in found else None for at in columns)]
        for name in dict.fromkeys(name for name, _ in found)
    ]
    return markdown.table([corner if narrow else f"{corner}, %", *map(word, columns)], lines)


def of(rows: Iterable[Row], **values: Any) -> list[Row]:
    """Return the rows that have these values; of a list of values, any of them."""
    return [
        row
        for row in rows
        if all(row[key] in value if isinstance(value, list) else row[key] == value for key, value in values.items())
    ]


def different(rows: Iterable[Row], key: str) -> list[Any]:
    """Return the values of a column, each once, in their order; without None."""
    return [value for value in dict.fromkeys(row[key] for row in rows) if value is not None]


def named(values: Iterable[object]) -> Markup:
    """Return values as a list within a sentence."""
    return Markup(", ".join(markdown.escape(value) for value in values))


def loads(configs: Iterable[Row]) -> list[Row]:
    """Return of each config its name, what a row is, and its splits with their rows."""
    return [
        {
            "config": config["name"],
            "about": config["about"],
            "splits": Markup(", ".join(f"{each['name']} {each['rows']:,}" for each in config["splits"])),
        }
        for config in configs
    ]


FUNCTIONS: dict[str, Callable[..., Any]] = {
    each.__name__: each for each in (table, grid, of, different, named, loads, word)
}
"""All that a template can call."""
