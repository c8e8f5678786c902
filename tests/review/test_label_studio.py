"""Sheets as tasks of Label Studio and back: what people answer there is what the sheet has, and texts stay texts."""

import csv
import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import polars as pl
import pytest

import seas_data as sd
from seas_data.errors import SeasDataError
from seas_data.recipe.taxonomy import default_taxonomy
from seas_data.review import label_studio
from seas_data.review.gold import read_gold
from seas_data.review.importing import read_export
from seas_data.review.page import forms
from seas_data.sources.overrides import read_overrides
from seas_data.text import content_id
from tests.program import called
from tests.review import hostile

TOOL = Path(os.environ.get("SEAS_DATA_TOOLS", "no-folder")) / "label_studio" / "bin" / "python"
PROMPTS = forms.prompt_form(["Role Play", "Fake & Forged <b>"])


def rows(count: int = 3) -> pl.DataFrame:
    texts = [hostile.TEXTS[at % len(hostile.TEXTS)] for at in range(count)]
    ids = [content_id("prompt", at) for at in range(count)]
    return pl.DataFrame({"prompt_id": ids, "text": texts, "kind": "general", "type": None, "source": "s"})


def tasks(folder: Path, count: int = 3) -> list[dict[str, Any]]:
    label_studio.write_project(folder, rows(count), PROMPTS)
    return json.loads((folder / label_studio.TASKS).read_text())


def result(name: str, *values: str) -> dict[str, Any]:
    kind = "textarea" if name == "because" else "choices"
    value = {"text" if name == "because" else "choices": list(values)}
    return {"from_name": name, "to_name": "prompt", "type": kind, "value": value}


def annotation(who: Any, *results: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"completed_by": who, "result": list(results)} | more


def cells(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_tasks_hold_every_text_and_the_interface_shows_them_as_text(tmp_path: Path) -> None:
    made = tasks(tmp_path / "out", len(hostile.TEXTS))
    assert [task["data"]["text"] for task in made] == list(hostile.TEXTS)
    assert (tmp_path / "out" / label_studio.TASKS).read_bytes().isascii()
    interface = ElementTree.parse(tmp_path / "out" / label_studio.INTERFACE)
    assert {each.tag for each in interface.iter()} == {
        "View",
        "Style",
        "Header",
        "Text",
        "Choices",
        "Choice",
        "TextArea",
    }
    assert [text.attrib for text in interface.iter("Text")] == [
        {"name": "prompt", "value": "$text", "valueType": "text"}
    ]
    offered = {each.get("name"): [choice.get("value") for choice in each] for each in interface.iter("Choices")}
    assert offered == {"decision": ["keep", "drop"], "label": list(PROMPTS.options)}
    for name in (label_studio.TASKS, label_studio.INTERFACE):
        assert stat.S_IMODE((tmp_path / "out" / name).stat().st_mode) == 0o600
    with pytest.raises(SeasDataError, match=r"tasks\.json exists"):
        label_studio.write_project(tmp_path / "out", rows(), PROMPTS)


def test_a_sheet_has_the_answers_of_one_person(tmp_path: Path) -> None:
    given = tasks(tmp_path / "out")
    ada = {"id": 1, "email": "ada@example.org"}
    given[0]["annotations"] = [
        annotation(ada, result("decision", "drop"), result("because", "a copy", " of another")),
        annotation(2, result("decision", "keep")),
        annotation(ada, result("decision", "keep"), was_cancelled=True),
    ]
    given[1]["annotations"] = [annotation(ada, result("label", "Role Play"), result("their_own", "x"))]
    given[2]["annotations"] = [annotation(2)]
    export, sheet = tmp_path / "export.json", tmp_path / "ada.csv"
    export.write_text(json.dumps(given))
    ended = called("review", "import", export, "-o", sheet)
    assert ended.returncode == 2
    assert "has annotations of 2, ada@example.org; add --who" in ended.stderr
    ended = called("review", "import", export, "--who", "ada@example.org", "-o", sheet)
    assert ended.returncode == 0, ended.stderr
    assert "2 of 3 rows decided by ada@example.org" in ended.stdout
    assert [(row["decision"], row["label"], row["who"], row["because"]) for row in cells(sheet)] == [
        ("drop", "", "ada@example.org", "a copy of another"),
        ("", "Role Play", "ada@example.org", label_studio.REASON),
        ("", "", "", ""),
    ]
    assert read_export(export, "2").decided == 1
    assert called("review", "import", export, "--who", "2", "-o", sheet).returncode == 2, "an existing sheet stays"


BROKEN: list[tuple[Any, str]] = [
    ("[", "is no export of Label Studio"),
    ("[" * 100_000, "is no export of Label Studio"),
    ([], "is no export of Label Studio"),
    ([1], "is no export of Label Studio"),
    ([{"prompt_id": "a", "decision": "keep"}], "JSON_MIN"),
    ([{"data": {"text": "x"}}], "task 1 has no prompt_id"),
    ([{"data": {"prompt_id": "a"}}, {"data": {"prompt_id": "a"}}], "task 2 has an id that an earlier one has"),
    ([{"data": {"prompt_id": "a", "text": 1}}], "not valid text"),
    ([{"data": {"prompt_id": "a", "text": "\ud800"}}], "not valid text"),
    ([{"data": {"prompt_id": "a"}, "annotations": [annotation(1)]}], "has no answers"),
    ([{"data": {"prompt_id": "a"}, "annotations": [annotation(1, result("decision", "maybe"))]}], "keep, drop"),
    (
        [{"data": {"prompt_id": "a"}, "annotations": [annotation(1, result("decision", "keep", "drop"))]}],
        "should have one answer",
    ),
    (
        [
            {
                "data": {"prompt_id": "a"},
                "annotations": [annotation(1, result("decision", "keep"), result("decision", "drop"))],
            }
        ],
        "two answers to decision",
    ),
    (
        [{"data": {"prompt_id": "a"}, "annotations": [annotation(None, result("decision", "keep"))]}],
        "without an annotator",
    ),
    ([{"data": {"prompt_id": "a"}, "annotations": [annotation("a\u202eb", result("decision", "keep"))]}], "visible"),
    (
        [
            {
                "data": {"prompt_id": "a"},
                "annotations": [annotation(1, result("decision", each)) for each in ("keep", "drop")],
            }
        ],
        "two different annotations of 1",
    ),
]


@pytest.mark.parametrize(("content", "message"), BROKEN, ids=[message for _, message in BROKEN])
def test_what_is_no_export_is_refused_with_its_place(tmp_path: Path, content: Any, message: str) -> None:
    path = tmp_path / "export.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(SeasDataError, match=message):
        read_export(path)


@pytest.mark.slow  # starts Label Studio's SDK, in an environment of its own
def test_the_sdk_of_label_studio_takes_the_tasks_and_its_answers_come_back(made: Path, tmp_path: Path) -> None:
    if not TOOL.exists():
        pytest.skip("label-studio-sdk is not installed in $SEAS_DATA_TOOLS/label_studio")
    script = Path(__file__).parent / "label_studio_people.py"
    version = sd.open(made).version("v2")
    texts = iter(hostile.TEXTS)
    sample = version.table("kept").head(60)
    sample = sample.with_columns(text=pl.Series([next(texts) for _ in range(sample.height)]))
    label_studio.write_project(tmp_path / "prompts", sample, forms.prompt_form(default_taxonomy().types))
    for arguments in (["--responses", "--sample", 20, "--label-studio", tmp_path / "responses"],):
        ended = called("review", "v2", *arguments, "--workspace", made)
        assert ended.returncode == 0, ended.stderr
    for kind in ("prompts", "responses"):
        done = subprocess.run(
            [str(TOOL), str(script), str(tmp_path / kind)],
            env={**os.environ, "PYTHONPATH": ""},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        pressed = json.loads((tmp_path / kind / "pressed.json").read_text())
        converted = json.loads((tmp_path / kind / "min" / "result.json").read_text())
        assert len(converted) == 2 * len(pressed["1"]), "one record of each person and row"
        for who in ("1", "2"):
            path = tmp_path / f"{kind}-{who}.csv"
            read_export(tmp_path / kind / "export.json", who).write(path)
            names = [name for name in ("decision", "label", "verdict", "refusal") if name in cells(path)[0]]
            reason = label_studio.REASON if kind == "prompts" else ""
            found = [[row[name] for name in names] + [row["because"].replace(reason, "")] for row in cells(path)]
            assert found == [pressed[who][next(iter(row.values()))] for row in cells(path)]
    assert read_overrides(tmp_path / "prompts-1.csv", default_taxonomy()).height == sample.height
    assert read_gold(tmp_path / "responses-1.csv").height == 20
