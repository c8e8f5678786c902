"""What the data is, by query: thin types, wrappers, novelty, clusters, the ledger, licences; held against Polars and
NumPy on a made workspace, and worked out by hand where little is enough."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import seas_data as sd
from seas_data.metrics.intervals import Z
from seas_data.query import library, sql
from seas_data.query.version import Version
from seas_data.resources import folder
from tests.query.frames import store, table
from tests.taxonomies import ATTACK_STYLES, RISK_CATEGORIES, TYPES

QUERIES = library.load(folder("sql"))


@pytest.fixture(scope="module")
def version(made: Path) -> Version:
    return sd.open(made).version()


def ask(version: Version, name: str, *given: str) -> pl.DataFrame:
    return version.select(QUERIES[name].sql, QUERIES[name].values(list(given)))


def test_thin_types_count_a_wrapper_and_a_request_once(tmp_path: Path) -> None:
    def prompt(number: int, type_: str | None, **more: object) -> dict[str, object]:
        about = {"prompt_id": f"p{number}", "type": type_, "text_digest": f"d{number}", "label_source": "source"}
        return about | more

    shards = store(
        tmp_path,
        prompts=table(
            "prompts",
            *(prompt(number, "Role Play") for number in range(4)),
            prompt(4, "Role Play", source="beta", language="zh"),
            *(prompt(number, "Health Harm", label_source="classifier") for number in (5, 6, 7)),
            prompt(8, "Health Harm", kind="harmless"),
            prompt(9, "Health Harm", role="holdout"),
            prompt(10, None),
            *(prompt(number, "Word Play", text_digest="d11") for number in range(11, 15)),
        ),
        # p0 to p2 are one wrapper with three payloads; p3 and p4 are one request
        templates=table(
            "templates",
            *({"prompt_id": f"p{number}", "template_id": "t", "payload": str(number)} for number in range(3)),
            *({"prompt_id": f"p{number}", "request_id": "r"} for number in (3, 4)),
        ),
        splits=table(
            "splits", *({"prompt_id": f"p{n}", "split": "test" if n == 7 else "train"} for n in (*range(8), 10))
        ),
        clusters=table("clusters", *({"prompt_id": f"p{n}", "cluster": n % 2, "label": "x"} for n in (*range(4), 10))),
    )
    query = QUERIES["thin-types"]
    answer = sql.run_trusted(shards, query.sql, query.values([]))
    assert answer.filter(pl.col("kept") == 0)["type"].to_list() == sorted(
        set(TYPES) - {"Role Play", "Health Harm", "Word Play"}
    )
    assert answer.filter(pl.col("kept") > 0).rows() == [
        # type, kept, requests, wordings, different, train, test, by classifier, English, sources, largest, clusters
        (None, 1, 1, 1, 1, 1, 0, 0, 1.0, 1, 1.0, 1),
        ("Word Play", 4, 1, 1, 1, 0, 0, 0, 1.0, 1, 1.0, 0),
        ("Health Harm", 3, 3, 3, 3, 2, 1, 3, 1.0, 1, 1.0, 0),
        ("Role Play", 5, 4, 3, 3, 5, 0, 0, 0.8, 2, 0.8, 2),
    ]


def test_without_adversarial_prompts_no_type_is_thin(tmp_path: Path) -> None:
    shards = store(tmp_path, prompts=table("prompts", {"prompt_id": "p0", "kind": "harmless"}))
    assert sql.run_trusted(shards, QUERIES["thin-types"].sql).is_empty()


def test_style_wrappers(tmp_path: Path) -> None:
    styles = ["Role Play"] * 4 + ["Word Play"] * 2 + [None]
    shards = store(
        tmp_path,
        prompts=table("prompts", *({"prompt_id": f"p{n}", "attack_style": each} for n, each in enumerate(styles))),
        templates=table(
            "templates",
            {"prompt_id": "p0", "template_id": "t", "payload": "a", "request_id": "r"},
            {"prompt_id": "p1", "template_id": "t", "payload": "b"},
            {"prompt_id": "p2", "template_id": "u", "payload": "b"},
            {"prompt_id": "p4", "request_id": "r"},
        ),
    )
    query = QUERIES["style-wrappers"]
    assert sql.run_trusted(shards, query.sql, query.values([])).rows() == [
        # style, kept, wrapped, templates, largest, payloads, shares a request, sources
        ("Role Play", 4, 0.75, 2, 0.5, 2, 0.25, 1),
        ("Word Play", 2, 0.0, 0, 0.0, 0, 0.5, 1),
    ]


def test_risk_by_style_shows_what_is_missing(tmp_path: Path) -> None:
    rows = [("Health Harm", None), ("Health Harm", None), ("Health Harm", "Role Play"), (None, "Word Play")]
    rows += [("Health Harm", None), (None, None)]  # in a wrapper, and with no label at all
    prompts = [
        {"prompt_id": str(number), "risk_category": risk, "attack_style": style}
        for number, (risk, style) in enumerate(rows)
    ]
    query = QUERIES["risk-by-style"]
    wrapped = table("templates", {"prompt_id": "4", "template_id": "t", "payload": "p"})
    answer = sql.run_trusted(store(tmp_path, prompts=table("prompts", *prompts), templates=wrapped), query.sql)
    assert answer.height == (len(RISK_CATEGORIES) + 1) * (len(ATTACK_STYLES) + 2)
    assert answer["kept"].sum() == 6
    some = pl.col("risk_category").is_in(["Health Harm", "unknown"])
    some &= pl.col("attack_style").is_in(["Role Play", "Word Play", "plain", "unknown"])
    assert answer.filter(some).rows() == [
        ("Health Harm", "Role Play", 1, 1),
        ("Health Harm", "Word Play", 0, 0),
        ("Health Harm", "plain", 2, 1),
        ("Health Harm", "unknown", 1, 1),
        ("unknown", "Role Play", 0, 0),
        ("unknown", "Word Play", 1, 1),
        ("unknown", "plain", 0, 0),
        ("unknown", "unknown", 1, 1),
    ]


def placed(version: Version, *, as_written: bool = False) -> pl.DataFrame:
    """Return the kept attacks with their vectors; ``as_written``: those too of which a person said otherwise since."""
    kept = version.table("kept")
    said_since = pl.col("prompt_id").is_in(version.table("relabels")["prompt_id"].implode()) & as_written
    kept = kept.filter((pl.col("kind") == "adversarial") | said_since)
    return kept.join(version.table("embeddings").select("prompt_id", "vector"), on="prompt_id").sort("prompt_id")


def test_novelty_is_the_nearest_earlier_attack(version: Version) -> None:
    answer = ask(version, "novelty").filter(attacks="added, against all earlier")
    assert answer["iteration"].to_list() == [1, 2]
    rows = placed(version, as_written=True)
    manual = version.table("decisions").filter(reason="manual")
    for row in answer.iter_rows(named=True):
        here, before = rows.filter(iteration=row["iteration"]), rows.filter(pl.col("iteration") < row["iteration"])
        assert manual.join(before, on="prompt_id", how="semi").is_empty()  # nothing was taken out since
        cosines = np.stack(here["vector"].to_numpy()) @ np.stack(before["vector"].to_numpy()).T
        nearest = cosines.max(axis=1)
        half = Z * nearest.std(ddof=1) / np.sqrt(len(nearest))
        assert (row["value"], row["n"]) == (pytest.approx(nearest.mean(), abs=1e-6), here.height)
        assert (row["low"], row["high"]) == pytest.approx((nearest.mean() - half, nearest.mean() + half), abs=1e-6)
    of_red_teams = ask(version, "novelty").filter(attacks="for the evaluation, against train")
    assert of_red_teams["iteration"].to_list() == [0, 1, 2]


@pytest.mark.slow
@pytest.mark.parametrize("by", ["type", "iteration", "source", "all"])
def test_diversity_is_the_nearest_similarity_of_the_same(by: str, version: Version) -> None:
    rows = placed(version).with_columns(all=pl.lit("all")).drop_nulls(by)
    answer = ask(version, "diversity", f"by={by}", "sample=1000")
    assert sorted(answer["label"]) == sorted(rows[by].cast(pl.String).unique())
    for row in answer.iter_rows(named=True):
        here = rows.filter(pl.col(by).cast(pl.String) == row["label"])
        cosines = np.stack(here["vector"].to_numpy()).astype(float)
        cosines = cosines @ cosines.T
        np.fill_diagonal(cosines, -1)
        assert (row["n"], row["all_prompts"]) == (here.height, here.height)
        assert row["nearest_similarity"] == pytest.approx(cosines.max(axis=1).mean(), abs=1e-6)
    sampled = ask(version, "diversity", f"by={by}", "sample=5")
    assert sampled["n"].max() == 5
    assert ask(version, "diversity", f"by={by}", "sample=5").equals(sampled)


def test_cluster_coverage(tmp_path: Path) -> None:
    # iteration 0: clusters 1 1 2 2, evenly two; iteration 1: 1 1 1 3, of which 3 is new
    where = [(0, 1), (0, 1), (0, 2), (0, 2), (1, 1), (1, 1), (1, 1), (1, 3)]
    shards = store(
        tmp_path,
        prompts=table("prompts", *({"prompt_id": str(n), "iteration": k} for n, (k, _) in enumerate(where))),
        clusters=table(
            "clusters", *({"prompt_id": str(n), "cluster": each, "label": "x"} for n, (_, each) in enumerate(where))
        ),
    )
    query = QUERIES["cluster-coverage"]
    two_thirds = pytest.approx(2 / 3)
    about = pytest.approx(np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25))))
    assert sql.run_trusted(shards, query.sql).rows() == [
        # iteration, prompts, clusters, coverage, about, largest share, new clusters
        (0, 4, 2, two_thirds, pytest.approx(2), 0.5, 2),
        (1, 4, 2, two_thirds, about, 0.75, 1),
    ]


def test_the_ledger_adds_up(version: Version) -> None:
    decisions = version.table("decisions")
    sources = version.table("prompts").select("prompt_id", "source")
    by = ("version", "step", "decision", "reason", "source")
    counts = (
        decisions.join(sources, on="prompt_id")
        .group_by(*by)
        .agg(pl.col("prompt_id").n_unique(), pl.col("witness_id").drop_nulls().n_unique())
    )
    answer = ask(version, "ledger")
    assert {row[:5]: row[5:] for row in counts.iter_rows()} == {row[:5]: row[5:7] for row in answer.iter_rows()}
    whole = ask(version, "ledger", "by_source=false")
    assert whole["source"].null_count() == whole.height == decisions.select(by[:4]).unique().height
    assert whole["prompts"].sum() == answer["prompts"].sum()


def test_label_confidence(version: Version) -> None:
    labelled = version.table("kept").filter(label_source="classifier")
    answer = ask(version, "label-confidence")
    assert answer["labelled"].sum() == labelled.height > 0
    assert answer["proportion"].sum() == pytest.approx(1)
    for row in answer.iter_rows(named=True):
        here = labelled.filter(type=row["type"])["label_probability"]
        assert row["median"] == pytest.approx(here.median())
        assert row["p10"] == pytest.approx(here.quantile(0.1, "linear"))
        bins = ((here < 0.7).sum(), ((here >= 0.7) & (here < 0.9)).sum(), (here >= 0.9).sum())
        assert (row["under_70"], row["from_70_to_90"], row["from_90"]) == bins


def test_licences(version: Version) -> None:
    answer = ask(version, "licences")
    prompts, kept = version.table("prompts"), version.table("kept")
    assert answer["prompts"].sum() == prompts.height
    assert answer["proportion_of_kept"].sum() == pytest.approx(1)
    mit = answer.row(by_predicate=pl.col("licence") == "MIT", named=True)
    assert (mit["kept"], mit["source_names"]) == (kept.filter(licence="MIT").height, ["letters"])
    by_models = answer.row(by_predicate=pl.col("licence") == "written by a model", named=True)
    assert by_models["prompts"] == prompts.drop_nulls("model").height


def test_a_source_without_a_licence_says_so(tmp_path: Path) -> None:
    query = QUERIES["licences"]
    answer = sql.run_trusted(store(tmp_path, prompts=table("prompts", {"prompt_id": "a"})), query.sql)
    assert answer.rows() == [("not stated", 1, 1, 1.0, 1, ["alpha"])]


def test_the_metrics_of_novelty_are_told_by_iteration(tmp_path: Path) -> None:
    rows = [
        {"name": "novelty", "value": 0.7, "n": 4, "facets": json.dumps({"iteration": 1})},
        {"name": "diversity", "value": 0.6, "n": 5, "facets": json.dumps({"red_team": "R1", "against": "train"})},
        {"name": "diversity", "value": 0.5, "n": 5, "facets": json.dumps({"red_team": "R1", "against": "itself"})},
    ]
    answer = sql.run_trusted(store(tmp_path, metrics=table("metrics", *rows)), QUERIES["novelty"].sql)
    assert answer.select("iteration", "attacks", "value").rows() == [
        (1, "for the evaluation, against train", 0.6),
        (1, "added, against all earlier", 0.7),
    ]


def test_labels_by_source_count_what_the_sets_say_and_not_what_the_classifier_adds(tmp_path: Path) -> None:
    rows = (
        {"risk_category": "Health Harm", "hazard": "ssh", "source_risk": "self_harm", "label_source": "source"},
        {"risk_category": "Health Harm", "source_risk": "habits", "label_source": "manual:anna"},
        {"risk_category": "Health Harm", "label_source": "classifier"},
        {"source_risk": "other"},
        {"attack_style": "Role Play", "label_source": "source", "source": "beta"},
        {"kind": "harmless", "source_risk": "homonyms"},
    )
    prompts = table("prompts", *({"prompt_id": f"p{at}", "text_digest": f"d{at}"} | row for at, row in enumerate(rows)))
    answer = sql.run_trusted(store(tmp_path, prompts=prompts), QUERIES["labels-by-source"].sql, {})
    assert answer.drop("source").rows() == [
        # attacks, labels, risk category, attack style, hazard
        (4, 3, 0.5, 0.0, 0.25),
        (1, 0, 0.0, 1.0, 0.0),
    ]
