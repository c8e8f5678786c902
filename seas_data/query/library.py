"""The library of queries: one SELECT a file, whose header says what it answers, takes and draws.

    -- title: Clusters
    -- question: What are the kept prompts about,
    --     and which clusters hold most of them?
    -- topic: coverage
    -- parameter: most integer 20 "How many clusters to list"
    -- parameter: by text kind kind|source "What to tell apart"
    -- chart: bar x=kept y=label color=kind
    select ...

``topic`` is the part of the report where it stands ("more" without one). ``parameter`` may stand several times: a name,
a type (text, integer, number, boolean), a default (quoted if it has blanks), of a text the choices where there are only
these, and a description; the query uses it as ``$name``. ``chart`` names a mark and which column each channel shows;
``chart: table`` draws none. A deeper indented line goes on with the one above it. The command line, the docs
(``listing``) and the report read all this: a new file is a new command, a new line of the docs and a new section.
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
    """A value that a query takes; any of its type where there are no choices."""

    name: str
    type: str
    default: Value
    description: str
    choices: tuple[str, ...] = ()

    def value(self, text: str) -> Value:
        """Return what ``text`` means. Raises ValueError, whose words say what it should have been."""
        if self.choices and text not in self.choices:
            raise ValueError(f"{text!r} is none of {', '.join(self.choices)}")
        return _value(self.type, text)


@dataclass(frozen=True)
class Chart:
    """How to draw the answer: a mark, and the column that each channel shows."""

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
        """Return the value of every parameter: as ``given`` (``name=value`` each), else its default.

        Raises SeasDataError, which lists the parameters, for a name that is none or a value of another type.
        """
        values: dict[str, object] = {name: each.default for name, each in self.parameters.items()}
        for name, text in untyped(given).items():
            if name not in self.parameters:
                raise SeasDataError(f"{self.name} has no parameter {name}; {self._takes()}")
            try:
                values[name] = self.parameters[name].value(str(text))
            except ValueError as problem:
                raise SeasDataError(f"--param {name}={text}: {problem}; {self._takes()}") from None
        return values

    def _takes(self) -> str:
        if not self.parameters:
            return "it takes none"
        return "it takes " + "; ".join(
            f"{each.name} ({each.type}, {shown(each.default)} by default: {each.description})"
            for each in self.parameters.values()
        )


def load(folder: Path) -> dict[str, Query]:
    """Return the queries of ``folder`` by name, in the order of their names. Raises SeasDataError for a bad header."""
    return {path.stem: parse(path.stem, path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.sql"))}


def get(queries: dict[str, Query], name: str) -> Query:
    """Return the query called ``name``. Raises SeasDataError with the ones that there are."""
    if name in queries:
        return queries[name]
    near = difflib.get_close_matches(name, queries, n=1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    raise SeasDataError(f"there is no query {name}{meant}; there are {', '.join(queries)}")


def untyped(given: list[str]) -> dict[str, object]:
    """Return ``name=value`` pairs as texts, for a query without a header; DuckDB compares them as what they meet."""
    values: dict[str, object] = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals or not re.fullmatch(_NAME, name):
            raise SeasDataError(f"--param {pair}: write it as name=value")
        if name in values:
            raise SeasDataError(f"--param {name} is given twice; give it once")
        values[name] = value
    return values


def parse(name: str, text: str) -> Query:
    """Return the query that the file ``name``.sql holds. Raises SeasDataError with the line at fault."""
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
            _fault(name, number, f"a header line is one of {', '.join(_KEYS)}, then a colon")
        if key != "parameter" and key in [known for _, known, _ in header]:
            _fault(name, number, f"{key} stands twice")
        header.append((number, key, value.strip()))
    said = {key: (number, value) for number, key, value in header}
    for key in ("title", "question", "chart"):
        if key not in said:
            _fault(name, 1, f"the header lacks {key}")
    if "topic" in said and said["topic"][1] not in TOPICS:
        _fault(name, said["topic"][0], f"{said['topic'][1]} is no topic; there are {', '.join(TOPICS)}")
    parameters = [_parameter(name, number, value) for number, key, value in header if key == "parameter"]
    sql = "\n".join(text.splitlines()[_length(text) :]).strip().removesuffix(";") + "\n"
    return Query(
        name=name,
        title=said["title"][1],
        question=said["question"][1],
        parameters={each.name: each for each in parameters},
        chart=_chart(name, *said["chart"]),
        sql=sql,
        topic=said["topic"][1] if "topic" in said else "more",
    )


_NAME = r"[a-z_][a-z0-9_]*"


def _length(text: str) -> int:
    """Return the number of lines of the header."""
    lines = text.splitlines()
    return next((number for number, line in enumerate(lines) if not line.startswith("--")), len(lines))


def _parameter(query: str, number: int, text: str) -> Parameter:
    try:
        name, kind, default, *between, description = shlex.split(text)
        choices = tuple(between.pop().split("|")) if between and kind == "text" else ()
    except ValueError:
        between, choices = [text], ()
    if between:
        _fault(query, number, 'a parameter is: name type default "description", of a text also its choices: one|other')
    if not re.fullmatch(_NAME, name):
        _fault(query, number, f"{name} is no name: small letters, digits and _")
    if kind not in TYPES:
        _fault(query, number, f"{kind} is no type; there are {', '.join(TYPES)}")
    made = Parameter(name, kind, default, description, choices)
    try:
        return replace(made, default=made.value(default))
    except ValueError as problem:
        _fault(query, number, str(problem))


def _chart(query: str, number: int, text: str) -> Chart:
    mark, *channels = text.split() or [""]
    pairs = [channel.partition("=") for channel in channels]
    if mark not in MARKS or any(name not in CHANNELS or not column for name, _, column in pairs):
        _fault(
            query, number, f"a chart is one of {', '.join(MARKS)}, then channel=column for any of {', '.join(CHANNELS)}"
        )
    return Chart(mark, {name: column for name, _, column in pairs})


def _value(kind: str, text: str) -> Value:
    if kind == "text":
        return text
    if kind == "boolean":
        if text.casefold() not in ("true", "false"):
            raise ValueError(f"{text!r} is not a boolean; write true or false")
        return text.casefold() == "true"
    try:
        return int(text) if kind == "integer" else _finite(float(text))
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is not {'an integer' if kind == 'integer' else 'a number'}") from None


def _finite(number: float) -> float:
    if number - number != 0:
        raise ValueError
    return number


def shown(value: Value) -> str:
    """Return a value as it is given on the command line."""
    if isinstance(value, bool):
        return str(value).lower()
    return shlex.quote(value) if isinstance(value, str) else str(value)


def _fault(query: str, number: int, sentence: str) -> NoReturn:
    raise SeasDataError(f"{query}.sql, line {number}: {sentence}")
