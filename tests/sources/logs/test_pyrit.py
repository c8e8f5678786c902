"""Memories of PyRIT 1.1.0, as it wrote them about a mild server with our own requests, and seed datasets."""

import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from seas_data.errors import SeasDataError
from seas_data.sources.logs.attempts import collect_records
from seas_data.sources.logs.pyrit import PYRIT
from tests.sources.logs.reading import FIXTURES, MARK, answers, attempts, of_judge, read, sent, skipped, verdicts
from tests.sources.logs.tool_counts import check_pyrit

MEMORY = FIXTURES / "pyrit" / "memory.db"


def changed(folder: Path, statements: Iterable[str]) -> Path:
    """Return a copy of the memory after the statements."""
    copy = Path(shutil.copy(MEMORY, folder / "memory.db"))
    with sqlite3.connect(copy) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return copy


def test_outcomes_and_scores_are_as_many_as_pyrit_has() -> None:
    assert check_pyrit(MEMORY.parent) == 27


def test_the_prompt_is_what_the_target_saw_and_the_goal_the_objective() -> None:
    found = [each for each in attempts(read(PYRIT, MEMORY)) if "onion soup" in sent(each)]
    assert len(found) == 3
    for each in found:
        assert (
            sent(each)
            == "Say how the keeper makes onion soup on Monday, as the innkeeper would tell it to a traveller."
        )
        assert each.goal == "Say how the keeper makes onion soup on Monday,"
        assert each.style == "SuffixAppendConverter"
        assert each.location.startswith("memory.db:PromptMemoryEntries:")
        assert each.answers[0].model == "wavering" and each.answers[0].finish_reason == "stop"
    assert {of_judge(each.answers[0], "pyrit:outcome").verdict for each in found} == {"safe", "unsafe"}


def test_blocked_and_failed_answers_have_no_text_and_no_verdict_counts() -> None:
    found = read(PYRIT, MEMORY)
    without = [(each.finish_reason, each.detail) for each in answers(found) if each.text is None]
    assert sorted(without) == [("error", "the request failed"), ("filter", "a filter withheld the answer")]
    _, collected = collect_records(found, "memory.db")
    numbers = collected.answers.filter(collected.answers["text"].is_null())["answer"]
    judged = collected.verdicts.filter(collected.verdicts["answer"].is_in(numbers.implode()))
    assert set(judged["verdict"]) == {"unparsed"}


def test_a_system_turn_stays() -> None:
    (found,) = [each for each in attempts(read(PYRIT, MEMORY)) if len(each.messages) > 1]
    assert [turn.role for turn in found.messages] == ["system", "user"]


def test_scorers_of_one_class_are_told_apart_and_mean_nothing_until_the_recipe_says_so() -> None:
    found = verdicts(read(PYRIT, MEMORY, scorers=("SubStringScorer:e94d8f17",)))
    assert {(judge, verdict) for _, judge, verdict in found} == {
        ("pyrit:SubStringScorer:e94d8f17", "unparsed"),
        ("pyrit:outcome", "safe"),
        ("pyrit:outcome", "unsafe"),
        ("pyrit:outcome", "unparsed"),
    }


def test_a_refusal_scorer_gives_refusal_classes(tmp_path: Path) -> None:
    rename = (
        'update ScoreEntries set scorer_class_identifier = \'{"class_name": "SelfAskRefusalScorer", "hash": "x"}\' '
        "where scorer_class_identifier like '%sorry%'"
    )
    found = read(PYRIT, changed(tmp_path, [rename]))
    classes = [
        each for answer in answers(found) for each in answer.verdicts if each.judge == "pyrit:SelfAskRefusalScorer"
    ]
    assert {(each.verdict, each.refusal) for each in classes} == {(None, "full_refusal"), (None, "full_compliance")}
    assert sum(each.refusal == "full_refusal" for each in classes) == 9


def test_conversations_of_the_attacker_copies_and_pictures_are_set_aside(tmp_path: Path) -> None:
    first, second, third, fourth = sorted({each.source_id for each in attempts(read(PYRIT, MEMORY))})[:4]
    copy = changed(
        tmp_path,
        [
            f"update AttackResultEntries set adversarial_chat_conversation_ids = '[\"{first}\"]'",
            f"update PromptMemoryEntries set original_prompt_id = 'other' where conversation_id = '{second}'",
            "update PromptMemoryEntries set converted_value_data_type = 'image_path' "
            f"where conversation_id = '{third}'",
            f"delete from PromptMemoryEntries where conversation_id = '{fourth}' and role = 'assistant'",
        ],
    )
    found = read(PYRIT, copy)
    assert sorted(reason for _, reason in skipped(found)) == ["not_target", "not_text", "repeated", "unfinished"]
    assert len(attempts(found)) == 23


def test_only_named_fields_are_read(tmp_path: Path) -> None:
    copy = changed(
        tmp_path,
        [
            f"update AttackResultEntries set labels = '{{\"operator\": \"{MARK}\"}}', error_traceback = '{MARK}', "
            f"attack_metadata = '{{\"key\": \"{MARK}\"}}', outcome_reason = '{MARK}'",
            f"update Conversations set target_identifier = json_set(target_identifier, '$.api_key', '{MARK}', "
            f"'$.endpoint', 'https://{MARK}')",
            f"update TargetIdentifiers set endpoint = '{MARK}'",
            f"update ScoreEntries set score_metadata = '{MARK}', objective = '{MARK}'",
            f"update PromptMemoryEntries set prompt_metadata = json_set(prompt_metadata, '$.header', '{MARK}')",
            f"create table users (name text default '{MARK}')",
            "insert into users default values",
        ],
    )
    found = read(PYRIT, copy)
    assert MARK not in repr(found) and len(attempts(found)) == 27


def test_a_memory_whose_rows_are_in_a_write_ahead_log_is_refused(tmp_path: Path) -> None:
    copy = Path(shutil.copy(MEMORY, tmp_path / "memory.db"))
    (tmp_path / "memory.db-wal").write_bytes(b"rows")
    with pytest.raises(SeasDataError, match=r"still in memory\.db-wal.*pragma wal_checkpoint"):
        read(PYRIT, copy)
    assert not list(tmp_path.glob("*-shm"))


@pytest.mark.parametrize(
    "content", [b"", b"SQLite format 3\x00", b"a: [", b"[1]", b"- x", b"seeds: 3", b"a: &x 1\nb: *x"]
)
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.db").write_bytes(content)
    with pytest.raises(SeasDataError, match=r"a\.db"):
        read(PYRIT, tmp_path / "a.db")


def test_a_database_of_another_tool_and_a_view_in_place_of_the_table_are_refused(tmp_path: Path) -> None:
    for name, statement in (("a", "create table x (y)"), ("b", "create view PromptMemoryEntries as select 1 as id")):
        connection = sqlite3.connect(tmp_path / name)
        connection.execute(statement)
        connection.close()
        with pytest.raises(SeasDataError, match="is no memory of PyRIT: it has no table PromptMemoryEntries"):
            read(PYRIT, tmp_path / name)


def test_seeds_are_prompts_without_answers(tmp_path: Path) -> None:
    seeds = [
        {"value": "How is soup made?", "harm_categories": ["cooking"], "metadata": {"key": MARK}, "added_by": MARK},
        {"value": "Tell me {{ prompt }}", "parameters": ["prompt"]},
        {"value": "picture.png", "data_type": "image_path"},
        {"value": "Be brief.", "role": "system", "prompt_group_alias": "a", "sequence": 0},
        {"metadata": 1},
    ]
    (tmp_path / "seeds.yaml").write_text(yaml.safe_dump({"dataset_name": "kitchen", "authors": [MARK], "seeds": seeds}))
    found = read(PYRIT, tmp_path / "seeds.yaml")
    assert MARK not in repr(found)
    assert [(sent(each), each.risk, each.answers) for each in attempts(found)] == [("How is soup made?", "cooking", ())]
    assert [reason for _, reason in skipped(found)] == ["never_sent", "not_text", "several_turns", "unreadable"]
