"""Review sheets for Label Studio: tasks with a labelling interface out, and an export with people's answers back in.

``tasks.json`` has a task for each row of a sheet, and ``interface.xml`` asks what the page of ``review --serve`` asks.
Texts are values of ``Text`` tags with ``valueType="text"``, which Label Studio shows as plain text: not as HTML, and it
loads no address that a text consists of. Characters beyond ASCII are escaped in the file.

An export is read in Label Studio's format JSON. It has the answers of everybody; a sheet has those of one person.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.review.merge import VALUES
from seas_data.review.page.forms import Form
from seas_data.review.sheet import PROMPT_COLUMNS, PROMPT_INPUTS, RESPONSE_COLUMNS, RESPONSE_INPUTS
from seas_data.review.words import QUESTIONS
from seas_data.sources.raw_rows import is_valid_unicode
from seas_data.sources.sheets import guard_cell, write_cells
from seas_data.store.files import atomic_write, read_text
from seas_data.text import printable

TASKS: Final = "tasks.json"
INTERFACE: Final = "interface.xml"
REASON: Final = "review in Label Studio"
"""The reason of decisions on prompts without a note."""
_LARGEST: Final = 500_000_000  # bytes of an export
_LONGEST_NAME: Final = 100
_TEXTS: Final = {"prompt_id": (("prompt", "text"),), "response_id": (("prompt", "prompt"), ("response", "response"))}
"""Of a kind of sheet: the names of the texts in the interface, and their columns."""
_SHEETS: Final = {
    "prompt_id": (PROMPT_COLUMNS, PROMPT_INPUTS),
    "response_id": (RESPONSE_COLUMNS, RESPONSE_INPUTS),
}


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


def write_project(folder: Path, sample: pl.DataFrame, form: Form) -> None:
    """Write the tasks and the interface of the rows ``sample`` of a sheet into ``folder``, which must have neither."""
    for name in (TASKS, INTERFACE):
        if (folder / name).exists():
            raise SeasDataError(f"{folder / name} exists; pass another folder with --label-studio")
    folder.mkdir(parents=True, exist_ok=True)
    columns = _SHEETS[form.id_column][0]
    tasks = [{"data": {name: cell or "" for name, cell in row.items()}} for row in sample.select(columns).to_dicts()]
    for name, content in ((TASKS, json.dumps(tasks, indent=1) + "\n"), (INTERFACE, build_interface(form))):
        with atomic_write(folder / name) as temporary:
            temporary.touch(mode=0o600)
            temporary.write_text(content, encoding="utf-8")


def build_interface(form: Form) -> str:
    """Return the labelling interface that asks what ``form`` asks."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Style").text = ".htx-text { white-space: pre-wrap; }"
    for name, column in _TEXTS[form.id_column]:
        ElementTree.SubElement(view, "Header", value=name.capitalize())
        ElementTree.SubElement(view, "Text", name=name, value=f"${column}", valueType="text")
    about = _TEXTS[form.id_column][-1][0]
    for question in QUESTIONS[form.id_column]:
        ElementTree.SubElement(view, "Header", value=question.capitalize())
        choices = ElementTree.SubElement(
            view, "Choices", name=question, toName=about, choice="single-radio", showInline="true"
        )
        for value in form.options if question == form.detail else VALUES[question]:
            ElementTree.SubElement(choices, "Choice", value=value)
    ElementTree.SubElement(view, "Header", value="Note")
    ElementTree.SubElement(view, "TextArea", name="because", toName=about, maxSubmissions="1")
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"


def read_export(path: Path, who: str | None = None) -> Export:
    """Return the answers of ``who``, an annotator of the export at ``path``; of the only one by default.

    Annotators are named by their e-mail addresses, or by their numbers where the export has no more. Raises
    SeasDataError if the file is no export of the interface, or has several annotators and ``who`` is none of them.
    """
    tasks = _read_tasks(path)
    key = next((name for name in _SHEETS if name in tasks[0]["data"]), "prompt_id")
    columns, inputs = _SHEETS[key]
    answers: dict[str, dict[str, dict[str, str]]] = {}
    rows: dict[str, dict[str, str]] = {}
    for number, task in enumerate(tasks, start=1):
        place = f"{path.name}: task {number}"
        row = {name: _text(task["data"].get(name), place) for name in columns}
        if not row[key] or row[key] in rows:
            raise SeasDataError(f"{place} has {'an id that an earlier one has' if row[key] else f'no {key}'}; fix it")
        rows[row[key]] = row
        for name, given in _read_annotations(task, key, place):
            earlier = answers.setdefault(name, {}).setdefault(row[key], given)
            if earlier != given:
                raise SeasDataError(
                    f"{place} has two different annotations of {name}; remove one of them and export again"
                )
    if not answers:
        raise SeasDataError(f"{path} has no answers to the interface of review --label-studio; export it as JSON again")
    if who is None and len(answers) > 1:
        raise SeasDataError(f"{path} has annotations of {', '.join(sorted(answers))}; add --who with one of them")
    name = who or next(iter(answers))
    if name not in answers:
        raise SeasDataError(f"{path} has no annotations of {name}; it has those of {', '.join(sorted(answers))}")
    said = answers[name]
    cells = [[*row.values(), *_fill(said.get(row_id), inputs, name)] for row_id, row in rows.items()]
    return Export(name, [*columns, *inputs], cells, len(said))


def _fill(given: dict[str, str] | None, inputs: tuple[str, ...], who: str) -> list[str]:
    """Return the cells that a person fills in. Overrides need a reason, so prompts without a note get one."""
    if given is None:
        return [""] * len(inputs)
    because = given.get("because") or (REASON if inputs == PROMPT_INPUTS else "")
    return [(given | {"who": who, "because": because}).get(name, "") for name in inputs]


def _read_tasks(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise SeasDataError(f"there is no export at {path}; export the project of Label Studio as JSON")
    if path.stat().st_size > _LARGEST:
        raise SeasDataError(f"{path} is larger than {_LARGEST:,} bytes, so it is no export of a review; check its name")
    try:
        tasks = json.loads(read_text(path))
    except (ValueError, RecursionError):
        tasks = None
    if not isinstance(tasks, list) or not tasks or not all(_is_task(task) for task in tasks):
        raise SeasDataError(
            f"{path} is no export of Label Studio; export the project in the format JSON (not JSON_MIN)"
        )
    return tasks


def _is_task(task: Any) -> bool:
    return (
        isinstance(task, dict)
        and isinstance(task.get("data"), dict)
        and isinstance(task.get("annotations", []), list)
        and all(isinstance(each, dict) for each in task.get("annotations", []))
    )


def _read_annotations(task: dict[str, Any], key: str, place: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each annotator of a task with the answers; skipped annotations and those without an answer are left out."""
    for annotation in task.get("annotations", []):
        if annotation.get("was_cancelled"):
            continue
        given: dict[str, str] = {}
        results = annotation.get("result")
        for result in results if isinstance(results, list) else []:
            name = result.get("from_name") if isinstance(result, dict) else None
            if name in (*QUESTIONS[key], "because"):
                given[name] = _value(result.get("value"), name, place)
        if any(given.get(question) for question in QUESTIONS[key]):
            yield _annotator(annotation.get("completed_by"), place), given


def _value(value: Any, name: str, place: str) -> str:
    """Return the answer that a result has: one choice, or the lines of a note."""
    given = value.get("text" if name == "because" else "choices") if isinstance(value, dict) else None
    given = [given] if isinstance(given, str) else given
    if not isinstance(given, list) or (name != "because" and len(given) != 1):
        raise SeasDataError(f"{place} has not one answer to {name}; correct it in Label Studio and export again")
    answer = " ".join(" ".join(_text(each, place).split()) for each in given)
    if name in VALUES and answer not in VALUES[name]:
        raise SeasDataError(f"{place}: {name} should be {', '.join(VALUES[name])}; use the interface of --label-studio")
    return answer


def _annotator(completed_by: Any, place: str) -> str:
    if isinstance(completed_by, dict):
        completed_by = completed_by.get("email") or completed_by.get("id")
    if completed_by is None or isinstance(completed_by, bool | float | dict | list):
        raise SeasDataError(f"{place} has an annotation that names nobody in completed_by; export it from Label Studio")
    name = " ".join(str(completed_by).split())
    if not name or printable(name) != name or len(name) > _LONGEST_NAME:
        raise SeasDataError(
            f"{place} has an annotator whose name is not 1 to {_LONGEST_NAME} visible characters; fix it"
        )
    return name


def _text(value: Any, place: str) -> str:
    """Return a text of a task. Raises SeasDataError if it is none, or has half a character."""
    text = "" if value is None else value
    if not isinstance(text, str) or not is_valid_unicode(text):
        raise SeasDataError(f"{place} has a value that is no valid text; import tasks.json into a new project again")
    return text
