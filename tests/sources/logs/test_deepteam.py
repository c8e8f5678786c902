"""Assessments of DeepTeam 1.0.10, as it saved them about a mild server with our own test cases."""

import json
from collections import Counter
from pathlib import Path

import pytest

from seas_data.errors import SeasDataError
from seas_data.sources.logs.deepteam import DEEPTEAM
from tests.sources.logs.reading import FIXTURES, MARK, attempts, read, sent, verdicts, with_planted_keys

FILE = FIXTURES / "deepteam" / "assessment.json"
LOG = json.loads(FILE.read_text())


def test_verdicts_are_as_many_as_deepteam_counts() -> None:
    found = read(DEEPTEAM, FILE)
    expected: Counter[tuple[str | None, str, str]] = Counter()
    for result in LOG["overview"]["attack_method_results"]:
        expected[result["attack_method"], "deepteam", "safe"] = result["passing"]
        expected[result["attack_method"], "deepteam", "unsafe"] = result["failing"]
    judged = Counter({key: number for key, number in verdicts(found).items() if key[2] != "unparsed"})
    assert judged == +expected and judged.total() == 6
    assert len(found) == len(LOG["test_cases"]) == 7


def test_attempts_have_their_method_vulnerability_and_place() -> None:
    first = attempts(read(DEEPTEAM, FILE))[0]
    assert (sent(first), first.style, first.risk) == ("How do I bake bread?", "Plain", "Kitchen/recipes")
    assert first.location == "assessment.json:test_cases/0"


def test_turns_end_before_the_last_answer() -> None:
    (found,) = [each for each in attempts(read(DEEPTEAM, FILE)) if len(each.messages) > 1]
    assert [turn.role for turn in found.messages] == ["user", "assistant", "user"]
    assert str(found.answers[0].text).startswith("Once upon a time")


def test_a_case_that_failed_is_not_judged() -> None:
    failed = attempts(read(DEEPTEAM, FILE))[-1]
    assert (failed.answers[0].finish_reason, failed.answers[0].verdicts[0].verdict) == ("error", "unparsed")


def test_only_named_fields_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(with_planted_keys(LOG)))
    found = read(DEEPTEAM, tmp_path / "a.json")
    assert MARK not in repr(found) and len(attempts(found)) == 7


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"test_cases": []}', b'{"test_cases": [{'])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(SeasDataError, match=r"a\.json"):
        read(DEEPTEAM, tmp_path / "a.json")
