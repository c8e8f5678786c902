"""The metadata of a card on the Hub: what people wrote there keeps its text, and their configs stay."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data import yaml_text
from seas_data.errors import SeasDataError
from seas_data.release.card import metadata
from tests.conftest import examples

OURS: dict[str, Any] = {
    "license": "mit",
    "tags": ["safety"],
    "configs": [
        {"config_name": "prompts", "data_files": [{"split": "train", "path": "data/prompts/*"}], "default": True},
        {"config_name": "pairs", "data_files": [{"split": "train", "path": "data/pairs/*"}]},
    ],
}
CARD = """---
# Maintained by the gardeners.
license: cc-by-4.0  # agreed in May

tags:
- roses   # ours
version: 1.10
# The configs.
configs:
  # written by the tool
  - config_name: prompts
    data_files: old/*
  # a table of our own
  - config_name: 1.10
    data_files: ours.csv   # by hand
  - {config_name: more, data_files: 'b.csv'}
thumbnail: "t.png"   # 8:3
# end
---

# Roses
"""
UPDATED = """# Maintained by the gardeners.
license: mit  # agreed in May

tags:
- roses   # ours
- safety
version: 1.10
# The configs.
configs:
  # written by the tool
  - config_name: prompts
    data_files:
    - split: train
      path: data/prompts/*
    default: true
  # a table of our own
  - config_name: 1.10
    data_files: ours.csv   # by hand
  - {config_name: more, data_files: 'b.csv'}
  - config_name: pairs
    data_files:
    - split: train
      path: data/pairs/*
thumbnail: "t.png"   # 8:3
# end
"""


def test_text_that_does_not_change_is_kept_to_the_letter() -> None:
    assert metadata.update(CARD, OURS) == UPDATED
    assert metadata.update(f"---\n{UPDATED}---\n", OURS) == UPDATED


def test_an_entry_of_an_earlier_release_goes_and_those_of_others_stay() -> None:
    card = "---\nconfigs:\n- config_name: decisions\n  data_files: a\n# ours\n- config_name: x\n  data_files: b\n---\n"
    current = {"configs": [OURS["configs"][0]]}
    names = [each["config_name"] for each in yaml_text.load(metadata.update(card, current))["configs"]]
    assert names == ["x", "prompts"]
    assert "# ours\n- config_name: x" in metadata.update(card, current)


def test_a_repository_has_one_default_config() -> None:
    card = "---\nconfigs:\n- config_name: x\n  data_files: b\n  default: true\n---\n"
    found = yaml_text.load(metadata.update(card, OURS))["configs"]
    assert [each["config_name"] for each in found if each.get("default")] == ["x"]


@pytest.mark.parametrize(
    "text",
    [
        "{license: cc0-1.0, version: 1.10}",
        "a: &a [1]\nb: *a\nconfigs: [{config_name: x}]",
        "configs: {config_name: x, data_files: b}",
        "configs:\n- x\n- 3\n- null\n- [a]",
        "license: |\n  # no comment\n  cc0-1.0\n\n# a comment\nb: >-\n  x\n",
        "? license\n: cc0-1.0\n",
        "license: cc0-1.0\nlicense: mit",
        "<<: {license: mit}\nb: 2",
        "license:",
        "",
    ],
)
def test_unusual_metadata_has_the_merged_values(text: str) -> None:
    card = f"---\n{text}\n---\nbody\n"
    existing, _ = metadata.split(card)
    assert yaml_text.load(metadata.update(card, OURS)) == metadata.merge(existing, OURS)
    assert metadata.differences(yaml_text.load(metadata.update(card, OURS)), OURS) == []


LINES = [
    *("license: mit", "license: 1.10 # x", "# c", "", "tags:", "- a", "  - b # c", "configs:", "- config_name: x"),
    *("  data_files: b", "- config_name: prompts", "a: |", "  # text", "b: [1, 2]", "  # d", "tags: [a]", "c: {a: b}"),
]


@given(st.lists(st.sampled_from(LINES), max_size=12))
@examples(60)
def test_the_updated_text_always_has_the_merged_values(lines: list[str]) -> None:
    card = "---\n" + "\n".join(lines) + "\n---\nbody\n"
    try:
        existing, body = metadata.split(card)
    except SeasDataError:  # not YAML, so not merged
        return
    updated = metadata.update(card, OURS)
    assert yaml_text.load(updated) == metadata.merge(existing, OURS)
    assert metadata.split(f"---\n{updated}---\n{body}")[1] == body
