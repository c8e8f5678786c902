"""What an iteration takes from earlier ones and from people: reviewed prompts, pairs of all iterations, gold sets."""

import csv
import json
import shutil
from pathlib import Path

import polars as pl
import pytest

import seas_data as sd
from seas_data.query.version import Version
from seas_data.review import gold
from seas_data.review import sheet as review
from seas_data.run import build
from tests.loop.conftest import recipe


@pytest.fixture(scope="module")
def first(one: Path) -> Version:
    return sd.open(one / "ws").version("v1")


def candidates(version: Version) -> list[str]:
    """Return the prompts that only a judge calls harmless."""
    query = "select prompt_id from kept where label_source = 'judge:reader' order by 1"
    return version.select(query)["prompt_id"].to_list()


@pytest.mark.slow
def test_refused_attacks_that_a_judge_calls_harmless_join_with_a_flag(first: Version) -> None:
    rows = first.select(
        "select prompts.kind, prompts.type, attacks.model, splits.split, "
        "  (select count(*) from responses join verdicts using (response_id) "
        "   where responses.prompt_id = prompts.prompt_id and refusal <> 'full_compliance') as refused, "
        "  (select count(*) from decisions where decisions.prompt_id = prompts.prompt_id "
        "   and decision = 'flag' and reason = 'unreviewed' and detail = 'judge:reader') as flags "
        "from prompts join splits using (prompt_id) join attacks using (prompt_id) where label_source = 'judge:reader'"
    )
    assert rows.height > 1
    assert set(rows.drop("refused").rows()) == {("harmless", None, "R0", "train", 1)}
    assert (rows["refused"] >= 1).all(), "at least .3 of three"
    worded = "select 1 from prompts where label_source = 'judge:reader' and regexp_matches(text, $secret)"
    assert first.select(worded, {"secret": r"\b(password|secret)\b"}).is_empty()


@pytest.fixture(scope="module")
def reviewed(one: Path, first: Version, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A second iteration on a copy of the first, after people confirmed one candidate and judged responses.

    It trains on the pairs of all iterations. Returns the folder and the confirmed ids.
    """
    folder = tmp_path_factory.mktemp("reviewed")
    shutil.copytree(one / "ws", folder / "ws")
    confirmed = candidates(first)[:1]
    with (folder / "overrides.csv").open("w", newline="") as file:
        sheet = csv.writer(file)
        sheet.writerow(["prompt_id", "decision", "label", "who", "because"])
        sheet.writerows([each, "", "harmless", "Ann", "it asks for nothing secret"] for each in confirmed)
    said = dict(first.select("select response_id, verdict from verdicts where judge = 'keeper'").rows())
    drawn = review.sample_responses(first, 120)
    rows = drawn.with_columns(
        verdict=pl.Series([said[each] for each in drawn["response_id"]]).replace("unparsed", "safe"),
        refusal=pl.lit(None),
        who=pl.lit("Ann"),
        because=pl.lit(None),
    )
    rows.write_csv(folder / "gold.csv")
    settings = (f"overrides={folder / 'overrides.csv'}", f"loop.evaluation.gold_verdicts={folder / 'gold.csv'}")
    build(
        recipe(folder, "loop.iterations=2", "loop.update_data=all", "loop.attack.seed_types=weakness", *settings),
        folder / "ws",
    )
    return folder, confirmed


@pytest.mark.slow
def test_only_reviewed_harmless_prompts_are_sent_to_the_target(
    first: Version, reviewed: tuple[Path, list[str]]
) -> None:
    folder, confirmed = reviewed
    opened = sd.open(folder / "ws")
    assert opened.versions() == ["v0", "v1", "v2", "v3"], "one for the overrides, one for the iteration"
    last = opened.version("v3")
    labels = dict(last.select("select prompt_id, label_source from prompts where kind = 'harmless'").rows())
    assert [labels[each] for each in confirmed] == ["manual:Ann"]
    others = set(candidates(first)) - set(confirmed)
    assert others
    assert {labels[each] for each in others} == {"judge:reader"}
    asked = set(last.select("select prompt_id from responses where model = 'T1'")["prompt_id"])
    assert set(confirmed) <= asked
    assert not others & asked
    said = "select response_id from responses where model = 'T1' and list_contains($ids, prompt_id)"
    answers = set(last.select(said, {"ids": confirmed})["response_id"])
    paired = last.select("select unnest([chosen_id, rejected_id]) as id from pairs where role = 'harmless'")["id"]
    unpaired = last.select("select candidate_id from unpaired where role = 'harmless'")["candidate_id"]
    assert answers <= {*paired, *unpaired}, "each is in a pair or in unpaired"


@pytest.mark.slow
def test_an_update_on_all_iterations_starts_from_the_first_models(reviewed: tuple[Path, list[str]]) -> None:
    folder, _ = reviewed
    last = sd.open(folder / "ws").version("v3")
    rows = {row["model"]: row for row in last.table("checkpoints").iter_rows(named=True)}
    assert (rows["R1"]["parent"], rows["T1"]["parent"]) == ("R0", "T0")
    assert (rows["R2"]["parent"], rows["T2"]["parent"]) == ("R0", "T0")
    counts = dict(last.select("select role = 'red', count(*) from pairs group by 1").rows())
    assert (rows["R2"]["rows"], rows["T2"]["rows"]) == (counts[True], counts[False])
    rounds = set(last.select("select distinct iteration from pairs")["iteration"])
    assert rounds == {1, 2}


@pytest.mark.slow
def test_a_gold_set_in_the_recipe_adds_corrected_rates_of_earlier_versions(
    first: Version, reviewed: tuple[Path, list[str]]
) -> None:
    folder, _ = reviewed
    last = sd.open(folder / "ws").version("v3")
    rows = last.table("metrics").filter(pl.col("facets").str.contains('"gold"'))
    expected = gold.compare_with_gold(first, folder / "gold.csv").metrics
    assert rows.height == expected.height > 0
    assert set(rows["version"]) == {"v3"}
    keeper = rows.filter(pl.col("facets").str.contains("keeper"))
    agreed = keeper.filter(pl.col("name") == "judge_sensitivity")
    assert agreed["value"].to_list() == [1.0]
    cells = keeper.filter(pl.col("name") == "attack_success_corrected").drop_nulls("value")
    assert cells.height > 0
    rates = dict(first.select("select facets, value from metrics where name = 'attack_success'").rows())
    for facets, value in cells.select("facets", "value").rows():
        about = {name: each for name, each in json.loads(facets).items() if name != "gold"}
        if about["set"] != "train":
            assert value == pytest.approx(rates[json.dumps(about, sort_keys=True)]), "a judge that did not err"
    assert not last.table("metrics").select("name", "facets").is_duplicated().any()


def test_general_pairs_that_were_not_drawn_are_in_the_ledger(first: Version) -> None:
    drawn = first.select("select count(*) as n from pairs where role = 'general'")["n"][0]
    left = dict(first.select("select reason, count(*) from unpaired where role = 'general' group by 1").rows())
    assert drawn > 0
    assert left == {"cap": 60 - drawn}


def test_a_metric_of_another_distribution_is_computed_for_each_red_team(first: Version) -> None:
    rows = first.table("metrics").filter(pl.col("name") == "attack_length").sort("facets")
    assert rows["facets"].to_list() == ['{"red_team": "R0"}', '{"red_team": "R1"}']
    lengths = first.select("select model, avg(length(text)) from attacks where split = 'test' group by 1 order by 1")
    assert rows["value"].to_list() == pytest.approx(lengths.to_series(1).to_list())
