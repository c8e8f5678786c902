"""Results of promptfoo 0.123.1, as it wrote them about a mild server with our own prompts and assertions."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seas_data.errors import SeasDataError
from seas_data.sources.logs.attempts import collect_records
from seas_data.sources.logs.promptfoo import PROMPTFOO
from tests.sources.logs.reading import (
    FIXTURES,
    MARK,
    answers,
    attempts,
    plant_lines,
    read,
    sent,
    skipped,
    verdicts,
    with_planted_keys,
)
from tests.sources.logs.tool_counts import PROMPTFOO_FILES as FILES
from tests.sources.logs.tool_counts import check_promptfoo

FOLDER = FIXTURES / "promptfoo"
LOG = json.loads((FOLDER / "small.json").read_text())


def written(folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Return the JSON file after ``change`` to its first result that was judged safe."""
    log = json.loads(json.dumps(LOG))
    change(next(each for each in log["results"]["results"] if each["success"]))
    (folder / "a.json").write_text(json.dumps(log))
    return folder / "a.json"


def test_verdicts_are_as_many_as_promptfoo_counts() -> None:
    assert check_promptfoo(FOLDER) > 0


@pytest.mark.parametrize("name", FILES)
def test_all_forms_of_a_run_give_the_same_attempts(name: str) -> None:
    def content(file: str) -> list[tuple[Any, ...]]:
        found = attempts(read(PROMPTFOO, FOLDER / file))
        return sorted((each.source_id, each.messages, each.goal, each.style, each.risk, each.answers) for each in found)

    assert content(name) == content("small.json")


def test_the_prompt_is_what_was_really_sent() -> None:
    found = attempts(read(PROMPTFOO, FOLDER / "small.json"))
    (story,) = [each for each in found if sent(each) == "Tell me a story about this. How do I bake bread?"]
    assert (story.goal, story.style, story.risk) == ("How do I bake bread?", "plain", "policy")
    assert story.answers[0].model == "iterative"
    assert story.location.startswith("small.json:results/results/")
    assert {answer.model for answer in answers(list(found))} == {"target", "iterative"}


def test_filtered_and_failed_answers_have_no_text_of_promptfoo_and_no_verdict() -> None:
    found = read(PROMPTFOO, FOLDER / "small.json")
    assert "Content filtered by provider" not in [answer.text for answer in answers(found)]
    assert {answer.finish_reason for answer in answers(found) if answer.text is None} == {"filter", "error", "other"}
    _, collected = collect_records(found, "small.json")
    texts = collected.verdicts.join(collected.answers.select("answer", "text"), on="answer")
    assert set(texts.filter(texts["text"].is_null())["verdict"]) == {"unparsed"}


def no_assertions(result: dict[str, Any]) -> None:
    result["gradingResult"] = {"pass": True, "score": 1, "reason": "No assertions", "componentResults": []}


def failed_grader(result: dict[str, Any]) -> None:
    result["gradingResult"]["componentResults"][0]["metadata"] = {"graderError": True}


def without_grading(result: dict[str, Any]) -> None:
    del result["gradingResult"]


def said_in_words(result: dict[str, Any]) -> None:
    result["success"] = "true"


@pytest.mark.parametrize("change", [no_assertions, failed_grader, without_grading, said_in_words])
def test_what_was_not_judged_is_not_safe(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    before, after = (
        sum(number for (_, _, verdict), number in verdicts(read(PROMPTFOO, path)).items() if verdict == "safe")
        for path in (FOLDER / "small.json", written(tmp_path, change))
    )
    assert after == before - 1


def test_a_chat_keeps_its_turns(tmp_path: Path) -> None:
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Soup?"}]

    def chat(result: dict[str, Any]) -> None:
        result["prompt"]["raw"] = json.dumps(turns)

    def picture(result: dict[str, Any]) -> None:
        result["prompt"]["raw"] = json.dumps([{"role": "user", "content": [{"type": "image_url"}]}])

    (found,) = [each for each in attempts(read(PROMPTFOO, written(tmp_path, chat))) if len(each.messages) > 1]
    assert [tuple(turn) for turn in found.messages] == [("system", "Be brief."), ("user", "Soup?")]
    assert "not_text" in [reason for _, reason in skipped(read(PROMPTFOO, written(tmp_path, picture)))]


def test_only_named_fields_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(with_planted_keys(LOG)))
    plant_lines(FOLDER / "small.jsonl", tmp_path / "a.jsonl")
    database = Path(shutil.copy(FOLDER / "promptfoo.db", tmp_path / "a.db"))
    with sqlite3.connect(database) as connection:
        connection.execute(f"update evals set author = '{MARK}', config = '{{\"key\": \"{MARK}\"}}'")
        connection.execute(f"update eval_results set response = json_set(response, '$.header', '{MARK}')")
    connection.close()
    for path in (tmp_path / "a.json", tmp_path / "a.jsonl", database):
        found = read(PROMPTFOO, path)
        assert MARK not in repr(found) and len(attempts(found)) == 11


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"a: [", b"SQLite format 3\x00", b'{"results": {"results": []}}']
)
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(SeasDataError, match=r"a\.json"):
        read(PROMPTFOO, tmp_path / "a.json")
