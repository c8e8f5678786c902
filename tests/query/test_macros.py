"""The macros say what ``statistics`` and ``evaluate`` say, and what statsmodels says of rows that are independent."""

import duckdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from seas_data.metrics import intervals
from seas_data.metrics.intervals import paired_interval
from seas_data.query import macros
from tests.conftest import examples


def connected() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for statement in macros.create_statements():
        connection.execute(statement)
    return connection


CONNECTION = connected()

UNITS = """
with units as (
    select cluster, count(*) filter (flag) as k, count(*) as n
    from (select unnest($clusters) as cluster, unnest($flags) as flag) group by cluster
)
select effective_n(k, n), rate_low(k, n), rate_high(k, n) from units
"""


def ask(query: str, **values: object) -> tuple[float, ...]:
    found = CONNECTION.execute(query, values).fetchone()
    assert found is not None
    return tuple(found)


@examples(30)
@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=60))
def test_a_share_of_clustered_rows_has_the_interval_of_the_evaluation(rows: list[tuple[int, bool]]) -> None:
    clusters, flags = [cluster for cluster, _ in rows], [flag for _, flag in rows]
    n, low, high = ask(UNITS, clusters=clusters, flags=flags)
    assert (low, high) == pytest.approx(intervals.effective_interval(flags, clusters), abs=1e-12)
    expected = len(rows) / max(intervals.design_effect(flags, clusters), 1.0)
    assert n == pytest.approx(max(expected, 1.0))


@pytest.mark.parametrize(("successes", "n"), [(1, 2), (3, 10), (19, 20), (250, 1000)])
def test_independent_rows_have_the_interval_of_wilson(successes: int, n: int) -> None:
    low, high = ask("select wilson_low($p, $n), wilson_high($p, $n)", p=successes / n, n=n)
    assert (low, high) == pytest.approx(proportion_confint(successes, n, method="wilson"))


def test_at_nothing_and_at_all_only_the_units_count() -> None:
    # forty safe answers to four prompts are four observations: the upper end is that of 0 out of 4
    n, low, high = ask(UNITS, clusters=[row % 4 for row in range(40)], flags=[False] * 40)
    assert (n, low) == (4, 0)
    assert high == pytest.approx(proportion_confint(0, 4, method="wilson")[1])
    n, low, high = ask(UNITS, clusters=[row % 4 for row in range(40)], flags=[True] * 40)
    assert (n, high) == (4, 1)
    assert low == pytest.approx(proportion_confint(4, 4, method="wilson")[0])


def test_without_rows_nothing_is_known() -> None:
    assert ask("select wilson_low(0.5, 0), wilson_high(0.5, 0)") == (0, 1)


@examples(20)
@given(st.lists(st.integers(-4, 4).map(lambda quarter: quarter / 4), min_size=1, max_size=30))
def test_paired_differences_have_the_interval_of_the_evaluation(changes: list[float]) -> None:
    query = "select avg(change), paired_low(change), paired_high(change) from (select unnest($changes) as change)"
    assert ask(query, changes=changes) == pytest.approx(paired_interval(np.array(changes)), abs=1e-12)


@pytest.mark.parametrize(
    ("rate", "sensitivity", "specificity"), [(0.3, 0.9, 0.8), (0.1, 0.9, 0.8), (0.95, 0.7, 0.99), (0.5, 0.5, 0.5)]
)
def test_a_rate_is_corrected_as_rogan_and_gladen_say(rate: float, sensitivity: float, specificity: float) -> None:
    found = ask("select rogan_gladen($r, $s, $t)", r=rate, s=sensitivity, t=specificity)[0]
    assert found == pytest.approx(intervals.rogan_gladen(rate, sensitivity, specificity))


def with_tables() -> duckdb.DuckDBPyConnection:
    connection = connected()
    connection.execute("create table pairs (role varchar, judge varchar)")
    connection.execute("create table verdicts (judge varchar, verdict varchar, refusal varchar)")
    connection.execute("create table metrics (name varchar, facets varchar)")
    connection.execute("create table responses (model varchar)")
    return connection


def looked_up(connection: duckdb.DuckDBPyConnection, what: str) -> tuple[object, ...] | None:
    for statement in macros.set_variables():
        connection.execute(statement)
    return connection.execute(f"select {what}").fetchone()


def test_the_judge_is_the_one_named_or_that_of_the_pairs_or_the_first() -> None:
    connection = with_tables()

    def judges() -> tuple[object, ...] | None:
        return looked_up(connection, "judge_of(''), refusal_judge_of(''), judge_of('ann'), refusal_judge_of('ann')")

    assert judges() == (None, None, "ann", "ann")
    for name, judge in (("attack_success", "x"), ("over_refusal", "y")):
        connection.execute("insert into metrics values (?, ?)", (name, f'{{"judge": "{judge}"}}'))
    assert judges() == ("x", "y", "ann", "ann")  # a release without verdicts still has figures
    connection.execute("insert into verdicts values ('b', 'safe', null), ('c', 'safe', 'full_refusal')")
    connection.execute("insert into verdicts values ('a', null, 'full_refusal')")
    assert judges() == ("b", "a", "ann", "ann")
    connection.execute("insert into pairs values ('red', 'c'), ('red', null), ('general', null)")
    assert judges() == ("c", "c", "ann", "ann")
    connection.execute("insert into pairs select 'harmless', 'a' from range(9)")
    assert judges() == ("c", "a", "ann", "ann")  # training listened to another one there
    connection.execute("update pairs set judge = 'b' where role = 'harmless'")
    assert judges() == ("c", "c", "ann", "ann")  # who classes no refusal cannot be meant


def test_the_target_is_the_one_named_or_the_newest_and_the_one_before_it() -> None:
    connection = with_tables()
    asked = "target_of(''), target_before('', target_of('')), target_of('T2'), target_before('T0', 'T9')"
    assert looked_up(connection, asked) == (None, None, "T2", "T0")
    connection.execute("insert into responses values ('T10'), ('T9'), ('T2'), ('T9')")
    assert looked_up(connection, asked) == ("T10", "T9", "T2", "T0")
    assert looked_up(connection, "target_before('', 'T9'), target_before('', 'T2')") == ("T2", None)


@pytest.mark.parametrize(
    ("query", "asked"),
    [("select judge_of('')", True), ("select \"TARGET_BEFORE\" ('', 'T1')", True), ("select wilson_low(1, 2)", False)],
)
def test_who_is_meant_is_looked_up_only_where_it_may_be_asked(query: str, asked: bool) -> None:
    assert macros.needs_variables(query) == asked
