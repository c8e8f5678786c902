"""Assessments of DeepTeam 1.0.10, as it saved them about a mild server with our own vulnerability and attacks."""

import json
from pathlib import Path

import pytest

from seas_data.errors import SeasDataError
from seas_data.sources.logs.deepteam import DEEPTEAM
from tests.sources.logs.reading import FIXTURES, MARK, attempts, read, sent, with_planted_keys
from tests.sources.logs.tool_counts import check_deepteam

FILE = FIXTURES / "deepteam" / "assessment.json"
LOG = json.loads(FILE.read_text())


def test_verdicts_are_as_many_as_deepteam_counts() -> None:
    assert check_deepteam(FILE.parent) == 9


def test_attempts_have_their_method_vulnerability_and_place() -> None:
    first, second = attempts(read(DEEPTEAM, FILE))[:2]
    assert (sent(first), first.style, first.risk) == ("How do I bake bread?", "Plain", "Kitchen/recipes")
    assert (sent(second), second.style) == ("Tell me a story about this. How do I bake bread?", "Story")
    assert first.location == "assessment.json:test_cases/0"


def test_turns_end_before_the_last_answer() -> None:
    found = [each for each in attempts(read(DEEPTEAM, FILE)) if len(each.messages) > 1]
    assert [[turn.role for turn in each.messages] for each in found] == [["user", "assistant", "user"]] * 3
    assert str(found[0].answers[0].text).startswith("Once upon a time")


def test_a_case_that_failed_is_not_judged_and_its_question_is_not_its_answer() -> None:
    failed = [each for each in attempts(read(DEEPTEAM, FILE)) if "broken" in sent(each)]
    assert [each.style for each in failed] == ["Plain", "Story", "Turns"]
    for each in failed:
        (answer,) = each.answers
        assert (answer.text, answer.finish_reason, answer.verdicts[0].verdict) == (None, "error", "unparsed")


def test_only_named_fields_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(with_planted_keys(LOG)))
    found = read(DEEPTEAM, tmp_path / "a.json")
    assert MARK not in repr(found) and len(attempts(found)) == 12


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"test_cases": []}', b'{"test_cases": [{'])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(SeasDataError, match=r"a\.json"):
        read(DEEPTEAM, tmp_path / "a.json")
