"""Logs of inspect_ai 0.3.285, as it wrote them about a mild server with our own samples and scorer."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from seas_data.errors import SeasDataError
from seas_data.sources.logs.inspect_ai import INSPECT
from seas_data.sources.logs.zip_members import open_zip
from tests.sources.logs.reading import (
    FIXTURES,
    MARK,
    answers,
    attempts,
    of_judge,
    read,
    sent,
    skipped,
    verdicts,
    with_planted_keys,
)
from tests.sources.logs.tool_counts import INSPECT_OPTIONS as OPTIONS
from tests.sources.logs.tool_counts import check_inspect_ai

FOLDER = FIXTURES / "inspect_ai"
LOG = json.loads((FOLDER / "small.json").read_text())
JUDGE = "inspect:model_graded_qa"


def test_attempts_and_verdicts_are_as_many_as_inspect_counts() -> None:
    assert check_inspect_ai(FOLDER) == 4


def test_the_three_forms_of_one_log_give_the_same_records() -> None:
    def content(name: str) -> list[tuple[Any, ...]]:
        found = attempts(read(INSPECT, FOLDER / name, **OPTIONS))
        return sorted((each.source_id, each.messages, each.goal, each.answers) for each in found)

    assert content("small.eval") == content("small.json") == content("chunked.eval")


def test_the_prompt_is_what_was_sent_and_the_goal_what_the_dataset_asked() -> None:
    found = {each.source_id: each for each in attempts(read(INSPECT, FOLDER / "small.eval", **OPTIONS))}
    story = found["story_epoch_2"]
    assert sent(story) == "Please answer this. Tell me a story of how a baker bakes bread."
    assert story.goal == "Tell me a story of how a baker bakes bread."
    assert (story.style, story.risk) == (None, None)
    assert story.location == "small.eval:samples/story_epoch_2.json"
    assert [(each.sample, each.model) for each in story.answers] == [(1, "openai-api/stub/target")]
    assert of_judge(story.answers[0], JUDGE).raw == "The answer gives cooking instructions.\n\nGRADE: C"
    long = found["long_epoch_1"]
    assert "attachment://" not in sent(long) and sent(long).count("It should be very good.") == 6
    assert [turn.role for turn in found["turns_epoch_1"].messages] == ["system", "user", "assistant", "user"]


def test_metadata_is_read_where_the_recipe_names_its_keys() -> None:
    found = attempts(read(INSPECT, FOLDER / "small.eval", **OPTIONS, metadata={"risk": "category"}))
    assert {each.risk for each in found} == {"cooking", "weather", None}
    assert {each.style for each in found} == {None}


def test_filtered_failed_and_pictured_samples() -> None:
    found = read(INSPECT, FOLDER / "small.eval", **OPTIONS)
    by_id = {each.source_id: each.answers[0] for each in attempts(found)}
    assert (by_id["filtered_epoch_1"].text, by_id["filtered_epoch_1"].finish_reason) == (None, "filter")
    assert (by_id["broken_epoch_1"].text, by_id["broken_epoch_1"].finish_reason) == (None, "error")
    assert skipped(found) == [(f"small.eval:samples/image_epoch_{each}.json", "not_text") for each in (1, 2)]


def test_values_mean_nothing_until_the_recipe_says_so() -> None:
    assert {verdict for _, _, verdict in verdicts(read(INSPECT, FOLDER / "small.eval"))} == {"unparsed"}
    both = read(INSPECT, FOLDER / "small.eval", unsafe_values={"model_graded_qa": ("C",), "match": ("X",)})
    assert {(judge, verdict) for _, judge, verdict in verdicts(both)} == {
        (JUDGE, "safe"),
        (JUDGE, "unsafe"),
        ("inspect:match", "unparsed"),
    }


def test_a_log_without_a_header_is_read_from_its_journal() -> None:
    found = read(INSPECT, FOLDER / "unfinished.eval", **OPTIONS)
    assert len(found) == 5 and {each.model for each in answers(found)} == {"openai-api/stub/target"}


def planted(folder: Path, name: str) -> Path:
    if name.endswith(".json"):
        (folder / name).write_text(json.dumps(with_planted_keys(LOG)))
        return folder / name
    with open_zip(FOLDER / name) as source, zipfile.ZipFile(folder / name, "w") as target:
        for member in source.names():
            target.writestr(member, json.dumps(with_planted_keys(json.loads(source.read(member)))))
    return folder / name


@pytest.mark.parametrize("name", ["small.json", "small.eval"])
def test_only_named_fields_are_read(tmp_path: Path, name: str) -> None:
    found = read(INSPECT, planted(tmp_path, name), **OPTIONS)
    assert MARK not in repr(found)
    assert [sent(each) for each in attempts(found)] == [sent(each) for each in attempts(read(INSPECT, FOLDER / name))]


def test_a_sample_that_is_damaged_costs_that_sample(tmp_path: Path) -> None:
    content = bytearray((FOLDER / "small.eval").read_bytes())
    with zipfile.ZipFile(FOLDER / "small.eval") as archive:
        info = archive.getinfo("samples/sky_epoch_1.json")
    at = info.header_offset + 30 + len(info.filename) + info.compress_size // 2
    content[at] ^= 0xFF
    (tmp_path / "a.eval").write_bytes(content)
    found = read(INSPECT, tmp_path / "a.eval", **OPTIONS)
    assert ("a.eval:samples/sky_epoch_1.json", "unreadable") in skipped(found) and len(found) == 16


def test_a_member_that_unpacks_to_far_more_than_its_size_costs_that_sample(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.eval", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("header.json", json.dumps({"eval": LOG["eval"]}))
        archive.writestr("samples/x_epoch_1.json", b" " * (20 << 20))
    assert skipped(read(INSPECT, tmp_path / "a.eval")) == [("a.eval:samples/x_epoch_1.json", "unreadable")]


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"PK\x03\x04", b"nothing", b'{"samples": [{"id": 1'])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.eval").write_bytes(content)
    with pytest.raises(SeasDataError, match=r"a\.eval"):
        read(INSPECT, tmp_path / "a.eval")
