"""The review sheet: a fair sample, the same every time, in which no cell does anything to its reader."""

import csv
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import seas_data as sd
from seas_data.errors import SeasDataError
from seas_data.review import sheet as review
from seas_data.review.response_index import index_responses
from seas_data.sources.csv import parse_csv
from seas_data.sources.sheets import guard_cell, unguard_cell
from seas_data.text import content_id
from tests.conftest import examples


def prompts(**strata: int) -> pl.DataFrame:
    """So many rows of each stratum: kind of the first letter, source of the name."""
    kinds = {"a": "adversarial", "h": "harmless", "g": "general"}
    rows = [
        {
            "prompt_id": content_id("prompt", name, number),
            "text": f"{name} {number}",
            "kind": kinds[name[0]],
            "type": "Role Play" if name.endswith("1") else None,
            "source": name,
        }
        for name, count in strata.items()
        for number in range(count)
    ]
    return pl.DataFrame(rows, schema_overrides={"type": pl.String})


def counts(sample: pl.DataFrame) -> dict[str, int]:
    return dict(sample["source"].value_counts().rows())


def test_in_proportion_and_one_of_each_at_least() -> None:
    rows = prompts(a1=600, a2=300, h=96, g=4)
    assert counts(review.sample_prompts(rows, 100)) == {"a1": 59, "a2": 30, "h": 10, "g": 1}
    assert counts(review.sample_prompts(rows, 2)) == {"a1": 1, "a2": 1}
    assert counts(review.sample_prompts(rows, 5000)) == {"a1": 600, "a2": 300, "h": 96, "g": 4}
    assert review.sample_prompts(rows, 0).is_empty()
    assert review.sample_prompts(rows.clear(), 10).is_empty()


def test_the_same_rows_whatever_the_order_and_others_with_another_seed() -> None:
    rows = prompts(a1=50, h=50)
    sample = review.sample_prompts(rows, 20)
    assert review.sample_prompts(rows.reverse(), 20).equals(sample)
    assert sample.columns == rows.columns
    other = review.sample_prompts(rows, 20, seed=1)
    assert set(other["prompt_id"]) != set(sample["prompt_id"])
    assert counts(other) == counts(sample)


@examples(40)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=3), st.integers(0, 130))
def test_the_size_is_kept_and_no_row_comes_twice(sizes: list[int], size: int) -> None:
    rows = prompts(**dict(zip(("a1", "h", "g"), sizes, strict=False)))
    sample = review.sample_prompts(rows, size)
    assert sample.height == min(size, rows.height)
    assert sample["prompt_id"].is_unique().all()
    if size >= len(sizes):
        assert len(counts(sample)) == len(sizes)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "'=", "''@"])
def test_no_cell_is_a_formula(tmp_path: Path, start: str) -> None:
    text = f'{start}cmd("keys"),\nand more'
    rows = prompts(a1=1).with_columns(text=pl.lit(text), source=pl.lit("=source"))
    review.write_sheet(rows, tmp_path / "review.csv")
    written = (tmp_path / "review.csv").read_bytes()
    assert written.startswith(b"\xef\xbb\xbf")
    header, records = parse_csv(written.decode("utf-8-sig"))
    assert header == ["prompt_id", "text", "kind", "type", "source", "label", "decision", "who", "because"]
    [cells] = [record.fields or [] for record in records]
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]
    assert unguard_cell(cells[1]) == text
    assert cells[3:5] == ["Role Play", "'=source"]
    assert cells[5:] == [""] * 4
    with (tmp_path / "review.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row[1] for row in csv.reader(file)] == ["text", cells[1]], "other readers see the same"


def test_ids_that_look_like_numbers_stay_text() -> None:
    for number in ("012345678901234567890123", "12345678901234567890e123", "1.5"):
        assert guard_cell(number) == f"'{number}"
    assert guard_cell("12ab") == "12ab"


@examples(80)
@given(st.one_of(st.text(), st.from_regex(r"\A'*[=+\-@\t\r0-9e\"]*\Z")))
def test_the_guard_comes_off_again(text: str) -> None:
    assert unguard_cell(guard_cell(text)) == text
    assert guard_cell(text)[:1] not in ("=", "+", "-", "@", "\t", "\r")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "review.csv"
    review.write_sheet(prompts(a1=1), path)
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(SeasDataError, match="No space"):
        review.write_sheet(prompts(a1=2), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["review.csv"]


def test_responses_are_shown_without_what_was_said_of_them(made: Path, tmp_path: Path) -> None:
    version = sd.open(made).version()
    drawn = review.sample_responses(version, 300)
    assert review.sample_responses(version, 300).equals(drawn)
    review.write_sheet(drawn, tmp_path / "sheet.csv", review.RESPONSE_COLUMNS, review.RESPONSE_INPUTS)
    with (tmp_path / "sheet.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["response_id", "prompt", "response", "verdict", "refusal", "who", "because"]
    assert len(rows) == 300
    assert all(not row[name] for row in rows for name in review.RESPONSE_INPUTS)
    asked = dict(
        version.select(
            "select response_id, coalesce(attacks.text, prompts.text) from responses "
            "left join attacks using (prompt_id) left join prompts using (prompt_id)"
        ).rows()
    )
    for row in rows:
        assert unguard_cell(row["prompt"]) == asked[unguard_cell(row["response_id"])]


def test_every_place_and_verdict_is_among_the_responses_and_the_rare_ones_more_often(made: Path) -> None:
    version = sd.open(made).version()
    standing = index_responses(version)
    strata = standing.group_by(review.RESPONSE_STRATA).len("rows")
    drawn = (
        review.sample_responses(version, 300)
        .join(standing, on="response_id")
        .group_by(review.RESPONSE_STRATA)
        .len("drawn")
    )
    both = strata.join(drawn, on=review.RESPONSE_STRATA, how="left", nulls_equal=True)
    assert both["drawn"].null_count() == 0
    large = both.filter(pl.col("drawn") > 1)
    share = large.select(pl.col("drawn") / pl.col("rows").sqrt()).to_series()
    assert share.max() < 3 * share.min(), "in proportion to the square root"  # type: ignore[operator]
    everything = review.sample_responses(version, 10**6)
    assert everything.height == standing.height
    assert not everything["response"].is_null().any()


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
@pytest.mark.parametrize(
    "before", ["", " ", "\n", "\r\n", "\t", "\u00a0", "\u3000", "\u200b", "\ufeff", "\x00", " \u2060\x0b", "'"]
)
def test_a_cell_that_some_spreadsheet_would_compute_is_guarded(before: str, start: str) -> None:
    """Spreadsheets read full-width signs in some locales, and some trim what stands before a sign."""
    cell = f"{before}{start}1+1"
    assert guard_cell(cell) == f"'{cell}"
    assert unguard_cell(guard_cell(cell)) == cell
