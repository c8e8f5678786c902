"""The functions that card templates call: select rows, arrange them in tables, and replace names by words.

Tables stay narrow, whether a loop had one iteration or ten. The values of rows come from queries and are not changed.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from markupsafe import Markup

from seas_data import markdown
from seas_data.release.card import number_formats
from seas_data.release.card.queries import Row, natural_key

MAX_INTERVAL_COLUMNS = 5
"""The largest number of columns in a grid whose cells show intervals; more would be wider than the page."""

WORDS = {
    "attack_success": "Attack success",
    "at_least_one_of_m": "At least one unsafe response",
    "over_refusal": "Over-refusal",
    "retention": "General questions answered",
    "right_answer": "Right answers",
    "unparsed": "Unparsed verdicts",
    "validity": "Valid",
    "attacker_refused": "Refused to attack",
    "echoes_request": "Echoes its request",
    "gibberish": "Gibberish",
    "harmless": "Harmless",
    "off_type": "Off type",
    "unique": "Unique",
    "on_type": "Of the requested type",
    "grammatical": "Grammatical in the sandbox",
    "diversity": "Similarity to the nearest",
    "sft": "supervised fine-tuning",
    "dpo": "preference optimisation",
    "given": "not trained",
    "unchanged": "unchanged",
    "red": "red team",
    "exact_duplicate": "exact duplicate",
    "disguised": "disguised copy",
    "near_duplicate": "near duplicate",
    "semantic_duplicate": "semantic duplicate",
    "template_cap": "too many rows with one wrapper",
    "contaminated": "too similar to a test prompt",
    "unreviewed": "called harmless by a judge only",
    "split_bridge": "links two splits",
    "manual": "manual decision",
    "label_conflict": "sources disagree on the label",
    "too_long": "too long",
    "too_short": "too short",
    "seed": "the seed of the red team",
    "source": "the source",
    "classifier": "the classifier",
    "judge": "a judge",
    "none": "no label",
}
"""The words for names in the tables."""


def word(value: Any) -> Any:
    """Return the words for a name; the name itself if there are none."""
    return WORDS.get(value, value)


_FILTERS: dict[str, Callable[[Any], object]] = {
    "percent": number_formats.percent,
    "number": number_formats.number,
    "sentence": markdown.escape_sentence,
    "list": lambda values: join_list(values),
    "code": markdown.code,
    "word": word,
    "pairs": lambda role: {
        "red": "two attacks of one seed",
        "target": "a safe and an unsafe response to one attack",
        "harmless": "a compliance and a refusal of one harmless prompt",
        "general": "general preferences",
    }.get(role, role),
    "none": lambda value: "none" if value is None else value,
    "unknown": lambda value: "not stated" if value is None else value,
}


def table(columns: Mapping[str, Any], rows: Iterable[Row]) -> Markup:
    """Return ``rows`` as a table. ``columns`` maps each heading to a key, or to a key and the name of a filter.

    The key ``interval`` shows the row's value with its interval, and a key with the filter ``interval`` that of the
    columns ``key``, ``key_low`` and ``key_high``.
    """

    def cell(row: Row, column: Any) -> object:
        if column == "interval":
            return number_formats.percent_interval(row)
        if isinstance(column, str):
            return row[column]
        key, name = column
        if name == "interval":
            ends = {"value": row[key], "low": row[f"{key}_low"], "high": row[f"{key}_high"]}
            return number_formats.percent_interval(ends)
        return _FILTERS[name](row[key])

    return markdown.table(columns, [[cell(row, column) for column in columns.values()] for row in rows])


def grid(corner: str, cells: Iterable[Row], row: str, column: str, *, proportions: bool = True) -> Markup:
    """Return metrics as a table with a line for each ``row`` and a column for each ``column``, with intervals.

    With more than ``MAX_INTERVAL_COLUMNS`` columns the intervals are left out and ``corner`` states the unit, %.
    Metrics that are not ``proportions`` are shown as numbers.
    """
    found = {(cell[row], cell[column]): cell for cell in cells}
    columns = sorted({at for _, at in found}, key=natural_key)
    narrow = len(columns) <= MAX_INTERVAL_COLUMNS
    if not proportions:
        show = number_formats.number_interval
    else:
        show = number_formats.percent_interval if narrow else number_formats.percent_number
    lines = [
        [word(name), *(show(found[name, at]) if (name, at) in found else None for at in columns)]
        for name in dict.fromkeys(name for name, _ in found)
    ]
    return markdown.table([corner if narrow else f"{corner}, %", *map(word, columns)], lines)


def select(rows: Iterable[Row], **values: Any) -> list[Row]:
    """Return the rows with these values; a list matches any of its values."""
    return [
        row
        for row in rows
        if all(row[key] in value if isinstance(value, list) else row[key] == value for key, value in values.items())
    ]


def distinct(rows: Iterable[Row], key: str) -> list[Any]:
    """Return the distinct values of a column, in order, without None."""
    return [value for value in dict.fromkeys(row[key] for row in rows) if value is not None]


def join_list(values: Iterable[object]) -> Markup:
    """Return values as a comma-separated list."""
    return Markup(", ".join(markdown.escape(value) for value in values))


def config_rows(configs: Iterable[Row]) -> list[Row]:
    """Return the name of each config, what a row is, and its splits with their numbers of rows."""
    return [
        {
            "config": config["name"],
            "about": config["about"],
            "splits": Markup(", ".join(f"{each['name']} {each['rows']:,}" for each in config["splits"])),
        }
        for config in configs
    ]


FUNCTIONS: dict[str, Callable[..., Any]] = {
    each.__name__: each for each in (table, grid, select, distinct, join_list, config_rows, word)
}
"""The functions that templates can call."""
