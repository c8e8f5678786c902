"""Several people's sheets: what they agree on is decided, where they differ is settled, and all words stay."""

import csv
import json
from pathlib import Path

import polars as pl
import pytest

import seas_data as sd
from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.recipe.taxonomy import default_taxonomy
from seas_data.review import gold, merge, sheet
from seas_data.review.page import forms
from seas_data.review.page.session import Session
from seas_data.review.words import QUESTIONS, disagree, read_words
from seas_data.sources.overrides import read_overrides
from seas_data.text import content_id
from tests.program import called

IDS = [content_id("prompt", number) for number in range(4)]


def filled(path: Path, who: str, keys: str, notes: str = "") -> Path:
    """A sheet on which ``who`` pressed a key a row; a dot is no key."""
    rows = {"prompt_id": IDS, "text": list("abcd"), "kind": "general", "type": ["A", "A", "B", "B"], "source": "s"}
    sheet.write_sheet(pl.DataFrame(rows), path)
    work = Session(path, forms.prompt_form(["Role Play"]), who, "review of v0")
    for row_id, key in zip(IDS, keys, strict=True):
        if key != ".":
            work.decide(row_id, key, note=notes)
    work.close()
    return path


def cells(path: Path) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {next(iter(row.values())): row for row in csv.DictReader(file)}


def settle(path: Path, who: str = "cy") -> Session:
    return Session(path, forms.prompt_form(["Role Play"]), who, "settled", settle=True)


def test_agreed_rows_are_decided_and_others_are_settled_with_all_words(tmp_path: Path) -> None:
    ada, ben = filled(tmp_path / "ada.csv", "ada", "112."), filled(tmp_path / "ben.csv", "ben", "12..", "a copy")
    path = tmp_path / "both.csv"
    merged = merge.merge_sheets([ada, ben])
    merged.write(path)
    assert (merged.agreed, merged.open_rows, merged.single) == (1, 1, 1)
    assert read_overrides(path, default_taxonomy()).rows() == [
        (IDS[0], "keep", None, "ada, ben", "ada: keep (review of v0); ben: keep (a copy)"),
        (IDS[2], "drop", None, "ada", "review of v0"),
    ]
    work = settle(path)
    assert work.ids == [IDS[1]]
    assert work.words(IDS[1]) == [("ada", "keep (review of v0)"), ("ben", "drop (a copy)")]
    work.decide(IDS[1], "2", note="read both")
    assert work.note(IDS[1]) == "read both"
    work.close()
    again = settle(path)
    assert (again.decided, again.note(IDS[1])) == (1, "read both")
    again.decide(IDS[1], "2")
    again.close()
    [settled] = read_overrides(path, default_taxonomy()).filter(prompt_id=IDS[1]).rows()
    assert settled[1:] == ("drop", None, "cy", "settled (ada: keep (review of v0); ben: drop (a copy))")
    assert [word["who"] for word in read_words(cells(path)[IDS[1]]["words"])] == ["ada", "ben"]


@pytest.mark.parametrize(
    ("ada", "ben", "differ"),
    [
        ({"decision": "keep"}, {"decision": "keep"}, False),
        ({"label": "harmless"}, {"decision": "drop"}, True),
        ({"label": "harmless"}, {"decision": "keep"}, True),
        ({"label": "harmless"}, {"decision": "keep", "label": "harmless"}, False),
        ({"decision": "drop", "label": "harmless"}, {"decision": "drop"}, False),
        ({"verdict": "safe"}, {"verdict": "safe", "refusal": "full_refusal"}, False),
    ],
)
def test_a_label_that_one_person_gave_and_a_drop_against_anything_else_are_settled(
    ada: dict[str, str], ben: dict[str, str], differ: bool
) -> None:
    questions = QUESTIONS["response_id" if "verdict" in ada else "prompt_id"]
    words = [{"who": "ada"} | ada, {"who": "ben"} | ben]
    assert (disagree(words, questions), disagree(words[:1], questions)) == (differ, False)


def test_what_cannot_be_merged_or_settled_is_refused(tmp_path: Path) -> None:
    ada, ben = filled(tmp_path / "ada.csv", "ada", "1111"), filled(tmp_path / "ben.csv", "ben", "1111")
    both = tmp_path / "both.csv"
    merge.merge_sheets([ada, ben]).write(both)
    refused = [
        ([ada], "two or more"),
        ([ada, tmp_path / "none.csv"], "there is no sheet"),
        ([ada, both], "merged sheet already"),
        ([ada, filled(tmp_path / "again.csv", "ada", "1...")], "another decision of ada"),
    ]
    for sheets, message in refused:
        with pytest.raises(SeasDataError, match=message):
            merge.merge_sheets(sheets)
    with pytest.raises(SeasDataError, match="exists, and may have settled rows"):
        merge.merge_sheets([ada, ben]).write(both)
    with pytest.raises(SeasDataError, match="nobody disagrees"):
        settle(both)
    with pytest.raises(SeasDataError, match="no merged sheet"):
        settle(ada)
    broken = both.read_text(encoding="utf-8-sig").replace("[{", "{[")
    both.write_text(broken)
    with pytest.raises(SeasDataError, match="merge again"):
        settle(both)
    wrong = ada.read_text(encoding="utf-8-sig").replace('"keep"', '"maybe"')
    ada.write_text(wrong)
    with pytest.raises(SeasDataError, match=r"ada\.csv:2: decision should be keep, drop or empty"):
        merge.merge_sheets([ada, ben])


def test_names_and_words_stay_what_they_are_and_compute_nothing(tmp_path: Path) -> None:
    name, note = '=ben; "x": y', "'+1, then; (more)"
    ada, ben = filled(tmp_path / "ada.csv", "ada", "1...", note), filled(tmp_path / "ben.csv", name, "2...", note)
    path = tmp_path / "both.csv"
    merge.merge_sheets([ada, ben]).write(path)
    row = cells(path)[IDS[0]]
    assert not [cell for cell in row.values() if cell[:1] in ("=", "+", "-", "@")]
    assert settle(path).words(IDS[0]) == [("ada", f"keep ({note})"), (name, f"drop ({note})")]


@pytest.fixture(scope="module")
def version(made: Path) -> Version:
    return sd.open(made).version("v2")


def gold_sheet(version: Version, path: Path, who: str, flip: int) -> Path:
    """A gold sheet of 40 responses on which ``who`` says what a judge said, and the opposite of each ``flip``-th."""
    drawn = sheet.sample_responses(version, 40)
    sheet.write_sheet(drawn, path, sheet.RESPONSE_COLUMNS, sheet.RESPONSE_INPUTS)
    said = dict(version.table("verdicts").filter(judge="keeper").select("response_id", "verdict").iter_rows())
    work = Session(path, forms.response_form(), who)
    for at, row_id in enumerate(work.ids):
        unsafe = (said.get(row_id) == "unsafe") != (at % flip == 0)
        work.decide(row_id, "2" if unsafe else "1")
    work.close()
    return path


@pytest.mark.slow
def test_gold_figures_carry_the_disagreement(made: Path, version: Version, tmp_path: Path) -> None:
    ada = gold_sheet(version, tmp_path / "ada.csv", "ada", 1_000)
    ben = gold_sheet(version, tmp_path / "ben.csv", "ben", 5)
    path = tmp_path / "gold.csv"
    ended = called("review", "merge", ada, ben, "-o", path, "--version", "v2", "--workspace", made, "--json")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert (told["agreed"], told["open"], told["single"]) == (33, 7, 0)
    [row] = told["all"]
    assert (row["question"], row["n"], row["raw"]) == ("verdict", 40, 33 / 40)
    assert {each["judge"] for each in told["by_judge"]} == set(version.table("verdicts").drop_nulls("verdict")["judge"])
    assert sum(each["n"] for each in told["by_type"]) <= 40
    found = gold.compare_with_gold(version, path)
    [people] = found.people.to_dicts()
    assert (people["n"], people["raw"], people["alpha"]) == (40, row["raw"], row["alpha"])
    measured = dict(found.metrics.select("name", "value").iter_rows())
    assert measured["gold_alpha"] == row["alpha"]
    assert "Agreement of the people of the gold set" in found.tables()
    alone = gold.compare_with_gold(version, ada)
    assert alone.people.is_empty()
    assert not [name for name in alone.metrics["name"] if name.startswith("gold_")]


def test_the_command_shows_the_agreement_and_what_to_do_next(tmp_path: Path) -> None:
    ada, ben = filled(tmp_path / "ada.csv", "ada", "1122"), filled(tmp_path / "ben.csv", "ben", "1212")
    ended = called("review", "merge", ada, ben, "-o", tmp_path / "both.csv")
    assert ended.returncode == 0, ended.stderr
    assert "2 to settle" in ended.stdout
    assert "--settle" in ended.stdout
    for arguments, message in (
        (("v0", ada), "one argument too many"),
        (("merge", ada, ben, "--serve"), "takes sheets"),
        (("v0", "--who", "ada"), "add --serve"),
        (("v0", "--json"), "--json is for"),
    ):
        ended = called("review", *arguments)
        assert ended.returncode == 2
        assert message in ended.stderr
