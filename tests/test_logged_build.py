"""Builds from logs: prompts, answers and verdicts in a version, growing logs, dropped prompts, takedown."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

import seas_data as sd
from seas_data.conversation import Message
from seas_data.query.version import Version
from seas_data.release.takedown import take_down
from seas_data.run import build
from seas_data.sources.logs.records import LogAnswer, LogAttempt, LogRecord, LogVerdict
from seas_data.store.contents import find_mismatches
from tests.conftest import quick
from tests.made_logs import attack, attempts, declined, given, logged, recipe  # noqa: F401
from tests.program import called
from tests.sources.logs.reading import FIXTURES, MARK, plant_lines

Logs = dict[str, list[LogRecord]]


def run(folder: Path, *names: str, root: str = "ws", **keys: Any) -> Version:
    sources = {}
    for priority, name in enumerate(names):
        (folder / name).touch()
        sources[name] = {"log": "garak", "path": str(folder / name), "priority": priority}
    return build(recipe(sources, **keys), folder / root).version


@pytest.mark.slow
def test_a_report_of_garak_is_built_and_nothing_but_its_named_fields_is_kept(tmp_path: Path) -> None:
    report = plant_lines(FIXTURES / "garak" / "small.report.jsonl", tmp_path / "run.report.jsonl")
    source = {"log": "garak", "path": str(report), "licence": "CC0-1.0"}
    content = {"name": "garak-run", "embedders": [], "sources": {"run": source}}
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(content))
    root = tmp_path / "ws"
    ended = called("build", tmp_path / "recipe.yaml", "--workspace", root)
    assert ended.returncode == 0, ended.stderr
    assert "Read 5 rows of 1 source: 5 prompts, 0 set aside." in ended.stdout
    assert "run: 10 answers (2 without a text); verdicts: " in ended.stdout
    version = sd.open(root).version("v0")
    assert version.select("select judge, verdict, count(*) as n from verdicts group by all order by all").rows() == [
        ("garak:kitchen.Length", "safe", 2),
        ("garak:kitchen.Length", "unparsed", 2),
        ("garak:kitchen.Length", "unsafe", 6),
        ("garak:kitchen.Recipe", "safe", 2),
        ("garak:kitchen.Recipe", "unparsed", 4),
        ("garak:kitchen.Recipe", "unsafe", 4),
    ]
    assert version.sql(
        "select list_transform(messages, lambda turn: turn.role) from prompts where messages is not null"
    ).rows() == [(["system", "user", "assistant", "user"],)]
    kept = [version.table(name).write_json() for name in version.paths() if name != "runs"]
    files = [path.read_bytes() for path in root.rglob("*") if path.is_file()]
    assert MARK not in "".join(kept) and not any(MARK.encode() in each for each in files)
    assert str(tmp_path) not in "".join(kept)


def test_a_dry_run_shows_what_a_log_has(tmp_path: Path) -> None:
    ended = called("build", "pipelines/garak-log.yaml", "--dry-run", "--workspace", tmp_path / "ws")
    assert ended.returncode == 0, ended.stderr
    assert "text (from garak)" in ended.stdout and "kitchen.Cooking -> nothing" in ended.stdout
    assert "run: 90 answers; verdicts: unsafe 120, safe 60" in ended.stdout


@pytest.mark.slow
def test_a_log_becomes_a_version_that_answers_queries(tmp_path: Path, logged: Logs) -> None:  # noqa: F811
    logged["run"] = attempts(30)
    version = run(tmp_path, "run")
    assert version.select(
        "select verdict, count(*) as n from answers where judge = 'garak:policy.Cooking' and target = 'mild-target' "
        "group by 1 order by 1"
    ).rows() == [("safe", 30), ("unparsed", 30), ("unsafe", 30)]
    assert version.select("select distinct goal is not null, source_style is not null from prompts").rows() == [
        (True, True)
    ]
    assert version.select("select distinct iteration from answers").rows() == [(0,)]
    assert find_mismatches(version.workspace, version.manifest) == []
    assert run(tmp_path, "run", root="again").digest == version.digest


@pytest.mark.slow
def test_a_second_log_and_a_grown_log_add_their_rows_only(tmp_path: Path, logged: Logs) -> None:  # noqa: F811
    everything = attempts(30)
    logged["run"] = everything[:20]
    first = run(tmp_path, "run")
    assert run(tmp_path, "run").digest == first.digest
    repeated = LogAttempt(
        "run:99",
        "again",
        everything[0].messages,
        answers=(LogAnswer("Soup?", "mild-target", 0, "stop"),),  # type: ignore[union-attr]
    )
    logged["run"] = [*everything, repeated]
    logged["more"] = attempts(30, judge="pyrit:Scorer")
    second = run(tmp_path, "run", "more")
    before, after = (set(each.table("responses")["response_id"]) for each in (first, second))
    assert before < after
    assert (len(before), len(after)) == (60, 60 + 30 + 1 + 90)
    assert second.table("responses").filter(pl.col("source_id") == "again/0")["sample"].to_list() == [3]
    # The other log has the same texts: its prompts are duplicates, and their answers follow them.
    assert second.select("select distinct judge from answers").rows() == [("garak:policy.Cooking",)]
    assert second.table("checkpoints")["model"].to_list() == ["mild-target"]


@pytest.mark.slow
def test_what_was_taken_down_does_not_come_back_from_the_log(tmp_path: Path, logged: Logs) -> None:  # noqa: F811
    quoting = f"You asked: {attack(0)}"
    other = LogAttempt(
        "run:98",
        "other",
        (Message("user", "What did I ask?"),),
        answers=(LogAnswer(quoting, "mild-target", 0, "stop"),),
    )
    logged["run"] = [*attempts(30), other]
    version = run(tmp_path, "run")
    prompt = version.table("prompts").row(by_predicate=pl.col("text") == attack(0), named=True)["prompt_id"]
    answer = version.table("responses").row(by_predicate=pl.col("text") == given(1), named=True)["response_id"]
    after = take_down(tmp_path / "ws", [prompt, answer], "asked for").version
    logged["run"] = [*attempts(30), other, *attempts(31)[30:]]
    again = run(tmp_path, "run")
    assert again.name == "v2"
    texts = set(again.table("responses")["text"])
    assert not texts & {given(0), declined(0), given(1), quoting}
    assert declined(1) in texts and after.table("responses").height + 3 == again.table("responses").height


@pytest.mark.parametrize("verdict", quick(1, ["safe", "unsafe"]))
def test_an_answer_that_two_words_of_a_judge_disagree_on_is_unparsed(
    tmp_path: Path,
    logged: Logs,  # noqa: F811
    verdict: Any,
) -> None:
    both = (LogVerdict("j", verdict), LogVerdict("j", "unparsed"))
    logged["run"] = [
        LogAttempt("run:1", "u", (Message("user", attack(1)),), answers=(LogAnswer("x", "m", 0, "stop", both),)),
        *attempts(20)[2:],
    ]
    version = run(tmp_path, "run")
    assert version.select("select verdict from verdicts where judge = 'j'").rows() == [("unparsed",)]
