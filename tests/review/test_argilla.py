"""Sheets as records of Argilla and back: what people answer there is what the sheet has, and texts stay texts."""

import csv
import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from seas_data.errors import SeasDataError
from seas_data.recipe.taxonomy import default_taxonomy
from seas_data.review import argilla
from seas_data.review.importing import read_export
from seas_data.review.page import forms
from seas_data.sources.overrides import read_overrides
from seas_data.text import content_id
from tests.program import called
from tests.review import hostile

TOOL = Path(os.environ.get("SEAS_DATA_TOOLS", "no-folder")) / "argilla" / "bin" / "python"
ADA, BEN = "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"


def rows(count: int) -> pl.DataFrame:
    ids = [content_id("prompt", at) for at in range(count)]
    return pl.DataFrame(
        {"prompt_id": ids, "text": hostile.TEXTS[:count], "kind": "general", "type": None, "source": "s"}
    )


def written(folder: Path, count: int = 3) -> list[dict[str, Any]]:
    argilla.write_records(folder, rows(count), forms.prompt_form(default_taxonomy().types))
    return json.loads((folder / argilla.RECORDS).read_text())


def cells(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_records_hold_every_text_and_the_answers_come_back(tmp_path: Path) -> None:
    records = written(tmp_path / "out", len(hostile.TEXTS))
    path = tmp_path / "out" / argilla.RECORDS
    assert [each["fields"] for each in records] == [{"prompt": text} for text in hostile.TEXTS]
    assert records[0]["metadata"] == {"kind": "general", "source": "s"}
    assert path.read_bytes().isascii()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(SeasDataError, match=r"records\.json exists"):
        written(tmp_path / "out")
    records[0]["responses"] = {
        "decision": [{"value": "drop", "user_id": ADA}, {"value": "keep", "user_id": BEN}],
        "because": [{"value": "a  copy", "user_id": ADA}],
    }
    records[1]["responses"] = {"label": [{"value": "harmless", "user_id": ADA}], "other": [{"value": 1}]}
    export, sheet = tmp_path / "export.json", tmp_path / "ada.csv"
    export.write_text(json.dumps(records))
    ended = called("review", "import", export, "--who", ADA, "-o", sheet)
    assert ended.returncode == 0, ended.stderr
    found = [[row[name] for name in ("decision", "label", "who", "because")] for row in cells(sheet)[:3]]
    assert found == [["drop", "", ADA, "a copy"], ["", "harmless", ADA, argilla.REASON], ["", "", "", ""]]
    assert read_export(export, BEN).decided == 1


def test_responses_that_nobody_submitted_are_no_answers(tmp_path: Path) -> None:
    records = written(tmp_path / "out", 3)
    for record, status in zip(records, ("submitted", "draft", "discarded"), strict=True):
        record["responses"] = {"decision": [{"value": "keep", "user_id": ADA, "status": status}]}
    export = tmp_path / "export.json"
    export.write_text(json.dumps(records))
    found = read_export(export)
    assert (found.who, found.decided) == (ADA, 1) and found.rows[0][-3] == "keep"


BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"fields": []}, "has no records"),
    ({"responses": {"decision": {"value": "keep"}}}, "that are no list"),
    ({"responses": {"decision": [{"value": "keep"}]}}, "without an annotator"),
    ({"responses": {"decision": [{"value": "maybe", "user_id": ADA}]}}, "keep, drop"),
    ({"responses": {"decision": [{"value": 1, "user_id": ADA}]}}, "not valid text"),
    ({"responses": {"decision": [{"value": each, "user_id": ADA} for each in ("keep", "drop")]}}, "two different"),
    ({"id": ""}, "no prompt_id"),
    ({"responses": {}}, "has no answers"),
]


@pytest.mark.parametrize(("change", "message"), BROKEN, ids=[message for _, message in BROKEN])
def test_what_are_no_records_of_a_review_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    record = written(tmp_path / "out", 1)[0]
    (tmp_path / "export.json").write_text(json.dumps([record | change]))
    with pytest.raises(SeasDataError, match=message):
        read_export(tmp_path / "export.json")


@pytest.mark.slow  # starts Argilla's SDK, in an environment of its own
def test_the_sdk_of_argilla_takes_the_records_and_its_answers_come_back(made: Path, tmp_path: Path) -> None:
    if not TOOL.exists():
        pytest.skip("argilla is not installed in $SEAS_DATA_TOOLS/argilla")
    written(tmp_path / "prompts", len(hostile.TEXTS))
    ended = called("review", "v2", "--responses", "--sample", 20, "--argilla", tmp_path / "gold", "--workspace", made)
    assert ended.returncode == 0, ended.stderr
    asked = {
        "prompts": ("decision=keep,drop", "label=harmless,Role Play"),
        "gold": ("verdict=safe,unsafe", "refusal=full_refusal,partial_refusal"),
    }
    for kind, questions in asked.items():
        command = [str(TOOL), str(Path(__file__).parent / "argilla_people.py"), str(tmp_path / kind), *questions]
        environment = {**os.environ, "PYTHONPATH": ""}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr[-3000:]
        pressed = json.loads((tmp_path / kind / "pressed.json").read_text())
        names = [question.partition("=")[0] for question in questions]
        for who in (ADA, BEN):
            path = tmp_path / f"{kind}-{who}.csv"
            read_export(tmp_path / kind / "export.json", who).write(path)
            for row in cells(path):
                because = row["because"].replace(argilla.REASON, "")
                assert [*(row[name] for name in names), because] == pressed[who][next(iter(row.values()))]
    assert read_overrides(tmp_path / f"prompts-{ADA}.csv", default_taxonomy()).height == len(hostile.TEXTS)
