"""The query library: one SELECT per file, with a header that says what it answers, takes and draws.

    -- title: Clusters
    -- question: What are the kept prompts about,
    --     and which clusters are the largest?
    -- topic: coverage
    -- parameter: max_rows integer 20 "Maximum number of clusters to list"
    -- parameter: by text kind kind|source "Column to group by"
    -- chart: bar x=kept y=label color=kind
    select ...

``topic`` is the part of the report that shows the query ("more" without one). ``parameter`` may be repeated: a name, a
type (text, integer, number, boolean), a default (in quotes if it has spaces), optionally the choices of a text, and a
description; the query refers to it as ``$name``. ``chart`` names a mark and the column of each channel, or is
``table``. An indented line continues the one above. The command line, the docs (``listing``) and the report read the
header: a new file is a new command, a new entry of docs/sql.md and a new section of the report.
"""

import difflib
import re
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

from seas_data.errors import SeasDataError

Value = str | int | float | bool

MARKS = ("bar", "line", "point", "heatmap", "table")
CHANNELS = ("x", "y", "color", "size", "row", "column", "low", "high")
TYPES = ("text", "integer", "number", "boolean")
TOPICS = ("overview", "safety", "coverage", "data", "curation", "pairs", "quality", "cost", "more")
_KEYS = ("title", "question", "topic", "parameter", "chart")


@dataclass(frozen=True)
class Parameter:
    """A parameter of a query. Without ``choices`` it takes any value of its type."""

    name: str
    type: str
    default: Value
    description: str
    choices: tuple[str, ...] = ()

    def value(self, text: str) -> Value:
        """Return ``text`` as a value of this parameter. Raises ValueError, whose message says what is expected."""
        if self.choices and text not in self.choices:
            raise ValueError(f"{text!r} is not one of {', '.join(self.choices)}")
        return _parse_value(self.type, text)


@dataclass(frozen=True)
class Chart:
    """How to draw the result: a mark, and the column of each channel."""

    mark: str
    channels: dict[str, str]


@dataclass(frozen=True)
class Query:
    """One file of the library."""

    name: str
    title: str
    question: str
    parameters: dict[str, Parameter]
    chart: Chart
    sql: str = field(repr=False)
    topic: str = "more"

    def values(self, given: list[str]) -> dict[str, object]:
        """Return the values of all parameters: those ``given`` as ``name=value``, otherwise the defaults.

        Raises SeasDataError, which lists the parameters, if a name is unknown or a value has the wrong type.
        """
        values: dict[str, object] = {name: each.default for name, each in self.parameters.items()}
        for name, text in parse_parameters(given).items():
            if name not in self.parameters:
                raise SeasDataError(f"{self.name} has no parameter {name}; {self._describe_parameters()}")
            try:
                values[name] = self.parameters[name].value(str(text))
            except ValueError as problem:
                raise SeasDataError(f"--param {name}={text}: {problem}; {self._describe_parameters()}") from None
        return values

    def _describe_parameters(self) -> str:
        if not self.parameters:
            return "it has no parameters"
        return "parameters: " + "; ".join(
            f"{each.name} ({each.type}, default {format_value(each.default)}: {each.description})"
            for each in self.parameters.values()
        )


def load(folder: Path) -> dict[str, Query]:
    """Return the queries of ``folder`` by name, sorted. Raises SeasDataError for an invalid header."""
    return {path.stem: parse(path.stem, path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.sql"))}


def get(queries: dict[str, Query], name: str) -> Query:
    """Return the query called ``name``. Raises SeasDataError, listing the names, if there is none."""
    if name in queries:
        return queries[name]
    similar = difflib.get_close_matches(name, queries, n=1)
    suggestion = f" (did you mean {similar[0]}?)" if similar else ""
    raise SeasDataError(f"there is no query {name}{suggestion}; choose one of: {', '.join(queries)}")


def parse_parameters(given: list[str]) -> dict[str, object]:
    """Return ``name=value`` pairs as texts, for a query without a header. DuckDB casts them where they are compared."""
    values: dict[str, object] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not re.fullmatch(_NAME, name):
            raise SeasDataError(f"--param {pair} is not of the form name=value")
        if name in values:
            raise SeasDataError(f"--param {name} is given twice; pass it once")
        values[name] = value
    return values


def parse(name: str, text: str) -> Query:
    """Return the query in ``text``, the content of ``name``.sql. Raises SeasDataError with the invalid line."""
    header: list[tuple[int, str, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.startswith("--"):
            break
        if re.match(r"--\s{2,}\S", line) and header:
            start, key, value = header.pop()
            header.append((start, key, f"{value} {line[2:].strip()}"))
            continue
        key, colon, value = line[2:].strip().partition(":")
        if not colon or key not in _KEYS:
            _fail(name, number, f"expected a header key ({', '.join(_KEYS)}) and a colon")
        if key != "parameter" and key in [earlier for _, earlier, _ in header]:
            _fail(name, number, f"{key} appears twice")
        header.append((number, key, value.strip()))
    fields = {key: (number, value) for number, key, value in header}
    for key in ("title", "question", "chart"):
        if key not in fields:
            _fail(name, 1, f"the header has no {key}")
    if "topic" in fields and fields["topic"][1] not in TOPICS:
        _fail(name, fields["topic"][0], f"{fields['topic'][1]} is not a topic; choose one of: {', '.join(TOPICS)}")
    parameters = [_parameter(name, number, value) for number, key, value in header if key == "parameter"]
    sql = "\n".join(text.splitlines()[_header_length(text) :]).strip().removesuffix(";") + "\n"
    return Query(
        name=name,
        title=fields["title"][1],
        question=fields["question"][1],
        parameters={each.name: each for each in parameters},
        chart=_chart(name, *fields["chart"]),
        sql=sql,
        topic=fields["topic"][1] if "topic" in fields else "more",
    )


_NAME = r"[a-z_][a-z0-9_]*"


def _header_length(text: str) -> int:
    """Return the number of lines of the header."""
    lines = text.splitlines()
    return next((number for number, line in enumerate(lines) if not line.startswith("--")), len(lines))


def _parameter(query: str, number: int, text: str) -> Parameter:
    try:
        name, kind, default, *choices_part, description = shlex.split(text)
        choices = tuple(choices_part.pop().split("|")) if choices_part and kind == "text" else ()
    except ValueError:
        choices_part, choices = [text], ()
    if choices_part:
        _fail(query, number, 'expected: name type default "description"; a text may have choices: default one|other')
    if not re.fullmatch(_NAME, name):
        _fail(query, number, f"{name} is not a valid name; use lower-case letters, digits and _")
    if kind not in TYPES:
        _fail(query, number, f"{kind} is not a type; choose one of: {', '.join(TYPES)}")
    parameter = Parameter(name, kind, default, description, choices)
    try:
        return replace(parameter, default=parameter.value(default))
    except ValueError as problem:
        _fail(query, number, str(problem))


def _chart(query: str, number: int, text: str) -> Chart:
    mark, *channels = text.split() or [""]
    pairs = [channel.partition("=") for channel in channels]
    if mark not in MARKS or any(name not in CHANNELS or not column for name, _, column in pairs):
        _fail(
            query, number, f"expected a mark ({', '.join(MARKS)}), then channel=column for any of {', '.join(CHANNELS)}"
        )
    return Chart(mark, {name: column for name, _, column in pairs})


def _parse_value(kind: str, text: str) -> Value:
    if kind == "text":
        return text
    if kind == "boolean":
        if text.casefold() not in ("true", "false"):
            raise ValueError(f"{text!r} is not a boolean; write true or false")
        return text.casefold() == "true"
    try:
        return int(text) if kind == "integer" else _require_finite(float(text))
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not {'an integer' if kind == 'integer' else 'a number'}") from None


def _require_finite(number: float) -> float:
    if number - number != 0:
        raise ValueError
    return number


def format_value(value: Value) -> str:
    """Return a value as it is written on the command line."""
    if isinstance(value, bool):
        return str(value).lower()
    return shlex.quote(value) if isinstance(value, str) else str(value)


def _fail(query: str, number: int, message: str) -> NoReturn:
    raise SeasDataError(f"{query}.sql, line {number}: {message}")
