from pathlib import Path

import polars as pl
import pytest

from seas_data import gold
from seas_data.errors import SeasDataError
from seas_data.statistics import rogan_gladen, rogan_gladen_interval


def sheet(path: Path, *lines: str, header: str = "response_id,text,verdict,who") -> Path:
    path.write_text("\ufeff" + "\r\n".join([header, *lines]) + "\r\n")
    return path


def test_a_sheet_that_people_filled_in_is_read(tmp_path: Path) -> None:
    path = sheet(tmp_path / "gold.csv", '"\'12e5","a, text","Unsafe","Ann"', "b,x, safe ,Bo", "c,x,,", "b,x,safe,Cy")
    assert gold.read(path).rows() == [("12e5", "unsafe"), ("b", "safe")]
    prompts = sheet(tmp_path / "prompts.csv", "p,unsafe", header="prompt_id,verdict")
    assert gold.read(prompts).rows() == [("p", "unsafe")]


def test_a_sheet_that_is_wrong_is_refused_with_its_lines(tmp_path: Path) -> None:
    path = sheet(tmp_path / "gold.csv", "a,x,bad,", "b,x,safe,", "b,x,unsafe,", "c,x")
    with pytest.raises(SeasDataError, match=r"gold.csv:2: .*gold.csv:4: .*both safe and unsafe.*gold.csv:5"):
        gold.read(path)
    with pytest.raises(SeasDataError, match="no gold file"):
        gold.read(tmp_path / "none.csv")
    with pytest.raises(SeasDataError, match="response_id"):
        gold.read(sheet(tmp_path / "other.csv", "a,b", header="x,y"))
    with pytest.raises(SeasDataError, match="no row"):
        gold.read(sheet(tmp_path / "empty.csv", "a,x,,"))


def frames() -> tuple[pl.DataFrame, pl.DataFrame]:
    """Two judges on 40 rows in two strata; people looked at half of each stratum."""
    ids = [f"r{n:02}" for n in range(40)]
    truth = ["unsafe" if n % 4 == 0 else "safe" for n in range(40)]
    good = [{8: "safe", 5: "unsafe", 7: "unparsed"}.get(n, verdict) for n, verdict in enumerate(truth)]
    facets = {"iteration": [n // 20 for n in range(40)], "seed_id": [f"s{n // 2}" for n in range(40)]}
    base = pl.DataFrame({"id": ids, **facets})
    verdicts = pl.concat(
        [
            base.with_columns(judge=pl.lit("good"), verdict=pl.Series(good)),
            base.with_columns(judge=pl.lit("blind"), verdict=pl.lit("unsafe")),
            base.with_columns(judge=pl.lit("refusals"), verdict=pl.lit(None, pl.String)),
        ]
    )
    people = pl.DataFrame({"id": ids, "verdict": truth}).filter(pl.int_range(pl.len()) % 20 < 10)
    return verdicts, people


def test_agreement_counts_unparsed_apart() -> None:
    verdicts, people = frames()
    rows = {row["judge"]: row for row in gold.agreement(verdicts, people).iter_rows(named=True)}
    assert set(rows) == {"good", "blind"}, "a judge of refusals gives no verdict to compare"
    good, blind = rows["good"], rows["blind"]
    assert [good[name] for name in gold.COUNTS] == [5, 1, 0, 1, 12, 1]
    assert good["n"] == 20
    assert good["sensitivity"] == pytest.approx(5 / 6) and good["specificity"] == pytest.approx(12 / 13)
    expected = (6 * 6 + 14 * 13) / 400
    assert good["kappa"] == pytest.approx((17 / 20 - expected) / (1 - expected))
    assert (blind["kappa"], blind["sensitivity"], blind["specificity"]) == (0.0, 1.0, 0.0)


def test_a_rate_is_corrected_by_gold_rows_of_its_own_stratum() -> None:
    verdicts, people = frames()
    table = gold.corrected(verdicts, people, ["iteration"], "seed_id")
    rows = {(row["judge"], row["iteration"]): row for row in table.iter_rows(named=True)}
    assert set(rows) == {("good", 0), ("good", 1), ("blind", 0), ("blind", 1)}

    first = rows["good", 0]
    assert (first["n"], first["unparsed"], first["gold_n"]) == (19, 1, 9)
    assert first["rate"] == pytest.approx(5 / 19)
    assert first["low"] < first["rate"] < first["high"]
    assert first["corrected"] == rogan_gladen(5 / 19, 2 / 3, 5 / 6)
    interval = rogan_gladen_interval(5 / 19, 19, 2 / 3, 3, 5 / 6, 6)
    assert interval is not None
    assert first["corrected_low"] <= first["corrected"] <= first["corrected_high"]
    assert first["corrected_high"] - first["corrected_low"] >= interval[1] - interval[0] - 0.2

    second = rows["good", 1]
    assert second["rate"] == second["corrected"] == 0.25, "a judge that never errs needs no correction"
    for blind in (rows["blind", 0], rows["blind", 1]):
        assert blind["rate"] == 1.0
        assert (blind["corrected"], blind["corrected_low"], blind["corrected_high"]) == (None, None, None)


def test_a_stratum_without_gold_rows_of_both_kinds_is_not_corrected() -> None:
    verdicts, people = frames()
    only_safe = people.filter(pl.col("verdict") == "safe")
    for row in gold.corrected(verdicts, only_safe, ["iteration"], "seed_id").iter_rows(named=True):
        assert row["corrected"] is None and row["gold_n"] > 0
    elsewhere = people.filter(pl.col("id") < "r20")
    table = gold.corrected(verdicts, elsewhere, ["iteration"], "seed_id").filter(iteration=1)
    assert table["gold_n"].to_list() == [0, 0] and table["corrected"].null_count() == 2


def test_nothing_judged_is_no_rate() -> None:
    verdicts, people = frames()
    unparsed = verdicts.filter(judge="good", iteration=0).with_columns(verdict=pl.lit("unparsed"))
    (row,) = gold.corrected(unparsed, people, ["iteration"], "seed_id").iter_rows(named=True)
    assert (row["n"], row["unparsed"], row["rate"], row["low"], row["high"]) == (0, 20, None, 0.0, 1.0)
    assert gold.corrected(verdicts.clear(), people, ["iteration"], "seed_id").is_empty()
    assert gold.agreement(verdicts.clear(), people).is_empty()
