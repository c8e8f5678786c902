"""Results files of harnesses: what real ones say, their figures in a workspace, and the files that are refused."""

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import seas_data as sd
from seas_data.errors import SeasDataError
from seas_data.metrics.intervals import wilson
from seas_data.query import library, sql
from seas_data.resources import folder as resource_folder
from seas_data.store import open_workspace
from seas_data.utility.figures import Figure
from seas_data.utility.results_file import add_results, read_results
from tests.conftest import quick
from tests.program import called
from tests.query.frames import store

FIXTURES = Path(__file__).parent / "fixtures"
LM_EVAL = FIXTURES / "results_lm_eval.json"
INSPECT = FIXTURES.parent.parent / "sources" / "logs" / "fixtures" / "inspect_ai"


@pytest.fixture(scope="module")
def workspace(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the made workspace, to which tests add versions."""
    return Path(shutil.copytree(made, tmp_path_factory.mktemp("utility") / "ws"))


def edited(folder: Path, **changes: Any) -> Path:
    """Write the results file with other values of some keys; None removes one."""
    content = json.loads(LM_EVAL.read_bytes()) | changes
    path = folder / "results.json"
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
    return path


def test_a_file_of_lm_evaluation_harness_is_read_with_everything_that_makes_a_figure() -> None:
    results = read_results(LM_EVAL)
    assert (results.tool, results.tool_version, results.model) == ("lm-evaluation-harness", "0.4.13", "T1")
    first, *_ = results.figures
    assert first == Figure(
        task="colors",
        metric="acc",
        value=0.6,
        stderr=pytest.approx(0.24494897427831783),
        n=5,
        filter="none",
        task_version="1",
        shots=0,
        primary=True,
    )
    assert [(each.task, each.metric, each.primary) for each in results.figures] == [
        ("colors", "acc", True),
        ("colors", "acc_norm", False),
        ("colors_words", "exact_match", True),
    ]


def test_tasks_of_a_group_stand_back_behind_its_figure() -> None:
    found = read_results(FIXTURES / "results_lm_eval_group.json").figures
    assert [(each.task, each.metric, each.n, each.partial) for each in found if each.primary] == [
        ("colors_all", "acc", 4, "8 of 10")
    ]


@pytest.mark.parametrize("name", ["small.eval", "small.json", "chunked.eval"])
def test_a_log_of_inspect_ai_is_read_by_its_header(name: str) -> None:
    results = read_results(INSPECT / name)
    assert (results.tool, results.model) == ("inspect_ai", "openai-api/stub/target")
    assert [(each.task, each.metric, each.filter, each.value, each.n, each.primary) for each in results.figures] == [
        ("cooking", "accuracy", "model_graded_qa", pytest.approx(2 / 7), 7, True),
        ("cooking", "accuracy", "match", 0.0, 7, False),
    ]
    assert {each.partial for each in results.figures} == {"14 of 16"}


@pytest.mark.parametrize(
    ("figure", "interval"),
    [
        (Figure("t", "acc", 0.6, 0.24494897427831783, 5), wilson(3, 5)),
        (Figure("t", "acc", 0.0, 0.0, 40), wilson(0, 40)),
        (Figure("t", "acc", 1.0, 0.0, 40), wilson(40, 40)),
        # 0.1 is not what 50 independent answers give: they are in clusters.
        (Figure("t", "acc", 0.5, 0.1, 50), (pytest.approx(0.304, abs=1e-3), pytest.approx(0.696, abs=1e-3))),
        (Figure("t", "acc", 0.95, 0.1, 50), (pytest.approx(0.754, abs=1e-3), 1.0)),
        (Figure("t", "bleu", 31.0, 2.0, 50), (pytest.approx(27.08, abs=1e-2), pytest.approx(34.92, abs=1e-2))),
        (Figure("t", "bleu", 31.0, 0.0, 50), (None, None)),
        (Figure("t", "acc", 0.5, None, 50), (None, None)),
        (Figure("t", "acc", 0.0, 0.0, None), (None, None)),
        (Figure("t", "acc", 0.5, 0.1, None), (pytest.approx(0.304, abs=1e-3), pytest.approx(0.696, abs=1e-3))),
    ],
)
def test_an_interval_is_never_narrower_than_the_figure_allows(figure: Figure, interval: tuple[Any, Any]) -> None:
    assert figure.interval() == interval


def test_figures_are_a_new_version_of_the_same_rows(workspace: Path) -> None:
    before = sd.open(workspace).version()
    done = called("metrics", "add", LM_EVAL, "--model", "T1", "--workspace", workspace)
    assert done.returncode == 0, done.stderr
    assert "colors_words" in done.stdout
    after = sd.open(workspace).version()
    assert (after.manifest.parent, after.manifest.iteration) == (before.name, before.manifest.iteration)
    same = before.manifest.tables | {"metrics": None}
    assert after.manifest.tables | {"metrics": None} == same
    rows = after.table("metrics").filter(version=after.name)
    facets = [json.loads(each) for each in rows["facets"]]
    assert set(rows["name"]) == {"utility"} and {each["target"] for each in facets} == {"T1"}
    assert {each["tool_version"] for each in facets} == {"0.4.13"}
    assert len({each["results"] for each in facets}) == 1
    assert open_workspace(workspace).verify(after.manifest) == []
    newest = len(sd.open(workspace).versions())
    for model in ("T1", "T0"):
        again = called("metrics", "add", LM_EVAL, "--model", model, "--workspace", workspace)
        assert again.returncode == 2 and again.stderr.count("\n") == 1
    assert len(sd.open(workspace).versions()) == newest


def test_a_part_of_a_task_is_taken_on_request_and_says_so(workspace: Path, tmp_path: Path) -> None:
    samples = {"colors": {"original": 50, "effective": 5}, "colors_words": {"original": 5, "effective": 5}}
    path = edited(tmp_path, **{"n-samples": samples, "model_name": "elsewhere"})
    place = open_workspace(workspace)
    with pytest.raises(SeasDataError, match="a part of a task"):
        add_results(place, path, "T2")
    _, rows = add_results(place, path, "T2", partial=True)
    assert [json.loads(each).get("partial") for each in rows["facets"]] == ["5 of 50", "5 of 50", None]


SCORE: dict[str, Any] = {
    "name": "match",
    "scorer": "match",
    "scored_samples": 2,
    "unscored_samples": 0,
    "metrics": {"accuracy": {"name": "accuracy", "value": 0.5}, "stderr": {"name": "stderr", "value": 0.5}},
}


def log(scores: list[dict[str, Any]], done: int = 2, **about: Any) -> dict[str, Any]:
    """The header of a log of inspect_ai whose dataset has six samples; ``about`` changes what ``eval`` says."""
    dataset = {"name": "sky", "samples": 6, "sample_ids": [1, 2, 3, 4, 5, 6]}
    return {
        "version": 2,
        "status": "success",
        "eval": {"task": "sky", "task_version": 0, "dataset": dataset, "config": {}} | about,
        "results": {"total_samples": done, "completed_samples": done, "scores": scores},
    }


def faulty() -> dict[str, tuple[str | bytes, str]]:
    """The content of files that are refused, and words of the message."""
    whole = json.loads(LM_EVAL.read_bytes())
    row = {"acc,none": "N/A", "acc_stderr,none": "N/A"}
    return {
        "empty.json": (b"", "is empty"),
        "list.json": ("[1, 2]", "no results file"),
        "other.json": ('{"a": 1}', "no results file"),
        "samples.jsonl": ('{"doc_id": 0, "acc": 1}\n{"doc_id": 1, "acc": 0}\n', "more text after its end"),
        "cut.json": (LM_EVAL.read_bytes()[:900], "breaks off"),
        "twice.json": ('{"results": {}, "results": {}}', "twice"),
        "none.json": (json.dumps(whole | {"results": {}}), "no figure of any task"),
        "na.json": (json.dumps(whole | {"results": {"colors": row}}), "no number"),
        "nan.json": ('{"results": {"colors": {"acc,none": NaN}}}', "no number"),
        "task-twice.json": (
            '{"results": {"a": {"acc,none": 0.1}, "a": {"acc,none": 0.9}}}',
            "the key 'a' has two values",
        ),
        "metric-twice.json": ('{"results": {"a": {"acc,none": 0.1, "acc,none": 0.9}}}', "has two values"),
        "same-scorer.json": (json.dumps(log(scores=[SCORE, SCORE])), "accuracy of the task sky twice"),
        "bidi.json": (json.dumps({"results": {"a\u202eb": {"acc,none": 0.5}}}), "not printable"),
        "long.json": (json.dumps({"results": {"a" * 300: {"acc,none": 0.5}}}), "longer than 200"),
        "binary.eval": (b"PK\x03\x04 not an archive", "not a ZIP archive"),
        "started.json": ('{"version": 2, "status": "started", "eval": {}}', "status started"),
        "failed.json": ('{"version": 2, "status": "error", "eval": {"task": "a"}, "results": null}', "status error"),
        "hollow.json": ('{"version": 2, "status": "success", "eval": {"task": "a"}}', "no figure of any task"),
    }


@pytest.mark.parametrize("name", faulty())
def test_files_that_are_no_results_are_refused_in_one_sentence(name: str, tmp_path: Path) -> None:
    content, words = faulty()[name]
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(SeasDataError, match=words) as problem:
        read_results(path)
    assert str(problem.value).isprintable()


@pytest.mark.parametrize(
    ("header", "partial"),
    [
        (log([SCORE], done=6), None),
        # What inspect_ai 0.3.285 writes with --limit 2, also with two epochs: only the dataset has the other samples.
        (log([SCORE], done=2, config={"limit": 2}), "2 of 6"),
        (log([SCORE], done=4, config={"limit": 2, "epochs": 2}), "4 of 12"),
        (log([SCORE], done=1, config={"sample_id": ["3"]}), "1 of 6"),
        (log([SCORE | {"scored_samples": 4, "unscored_samples": 2}], done=6), "4 of 6"),
        (log([SCORE], done=2, dataset={"samples": "six"}), None),
        (log([SCORE], done=2, dataset={"samples": -6}, config={"epochs": -1}), None),
        (log([SCORE], done=8, config={"epochs": 1}), None),
    ],
)
def test_a_log_of_inspect_ai_with_a_part_of_the_samples_says_so(
    header: dict[str, Any], partial: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps(header))
    assert [each.partial for each in read_results(path).figures] == [partial]


def test_reducers_of_one_scorer_are_figures_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text(json.dumps(log([SCORE | {"reducer": "mean"}, SCORE | {"reducer": "max"}], done=6)))
    found = read_results(path).figures
    assert [(each.filter, each.primary) for each in found] == [("match, mean", True), ("match, max", False)]


def test_a_log_of_inspect_ai_with_a_key_twice_in_its_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.eval"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.json", '{"status": "error", "status": "success", "eval": {}, "results": {}}')
    with pytest.raises(SeasDataError, match="cannot be read"):
        read_results(path)


def test_a_log_that_was_not_finished_is_refused() -> None:
    with pytest.raises(SeasDataError, match="did not end"):
        read_results(INSPECT / "unfinished.eval")


def test_unknown_models_and_those_of_another_checkpoint_are_refused(workspace: Path, tmp_path: Path) -> None:
    place = open_workspace(workspace)
    for model, path, words in (
        ("T9", edited(tmp_path), "has no target T9"),
        ("R1", edited(tmp_path), "has no target R1"),
        ("T2", edited(tmp_path, date=1), "add it with --model T1"),
        ("T2", tmp_path / "absent.json", "there is no results file"),
    ):
        with pytest.raises(SeasDataError, match=words):
            add_results(place, path, model)


def frontier(workspace: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of the query safety-frontier by target."""
    query = library.load(resource_folder("sql"))["safety-frontier"]
    version = sd.open(workspace).version()
    return {row["target"]: row for row in version.select(query.sql, query.values([])).iter_rows(named=True)}


@pytest.mark.slow
def test_the_frontier_compares_tasks_that_all_targets_have_and_warns(made: Path, tmp_path: Path) -> None:
    workspace = Path(shutil.copytree(made, tmp_path / "ws"))
    place = open_workspace(workspace)
    counts = {"T0": 90, "T1": 85, "T2": 40}
    for target, right in counts.items():
        value = right / 100
        row = {"acc,none": value, "acc_stderr,none": (value * (1 - value) / 99) ** 0.5}
        results = {"facts": row} | ({"extra": row} if target == "T1" else {})
        higher = {task: {"acc": True} for task in results}
        samples = {task: {"original": 100, "effective": 100} for task in results}
        path = edited(
            tmp_path, results=results, higher_is_better=higher, **{"n-samples": samples, "model_name": target}
        )
        add_results(place, path, target)
    rows = frontier(workspace)
    for target, right in counts.items():
        low, high = wilson(right, 100)
        row = rows[target]
        assert (row["utility"], row["utility_low"], row["utility_high"]) == pytest.approx((right / 100, low, high))
        assert row["utility_tasks"] == "facts, 0 shots" or row["utility_tasks"] == "facts"
        assert row["attack_success"] is not None and row["over_refusal"] is not None
    assert [rows[target]["warning"] for target in counts] == [
        None,
        None,  # 0.85 is inside the interval of 0.9
        "utility fell by 0.500 since T0; utility fell by 0.450 since T1",
    ]
    shown = called("show", "--workspace", workspace)
    assert "warning: T2: utility fell by 0.500 since T0" in shown.stdout


@pytest.mark.slow
def test_a_number_of_samples_that_the_harness_does_not_give_is_unknown_and_not_zero(made: Path, tmp_path: Path) -> None:
    workspace = Path(shutil.copytree(made, tmp_path / "ws"))
    for target, value in (("T0", 0.9), ("T1", 0.2)):
        results = {"facts": {"acc,none": value, "acc_stderr,none": 0.0}}
        path = edited(tmp_path, results=results, higher_is_better={"facts": {"acc": True}}, model_name=target)
        content = {key: each for key, each in json.loads(path.read_bytes()).items() if key != "n-samples"}
        path.write_text(json.dumps(content))
        shown = called("metrics", "add", path, "--model", target, "--workspace", workspace, "--json")
        (row,) = json.loads(shown.stdout)["rows"]
        assert (row["value"], row["n"], row["low"], row["high"]) == (value, None, None, None)
    rows = frontier(workspace)
    assert [(rows[target]["utility_low"], rows[target]["warning"]) for target in ("T0", "T1")] == [(None, None)] * 2
    listed = json.loads(called("sql", "utility", "--workspace", workspace, "--format", "json").stdout)
    assert {row["n"] for row in listed if row["task"] == "facts"} == {None}


def stored(folder: Path, name: str, rows: list[tuple[str, float, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return the rows of the query ``name`` over metrics with these names, values (plus and minus 0.1) and facets."""
    columns = [
        (metric, "v1", value, value - 0.1, value + 0.1, 100, json.dumps(facets)) for metric, value, facets in rows
    ]
    metrics = pl.DataFrame(columns, ["name", "version", "value", "low", "high", "n", "facets"], orient="row")
    query = library.load(resource_folder("sql"))[name]
    return sql.run_trusted(store(folder, metrics=metrics), query.sql, query.values([])).to_dicts()


def test_several_tasks_are_averaged_and_their_interval_is_narrower(tmp_path: Path) -> None:
    figures = {"a": 0.6, "b": 0.8}
    rows = [("utility", value, {"target": "T0", "task": task, "primary": True}) for task, value in figures.items()]
    (row,) = stored(tmp_path, "safety-frontier", rows)
    assert row["utility"] == pytest.approx(0.7)
    assert row["utility_high"] - row["utility"] == pytest.approx(0.1 / 2**0.5)
    assert row["utility_tasks"] == "a; b"


@pytest.mark.parametrize(
    "other", quick(2, [{"metric": "f1"}, {"tool": "own"}, {"task_version": "2"}, {"filter": "strict"}, {"task": "b"}])
)
def test_figures_that_were_measured_in_another_way_are_not_compared(other: dict[str, str], tmp_path: Path) -> None:
    own = {"task": "a", "metric": "acc", "filter": "none", "tool": "lm-eval", "task_version": "1", "primary": True}
    rows = [
        ("utility", 0.9, {"target": "T0"} | own),
        ("utility", 0.4, {"target": "T1"} | own | other),
        *(("retention", 0.7, {"target": target, "set": "general"}) for target in ("T0", "T1")),
    ]
    found = stored(tmp_path / "one", "safety-frontier", rows)
    assert [(each["utility"], each["utility_tasks"], each["warning"]) for each in found] == [
        (0.7, "general questions", None),
        (0.7, "general questions", None),
    ]
    assert [each["change"] for each in stored(tmp_path / "two", "utility", rows)] == [0, 0]


def test_targets_of_a_log_have_no_order_so_none_fell_since_another(tmp_path: Path) -> None:
    own = {"task": "a", "metric": "acc", "primary": True}
    rows = [
        ("utility", value, {"target": target} | own)
        for target, value in (("T0", 0.9), ("T1", 0.4), ("zeta", 0.95), ("beta-9b", 0.2))
    ]
    found = stored(tmp_path / "one", "safety-frontier", rows)
    assert {each["target"]: each["warning"] for each in found} == {
        "T0": None,
        "T1": "utility fell by 0.500 since T0",
        "zeta": None,
        "beta-9b": None,
    }
    assert {each["target"]: each["change"] for each in stored(tmp_path / "two", "utility", rows)} == {
        "T0": 0,
        "T1": pytest.approx(-0.5),
        "zeta": None,
        "beta-9b": None,
    }
