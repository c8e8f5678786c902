"""Review sheets for Argilla: records out, and records with people's responses back in.

A record is an object as ``argilla.Record.to_dict`` returns it; ``dataset.records.from_json`` and ``to_json`` read and
write a list of them. The texts are fields, and the answers are responses to questions of the names that a sheet has.
``to_dict`` leaves out whether a response was submitted. Where a response has a ``status``, drafts and discarded ones
are no answers.
"""

import json
from pathlib import Path
from typing import Any, Final

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.review.exported import SHEETS, TEXTS, Answers, Task, check_answer, check_name, check_text, write_new
from seas_data.review.page.forms import Form
from seas_data.review.words import QUESTIONS

RECORDS: Final = "records.json"
REASON: Final = "review in Argilla"
"""The reason of decisions on prompts without a note."""
_NOT_SUBMITTED: Final = ("draft", "discarded")


def write_records(folder: Path, sample: pl.DataFrame, form: Form) -> None:
    """Write the records of the rows ``sample`` of a sheet into ``folder``, which must have none."""
    texts, columns = TEXTS[form.id_column], SHEETS[form.id_column][0]
    about = [name for name in columns if name != form.id_column and name not in texts.values()]
    records = [
        {
            "id": row[form.id_column],
            "fields": {name: row[column] or "" for name, column in texts.items()},
            "metadata": {name: row[name] for name in about if row[name] is not None},
            "responses": {},
            "suggestions": {},
            "vectors": {},
        }
        for row in sample.select(columns).to_dicts()
    ]
    write_new(folder, {RECORDS: json.dumps(records, indent=1) + "\n"}, "--argilla")


def read_records(path: Path, records: list[dict[str, Any]]) -> tuple[str, list[Task]]:
    """Return the id column and the rows of the records of ``path``; people are named by their ids at the server.

    Raises SeasDataError if they are no records of a review.
    """
    if not all(map(_is_record, records)):
        raise SeasDataError(f"{path} has no records as Argilla's dataset.records.to_json writes them; write it again")
    key = "response_id" if "response" in records[0]["fields"] else "prompt_id"
    texts, columns = {column: name for name, column in TEXTS[key].items()}, SHEETS[key][0]
    found = []
    for number, record in enumerate(records, start=1):
        place = f"{path.name}: record {number}"
        known = {key: record["id"]} | (record.get("metadata") or {})
        known |= {column: record["fields"].get(name) for column, name in texts.items()}
        row = {name: check_text(known.get(name), place) for name in columns}
        found.append(Task(place, row, _read_responses(record["responses"] or {}, key, place)))
    return key, found


def _is_record(record: dict[str, Any]) -> bool:
    objects = (record.get("fields"), record.get("responses") or {}, record.get("metadata") or {})
    return "id" in record and "responses" in record and all(isinstance(each, dict) for each in objects)


def _read_responses(responses: dict[str, Any], key: str, place: str) -> list[tuple[str, Answers]]:
    """Return each person with the answers; responses that were not submitted are left out."""
    said: dict[str, Answers] = {}
    for question in (*QUESTIONS[key], "because"):
        given = responses.get(question) or []
        if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
            raise SeasDataError(f"{place} has responses to {question} that are no list; write the records again")
        for each in given:
            if each.get("status") in _NOT_SUBMITTED:
                continue
            name = check_name(each.get("user_id"), place)
            answer = check_answer(question, " ".join(check_text(each.get("value"), place).split()), place)
            if said.setdefault(name, {}).setdefault(question, answer) != answer:
                raise SeasDataError(
                    f"{place} has two different annotations of {name}; remove one of them and write again"
                )
    return [(name, answers) for name, answers in said.items() if any(answers.get(each) for each in QUESTIONS[key])]
