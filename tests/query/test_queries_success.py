"""Attack success and over-refusal by query, held against Polars and statsmodels on a made workspace."""

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest

import seas_data as sd
from seas_data.metrics.intervals import paired_interval
from seas_data.query import library
from seas_data.query.version import Version
from seas_data.resources import folder
from tests.conftest import quick
from tests.query import loop_rows
from tests.query.loop_rows import shares

QUERIES = library.load(folder("sql"))
PLAIN = pl.col("risk_category").is_not_null() & pl.col("template_id").is_null()
STYLE = pl.coalesce("attack_style", pl.when(PLAIN).then(pl.lit("plain")).otherwise(pl.lit("unknown")))


@pytest.fixture(scope="module")
def version(made: Path) -> Version:
    return sd.open(made).version()


@pytest.fixture(scope="module")
def rows(version: Version) -> pl.DataFrame:
    """The verdicts of the judge that training used, on attacks."""
    return loop_rows.answers(version).filter(kind="adversarial", judge="keeper").drop_nulls("unsafe")


@pytest.fixture(scope="module")
def harmless(version: Version) -> pl.DataFrame:
    found = loop_rows.answers(version).filter(kind="harmless", judge="keeper").drop_nulls("refusal")
    return found.with_columns(refused=pl.col("refusal") != "full_compliance")


def ask(version: Version, name: str, *given: str) -> pl.DataFrame:
    return version.select(QUERIES[name].sql, QUERIES[name].values(list(given)))


def figures(answer: pl.DataFrame, by: Sequence[str]) -> dict[tuple[object, ...], object]:
    """Return (value, low, high, n) of each row by its key, for ``shares`` to be held against."""
    return {
        tuple(row[name] for name in by): pytest.approx(tuple(row[each] for each in ("value", "low", "high", "n")))
        for row in answer.iter_rows(named=True)
    }


def test_by_type(version: Version, rows: pl.DataFrame) -> None:
    by = ("prompt_set", "iteration", "red_team", "target", "judge", "type")
    typed = rows.drop_nulls("type")
    answer = ask(version, "attack-success-by-type")
    assert shares(typed.filter(prompt_set="test"), by, "unsafe") == figures(answer, by)
    assert answer["target"].unique(maintain_order=True).to_list() == ["T0", "T1", "T2"]
    answer = ask(version, "attack-success-by-type", "prompt_set=evaluation", "iteration=2", "target=T1")
    chosen = typed.filter(prompt_set="evaluation", iteration=2, target="T1")
    assert chosen["red_team"].unique().to_list() == ["R2"]
    assert shares(chosen, by, "unsafe") == figures(answer, by)


def test_by_risk_and_style(version: Version, rows: pl.DataFrame) -> None:
    """Of prompts of the sets: those of red teams have one label of the two."""
    templates = version.table("templates").select("prompt_id", "template_id")
    here = rows.filter(pl.col("source") != "red-team", pl.col("target") == "T2").join(
        templates, on="prompt_id", how="left"
    )
    here = here.with_columns(attack_style=STYLE, risk_category=pl.col("risk_category").fill_null("unknown"))
    by = ("prompt_set", "risk_category", "attack_style")
    answer = ask(version, "attack-success-by-risk-and-style")
    assert shares(here.filter(prompt_set="test"), by, "unsafe") == figures(answer, by)
    assert {"plain", "unknown", "Role Play"} <= set(answer["attack_style"])
    assert shares(here, by, "unsafe") == figures(ask(version, "attack-success-by-risk-and-style", "prompt_set="), by)


def test_by_type_as_another_judge_says(version: Version, rows: pl.DataFrame) -> None:
    by = ("prompt_set", "iteration", "red_team", "target", "judge", "type")
    guard = loop_rows.answers(version).filter(kind="adversarial", judge="guard", prompt_set="test")
    answer = ask(version, "attack-success-by-type", "judge=guard")
    assert shares(guard.drop_nulls("type"), by, "unsafe") == figures(answer, by)


@pytest.mark.parametrize("label", quick(2, ["type", "risk_category", "attack_style", "difficulty", "source"]))
def test_by_label(label: str, version: Version, rows: pl.DataFrame) -> None:
    answer = ask(version, "attack-success-by-label", f"by={label}", "prompt_set=train")
    by = ("prompt_set", "iteration", "red_team", "target", label)
    expected = shares(rows.filter(prompt_set="train"), by, "unsafe")
    assert expected == figures(answer.rename({"label": label}), by)
    everywhere = ask(version, "attack-success-by-label", f"by={label}", "prompt_set=")
    assert shares(rows, by, "unsafe") == figures(everywhere.rename({"label": label}), by)


@pytest.mark.parametrize("prompt_set", quick(1, ["train", "test", "evaluation"]))
def test_by_iteration(prompt_set: str, version: Version, rows: pl.DataFrame) -> None:
    own = pl.col("red_team").str.slice(1) == pl.col("target").str.slice(1)
    chosen = rows.filter(pl.col("prompt_set") == prompt_set, own | (prompt_set != "evaluation"))
    chosen = chosen.with_columns(label="difficulty")
    by = ("prompt_set", "iteration", "label")
    answer = ask(version, "attack-success-by-iteration", f"prompt_set={prompt_set}")
    assert shares(chosen, by, "unsafe") == figures(answer, by)
    answer = ask(version, "attack-success-by-iteration", f"prompt_set={prompt_set}", "by=all")
    assert shares(chosen.with_columns(label=pl.lit("all")), by, "unsafe") == figures(answer, by)


def standing(version: Version, places: pl.DataFrame) -> pl.DataFrame:
    """Return unit_id and the columns of ``places`` (with a prompt_id): a seed stands where its examples do."""
    examples = version.table("seeds").select("seed_id", prompt_id="example_ids").explode("prompt_id")
    grown = examples.join(places, on="prompt_id").drop("prompt_id").rename({"seed_id": "unit_id"}).unique()
    return pl.concat([places.rename({"prompt_id": "unit_id"}), grown.select("unit_id", *places.columns[1:])])


def test_by_cluster(version: Version, rows: pl.DataFrame) -> None:
    places = standing(version, version.table("clusters").select("prompt_id", "cluster"))
    here = rows.filter(target="T2").join(places, on="unit_id")
    answer = ask(version, "attack-success-by-cluster", "min_units=1")
    assert shares(here, ("cluster",), "unsafe") == figures(answer, ("cluster",))
    units = dict(here.group_by("cluster").agg(pl.col("unit_id").n_unique()).iter_rows())
    assert dict(answer.select("cluster", "units").iter_rows()) == units
    assert answer["low"].to_list() == sorted(answer["low"], reverse=True)
    fewest = min(units.values())
    assert ask(version, "attack-success-by-cluster", f"min_units={fewest + 1}").height < answer.height


def test_by_template(version: Version, rows: pl.DataFrame) -> None:
    wrapped = (
        version.table("prompts")
        .select("prompt_id")
        .join(version.table("templates").select("prompt_id", "template_id"), on="prompt_id", how="left")
    )
    places = standing(version, wrapped.with_columns(pl.col("template_id").fill_null("none")))
    here = rows.filter(target="T0").join(places, on="unit_id")
    answer = ask(version, "attack-success-by-template", "target=T0")
    assert answer["template_id"][0] == "none"
    assert shares(here, ("template_id",), "unsafe") == figures(answer, ("template_id",))


def test_by_request(version: Version, rows: pl.DataFrame) -> None:
    requests = version.table("templates").drop_nulls("request_id").select("prompt_id", "request_id", "template_id")
    here = rows.filter(target="T2").join(requests, on="prompt_id")
    shared = here.filter(pl.col("prompt_id").n_unique().over("request_id") > 1)
    answer = ask(version, "attack-success-by-request", "max_rows=10000")
    assert answer.height > 5
    assert shares(shared, ("request_id",), "unsafe", "prompt_id") == figures(answer, ("request_id",))
    styles = (
        shared.with_columns(style=STYLE)
        .group_by("request_id", "style")
        .agg(value=pl.col("unsafe").mean())
        .sort("request_id", "value", "style")
    )
    for (request,), group in styles.group_by("request_id"):
        row = answer.row(by_predicate=pl.col("request_id") == request, named=True)
        values = dict(group.select("style", "value").iter_rows())
        assert (row["styles"], row["plain_value"]) == (group.height, values.get("plain"))
        assert (row["strongest_value"], row["weakest_value"]) == (max(values.values()), min(values.values()))
        assert values[row["strongest_style"]] == row["strongest_value"]
        assert row["weakest_style"] == group["style"][0]


def test_style_effect(version: Version, rows: pl.DataFrame) -> None:
    requests = version.table("templates").drop_nulls("request_id").select("prompt_id", "request_id", "template_id")
    rates = (
        rows.filter(target="T0")
        .join(requests, on="prompt_id")
        .group_by("request_id", STYLE.alias("attack_style"))
        .agg(value=pl.col("unsafe").mean())
    )
    plain = rates.filter(attack_style="plain").select("request_id", plain="value")
    styled = rates.filter(~pl.col("attack_style").is_in(["plain", "unknown"])).join(plain, on="request_id")
    answer = ask(version, "style-effect", "target=T0")
    assert set(answer["attack_style"]) == set(styled["attack_style"])
    for row in answer.iter_rows(named=True):
        here = styled.filter(attack_style=row["attack_style"])
        expected = paired_interval((here["value"] - here["plain"]).to_numpy())
        assert (row["difference"], row["low"], row["high"]) == pytest.approx(expected)
        assert row["requests"] == here.height
        assert (row["plain"], row["styled"]) == pytest.approx((here["plain"].mean(), here["value"].mean()))


def test_at_least_one_of_m(version: Version, rows: pl.DataFrame) -> None:
    by = ("prompt_set", "red_team", "target")
    tried = rows.group_by(*by, "unit_id", "prompt_id").agg(
        once=pl.col("unsafe").any(), m=pl.len(), successes=pl.col("unsafe").sum()
    )
    answer = ask(version, "at-least-one-of-m")
    assert shares(tried, by, "once") == figures(answer, by)
    single_response = {key: group["successes"].sum() / group["m"].sum() for key, group in tried.group_by(*by)}
    assert {row[:3]: row[4] for row in answer.iter_rows()} == pytest.approx(single_response)
    assert (answer["value"] >= answer["single_response"]).all()


def test_the_matrix_of_the_evaluation_is_what_its_answers_say(version: Version, rows: pl.DataFrame) -> None:
    by = ("red_team", "target")
    expected = shares(rows.filter(prompt_set="evaluation"), by, "unsafe")
    assert len(expected) == 9
    assert expected == figures(ask(version, "attack-success-matrix"), by)


def test_differences_are_seed_by_seed(version: Version, rows: pl.DataFrame) -> None:
    rates = rows.filter(prompt_set="evaluation").group_by("red_team", "target", "unit_id").agg(pl.col("unsafe").mean())
    answer = ask(version, "attack-success-differences")
    assert answer.height == 12
    for row in answer.iter_rows(named=True):
        after = rates.filter(red_team=row["red_team"], target=row["target"])
        before = rates.filter(red_team=row["from_red_team"], target=row["from_target"])
        both = after.join(before, on="unit_id")
        expected = paired_interval((both["unsafe"] - both["unsafe_right"]).to_numpy())
        assert (row["value"], row["low"], row["high"]) == pytest.approx(expected)
        assert row["seeds"] == both.height
        same_red = row["red_team"] == row["from_red_team"]
        assert row["against"] == ("the previous target" if same_red else "the previous red team")


@pytest.mark.parametrize(("given", "targets"), [((), ("T1", "T2")), (("from_target=T0", "to_target=T2"), ("T0", "T2"))])
def test_target_change(given: Sequence[str], targets: tuple[str, str], version: Version, rows: pl.DataFrame) -> None:
    cell = ("prompt_set", "type", "unit_id", "red_team")
    rates = rows.group_by(*cell, "target").agg(rate=pl.col("unsafe").mean())
    both = rates.filter(target=targets[1]).join(rates.filter(target=targets[0]), on=cell, nulls_equal=True)
    units = both.group_by(*cell[:3]).agg(change=(pl.col("rate") - pl.col("rate_right")).mean())
    answer = ask(version, "target-change", *given)
    assert answer.height == units.select("prompt_set", "type").unique().height
    for row in answer.iter_rows(named=True):
        here = units.filter(pl.col("prompt_set") == row["prompt_set"], pl.col("type").eq_missing(row["label"]))
        expected = paired_interval(here["change"].to_numpy())
        assert (row["difference"], row["low"], row["high"]) == pytest.approx(expected)
        assert (row["safer"], row["worse"]) == ((here["change"] < 0).sum(), (here["change"] > 0).sum())


def test_flipped_prompts(version: Version, rows: pl.DataFrame) -> None:
    rates = rows.group_by("prompt_id", "target").agg(rate=pl.col("unsafe").mean())
    both = rates.filter(target="T2").join(rates.filter(target="T1"), on="prompt_id")
    flipped = both.filter((pl.col("rate") >= 0.5) != (pl.col("rate_right") >= 0.5))
    answer = ask(version, "flipped-prompts", "max_rows=10000")
    changes = {True: "now succeeds", False: "no longer succeeds"}
    expected = {row["prompt_id"]: changes[row["rate"] >= 0.5] for row in flipped.iter_rows(named=True)}
    assert dict(answer.select("prompt_id", "change").iter_rows()) == expected
    assert set(expected.values()) == set(changes.values())
    assert ask(version, "flipped-prompts", "max_rows=3").height == 3


def test_over_refusal(version: Version, harmless: pl.DataFrame) -> None:
    by = ("prompt_set", "target")
    answer = ask(version, "over-refusal")
    assert shares(harmless, by, "refused") == figures(answer, by)
    for row in answer.iter_rows(named=True):
        here = harmless.filter(prompt_set=row["prompt_set"], target=row["target"])["refusal"]
        expected = [(here == which).mean() for which in ("full_refusal", "partial_refusal")]
        assert [row["full_refusal"], row["partial_refusal"]] == pytest.approx(expected)


def test_over_refusal_is_the_figure_of_the_evaluation(version: Version) -> None:
    answer = ask(version, "over-refusal", "prompt_set=harmless")
    stored = ask(version, "safety-frontier")
    assert dict(answer.select("target", "value").iter_rows()) == dict(
        stored.select("target", "over_refusal").iter_rows()
    )


@pytest.mark.slow
def test_over_refusal_by_class(version: Version, harmless: pl.DataFrame) -> None:
    labels = (
        version.table("prompts")
        .select("prompt_id", "source_risk")
        .join(version.table("clusters").select("prompt_id", cluster="label"), on="prompt_id", how="left")
    )
    here = harmless.filter(target="T2").join(labels, on="prompt_id")
    by = ("source", "label")
    answer = ask(version, "over-refusal-by-class")
    assert shares(here.rename({"source_risk": "label"}), by, "refused") == figures(answer, by)
    assert set(answer["label"]) == {"figure of speech", "homonym"}
    answer = ask(version, "over-refusal-by-class", "by=cluster")
    assert shares(here.rename({"cluster": "label"}), by, "refused") == figures(answer, by)


def test_unparsed(version: Version) -> None:
    rows = loop_rows.answers(version).with_columns(flag=pl.col("verdict") == "unparsed")
    by = ("judge", "prompt_set", "target")
    answer = ask(version, "unparsed")
    assert shares(rows, by, "flag") == figures(answer, by)
    assert answer["unparsed"].sum() == rows["flag"].sum() > 0
