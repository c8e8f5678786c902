"""Two people answer records with Argilla's SDK, without a server. Run by ``test_argilla.py``, where the SDK is.

Reads records.json of a folder, and writes export.json as ``dataset.records.to_json`` does, and pressed.json (what each
person answered, by row). The questions come from the command line: name=answer,answer,...
"""

import json
import sys
import uuid
from pathlib import Path

import argilla as rg

folder, questions = Path(sys.argv[1]), [each.partition("=") for each in sys.argv[2:]]
people = [uuid.UUID(int=number) for number in (1, 2)]
pressed: dict[str, dict[str, list[str]]] = {str(who): {} for who in people}
records = [rg.Record.from_dict(each) for each in json.loads((folder / "records.json").read_text(encoding="utf-8"))]
for at, record in enumerate(records):
    for number, who in enumerate(people):
        answers = {}
        for name, _, offered in questions:
            choices = offered.split(",")
            choice = (at * (number + 1)) % (
                len(choices) + (name != questions[0][0])
            )  # only the first is always answered
            if choice < len(choices):
                answers[name] = choices[choice]
        note = f"note {at}: <b>&amp;</b>" if at % 3 == 0 else ""
        for name, value in (answers | ({"because": note} if note else {})).items():
            record.responses.add(rg.Response(name, value, user_id=who))
        pressed[str(who)][str(record.id)] = [answers.get(name, "") for name, _, _ in questions] + [note]
(folder / "export.json").write_text(json.dumps([record.to_dict() for record in records]), encoding="utf-8")
(folder / "pressed.json").write_text(json.dumps(pressed), encoding="utf-8")
