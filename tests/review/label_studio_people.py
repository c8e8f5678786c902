"""Two people answer tasks with Label Studio's SDK. Run by ``test_label_studio.py`` in an environment that has it.

Reads interface.xml and tasks.json of a folder, checks both as a project of Label Studio does, and writes export.json
(the tasks with annotations), pressed.json (what each person answered, by row) and the folder min (the export as the
SDK's converter reads it).
"""

import json
import sys
from pathlib import Path

from label_studio_sdk.converter import Converter
from label_studio_sdk.label_interface import LabelInterface
from label_studio_sdk.label_interface.objects import AnnotationValue, TaskValue

folder = Path(sys.argv[1])
interface = LabelInterface((folder / "interface.xml").read_text(encoding="utf-8"))
interface.validate()
questions = [
    name for name in ("decision", "label", "verdict", "refusal") if name in {c.name for c in interface.controls}
]
texts = interface.objects
tasks = json.loads((folder / "tasks.json").read_text(encoding="utf-8"))
pressed: dict[str, dict[str, list[str]]] = {"1": {}, "2": {}}
for at, task in enumerate(tasks):
    assert {text.value_name for text in texts} <= set(task["data"])
    assert interface.validate_task(dict(task)), task  # without annotations: of them its release 2.1 fails
    key = "prompt_id" if "prompt_id" in task["data"] else "response_id"
    annotations = []
    for who in (1, 2):
        answers = {}
        for question in questions:
            offered = interface.get_control(question).labels
            choice = (at * who) % (len(offered) + (question != questions[0]))  # the second question may be left out
            if choice < len(offered):
                answers[question] = list(offered)[choice]
        regions = [interface.get_control(name).label(value) for name, value in answers.items()]
        note = f"note {at} of {who}: <b>&amp;</b>" if at % 3 == 0 else ""
        if note:
            regions.append(interface.get_control("because").label(text=[note]))
        annotation = AnnotationValue(completed_by=who, result=regions).model_dump()
        assert interface.validate_annotation(annotation), annotation
        annotations.append(annotation)
        pressed[str(who)][task["data"][key]] = [answers.get(name, "") for name in questions] + [note]
    task |= {"id": at, "annotations": annotations}
    TaskValue.model_validate(task)
(folder / "export.json").write_text(json.dumps(tasks), encoding="utf-8")
(folder / "pressed.json").write_text(json.dumps(pressed), encoding="utf-8")
converter = Converter((folder / "interface.xml").read_text(encoding="utf-8"), str(folder))
converter.convert_to_json_min(str(folder / "export.json"), str(folder / "min"), is_dir=False)
