"""Answers and verdicts that a source brings: from columns, long and wide, and from the records of logs."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from seas_data import sources
from seas_data.conversation import Message
from seas_data.errors import SeasDataError
from seas_data.recipe import Source
from seas_data.sources.account import Account, account_lines, describe_source, require_readable
from seas_data.sources.logs.records import LogAnswer, LogAttempt, LogRecord, LogSkipped, LogVerdict
from tests.made_logs import logged, write_rows  # noqa: F401

VERDICTS = {"bad": "unsafe", 1: "unsafe", "OK": "safe", 0: "safe"}


def read(path: Path, **keys: Any) -> sources.SourceRows:
    columns = {"columns": {"text": "q"}} if "log" not in keys else {}
    return sources.read_source("run", Source.model_validate({"path": str(path), **columns, "language": "en"} | keys))


def judged(found: sources.SourceRows) -> list[tuple[Any, ...]]:
    """Return (prompt, answer, sample, judge, verdict, score) of each verdict and of each answer without one."""
    tables = found.answers
    rows = tables.responses.join(tables.verdicts, on="response_id", how="left").join(
        found.prompts.select("prompt_id", q="text"), on="prompt_id"
    )
    return (
        rows.sort("q", "sample", "judge", nulls_last=True)
        .select("q", "text", "sample", "judge", "verdict", "score")
        .rows()
    )


def test_long_rows_are_the_verdicts_of_several_judges_on_one_answer(tmp_path: Path) -> None:
    rows = [
        {"q": "a", "r": "x", "by": "one", "v": "BAD", "s": 0.75},
        {"q": "a", "r": "x", "by": "two", "v": "ok ", "s": 0.25},
        {"q": "a", "r": "x", "by": "one", "v": "who knows"},
        {"q": "a", "r": "y", "by": "one", "v": None},
        {"q": "b", "r": None, "by": None, "v": None},
    ]
    answers = {"response": "r", "judge": "by", "verdict": "v", "verdict_map": VERDICTS, "score": "s"}
    found = read(write_rows(tmp_path / "run.jsonl", rows), kind="adversarial", target="mild", answers=answers)
    assert judged(found) == [
        ("a", "x", 0, "one", "unsafe", 0.75),
        ("a", "x", 0, "two", "safe", 0.25),
        ("a", "x", 1, "one", "unparsed", None),
        ("a", "y", 2, "one", "unparsed", None),
    ]
    assert found.prompts["text"].to_list() == ["a", "b"]
    assert found.answers.responses["model"].unique().to_list() == ["mild"]
    assert found.answers.responses.sort("sample")["location"].to_list() == ["run.jsonl:1", "run.jsonl:3", "run.jsonl:4"]
    assert found.answers.unmapped == {"who knows": 1}


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_wide_columns_of_several_judges_are_read_from_every_plain_format(tmp_path: Path, kind: str) -> None:
    frame = pl.DataFrame(
        {"q": ["a", "a"], "r": ["x", "x"], "one": [1, 0], "two": [None, "bad"], "m": ["T0", "/srv/models/mild"]}
    )
    path = tmp_path / f"run.{kind}"
    {"jsonl": frame.write_ndjson, "csv": frame.write_csv, "parquet": frame.write_parquet}[kind](path)
    answers = {"response": "r", "model": "m", "verdict": {"one": "one", "other": "two"}, "verdict_map": VERDICTS}
    found = read(path, kind="adversarial", answers=answers)
    assert sorted(judged(found), key=str) == [
        ("a", "x", 0, "one", "safe", None),
        ("a", "x", 0, "one", "unsafe", None),
        ("a", "x", 0, "other", "unparsed", None),
        ("a", "x", 0, "other", "unsafe", None),
    ]
    # A target is never named like a checkpoint of the loop, or by a folder of the machine.
    assert sorted(found.answers.checkpoints["model"]) == ["mild", "run:T0"]


def test_several_columns_of_answers_and_refusal_classes(tmp_path: Path) -> None:
    rows = [{"q": "a", "r1": "x", "r2": "", "v1": "bad", "v2": "ok", "c": "full"}]
    wide = {"response": ["r1", "r2"], "verdict": ["v1", "v2"], "verdict_map": VERDICTS}
    path = write_rows(tmp_path / "run.jsonl", rows)
    found = read(path, kind="harmless", target="mild", answers=wide)
    assert judged(found) == [("a", "x", 0, "v1", "unsafe", None), ("a", "", 1, "v1", "safe", None)]
    only_class = {"response": "r1", "refusal": "c", "refusal_map": {"full": "full_refusal"}}
    found = read(path, kind="harmless", target="mild", answers=only_class)
    assert found.answers.verdicts.select("judge", "verdict", "refusal").rows() == [("c", None, "full_refusal")]


def test_nothing_that_was_not_judged_safe_is_safe(tmp_path: Path) -> None:
    values = [None, "", "Ok?", "safe", "unsafe", "false", "0.5", "okay", "bad ok"]
    rows = [{"q": f"q{at}", "r": "x", "v": value} for at, value in enumerate(values)] + [
        {"q": "z", "r": None, "v": "ok"}
    ]
    answers = {"response": "r", "verdict": "v", "verdict_map": VERDICTS}
    found = read(write_rows(tmp_path / "a.jsonl", rows), kind="adversarial", target="m", answers=answers)
    assert found.answers.verdicts["verdict"].unique().to_list() == ["unparsed"]
    assert found.answers.verdicts.height == len(rows)


def test_ids_of_answers_stay_when_a_file_grows(tmp_path: Path) -> None:
    rows = [{"q": "a", "r": str(number), "v": "ok"} for number in range(4)]
    answers = {"response": "r", "verdict": "v", "verdict_map": VERDICTS}
    path = tmp_path / "a.jsonl"
    sizes = []
    for size in (2, 4):
        found = read(write_rows(path, rows[:size]), kind="adversarial", target="m", answers=answers)
        sizes.append(dict(found.answers.responses.select("response_id", "sample").rows()))
    assert sizes[0].items() <= sizes[1].items()
    assert len(sizes[1]) == 4


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"kind": "adversarial", "answers": {"response": "r"}}, "give target, or answers.model"),
        ({"answers": {"response": "r", "verdict": "v"}}, "verdict needs verdict_map"),
        ({"answers": {"response": ["r", "s"], "verdict": "v", "verdict_map": {"x": "safe"}}}, "as many columns"),
        ({"kind": "adversarial", "target": "m"}, "target needs log or answers"),
        ({"log": "nolog"}, "there is no log format 'nolog'"),
    ],
)
def test_what_is_wrong_with_the_keys_is_said(tmp_path: Path, keys: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Source.model_validate({"path": str(tmp_path), **keys})


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "a.jsonl", [{"q": "a", "r": "x"}])
    answers = {"response": "r", "verdict": "vv", "verdict_map": VERDICTS}
    with pytest.raises(
        SeasDataError, match=r"source run: there is no column vv \(sources\.run\.answers\); there are 'q', 'r'"
    ):
        read(path, kind="adversarial", target="m", answers=answers)


def test_records_of_a_log_become_prompts_answers_verdicts_and_set_aside_rows(
    tmp_path: Path,
    logged: dict[str, list[LogRecord]],  # noqa: F811
) -> None:
    turn = (Message("user", "Make soup as a poem."),)
    twice = (LogVerdict("j", "safe"), LogVerdict("j", "unsafe"), LogVerdict("k", "safe", 0.1, ("cooking",), None, "no"))
    logged["a.jsonl"] = [
        LogAttempt(
            "a.jsonl:1", "u1", turn, "Make soup.", "poem", "cooking", None, (LogAnswer("x", "T1", 0, "stop", twice),)
        ),
        LogAttempt("a.jsonl:2", "u2", turn, None, None, "other", None, (LogAnswer(None, "T1", 0, "filter"),)),
        LogAttempt("a.jsonl:3", "u3", (Message("user", "half \ud800"),)),
        LogSkipped("a.jsonl:4", "never_sent", "the converter failed"),
        LogAttempt(
            "a.jsonl:5", "u5", (Message("user", "Bread?"),), answers=(LogAnswer("\udc00", "T1", 0, "stop", twice[:1]),)
        ),
    ]
    (tmp_path / "a.jsonl").touch()
    found = read(
        tmp_path / "a.jsonl",
        log="garak",
        kind_map={"cook*": "adversarial", "*": "harmless"},
        max_unreadable_proportion=1,
    )
    assert found.prompts.select("text", "goal", "source_style", "source_risk", "source_id", "kind").rows() == [
        ("Make soup as a poem.", "Make soup.", "poem", "cooking", "u1", "adversarial"),
    ]
    assert found.set_aside.select("location", "reason").rows() == [
        ("a.jsonl:3", "undecodable"),
        ("a.jsonl:4", "never_sent"),
        ("a.jsonl:5", "unknown_kind"),
    ]
    responses = found.answers.responses.sort("sample")
    assert responses.select("text", "model", "sample", "finish_reason", "location", "source_id").rows() == [
        ("x", "run:T1", 0, "stop", "a.jsonl:1", "u1/0"),
        (None, "run:T1", 1, "filter", "a.jsonl:2", "u2/0"),
    ]
    assert found.answers.verdicts.select("judge", "verdict").rows() == [("j", "unparsed"), ("k", "safe")]

    found = read(tmp_path / "a.jsonl", log="garak", max_unreadable_proportion=1)
    broken = found.answers.responses.filter(pl.col("finish_reason") == "error")
    assert broken["text"].to_list() == [None]
    assert found.answers.verdicts.join(broken, on="response_id", how="semi")["verdict"].to_list() == ["unparsed"]
    account = describe_source(Source(path="a.jsonl", log="garak"), found)
    assert account_lines(Account({"run": account}))[:3] == [
        "Read 5 rows of 1 source: 2 prompts, 1 more row to the same prompts, 2 set aside.",
        "  run: set aside never_sent 1, undecodable 1 of 5 rows",
        "  run: 3 answers (2 without a text); verdicts: unparsed 2, safe 1",
    ]


def test_too_many_unreadable_records_stop_the_build(
    tmp_path: Path,
    logged: dict[str, list[LogRecord]],  # noqa: F811
) -> None:
    good = [LogAttempt(f"a:{at}", f"u{at}", (Message("user", f"text {at}"),)) for at in range(5)]
    logged["a"] = [
        *good,
        LogSkipped("a:6", "unreadable"),
        LogSkipped("a:7", "unreadable"),
        LogSkipped("a:8", "never_sent"),
    ]
    (tmp_path / "a").touch()
    source = Source(path=str(tmp_path / "a"), log="garak")
    with pytest.raises(SeasDataError, match=r"2 of 8 rows of .* could not be read"):
        require_readable("run", source, sources.read_source("run", source))


def test_an_option_that_the_reader_does_not_use_is_refused(
    tmp_path: Path,
    logged: dict[str, list[LogRecord]],  # noqa: F811
) -> None:
    logged["a"] = []
    (tmp_path / "a").touch()
    with pytest.raises(SeasDataError, match="log_options has threshold, which the reader of garak logs does not use"):
        read(tmp_path / "a", log="garak", log_options={"threshold": 0.5})
