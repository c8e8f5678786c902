"""The record of taken-down texts: a damaged one is refused, because it would let those texts in again."""

import json
from pathlib import Path

import pytest

from seas_data.errors import SeasDataError
from seas_data.store.takedown import record_texts


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"salt": "0"}',
        '{"salt": "0", "digests": 1}',
        '{"salt": "0", "digests": ["no digest"]}',
        '{"salt": "\\ud800", "digests": []}',
        f'{{"salt": "0", "digests": {"[" * 100_000}{"]" * 100_000}}}',
    ],
    ids=["empty", "list", "no digests", "number", "no digest", "half a surrogate pair", "nested too deep"],
)
def test_a_damaged_record_of_taken_down_texts_is_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "forgotten.json").write_text(content)
    with pytest.raises(SeasDataError, match=r"forgotten.json is damaged; restore it from a copy"):
        record_texts(tmp_path, ["a text"])
    assert (tmp_path / "forgotten.json").read_text() == content


def test_recording_keeps_the_texts_recorded_before(tmp_path: Path) -> None:
    record_texts(tmp_path, ["a text"])
    before = json.loads((tmp_path / "forgotten.json").read_text())["digests"]
    record_texts(tmp_path, ["another text"])
    assert set(before) < set(json.loads((tmp_path / "forgotten.json").read_text())["digests"])
