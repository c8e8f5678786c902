"""Intervals and agreement: published values, hand-computed ones, and whether 95 % intervals cover 95 %."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data.metrics.intervals import (
    Z,
    cohen_kappa,
    design_effect,
    effective_interval,
    effective_n,
    paired_interval,
    rogan_gladen,
    rogan_gladen_interval,
    weighted_proportion,
    wilson,
)
from tests.conftest import examples


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    # Newcombe (1998), Statistics in Medicine 17:857, table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_agrees_with_newcombes_table(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_wilson_does_not_vanish_at_the_ends() -> None:
    assert wilson(0, 10) == (0.0, pytest.approx(Z**2 / (10 + Z**2)))
    assert wilson(10, 10) == (pytest.approx(10 / (10 + Z**2)), 1.0)
    assert wilson(0, 0) == (0.0, 1.0)


@given(n=st.integers(1, 10_000), share=st.floats(0, 1))
@examples(50)
def test_wilson_holds_the_share_and_is_symmetric(n: int, share: float) -> None:
    successes = round(share * n)
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n <= high <= 1 and low < high
    assert wilson(n - successes, n) == (pytest.approx(1 - high, abs=1e-12), pytest.approx(1 - low, abs=1e-12))


def test_design_effect_by_hand() -> None:
    # mean 1/2; cluster residual totals +1, -1: variance 2/1 · 2 / 16 = 1/4; independent: 1/3 / 4 = 1/12
    assert design_effect([1, 1, 0, 0], ["a", "a", "b", "b"]) == pytest.approx(3)
    # totals 0, 0: the clusters do not differ at all
    assert design_effect([1, 0, 1, 0], ["a", "a", "b", "b"]) == pytest.approx(0)
    assert design_effect([1, 0, 1, 1, 0], range(5)) == pytest.approx(1)


def test_design_effect_nears_the_size_of_clusters_of_equal_rows() -> None:
    values = np.random.default_rng(0).random(1_000) < 0.3
    assert design_effect(np.repeat(values, 8), np.repeat(np.arange(1_000), 8)) == pytest.approx(8, rel=0.01)


def test_rows_that_all_agree_count_once_a_cluster() -> None:
    clusters = ["a"] * 30 + ["b"] * 10
    assert design_effect([False] * 40, clusters) == 20
    assert effective_interval([False] * 40, clusters) == wilson(0, 2)
    assert effective_interval([True] * 40, clusters) == wilson(2, 2)
    assert effective_interval([True, False] * 20, ["a"] * 40) == pytest.approx(wilson(0.5, 1))
    assert effective_interval([], []) == (0.0, 1.0)


def test_without_clusters_the_effective_interval_is_wilsons() -> None:
    flags = [True] * 7 + [False] * 13
    assert effective_interval(flags, range(20)) == pytest.approx(wilson(7, 20))


def test_the_effective_interval_covers_where_the_naive_one_fails() -> None:
    random = np.random.default_rng(0)
    clusters = np.repeat(np.arange(40), 10)
    covered = {"naive": 0, "effective": 0}
    for _ in range(400):
        flags = random.random(400) < np.repeat(random.beta(0.6, 1.4, 40), 10)  # mean 0.3, much alike in a cluster
        low, high = effective_interval(flags, clusters)
        covered["effective"] += low <= 0.3 <= high
        low, high = wilson(int(flags.sum()), 400)
        covered["naive"] += low <= 0.3 <= high
    assert covered["effective"] >= 0.92 * 400
    assert covered["naive"] < 0.75 * 400


def test_kappa() -> None:
    first = ["safe"] * 25 + ["unsafe"] * 25
    second = ["safe"] * 20 + ["unsafe"] * 5 + ["safe"] * 10 + ["unsafe"] * 15
    found = cohen_kappa(first, second)
    assert found is not None
    low, high = wilson(35, 50)
    assert found == pytest.approx((0.4, 2 * low - 1, 2 * high - 1))  # observed 0.7, expected 0.5
    alike = cohen_kappa(first, first)
    assert alike is not None
    assert alike[0] == alike[2] == 1
    assert 0.8 < alike[1] < 1, "no width would be too sure"
    assert cohen_kappa(["safe"] * 3, ["safe"] * 3) is None
    assert cohen_kappa([], []) is None
    from sklearn.metrics import cohen_kappa_score  # takes a second

    random = np.random.default_rng(1)
    one, two = random.integers(0, 4, 200), random.integers(0, 4, 200)
    assert (cohen_kappa(one, two) or [None])[0] == pytest.approx(cohen_kappa_score(one, two))


def test_a_row_that_stands_for_many_counts_as_many() -> None:
    random = np.random.default_rng(2)
    one, two, weights = random.integers(0, 3, 60), random.integers(0, 3, 60), random.integers(1, 5, 60)
    weighted = cohen_kappa(one, two, weights)
    spelt_out = cohen_kappa(np.repeat(one, weights), np.repeat(two, weights))
    assert weighted is not None
    assert spelt_out is not None
    assert weighted[0] == pytest.approx(spelt_out[0])
    assert weighted[2] - weighted[1] > spelt_out[2] - spelt_out[1], "60 rows were looked at, whatever they stand for"


def test_weighted_shares_by_hand() -> None:
    assert weighted_proportion([True, False], [3, 1], ["a", "b"]) == pytest.approx((0.75, 1.6))  # 16 / 10
    # totals 1 and -1: 2 · 2 over 4/3 · 4 · 1/4 is a design effect of 3
    assert weighted_proportion([1, 1, 0, 0], [1] * 4, ["a", "a", "b", "b"]) == pytest.approx((0.5, 4 / 3))
    assert weighted_proportion([True] * 6, [2] * 6, range(6)) == (1.0, 6.0)
    assert weighted_proportion([True] * 6, [2] * 6, ["a"] * 4 + ["b"] * 2) == (1.0, 2.0), "two observations"
    share, n = weighted_proportion([1, 0] * 50, [1] * 100, range(100))
    assert (share, n) == pytest.approx((0.5, 100))
    assert weighted_proportion([1, 0, 1, 0], [1] * 4, ["a", "a", "b", "b"]) == (0.5, 4.0), "the clusters do not differ"


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 9), st.integers(0, 3)), min_size=1, max_size=20))
@examples(50)
def test_no_more_rows_than_were_looked_at(rows: list[tuple[bool, int, int]]) -> None:
    flags, weights, clusters = zip(*rows, strict=True)
    share, n = weighted_proportion(flags, weights, clusters)
    assert 0 <= share <= 1
    assert 1 <= n <= len(rows) + 1e-9


@given(st.floats(0, 1), st.floats(0.55, 1), st.floats(0.55, 1))
@examples(50)
def test_rogan_gladen_undoes_what_the_judge_does(true: float, sensitivity: float, specificity: float) -> None:
    seen = true * sensitivity + (1 - true) * (1 - specificity)
    assert rogan_gladen(seen, sensitivity, specificity) == pytest.approx(true, abs=1e-9)


def test_rogan_gladen_stays_a_share_and_says_when_it_cannot() -> None:
    assert rogan_gladen(0.01, 0.9, 0.9) == 0
    assert rogan_gladen(0.99, 0.9, 0.9) == 1
    assert rogan_gladen(0.4, 0.3, 0.7) is None
    assert rogan_gladen_interval(0.4, 100, 0.3, 50, 0.7, 50) is None
    assert rogan_gladen_interval(0.4, 100, 1.0, 0, 1.0, 0) is None  # no gold sample at all


def test_with_an_endless_gold_sample_only_the_rows_seen_err() -> None:
    # Agresti and Coull: (30 + 1.921) / 103.841 = 0.3074, give or take 1.96 · sqrt(0.3074 · 0.6926 / 103.841) = 0.0887
    interval = rogan_gladen_interval(0.3, 100, 0.9, 1e12, 0.8, 1e12)
    assert interval == pytest.approx(((0.2187 - 0.2) / 0.7, (0.3961 - 0.2) / 0.7), abs=2e-4)
    smaller = rogan_gladen_interval(0.3, 100, 0.9, 50, 0.8, 50)
    assert interval is not None and smaller is not None
    assert smaller[1] - smaller[0] > interval[1] - interval[0]


def test_rogan_gladens_interval_covers_the_true_rate() -> None:
    random = np.random.default_rng(2)
    covered = 0
    for _ in range(500):
        seen = random.binomial(300, 0.3 * 0.85 + 0.7 * 0.1) / 300
        sensitivity, specificity = random.binomial(60, 0.85) / 60, random.binomial(60, 0.9) / 60
        interval = rogan_gladen_interval(seen, 300, sensitivity, 60, specificity, 60)
        covered += interval is not None and interval[0] <= 0.3 <= interval[1]
    assert covered >= 0.93 * 500


@examples(100)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=60))
def test_a_paired_interval_lies_within_bounds_and_never_vanishes(changes: list[float]) -> None:
    value, low, high = paired_interval(np.array(changes))
    assert -1 <= low < high <= 1
    assert value == pytest.approx(np.mean(changes))
    _, none_low, none_high = paired_interval(np.zeros(len(changes)))
    assert none_low < 0 < none_high


def test_the_effective_number_is_that_of_the_interval_and_of_clusters_that_agree() -> None:
    flags, clusters = np.arange(40) % 3 == 0, np.arange(40) // 4
    n = effective_n(flags, clusters)
    assert 1 <= n <= 40
    assert effective_interval(flags, clusters) == wilson(float(flags.mean()) * n, n)
    assert effective_n(np.zeros(40), clusters) == 10
    assert effective_n([], []) == 0
