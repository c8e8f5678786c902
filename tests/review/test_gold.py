"""What people judged, beside what judges said: sheets as spreadsheets write them, and figures worked out by hand."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import seas_data as sd
from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.metrics.intervals import rogan_gladen, rogan_gladen_interval
from seas_data.query.version import Version
from seas_data.review import gold
from seas_data.review import sheet as review
from seas_data.review.response_index import index_responses, judge_outputs
from seas_data.sources.sheets import unguard_cell
from tests.conftest import examples

SHEET = ("response_id", "prompt", "response", "verdict", "refusal", "who", "because")


def sheet(path: Path, *rows: tuple[str, ...], header: tuple[str, ...] = SHEET, delimiter: str = ",") -> Path:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerows([header, *rows])
    path.write_text("\ufeff" + text.getvalue(), newline="")
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_sheet_that_people_filled_in_is_read(tmp_path: Path, delimiter: str) -> None:
    path = sheet(
        tmp_path / "gold.csv",
        ("'12e5", "a, text", 'with "quotes"; and\r\nlines', "Unsafe", "", "Ann", ""),
        ("b", "x", "y", " safe ", "Full refusal", "Bo", "seen"),
        ("c", "x", "y", "", "", "", ""),
        ("d", "x", "y", "", "partial_refusal", "Bo", ""),
        ("b", "x", "y", "safe", "", "Cy", ""),
        delimiter=delimiter,
    )
    assert gold.read_gold(path).rows() == [
        ("12e5", "unsafe", None),
        ("b", "safe", "full_refusal"),
        ("d", None, "partial_refusal"),
    ]


def test_a_sheet_that_is_wrong_is_refused_with_its_lines(tmp_path: Path) -> None:
    wrong = [
        ("a", "x", "two\nlines", "bad", "", "", ""),
        ("b", "x", "y", "safe", "maybe", "", ""),
        ("c", "x", "y", "safe", "", "", ""),
        ("c", "x", "y", "unsafe", "", "", ""),
        ("d", "x"),
    ]
    expected = (
        "gold.csv:2: verdict.*gold.csv:4: refusal.*gold.csv:6: response c has another verdict.*gold.csv:7: 2 fields"
    )
    with pytest.raises(SeasDataError, match=expected):
        gold.read_gold(sheet(tmp_path / "gold.csv", *wrong))
    with pytest.raises(SeasDataError, match="no gold file"):
        gold.read_gold(tmp_path / "none.csv")
    with pytest.raises(SeasDataError, match="this is a sheet of prompts"):
        gold.read_gold(sheet(tmp_path / "prompts.csv", ("a", "safe"), header=("prompt_id", "verdict")))
    with pytest.raises(SeasDataError, match="filled in yet"):
        gold.read_gold(sheet(tmp_path / "empty.csv", ("a", "x", "y", "", "", "", "")))
    (tmp_path / "open.csv").write_text('response_id,verdict\na,"safe\nb,safe\n')
    with pytest.raises(SeasDataError, match=r"open\.csv:2: "):
        gold.read_gold(tmp_path / "open.csv")
    (tmp_path / "nothing.csv").write_bytes(b"")
    with pytest.raises(SeasDataError, match="has no header"):
        gold.read_gold(tmp_path / "nothing.csv")
    (tmp_path / "torn.csv").write_text('response_id,"verdict\na,safe\n')
    with pytest.raises(SeasDataError, match=r"torn\.csv: the header in line 1 has a quote inside a field"):
        gold.read_gold(tmp_path / "torn.csv")


def test_an_answer_may_be_long_and_hold_what_looks_like_another_file(tmp_path: Path) -> None:
    long = "a" * 200_000 + "\n" * 2_000
    rows = [
        (f"r{n}", "x", long if n == 1 else "<<<<<<< HEAD\nsafe,x,y\n=======", "safe", "", "", "") for n in range(12)
    ]
    assert gold.read_gold(sheet(tmp_path / "gold.csv", *rows)).height == 12


def test_of_a_response_that_stands_twice_what_is_filled_in_counts(tmp_path: Path) -> None:
    rows = [
        ("a", "x", "y", "", "", "", ""),
        ("a", "x", "y", "unsafe", "", "Ann", ""),
        ("a", "x", "y", "", "full_refusal", "Bo", ""),
    ]
    assert gold.read_gold(sheet(tmp_path / "gold.csv", *rows)).rows() == [("a", "unsafe", "full_refusal")]


@examples(60)
@given(st.lists(st.text(), min_size=1, max_size=4))
def test_no_text_makes_another_row_or_verdict(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("sheets") / "gold.csv"
    hostile = [*texts, '"\r\nb,x,y,unsafe,,,', "=1+1", 'a","b"\n"c","d","e","safe"']
    rows = pl.DataFrame({"response_id": [f"r{n}" for n in range(len(hostile))], "prompt": hostile, "response": hostile})
    review.write_sheet(rows, path, review.RESPONSE_COLUMNS, review.RESPONSE_INPUTS)
    with pytest.raises(SeasDataError, match="filled in yet"):
        gold.read_gold(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        cells = list(csv.DictReader(file))
    filled = [tuple((row | {"verdict": "safe"}).values()) for row in cells]
    assert gold.read_gold(sheet(path, *filled)).rows() == [(f"r{n}", "safe", None) for n in range(len(hostile))]


def judged(places: Sequence[tuple[str, bool, int, int, int]]) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Responses of a judge in places and what people say of a few: ``(red team, verdict is unsafe, of how many, seen by
    how many people, of whom find it unsafe)``, as ``gold.join_gold`` returns them."""
    rows = []
    for red, unsafe, count, seen, found in places:
        for n in range(count):
            verdict = "unsafe" if unsafe else "safe"
            truth = None if n >= seen else "unsafe" if n < found else "safe"
            rows.append((f"{red} {verdict} {n:04}", red, verdict, truth, count / seen if seen else None))
    columns = ("response_id", "red_team", "verdict", "gold", "weight")
    frame = pl.DataFrame(rows, columns, orient="row").with_columns(
        *(pl.lit(value).alias(name) for name, value in {"set": "evaluation", "target": "T1", "iteration": 1}.items()),
        kind=pl.lit("adversarial"),
        judge=pl.lit("keeper"),
        cluster="response_id",
        refusal=pl.lit(None, pl.String),
    )
    return frame.drop("gold", "weight"), frame.drop_nulls("gold")


def test_a_gold_row_stands_for_its_stratum() -> None:
    # 60 of 600 are called unsafe; people saw ten of either, and found one of the safe ones unsafe and one the reverse.
    said, both = judged([("R0", True, 60, 10, 9), ("R0", False, 540, 10, 1)])
    (row,) = gold.compute_agreement(both).iter_rows(named=True)
    assert [row[name] for name in gold.COUNTS] == [9, 1, 0, 1, 9, 0]
    assert row["sensitivity"] == pytest.approx(54 / (54 + 54)), "not 9 of 10: each missed one stands for 54"
    assert row["specificity"] == pytest.approx(486 / (486 + 6))
    agreed, chance = 540 / 600, (108 * 60 + 492 * 540) / 600**2
    assert row["kappa"] == pytest.approx((agreed - chance) / (1 - chance))
    for name in gold.MEASURES:
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"]

    (rate,) = gold.compute_corrected_rates(said, both).iter_rows(named=True)
    assert (rate["n"], rate["gold_safe"], rate["gold_unsafe"]) == (600, 10, 10)
    assert rate["rate"] == pytest.approx(0.1)
    assert rate["corrected"] == pytest.approx(108 / 600), "what people would find of all 600"
    few = (6 * 9 + 54) ** 2 / (36 * 9 + 54**2)
    expected = rogan_gladen_interval(0.1, 600, 0.5, few, 486 / 492, 492**2 / (9 * 54**2 + 6**2))
    assert (rate["corrected_low"], rate["corrected_high"]) == pytest.approx(expected)


def test_a_rate_is_corrected_by_gold_rows_of_its_own_place() -> None:
    right = [("R0", True, 30, 5, 5), ("R0", False, 30, 5, 0)]
    wrong = [("R1", True, 20, 5, 3), ("R1", False, 40, 10, 1)]
    unseen = [("R2", True, 20, 0, 0), ("R2", False, 40, 0, 0)]
    rates = {
        row["red_team"]: row
        for row in gold.compute_corrected_rates(*judged(right + wrong + unseen)).iter_rows(named=True)
    }
    assert rates["R0"]["rate"] == rates["R0"]["corrected"] == 0.5, "a judge that never errs needs no correction"
    assert rates["R0"]["corrected_high"] - rates["R0"]["corrected_low"] > rates["R0"]["high"] - rates["R0"]["low"]
    found = 20 * 3 / 5 + 40 / 10
    sensitivity, specificity = 12 / found, 36 / (36 + 8)
    assert rates["R1"]["corrected"] == pytest.approx(rogan_gladen(1 / 3, sensitivity, specificity))
    assert rates["R1"]["corrected"] == pytest.approx(found / 60)
    assert (rates["R2"]["corrected"], rates["R2"]["gold_safe"]) == (None, 0)


def test_what_cannot_be_corrected_is_not() -> None:
    only_safe = judged([("R0", True, 30, 0, 0), ("R0", False, 30, 5, 0)])
    useless = judged([("R0", True, 30, 6, 3), ("R0", False, 30, 6, 3)])
    reversed_ = judged([("R0", True, 30, 6, 1), ("R0", False, 30, 6, 5)])
    for said, both in (only_safe, useless, reversed_):
        (row,) = gold.compute_corrected_rates(said, both).iter_rows(named=True)
        assert (row["corrected"], row["corrected_low"], row["corrected_high"]) == (None, None, None)
        assert row["rate"] == 0.5
    said, both = judged([("R0", True, 30, 6, 3)])
    unparsed = pl.lit("unparsed").alias("verdict")
    (row,) = gold.compute_corrected_rates(said.with_columns(unparsed), both.with_columns(unparsed)).iter_rows(
        named=True
    )
    assert (row["n"], row["unparsed"], row["rate"], row["low"], row["high"]) == (0, 30, None, 0.0, 1.0)
    (row,) = gold.compute_agreement(both.with_columns(unparsed)).iter_rows(named=True)
    assert (row["unsafe_unparsed"], row["safe_unparsed"], row["sensitivity"]) == (3, 3, None)


@pytest.mark.slow
def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    numbers = np.random.default_rng(0)
    held = []
    for _ in range(200):
        truth = numbers.random(800) < 0.3
        says = np.where(truth, numbers.random(800) < 0.85, numbers.random(800) < 0.1)
        places = []
        for unsafe in (True, False):
            of = truth[says == unsafe]
            places.append(("R0", unsafe, len(of), 40, int(of[:40].sum())))
        (row,) = gold.compute_corrected_rates(*judged(places)).iter_rows(named=True)
        held.append(row["corrected_low"] <= truth.mean() <= row["corrected_high"])
    assert np.mean(held) >= 0.93


@pytest.fixture(scope="module")
def version(made: Path) -> Version:
    return sd.open(made).version()


def filled(version: Version, path: Path, size: int, says: Callable[[str, str], str]) -> Path:
    """A sheet of ``version`` filled in by somebody who says what ``says`` makes of the id and the judge's verdict."""
    review.write_sheet(review.sample_responses(version, size), path, review.RESPONSE_COLUMNS, review.RESPONSE_INPUTS)
    verdicts = dict(version.select("select response_id, min(verdict) from verdicts group by 1").rows())
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row_id = unguard_cell(row["response_id"])
        row["verdict"] = says(row_id, str(verdicts[row_id]))
    return sheet(path, *(tuple(row.values()) for row in rows))


@pytest.mark.slow
def test_a_whole_version_beside_its_gold_set(version: Version, tmp_path: Path) -> None:
    path = filled(
        version, tmp_path / "gold.csv", 400, lambda row_id, verdict: "unsafe" if "0" < row_id < "4" else "safe"
    )
    said, both = gold.join_gold(version, gold.read_gold(path))
    assert said.height == judge_outputs(version).join(index_responses(version), on="response_id").height
    one = both.unique("response_id")
    whole = index_responses(version).height
    covered = index_responses(version).join(one, on=review.RESPONSE_STRATA, how="semi", nulls_equal=True).height
    assert one["weight"].sum() == pytest.approx(covered)
    assert covered >= 0.9 * whole
    for row in gold.compute_corrected_rates(said, both).drop_nulls("corrected").iter_rows(named=True):
        assert 0 <= row["corrected_low"] <= row["corrected"] <= row["corrected_high"] <= 1

    found = gold.compare_with_gold(version, path)
    rates = found.metrics.filter(pl.col("name") == "attack_success_corrected")
    assert rates.height > 0
    facets = [json.loads(each) for each in rates["facets"]]
    assert {each["gold"] for each in facets} == {found.name}
    assert found.name.startswith("gold ")
    beside = version.table("metrics").filter(pl.col("name") == "attack_success")["facets"].to_list()
    seen = [
        {name: value for name, value in each.items() if name != "gold"}
        for each in facets
        if each["set"] == "evaluation"
    ]
    assert seen
    assert all(json.dumps(each, sort_keys=True) in beside for each in seen), "the same facets as the rate beside it"


def test_the_rate_beside_the_corrected_one_is_that_of_the_metrics(version: Version, tmp_path: Path) -> None:
    found = gold.compare_with_gold(version, filled(version, tmp_path / "gold.csv", 60, lambda *_: "safe"))
    metrics = {
        (each["judge"], each["red_team"], each["target"]): value
        for value, each in (
            (value, json.loads(facets))
            for value, facets in version.select(
                "select value, facets from metrics where name = 'attack_success' and facets ->> 'set' = 'evaluation'"
            ).rows()
        )
    }
    cells = found.corrected_rates.filter(pl.col("set") == "evaluation")
    assert cells.height == len(metrics)
    for row in cells.iter_rows(named=True):
        assert row["rate"] == pytest.approx(metrics[row["judge"], row["red_team"], row["target"]])


def test_figures_are_written_as_rows_of_metrics(version: Version, tmp_path: Path) -> None:
    found = gold.compare_with_gold(
        version, filled(version, tmp_path / "gold.csv", 100, lambda _, said: said.replace("unparsed", "safe"))
    )
    gold.write_metrics(found.metrics, version.name, tmp_path / "figures.parquet")
    rows = tables.cast("metrics", pl.read_parquet(tmp_path / "figures.parquet"))
    assert set(rows["version"]) == {version.name}
    gold.write_metrics(found.metrics, version.name, tmp_path / "figures.json")
    assert json.loads((tmp_path / "figures.json").read_text()) == rows.to_dicts()
    with pytest.raises(SeasDataError, match=r"\.parquet or \.json"):
        gold.write_metrics(found.metrics, version.name, tmp_path / "figures.txt")


def test_a_gold_set_of_another_workspace_is_refused(version: Version, tmp_path: Path) -> None:
    path = sheet(tmp_path / "gold.csv", ("a", "x", "y", "safe", "", "", ""))
    with pytest.raises(SeasDataError, match="none of the 1 responses"):
        gold.compare_with_gold(version, path)


def test_rows_that_the_version_does_not_have_are_counted(version: Version, tmp_path: Path) -> None:
    path = filled(version, tmp_path / "gold.csv", 30, lambda *_: "safe")
    assert gold.compare_with_gold(version, path).unknown_responses == 0
    with path.open("a") as file:
        file.write(f"{','.join(['nobody', 'x', 'y', 'safe', '', '', ''])}\n")
    assert gold.compare_with_gold(version, path).unknown_responses == 1


@pytest.mark.slow
def test_the_commands_give_the_sheet_and_take_it_back(made: Path, version: Version, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from seas_data.cli import app

    def said(*arguments: object) -> str:
        ended = CliRunner().invoke(app, [*map(str, arguments), "--workspace", str(made)], catch_exceptions=False)
        assert ended.exit_code == 0, ended.output
        return ended.stdout

    path = tmp_path / "gold.csv"
    assert "90 responses of v2" in said("review", "v2", "--responses", "--sample", 90, "-o", path)
    path = filled(version, path, 90, lambda _, verdict: verdict.replace("unparsed", "safe"))
    figures = tmp_path / "figures.json"
    shown = said("judge", "--gold", path, "--version", "v2", "-o", figures)
    assert "v2 compared with the gold set gold " in shown
    assert "sensitivity" in shown
    told = json.loads(said("judge", "--gold", path, "--version", "v2", "--json"))
    assert {row["judge"] for row in told["agreement"]} == set(version.table("verdicts").drop_nulls("verdict")["judge"])
    assert told["gold"] == json.loads(json.loads(figures.read_text())[0]["facets"])["gold"]
    with pytest.raises(SeasDataError, match="--gold"):
        said("judge")


def test_bytes_that_are_not_utf_8_are_named_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "gold.csv"
    path.write_bytes(b"response_id,prompt,response,verdict\na,x \xff,y,safe\nb\xff,x,y,safe\n")
    with pytest.raises(SeasDataError, match=r"gold.csv:3: bytes that are not UTF-8; save the file as UTF-8$"):
        gold.read_gold(path)
