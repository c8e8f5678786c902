"""Review sheets for Label Studio: tasks with a labelling interface out, and an export with people's answers back in.

``tasks.json`` has a task for each row of a sheet, and ``interface.xml`` asks what the page of ``review --serve`` asks.
Texts are values of ``Text`` tags with ``valueType="text"``, which Label Studio shows as plain text: not as HTML, and it
loads no address that a text consists of. Characters beyond ASCII are escaped in the file.

An export is read in Label Studio's format JSON. It has the answers of everybody; a sheet has those of one person.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.review.exported import SHEETS, TEXTS, Answers, Task, check_answer, check_name, check_text, write_new
from seas_data.review.merge import VALUES
from seas_data.review.page.forms import Form
from seas_data.review.words import QUESTIONS

TASKS: Final = "tasks.json"
INTERFACE: Final = "interface.xml"
REASON: Final = "review in Label Studio"
"""The reason of decisions on prompts without a note."""


def write_project(folder: Path, sample: pl.DataFrame, form: Form) -> None:
    """Write the tasks and the interface of the rows ``sample`` of a sheet into ``folder``, which must have neither."""
    columns = SHEETS[form.id_column][0]
    tasks = [{"data": {name: cell or "" for name, cell in row.items()}} for row in sample.select(columns).to_dicts()]
    contents = {TASKS: json.dumps(tasks, indent=1) + "\n", INTERFACE: build_interface(form)}
    write_new(folder, contents, "--label-studio")


def build_interface(form: Form) -> str:
    """Return the labelling interface that asks what ``form`` asks."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Style").text = ".htx-text { white-space: pre-wrap; }"
    for name, column in TEXTS[form.id_column].items():
        ElementTree.SubElement(view, "Header", value=name.capitalize())
        ElementTree.SubElement(view, "Text", name=name, value=f"${column}", valueType="text")
    about = list(TEXTS[form.id_column])[-1]
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


def read_tasks(path: Path, tasks: list[dict[str, Any]]) -> tuple[str, list[Task]]:
    """Return the id column and the rows of an export. ``tasks``: the content of ``path``.

    People are named by their e-mail addresses, or by their numbers where the export has no more. Raises SeasDataError
    if it is no export of the interface.
    """
    if not all(map(_is_task, tasks)):
        raise SeasDataError(
            f"{path} is no export of Label Studio; export the project in the format JSON (not JSON_MIN)"
        )
    key = next((name for name in SHEETS if name in tasks[0]["data"]), "prompt_id")
    found = []
    for number, task in enumerate(tasks, start=1):
        place = f"{path.name}: task {number}"
        row = {name: check_text(task["data"].get(name), place) for name in SHEETS[key][0]}
        found.append(Task(place, row, list(_read_annotations(task, key, place))))
    return key, found


def _is_task(task: dict[str, Any]) -> bool:
    annotations = task.get("annotations", [])
    return (
        isinstance(task.get("data"), dict)
        and isinstance(annotations, list)
        and all(isinstance(each, dict) for each in annotations)
    )


def _read_annotations(task: dict[str, Any], key: str, place: str) -> Iterator[tuple[str, Answers]]:
    """Yield each person with the answers; skipped annotations and those without an answer are left out."""
    for annotation in task.get("annotations", []):
        if annotation.get("was_cancelled"):
            continue
        given: Answers = {}
        results = annotation.get("result")
        for result in results if isinstance(results, list) else []:
            name = result.get("from_name") if isinstance(result, dict) else None
            if name in (*QUESTIONS[key], "because"):
                if name in given:
                    raise SeasDataError(f"{place} has two answers to {name}; correct it and export again")
                given[name] = _value(result.get("value"), name, place)
        if any(given.get(question) for question in QUESTIONS[key]):
            by = annotation.get("completed_by")
            yield check_name((by.get("email") or by.get("id")) if isinstance(by, dict) else by, place), given


def _value(value: Any, name: str, place: str) -> str:
    """Return the answer that a result has: one choice, or the lines of a note."""
    given = value.get("text" if name == "because" else "choices") if isinstance(value, dict) else None
    given = [given] if isinstance(given, str) else given
    if not isinstance(given, list) or (name != "because" and len(given) != 1):
        raise SeasDataError(f"{place} should have one answer to {name}; correct it and export again")
    return check_answer(name, " ".join(" ".join(check_text(each, place).split()) for each in given), place)
