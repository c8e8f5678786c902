"""Judges, pairs and the loop's costs by query, held against Polars and scikit-learn on a made workspace."""

from pathlib import Path
from random import Random

import polars as pl
import pytest
from sklearn.metrics import cohen_kappa_score, confusion_matrix

import seas_data as sd
from seas_data.metrics import intervals
from seas_data.query import library, sql
from seas_data.query.version import Version
from seas_data.resources import folder
from tests.query import loop_rows
from tests.query.frames import store, table

QUERIES = library.load(folder("sql"))


@pytest.fixture(scope="module")
def version(made: Path) -> Version:
    return sd.open(made).version()


def ask(version: Version, name: str, *given: str) -> pl.DataFrame:
    return version.select(QUERIES[name].sql, QUERIES[name].values(list(given)))


def beside(version: Version) -> pl.DataFrame:
    """What both judges said of each response that both judged."""
    rows = loop_rows.answers(version).select("response_id", "judge", "verdict", "unit_id")
    both = rows.filter(judge="guard").join(rows.filter(judge="keeper"), on="response_id", suffix="_keeper")
    return both.drop_nulls(["verdict", "verdict_keeper"])


def test_judge_agreement(version: Version) -> None:
    both = beside(version)
    one, other = both["verdict"].to_list(), both["verdict_keeper"].to_list()
    row = ask(version, "judge-agreement").row(0, named=True)
    assert (row["judges"], row["n"]) == ("guard and keeper", both.height)
    assert row["kappa"] == pytest.approx(cohen_kappa_score(one, other))
    expected = intervals.cohen_kappa(one, other, clusters=both["unit_id"].to_numpy())
    assert (row["kappa"], row["low"], row["high"]) == pytest.approx(expected)
    assert row["agreement"] == pytest.approx((both["verdict"] == both["verdict_keeper"]).mean())
    assert ask(version, "judge-agreement", "label=refusal").height == 0  # one judge alone classes refusals


@pytest.mark.slow
def test_judge_agreement_by_hazard_and_language_of_any_number_of_judges(tmp_path: Path) -> None:
    prompts = [
        {"prompt_id": f"p{n}", "text": "x", "hazard": ("ncr", "prv", None)[n % 3], "language": ("en", "de")[n % 2]}
        for n in range(60)
    ]
    rng = Random(1)
    labels = ["safe", "safe", "unsafe", "unparsed"]
    said = {judge: {f"r{n}": rng.choice(labels) for n in range(60) if judge != "c" or n > 9} for judge in "abc"}
    responses = [{"response_id": f"r{n}", "prompt_id": f"p{n}", "model": "T0", "sample": 0} for n in range(60)]
    verdicts = [
        {"response_id": response, "judge": judge, "verdict": said[judge].get(response)}
        for judge in said
        for response in (each["response_id"] for each in responses)
    ]
    shards = store(
        tmp_path,
        prompts=table("prompts", *prompts),
        responses=table("responses", *responses),
        verdicts=table("verdicts", *verdicts),
    )
    query = QUERIES["judge-agreement"]
    for by in ("hazard", "language"):
        found = sql.run_trusted(shards, query.sql, query.values([f"by={by}"]))
        assert found["judges"].unique(maintain_order=True).to_list() == ["a and b", "a and c", "b and c"]
        for row in found.iter_rows(named=True):
            one, other = (said[judge] for judge in row["judges"].split(" and "))
            own = [n for n in range(60) if (prompts[n][by] or "unknown") == row["part"]]
            pairs = [(one[f"r{n}"], other[f"r{n}"]) for n in own if f"r{n}" in one and f"r{n}" in other]
            assert row["n"] == len(pairs)
            assert row["agreement"] == pytest.approx(sum(a == b for a, b in pairs) / len(pairs))
            kappa = cohen_kappa_score(*zip(*pairs, strict=True))
            assert row["kappa"] == pytest.approx(kappa)
        assert found.group_by("judges").agg(pl.col("n").sum()).sort("judges")["n"].to_list() == [60, 50, 50]


def test_judges_who_say_one_thing_alone_have_no_kappa(tmp_path: Path) -> None:
    from seas_data.query import sql

    said = [{"response_id": each, "judge": judge, "verdict": "safe"} for each in "abc" for judge in ("x", "y")]
    responses = [{"response_id": each, "prompt_id": each, "model": "T0", "sample": 0} for each in "abc"]
    shards = store(tmp_path, verdicts=table("verdicts", *said), responses=table("responses", *responses))
    query = QUERIES["judge-agreement"]
    row = sql.run_trusted(shards, query.sql, query.values([])).row(0, named=True)
    assert (row["n"], row["agreement"], row["chance"], row["kappa"], row["low"]) == (3, 1, 1, None, None)


def test_judge_confusion(version: Version) -> None:
    both = beside(version)
    labels = ["safe", "unsafe", "unparsed"]
    counts = confusion_matrix(both["verdict"], both["verdict_keeper"], labels=labels)
    answer = ask(version, "judge-confusion")
    found = {(row["label"], row["other_label"]): row["responses"] for row in answer.iter_rows(named=True)}
    expected = {(one, other): counts[i][j] for i, one in enumerate(labels) for j, other in enumerate(labels)}
    assert found == {cell: count for cell, count in expected.items() if count}
    assert answer.group_by("label").agg(pl.col("proportion").sum())["proportion"].to_list() == pytest.approx([1] * 3)


def test_judge_quality_and_corrected_rates(version: Version) -> None:
    stored = version.table("metrics").with_columns(judge=pl.col("facets").str.json_path_match("$.judge"))
    quality = ask(version, "judge-quality")
    assert set(quality["measure"]) == {"kappa", "sensitivity", "specificity"}
    for row in quality.iter_rows(named=True):
        metric = stored.filter(name=f"judge_{row['measure']}", judge=row["judge"])
        assert (row["value"], row["low"], row["high"], row["gold_rows"]) == metric.row(0)[2:6]
    seen = ask(version, "attack-success-corrected", "sensitivity=0.9", "specificity=0.8")
    assert seen.height == 2 * (9 + 2 * 3)  # cells of the matrix, and two sets of attacks for each target, by two judges
    for row in seen.iter_rows(named=True):
        assert row["corrected_as_assumed"] == pytest.approx(min(max((row["observed"] - 0.2) / 0.7, 0), 1))
    told = seen.drop_nulls("corrected")
    assert 0 < told.height < seen.height
    assert (told["corrected_low"] <= told["corrected"]).all()
    assert (told["corrected"] <= told["corrected_high"]).all()


def test_corrected_rates_are_those_of_the_very_place(tmp_path: Path) -> None:
    from seas_data.query import sql

    place = '"judge": "j", "set": "evaluation", "red_team": "R0", "target": "{}"'
    rows = [
        {"name": "attack_success", "value": 0.44, "n": 50, "facets": "{" + place.format("T0") + "}"},
        {"name": "attack_success", "value": 0.3, "n": 50, "facets": "{" + place.format("T1") + "}"},
        # 0.44 seen by a judge of sensitivity 0.8 and specificity 0.9: (0.44 + 0.9 - 1) / 0.7
        {
            "name": "attack_success_corrected",
            "value": intervals.rogan_gladen(0.44, 0.8, 0.9),
            "n": 30,
            "facets": '{"gold": "g", ' + place.format("T0") + "}",
        },
    ]
    query = QUERIES["attack-success-corrected"]
    answer = sql.run_trusted(store(tmp_path, metrics=table("metrics", *rows)), query.sql, query.values([]))
    assert answer.select("target", "observed", "corrected", "gold_rows", "corrected_as_assumed").rows() == [
        ("T0", 0.44, pytest.approx(0.34 / 0.7), 30, pytest.approx(0.44)),
        ("T1", 0.3, None, None, pytest.approx(0.3)),
    ]


def test_gold_measures_are_the_newest(tmp_path: Path) -> None:
    place = '"judge": "j", "set": "evaluation", "target": "T0"}'
    gold = '{"gold": "g", '
    measured = [
        {"version": version, "name": name, "value": value, "n": n, "facets": facets}
        for version, value, n in (("v9", 0.1, 10), ("v10", 0.2, 20), ("v2", 0.3, 30))
        for name, facets in (("judge_kappa", gold + '"judge": "j"}'), ("attack_success_corrected", gold + place))
    ]
    shards = store(
        tmp_path,
        metrics=table("metrics", {"name": "attack_success", "value": 0.5, "facets": "{" + place}, *measured),
    )
    quality, corrected = (
        sql.run_trusted(shards, QUERIES[name].sql, QUERIES[name].values([]))
        for name in ("judge-quality", "attack-success-corrected")
    )
    assert quality.select("measure", "value", "gold_rows").rows() == [("kappa", 0.2, 20)]
    assert corrected.select("observed", "corrected", "gold_rows").rows() == [(0.5, 0.2, 20)]


def test_pair_quality(version: Version) -> None:
    pairs = version.table("pairs")
    refused = (
        version.table("verdicts")
        .filter(judge="keeper")
        .select("response_id", refused=pl.col("refusal") != "full_compliance")
    )
    content = pl.element().struct["content"].str.len_chars()
    length = {side: pl.col(side).list.eval(content).list.sum() for side in ("chosen", "rejected")}
    rows = (
        pairs.with_columns(a=length["chosen"], b=length["rejected"])
        .join(refused.rename({"refused": "left"}), left_on="chosen_id", right_on="response_id", how="left")
        .join(refused.rename({"refused": "right"}), left_on="rejected_id", right_on="response_id", how="left")
    )
    answer = ask(version, "pair-quality")
    assert answer.height == pairs.select("iteration", "role").unique().height
    for row in answer.iter_rows(named=True):
        here = rows.filter(iteration=row["iteration"], role=row["role"])
        unequal = here.filter(pl.col("a") != pl.col("b"))
        assert row["pairs"] == here.height
        assert row["margin"] == pytest.approx(here["margin"].mean())
        assert (row["chosen_characters"], row["rejected_characters"]) == (here["a"].mean(), here["b"].mean())
        longer = (unequal["a"] > unequal["b"]).mean() if unequal.height else None
        assert row["chosen_longer"] == pytest.approx(longer)
        assert (row["chosen_refused"], row["rejected_refused"]) == (here["left"].mean(), here["right"].mean())
        different = tuple(here[name].drop_nulls().n_unique() for name in ("seed_id", "type"))
        assert (row["seeds"], row["types"]) == different
    target = answer.filter(role="target")
    assert (target["chosen_refused"] > 0.9).all()  # safe answers to attacks are refusals
    assert (answer.filter(role="harmless")["rejected_refused"] == 1).all()


def test_pairs_per_seed(version: Version) -> None:
    answer = ask(version, "pairs-per-seed")
    seeds = version.table("attacks").filter(split="train").group_by("iteration").agg(pl.col("seed_id").n_unique())
    for iteration, count in seeds.iter_rows():
        here = answer.filter(iteration=iteration)
        assert here.group_by("role").agg(pl.col("seeds").sum())["seeds"].unique().to_list() == [count]
    made = version.table("pairs").drop_nulls("seed_id").group_by("iteration", "role").len().sort("iteration", "role")
    totals = answer.group_by("iteration", "role").agg(len=(pl.col("pairs") * pl.col("seeds")).sum())
    assert totals.sort("iteration", "role")["len"].to_list() == made["len"].to_list()


def test_response_lengths(version: Version) -> None:
    responses = version.table("responses")
    for row in ask(version, "response-lengths").iter_rows(named=True):
        here = responses.filter(model=row["model"])
        assert row["responses"] == here.height
        assert row["failed"] == pytest.approx((here["finish_reason"] == "error").mean())
        assert (row["mean_tokens"], row["median_tokens"]) == (here["tokens"].mean(), here["tokens"].median())
        assert row["mean_bytes"] == pytest.approx(here["text"].str.len_bytes().mean())


def test_stage_times(version: Version) -> None:
    runs = version.table("runs")
    answer = ask(version, "stage-times")
    assert answer.height == runs.height
    assert answer["version"].to_list() == sorted(answer["version"])
    for row in answer.iter_rows(named=True):
        of_version = runs.filter(version=row["version"])
        here = of_version.filter(stage=row["stage"]).row(0, named=True)
        assert (row["seconds"], row["rows"]) == (here["seconds"], here["rows"])
        assert row["proportion_of_version"] == pytest.approx(here["seconds"] / of_version["seconds"].sum())
        assert row["rows_per_second"] == pytest.approx(here["rows"] / here["seconds"])


def test_tokens(version: Version) -> None:
    answer = ask(version, "tokens")
    responses, attacks = version.table("responses"), version.table("attacks")
    for kind, written in (("responses", responses), ("attacks", attacks)):
        here = answer.filter(kind=kind)
        assert (here["texts"].sum(), here["tokens"].sum()) == (written.height, written["tokens"].sum())
    runs = version.table("runs")
    row = answer.row(by_predicate=(pl.col("version") == "v2") & (pl.col("stage") == "attacks"), named=True)
    expected = attacks.filter(split="train", iteration=2)["tokens"].sum()
    seconds = runs.filter(version="v2", stage="attacks")["seconds"].item()
    assert (row["model"], row["tokens"]) == ("R1", expected)
    assert row["tokens_per_second"] == pytest.approx(expected / seconds)
    row = answer.row(by_predicate=pl.col("stage") == "evaluate T1", named=True)
    assert row["seconds"] == runs.filter(stage="evaluate T1")["seconds"].sum()


def test_tokens_of_a_turn_are_those_of_the_version_that_played_it(tmp_path: Path) -> None:
    from seas_data.query import sql
    from seas_data.store.stages import RUNS

    def attack(turn: int) -> dict[str, object]:
        about = {"prompt_id": f"a{turn}", "seed_id": "s", "iteration": turn, "split": "train", "model": f"R{turn - 1}"}
        return about | {"number": 0, "text": "open", "tokens": 10 * turn}

    # v1 and v3 only curated: the turns are those of v2 and v10
    stages = [("v1", "read", 9.0), ("v2", "attacks", 2.0), ("v3", "read", 9.0), ("v10", "attacks", 4.0)]
    about = {"started": "2026-01-01T10:00:00+00:00", "rows": 1, "peak_megabytes": 1, "tools": "{}"}
    runs = [dict(zip(("version", "stage", "seconds"), each, strict=True)) | about for each in stages]
    shards = store(
        tmp_path, attacks=table("attacks", attack(1), attack(2)), runs=pl.DataFrame(runs, schema=RUNS, strict=False)
    )
    answer = sql.run_trusted(shards, QUERIES["tokens"].sql)
    assert answer.select("version", "model", "tokens", "tokens_per_second").rows() == [
        ("v2", "R0", 10, 5.0),
        ("v10", "R1", 20, 5.0),
    ]


def test_asked_against_judged_counts_each_category_of_an_unsafe_response(tmp_path: Path) -> None:
    verdicts = (
        ("a1", "unsafe", ["Non-Violent Crimes", "Privacy"]),
        ("a2", "unsafe", ["Non-Violent Crimes"]),
        ("b1", "unsafe", ["Jailbreak"]),
        ("b2", "safe", []),
        ("b3", "unparsed", None),
        ("b4", "unsafe", []),
    )
    about = {"source": "s", "kind": "adversarial", "role": "training"}
    shards = store(
        tmp_path,
        prompts=table("prompts", {"prompt_id": "a", "hazard": "ncr"} | about, {"prompt_id": "b"} | about),
        splits=table("splits", *({"prompt_id": prompt, "split": "train"} for prompt in "ab")),
        responses=table(
            "responses",
            *({"response_id": key, "prompt_id": key[0], "model": "T0", "sample": 0} for key, _, _ in verdicts),
        ),
        verdicts=table(
            "verdicts",
            *(
                {"response_id": key, "judge": "guard", "verdict": verdict, "categories": categories}
                for key, verdict, categories in verdicts
            ),
        ),
    )
    query = library.load(folder("sql"))["asked-against-judged"]
    found = sql.run_all(shards, [(query.sql, query.values([]))])[0]
    assert found.rows() == [
        ("guard", "ncr", "Non-Violent Crimes", 2, True),
        ("guard", "ncr", "Privacy", 1, False),
        ("guard", "unknown", "Jailbreak", 1, None),
        ("guard", "unknown", "none", 1, None),
    ]
