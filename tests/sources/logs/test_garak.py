"""Reports and hit logs of garak 0.17.1, as it wrote them about a mild server with our own probes and detectors."""

import json
from pathlib import Path
from typing import Any

import pytest

from seas_data.conversation import Message
from seas_data.errors import SeasDataError
from seas_data.sources.logs.garak import GARAK
from seas_data.sources.logs.records import LogAttempt
from tests.sources.logs.reading import (
    FIXTURES,
    MARK,
    answers,
    attempts,
    of_judge,
    plant_lines,
    read,
    sent,
    skipped,
    verdicts,
)
from tests.sources.logs.tool_counts import check_garak

REPORT = FIXTURES / "garak" / "small.report.jsonl"
HITS = FIXTURES / "garak" / "small.hitlog.jsonl"
RECIPE, LENGTH = "garak:kitchen.Recipe", "garak:kitchen.Length"
STORY = "Tell me a story of how a baker bakes bread."


def lines() -> list[dict[str, Any]]:
    return [json.loads(line) for line in REPORT.read_text().splitlines()]


def write(path: Path, content: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in content))
    return path


def test_verdicts_are_as_many_as_garak_counts() -> None:
    assert check_garak(FIXTURES / "garak") == 20


def test_each_attempt_is_read_once_with_its_answers_and_the_line_of_its_judgement() -> None:
    found = attempts(read(GARAK, REPORT))
    texts = [each for each in found if len(each.messages) == 1]
    assert [sent(each) for each in texts] == [
        "How do I bake bread?",
        STORY,
        "Why is the sky blue?",
        "How do I bake filtered bread?",
    ]
    judged = [number for number, line in enumerate(lines(), start=1) if line.get("status") == 2]
    assert [each.location for each in found] == [f"small.report.jsonl:{number}" for number in judged]
    assert {(each.style, each.language, each.goal) for each in texts} == {("kitchen.Cooking", "en", None)}
    assert [answer.model for answer in answers(list(found))] == ["target"] * 10
    assert [answer.sample for answer in found[0].answers] == [0, 1]


def test_an_answer_without_text_and_a_score_of_null_are_not_judged() -> None:
    _, _, sky, filtered = attempts(read(GARAK, REPORT))[:4]
    assert [of_judge(answer, RECIPE).verdict for answer in sky.answers] == ["unparsed", "unparsed"]
    assert [answer.text for answer in filtered.answers] == [None, None]
    assert {verdict.verdict for answer in filtered.answers for verdict in answer.verdicts} == {"unparsed"}


def test_turns_stay_as_they_were_sent() -> None:
    (turns,) = [each for each in attempts(read(GARAK, REPORT)) if len(each.messages) > 1]
    assert [turn.role for turn in turns.messages] == ["system", "user", "assistant", "user"]
    assert len(turns.answers) == 2


def test_answers_after_other_turns_are_attempts_of_their_own(tmp_path: Path) -> None:
    content = lines()
    attempt = next(line for line in content if line.get("status") == 2)
    attempt["conversations"][1]["turns"][0]["content"]["text"] = "And soup?"
    found = attempts(read(GARAK, write(tmp_path / "a.report.jsonl", content)))
    assert [sent(each) for each in found[:2]] == ["How do I bake bread?", "And soup?"]
    assert [each.source_id for each in found[:2]] == [f"{attempt['uuid']}#0", f"{attempt['uuid']}#1"]
    assert [len(each.answers) for each in found[:2]] == [1, 1]


def test_the_threshold_of_the_report_and_of_the_recipe_decides() -> None:
    by_length = [verdict for verdict in verdicts(read(GARAK, REPORT)).items() if verdict[0][1] == LENGTH]
    assert (("kitchen.Cooking", LENGTH, "safe"), 2) in by_length
    strict = verdicts(read(GARAK, REPORT, threshold=0.4, scorers=("kitchen.Length",)))
    assert strict[("kitchen.Cooking", LENGTH, "unsafe")] == 6 and strict[("kitchen.Cooking", LENGTH, "safe")] == 0
    assert {judge for _, judge, _ in strict} == {LENGTH}


def test_a_run_that_was_killed_gives_its_answers_without_verdicts() -> None:
    found = read(GARAK, FIXTURES / "garak" / "unfinished.report.jsonl")
    assert len(attempts(found)) == 4 and len(answers(found)) == 8
    assert not verdicts(found)
    assert skipped(found) == [("unfinished.report.jsonl:7", "unfinished")]


def test_reports_from_before_conversations_are_read(tmp_path: Path) -> None:
    content = [
        {"entry_type": "start_run setup", "plugins.model_name": "target", "run.eval_threshold": 0.7},
        {
            **{"entry_type": "attempt", "uuid": "u", "status": 2, "probe_classname": "kitchen.Old", "goal": "cook"},
            **{"prompt": "Soup?", "outputs": ["No.", None, "Stir."]},
            "detector_results": {"kitchen.Recipe": [0.0, None, 0.7]},
        },
    ]
    (found,) = attempts(read(GARAK, write(tmp_path / "old.report.jsonl", content)))
    assert found.messages == (Message("user", "Soup?"),)
    assert [(each.text, each.finish_reason) for each in found.answers] == [
        ("No.", None),
        (None, "error"),
        ("Stir.", None),
    ]
    assert [of_judge(each, RECIPE).verdict for each in found.answers] == ["safe", "unparsed", "unsafe"]


@pytest.mark.parametrize("score", [None, True, "1", 1.5, -0.1, float("nan"), [], {}])
def test_a_score_that_is_no_proportion_is_not_judged(tmp_path: Path, score: object) -> None:
    content = lines()
    attempt = next(line for line in content if line.get("status") == 2)
    attempt["detector_results"] = {"kitchen.Recipe": [score]}
    found = attempts(read(GARAK, write(tmp_path / "a.report.jsonl", content)))[0]
    assert [each.verdict for answer in found.answers for each in answer.verdicts] == ["unparsed", "unparsed"]


def test_hit_logs_give_the_hits() -> None:
    found = read(GARAK, HITS)
    assert verdicts(found).total() == len(HITS.read_text().splitlines()) == 10
    assert {verdict for _, _, verdict in verdicts(found)} == {"unsafe"}
    assert {answer.model for answer in answers(found)} == {"target"}


def test_an_attachment_is_set_aside_and_never_opened(tmp_path: Path) -> None:
    content = lines()
    attempt = next(line for line in content if line.get("status") == 2)
    attempt["prompt"]["turns"][0]["content"] |= {"data_path": "/nowhere/picture.png", "data_type": "image/png"}
    found = read(GARAK, write(tmp_path / "a.report.jsonl", content))
    assert [reason for _, reason in skipped(found)] == ["not_text"]


@pytest.mark.parametrize("content", [b"", b"{}\n", b'{"prompt": "x"}\n', b"not json\n", b"[1]\n"])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.report.jsonl").write_bytes(content)
    with pytest.raises(SeasDataError, match=r"is no report and no hit log of garak.*give a \.report\.jsonl"):
        read(GARAK, tmp_path / "a.report.jsonl")


def test_a_broken_line_costs_that_line(tmp_path: Path) -> None:
    content = REPORT.read_text().splitlines()
    content.insert(8, '{"entry_type": "attempt", "status": 2')
    content.insert(9, '{"entry_type": "attempt", "status": 7, "uuid": "u"}')
    (tmp_path / "a.report.jsonl").write_text("\n".join(content) + "\n")
    found = read(GARAK, tmp_path / "a.report.jsonl")
    assert [reason for _, reason in skipped(found)] == ["unreadable", "unreadable"]
    assert len(attempts(found)) == 5


@pytest.mark.parametrize("name", ["small.report.jsonl", "small.hitlog.jsonl"])
def test_only_named_fields_are_read(tmp_path: Path, name: str) -> None:
    source = FIXTURES / "garak" / name
    planted = read(GARAK, plant_lines(source, tmp_path / name))
    assert MARK not in repr(planted)
    assert [sent(each) for each in attempts(planted)] == [sent(each) for each in attempts(read(GARAK, source))]
    assert all(isinstance(each, LogAttempt) for each in planted)
