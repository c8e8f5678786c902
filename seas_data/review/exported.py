"""What people answered in another tool: the rows of its export, and a sheet of one person's answers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from seas_data.errors import SeasDataError
from seas_data.review.merge import VALUES
from seas_data.review.sheet import PROMPT_COLUMNS, PROMPT_INPUTS, RESPONSE_COLUMNS, RESPONSE_INPUTS
from seas_data.sources.raw_rows import is_valid_unicode
from seas_data.sources.sheets import guard_cell, write_cells
from seas_data.store import files
from seas_data.text import printable

SHEETS: Final = {
    "prompt_id": (PROMPT_COLUMNS, PROMPT_INPUTS),
    "response_id": (RESPONSE_COLUMNS, RESPONSE_INPUTS),
}
"""The columns of a sheet that show the row, and those that people fill in, by its id column."""
TEXTS: Final = {"prompt_id": {"prompt": "text"}, "response_id": {"prompt": "prompt", "response": "response"}}
"""The texts of a row as other tools name them, and their columns."""
_LONGEST_NAME: Final = 100

Answers = dict[str, str]


def write_new(folder: Path, contents: Mapping[str, str], option: str) -> None:
    """Write files that only their owner can read into ``folder``. Raises SeasDataError if it has one of them."""
    for name in contents:
        if (folder / name).exists():
            raise SeasDataError(f"{folder / name} exists; pass another folder with {option}")
    for name, content in contents.items():
        files.write_text(folder / name, content, private=True)


class Task(NamedTuple):
    """A row of an export: where it stands, the cells of the sheet, and who answered what."""

    place: str
    row: dict[str, str]
    answers: list[tuple[str, Answers]]


@dataclass(frozen=True)
class Export:
    """What one person answered in an export: ``who``, the rows of the sheet and the number of decided ones."""

    who: str
    header: list[str]
    rows: list[list[str]]
    decided: int

    def write(self, path: Path) -> None:
        """Write the sheet to ``path``, which must not exist."""
        if path.exists():
            raise SeasDataError(f"{path} exists, and may hold decisions; pass another file with -o, or remove it")
        write_cells(path, self.header, [[guard_cell(cell) for cell in row] for row in self.rows])


def select_person(path: Path, key: str, tasks: Iterable[Task], who: str | None, reason: str) -> Export:
    """Return the answers of ``who`` in the export at ``path``; of the only person by default.

    ``key``: the id column. ``reason``: of decisions on prompts without a note. Raises SeasDataError if an id is missing
    or repeated, if a person has two different annotations of a row, or if the export has several people and ``who`` is
    none of them.
    """
    columns, inputs = SHEETS[key]
    said: dict[str, dict[str, Answers]] = {}
    rows: dict[str, dict[str, str]] = {}
    for task in tasks:
        row_id = task.row[key]
        if not row_id or row_id in rows:
            raise SeasDataError(
                f"{task.place} has {'an id that an earlier one has' if row_id else f'no {key}'}; fix it"
            )
        rows[row_id] = task.row
        for name, answers in task.answers:
            if said.setdefault(name, {}).setdefault(row_id, answers) != answers:
                raise SeasDataError(
                    f"{task.place} has two different annotations of {name}; remove one of them and export again"
                )
    if not said:
        raise SeasDataError(f"{path} has no answers to the questions of seas-data review; answer them and export again")
    if who is None and len(said) > 1:
        raise SeasDataError(f"{path} has annotations of {', '.join(sorted(said))}; add --who with one of them")
    name = who or next(iter(said))
    if name not in said:
        raise SeasDataError(f"{path} has no annotations of {name}; it has those of {', '.join(sorted(said))}")
    reasons = {"because": reason} if inputs == PROMPT_INPUTS else {}  # overrides need one
    given = {row_id: reasons | answers | {"who": name} for row_id, answers in said[name].items()}
    cells = [[*row.values(), *(given.get(row_id, {}).get(each, "") for each in inputs)] for row_id, row in rows.items()]
    return Export(name, [*columns, *inputs], cells, len(given))


def check_answer(question: str, answer: str, place: str) -> str:
    """Return ``answer``. Raises SeasDataError if the question has a closed list of answers and it is none of them."""
    if question in VALUES and answer not in VALUES[question]:
        raise SeasDataError(f"{place}: {question} should be {', '.join(VALUES[question])}; correct it and export again")
    return answer


def check_text(value: Any, place: str) -> str:
    """Return a text of an export; null is empty. Raises SeasDataError if it is not text, or has a lone surrogate."""
    if value is None:
        return ""
    if not isinstance(value, str) or not is_valid_unicode(value):
        raise SeasDataError(f"{place} has a value that is not valid text; load the file of seas-data review again")
    return value


def check_name(name: Any, place: str) -> str:
    """Return the name or number of a person. Raises SeasDataError if there is none, or if it cannot be shown."""
    if not isinstance(name, str | int) or isinstance(name, bool):
        raise SeasDataError(f"{place} has an annotation without an annotator; export it from the tool again")
    shown = " ".join(str(name).split())
    if not shown or printable(shown) != shown or len(shown) > _LONGEST_NAME:
        raise SeasDataError(
            f"{place} has an annotator whose name does not have 1 to {_LONGEST_NAME} visible characters; fix it"
        )
    return shown
