"""Measures of agreement give the figures of published examples, and those of other libraries."""

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats import inter_rater

from seas_data.review.agreement import compare_pairs, fleiss_kappa, krippendorff_alpha, measure_agreement


def ratings(*people: str, question: str = "verdict") -> pl.DataFrame:
    """A person a string, a row a character; a dot stands for a row that the person did not judge."""
    rows = [
        {"row_id": f"r{at:03}", "who": f"p{number}", "question": question, "value": value}
        for number, values in enumerate(people)
        for at, value in enumerate(values.replace(" ", ""))
        if value != "."
    ]
    return pl.DataFrame(rows)


def crossed(table: list[list[int]]) -> pl.DataFrame:
    """The ratings of two people from their contingency table."""
    pairs = [(i, j) for i, row in enumerate(table) for j, count in enumerate(row) for _ in range(count)]
    return ratings("".join(str(one) for one, _ in pairs), "".join(str(other) for _, other in pairs))


def test_cohens_example_of_1960() -> None:
    [row] = measure_agreement(crossed([[88, 14, 18], [10, 40, 10], [2, 6, 12]])).to_dicts()
    assert (row["n"], row["people"]) == (200, 2)
    assert row["raw"] == pytest.approx(0.70)
    assert row["kappa"] == pytest.approx(0.492, abs=5e-4)
    assert row["kappa_low"] < row["kappa"] < row["kappa_high"]


def test_fleiss_kappa_of_the_example_with_fourteen_raters() -> None:
    table = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    assert fleiss_kappa(np.array(table)) == pytest.approx(0.210, abs=5e-4)


DIAGNOSES = (
    "444444 222555 233335 555555 222444 113333 333355 113334 114444 555555 144444 124444 222333 144444 224445 "
    "333335 111455 111112 224444 133555 555555 244444 224555 114444 144445 222224 111155 224444 133333 555555"
)


def test_fleiss_diagnoses_of_1971() -> None:
    [row] = measure_agreement(ratings(*("".join(each) for each in zip(*DIAGNOSES.split(), strict=True)))).to_dicts()
    assert (row["n"], row["people"]) == (30, 6)
    assert row["raw"] == pytest.approx(0.556, abs=5e-4)
    assert row["kappa"] == pytest.approx(0.430, abs=5e-4)
    assert row["kappa_low"] == pytest.approx(0.33, abs=0.05)
    assert row["kappa_high"] == pytest.approx(0.53, abs=0.05)


def test_krippendorffs_examples_of_2011() -> None:
    [two] = measure_agreement(ratings("0100000010", "1110010000")).to_dicts()
    assert two["alpha"] == pytest.approx(0.095, abs=5e-4)
    assert two["raw"] == pytest.approx(0.6)
    four = ratings("12332141 2...", "12332241 25.3", ".3332342 251.", "12332441 251.")
    [row] = measure_agreement(four).to_dicts()
    assert row["alpha"] == pytest.approx(0.743, abs=5e-4)
    assert row["alpha_low"] < row["alpha"] < row["alpha_high"]
    assert (row["n"], row["people"]) == (11, 4), "a row that one person judged is in no measure"


def test_the_measures_are_those_of_other_libraries() -> None:
    numbers = np.random.default_rng(7)
    table = numbers.integers(0, 9, (3, 3))
    pairs = crossed(table.tolist())
    one, two = (part["value"].to_list() for part in pairs.partition_by("who"))
    found = measure_agreement(pairs).row(0, named=True)
    assert found["kappa"] == pytest.approx(cohen_kappa_score(one, two))
    counts = numbers.multinomial(5, [0.5, 0.3, 0.2], 40)
    assert fleiss_kappa(counts) == pytest.approx(inter_rater.fleiss_kappa(counts))


def test_what_is_undefined_is_null_and_the_same_call_gives_the_same_intervals() -> None:
    [same] = measure_agreement(ratings("1111", "1111")).to_dicts()
    assert (same["raw"], same["kappa"], same["alpha"]) == (1.0, None, None)
    [alone] = measure_agreement(ratings("11..", "..12")).to_dicts()
    assert (alone["n"], alone["raw"], alone["alpha"]) == (0, None, None)
    assert krippendorff_alpha(np.array([[2, 0], [1, 0]])) is None
    assert fleiss_kappa(np.array([[2, 0], [2, 0]])) is None
    three = ratings("1121212", "1122212", "1121112")
    assert measure_agreement(three).equals(measure_agreement(three.reverse()))


def test_by_type_and_with_judges() -> None:
    rows = ratings("1122", "1212").with_columns(
        type=pl.when(pl.col("row_id") < "r002").then(pl.lit("a")).otherwise(pl.lit("b"))
    )
    assert measure_agreement(rows, ["type"]).select("type", "n", "raw").rows() == [("a", 2, 0.5), ("b", 2, 0.5)]
    judges = pl.DataFrame(
        {"row_id": ["r000", "r001", "r002", "r003"], "judge": "j", "question": "verdict", "value": list("1122")}
    )
    found = compare_pairs(rows, judges)
    assert found.select("judge", "who", "n", "same", "kappa").rows() == [("j", "p0", 4, 4, 1.0), ("j", "p1", 4, 2, 0.0)]
