"""The journal of a sheet: what was pressed is on disk when it counts, whoever is killed and whatever breaks."""

import csv
import json
import os
import stat
from pathlib import Path

import polars as pl
import pytest

from seas_data.errors import SeasDataError
from seas_data.recipe.taxonomy import default_taxonomy
from seas_data.review import sheet as sheets
from seas_data.review.gold import read_gold
from seas_data.review.page import forms
from seas_data.review.page.session import Session
from seas_data.sources.overrides import read_overrides
from seas_data.sources.sheet_journal import Journal, journal_path, read_journal
from seas_data.text import content_id

IDS = [content_id("prompt", number) for number in range(6)]


def prompt_sheet(path: Path) -> Path:
    texts = ["  leading", "=1+1", "'=quoted", "two\r\nlines", 'with "quotes"', "plain"]
    rows = {"prompt_id": IDS, "text": texts, "kind": "general", "type": None, "source": "s"}
    sheets.write_sheet(pl.DataFrame(rows), path)
    return path


def session(path: Path, who: str = "ada") -> Session:
    return Session(path, forms.prompt_form(["Role Play"]), who, "review of v0")


def cells(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_decision_counts_before_it_is_in_the_sheet(tmp_path: Path) -> None:
    path = prompt_sheet(tmp_path / "ada.csv")
    work = session(path)
    work.decide(IDS[0], "1")
    work.decide(IDS[1], "3", note="an  ordinary question")
    work.decide(IDS[2], "2", detail="Role Play")
    assert not any(row["decision"] for row in cells(path))
    assert read_overrides(path, default_taxonomy()).rows() == [
        (IDS[0], "keep", None, "ada", "review of v0"),
        (IDS[1], None, "harmless", "ada", "an ordinary question"),
        (IDS[2], "drop", "Role Play", "ada", "review of v0"),
    ]
    assert stat.S_IMODE(journal_path(path).stat().st_mode) == stat.S_IMODE(path.stat().st_mode) == 0o600


def test_gold_verdicts_are_read_from_the_journal_too(tmp_path: Path) -> None:
    path = tmp_path / "gold.csv"
    rows = pl.DataFrame({"response_id": ["a", "b"], "prompt": ["p", "q"], "response": ["r", "s"]})
    sheets.write_sheet(rows, path, sheets.RESPONSE_COLUMNS, sheets.RESPONSE_INPUTS)
    work = Session(path, forms.response_form(), "ada")
    work.decide("b", "4")
    assert read_gold(path).rows() == [("b", "safe", "partial_refusal")]


def test_closing_writes_the_decisions_and_leaves_all_other_cells_as_they_were(tmp_path: Path) -> None:
    path = prompt_sheet(tmp_path / "ada.csv")
    before = cells(path)
    work = session(path)
    work.decide(IDS[1], "1", note="=HYPERLINK(1)")
    work.close()
    work.close()
    assert not journal_path(path).exists()
    after = cells(path)
    assert after[1] == before[1] | {"decision": "keep", "who": "ada", "because": "'=HYPERLINK(1)"}
    assert [row for at, row in enumerate(after) if at != 1] == [row for at, row in enumerate(before) if at != 1]
    assert read_overrides(path, default_taxonomy())["because"].to_list() == ["=HYPERLINK(1)"]


def test_a_killed_process_loses_nothing_and_half_a_line_counts_as_nothing(tmp_path: Path) -> None:
    path = prompt_sheet(tmp_path / "ada.csv")
    killed = session(path)
    killed.decide(IDS[0], "1")
    killed.decide(IDS[1], "2")
    os.close(killed._journal._file)
    with journal_path(path).open("ab") as file:
        file.write(b'{"row": "' + IDS[2].encode())
    assert set(read_journal(path)) == {IDS[0], IDS[1]}
    again = session(path)
    assert (again.decided, again.cells(IDS[1])["decision"]) == (2, "drop")
    again.decide(IDS[2], "1")
    again.close()
    assert [row["decision"] for row in cells(path)] == ["keep", "drop", "keep", "", "", ""]


def test_what_a_spreadsheet_wrote_meanwhile_stays(tmp_path: Path) -> None:
    path = prompt_sheet(tmp_path / "ada.csv")
    work = session(path)
    work.decide(IDS[0], "1")
    lines = path.read_bytes().decode("utf-8-sig").split("\r\n")
    lines[-2] = lines[-2].removesuffix('"","","",""') + '"","drop","ada","by hand"'
    path.write_text("\r\n".join(lines), encoding="utf-8", newline="")
    work.close()
    assert [row["decision"] for row in cells(path)] == ["keep", "", "", "", "", "drop"]


def test_a_row_that_was_decided_on_the_page_and_edited_in_a_spreadsheet_is_refused(tmp_path: Path) -> None:
    path = prompt_sheet(tmp_path / "ada.csv")
    killed = session(path)
    killed.decide(IDS[0], "1")
    os.close(killed._journal._file)
    text = path.read_bytes().decode("utf-8-sig")
    lines = text.split("\r\n")
    lines[1] = lines[1].removesuffix('"","","",""') + '"","drop","ada","by hand"'
    path.write_text("\r\n".join(lines), encoding="utf-8", newline="")
    for read in (lambda: read_overrides(path, default_taxonomy()), lambda: session(path)):
        with pytest.raises(SeasDataError, match=r"line 2 of .* was edited after its row was decided on the page"):
            read()
    path.write_text(text, encoding="utf-8", newline="")
    work = session(path)
    assert (work.decided, work.cells(IDS[0])["decision"]) == (1, "keep")
    work.decide(IDS[0], "2")
    work.decide(IDS[0], "1")
    work.close()
    assert cells(path)[0]["decision"] == "keep"


def test_undo_clear_and_a_second_decision(tmp_path: Path) -> None:
    path = prompt_sheet(tmp_path / "ada.csv")
    work = session(path)
    assert work.undo() is None
    work.decide(IDS[0], "1")
    work.decide(IDS[0], "2")
    work.decide(IDS[1], "1")
    assert [work.undo(), work.undo()] == [IDS[1], IDS[0]]
    assert (work.cells(IDS[0])["decision"], work.decided) == ("keep", 1)
    work.clear(IDS[0])
    assert work.decided == 0
    assert read_overrides(path, default_taxonomy()).is_empty()
    assert work.undo() == IDS[0]
    assert read_overrides(path, default_taxonomy())["decision"].to_list() == ["keep"]


def test_one_process_and_one_person_a_sheet(tmp_path: Path) -> None:
    path = prompt_sheet(tmp_path / "ada.csv")
    work = session(path)
    work.decide(IDS[0], "1")
    with pytest.raises(SeasDataError, match="another review --serve"):
        session(path)
    work.close()
    with pytest.raises(SeasDataError, match="decisions of ada"):
        session(path, "ben")
    session(path).close()


def test_a_journal_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = prompt_sheet(tmp_path / "ada.csv")
    journal_path(path).write_text(json.dumps({"row": "f" * 24, "cells": {"decision": "keep"}}) + "\n")
    with pytest.raises(SeasDataError, match="belongs to another sheet"):
        read_overrides(path, default_taxonomy())
    for line in ("nonsense", "[]", '{"row": 1, "cells": {}}', '{"row": "a", "cells": {"decision": 1}}'):
        journal_path(path).write_text(f"{line}\n")
        with pytest.raises(SeasDataError, match=r"ada\.csv\.journal:1 is not a decision"):
            read_overrides(path, default_taxonomy())


def test_a_full_disk_is_told_and_the_decision_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = prompt_sheet(tmp_path / "ada.csv")
    work = session(path)
    work.decide(IDS[0], "1")

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(SeasDataError, match="No space"):
            work.decide(IDS[1], "1")
    assert (work.decided, set(read_journal(path))) == (1, {IDS[0]})
    work.decide(IDS[1], "2")
    assert work.undo() == IDS[1]


def test_a_choice_that_is_not_on_the_form_is_refused(tmp_path: Path) -> None:
    work = session(prompt_sheet(tmp_path / "ada.csv"))
    for key, detail, note in (("9", "", ""), ("1", "Nonsense", ""), ("1", "", "x" * 2_001), ("1", "", "\udcff")):
        with pytest.raises(SeasDataError):
            work.decide(IDS[0], key, detail, note)
    assert work.decided == 0
    Journal(tmp_path / "other.csv").close()
    assert not journal_path(tmp_path / "other.csv").exists()


def test_time_left_is_told_from_the_third_decision_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 10_000, 30))
    monkeypatch.setattr("time.monotonic", lambda: float(next(now)))
    work = session(prompt_sheet(tmp_path / "ada.csv"))
    work.decide(IDS[0], "1")
    work.decide(IDS[1], "1")
    assert work.seconds_left() is None
    work.decide(IDS[2], "1")
    assert work.seconds_left() == 90.0


def test_a_note_added_to_an_item_is_kept_and_undo_takes_back_the_decision_only(tmp_path: Path) -> None:
    path = prompt_sheet(tmp_path / "ada.csv")
    work = session(path)
    work.decide(IDS[0], "1")
    work.annotate(IDS[0], note="why  I keep it")
    work.annotate(IDS[1], note="not sure")
    assert (work.note(IDS[0]), work.note(IDS[1]), work.decided) == ("why I keep it", "not sure", 1)
    assert read_overrides(path, default_taxonomy())["because"].to_list() == ["why I keep it"]
    assert work.undo() == IDS[0]
    assert (work.note(IDS[0]), work.decided) == ("why I keep it", 0)
    assert work.undo() is None
    work.annotate(IDS[0], note="")
    assert work.cells(IDS[0]) == dict.fromkeys(work.form.inputs, "")
    work.close()
    assert read_overrides(path, default_taxonomy()).is_empty()
    again = session(path)
    assert again.note(IDS[1]) == "not sure"
    again.close()


def test_a_label_that_was_chosen_before_leaving_is_recorded_and_can_be_undone(tmp_path: Path) -> None:
    path = prompt_sheet(tmp_path / "ada.csv")
    work = session(path)
    work.annotate(IDS[0], detail="Role Play", note="a game")
    assert (work.cells(IDS[0])["label"], work.decided) == ("Role Play", 1)
    work.decide(IDS[1], "2")
    work.annotate(IDS[1], detail="Role Play")
    assert read_overrides(path, default_taxonomy()).rows() == [
        (IDS[0], None, "Role Play", "ada", "a game"),
        (IDS[1], "drop", "Role Play", "ada", "review of v0"),
    ]
    assert [work.undo(), work.undo(), work.undo()] == [IDS[1], IDS[1], IDS[0]]
    assert (work.decided, work.note(IDS[0])) == (0, "a game")
    with pytest.raises(SeasDataError):
        work.annotate(IDS[0], detail="Nonsense")


def test_clearing_a_decision_keeps_its_note(tmp_path: Path) -> None:
    work = session(prompt_sheet(tmp_path / "ada.csv"))
    work.decide(IDS[0], "1", note="look again")
    work.clear(IDS[0], "look again")
    assert (work.decided, work.note(IDS[0])) == (0, "look again")
    work.close()
