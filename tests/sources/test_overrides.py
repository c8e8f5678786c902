"""What people decided: read whole or not at all, tolerant of spreadsheets, strict about who and why."""

from pathlib import Path

import polars as pl
import pytest

from seas_data import recipe, sources
from seas_data.errors import SeasDataError
from seas_data.recipe.taxonomy import default_taxonomy
from seas_data.review import sheet as review
from seas_data.sources import overrides
from tests.conftest import EXAMPLE

A, B = "a" * 24, "b" * 24
C = "12345678901234567890e123"  # a spreadsheet would make a number of it
HEADER = "prompt_id,decision,label,who,because\n"


def read(tmp_path: Path, content: str, encoding: str = "utf-8") -> pl.DataFrame:
    path = tmp_path / "overrides.csv"
    path.write_bytes(content.encode(encoding))
    return overrides.read_overrides(path, default_taxonomy())


def test_decisions_and_labels(tmp_path: Path) -> None:
    found = read(
        tmp_path, HEADER + f"{A},keep,,ada,wanted\n{B},,role_play,ada,a part is played\n{C},DROP,Harmless,ben,asks\n"
    )
    assert found.rows() == [
        (A, "keep", None, "ada", "wanted"),
        (B, None, "Role Play", "ada", "a part is played"),
        (C, "drop", "harmless", "ben", "asks"),
    ]


def test_a_spreadsheet_may_have_had_it(tmp_path: Path) -> None:
    """A byte-order mark, semicolons, CRLF, other columns in another order, apostrophes and ="..." before ids."""
    content = (
        "text;who;because;prompt_id;label;decision\r\n"
        f"'=1+1;ada;'-- says so;'{C};;keep\r\n"
        f'a;ben;why;"=""{A}""";general;\r\n'
        f"undecided;;;{B};;\r\n"
    )
    assert read(tmp_path, content, "utf-8-sig").rows() == [
        (C, "keep", None, "ada", "-- says so"),
        (A, None, "general", "ben", "why"),
    ]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (f"{A},perhaps,,ada,x", "decision should be keep, drop or empty"),
        (
            f"{A},,Rude,ada,x",
            "label should be empty or one of Role Play, .*, Health Harm, adversarial, harmless, general",
        ),
        (f"{A},keep,,,x", "who \\(the reviewer\\) and because \\(the reason\\) should be filled in"),
        (f"{A},keep,,ada,", "who \\(the reviewer\\) and because \\(the reason\\) should be filled in"),
        ("1.2E+23,keep,,ada,x", "prompt_id should be 24"),
        (f"{A},keep,,ada", "4 fields, but the header has 5"),
        (f'{A},keep,,ada,"x', "an unclosed quote"),
        (f"{A},keep,,ada,\udcff", "save the file as UTF-8"),
        (f"{B},drop,,ada,x", "prompt_id was already decided in line 2"),
    ],
)
def test_a_wrong_row_is_named_with_its_line(tmp_path: Path, row: str, says: str) -> None:
    path = tmp_path / "overrides.csv"
    path.write_bytes(f"{HEADER}{B},keep,,ada,x\n{row}\n".encode("utf-8", "surrogateescape"))
    with pytest.raises(SeasDataError, match=f"overrides.csv:3: .*{says}"):
        overrides.read_overrides(path, default_taxonomy())


def test_all_wrong_rows_are_named_at_once_but_not_without_end(tmp_path: Path) -> None:
    with pytest.raises(SeasDataError, match=r"overrides.csv:2: .*overrides.csv:11: .*; and 3 more$"):
        read(tmp_path, HEADER + "x,keep,,ada,y\n" * 13)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(SeasDataError, match="there is no overrides file at"):
        overrides.read_overrides(tmp_path / "gone.csv", default_taxonomy())
    with pytest.raises(SeasDataError, match="lacks the columns who, because"):
        read(tmp_path, "prompt_id,decision,label\n")
    with pytest.raises(SeasDataError, match="has no header"):
        read(tmp_path, "")


def test_none_looks_like_some(tmp_path: Path) -> None:
    assert overrides.empty_overrides().equals(read(tmp_path, HEADER))
    assert overrides.empty_overrides().schema == read(tmp_path, HEADER + f"{A},keep,,ada,x\n").schema


def test_a_review_sheet_filled_in_is_read(tmp_path: Path) -> None:
    rows = {"prompt_id": [A, B, C], "text": ["=1+1", "two\nlines", "three"], "kind": ["general"] * 3}
    prompts = pl.DataFrame(rows).with_columns(type=pl.lit(None, pl.String), source=pl.lit("set"))
    path = tmp_path / "review.csv"
    review.write_sheet(prompts, path)
    assert overrides.read_overrides(path, default_taxonomy()).is_empty()
    sheet = path.read_text(encoding="utf-8-sig")
    filled = sheet.replace('"set","","","",""', '"set",,"drop","ada","a sum"', 1)
    assert filled != sheet
    path.write_text(filled, encoding="utf-8")
    assert overrides.read_overrides(path, default_taxonomy()).rows() == [(A, "drop", None, "ada", "a sum")]


def test_the_example_overrules_prompts_that_it_has() -> None:
    loaded = recipe.load(EXAMPLE)
    attacks = sources.read_source("attacks", loaded.sources["attacks"]).prompts
    found = overrides.read_overrides(Path(str(loaded.overrides)), loaded.taxonomy)
    assert set(found["prompt_id"]) <= set(attacks["prompt_id"])
    assert found["decision"].to_list() == ["keep", None, "drop"]
