"""The metadata is what the Hub's own client and `datasets` read, whatever the values are."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets.utils.metadata import MetadataConfigs
from huggingface_hub import DatasetCard, DatasetCardData, ModelCard, metadata_load
from hypothesis import given
from hypothesis import strategies as st

from seas_data.errors import SeasDataError
from seas_data.release.card import metadata
from tests.conftest import examples, quick
from tests.test_markdown import HOSTILE


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Apache-2.0", {"license": "apache-2.0"}),
        ("CC-BY-NC-SA-4.0", {"license": "cc-by-nc-sa-4.0"}),
        ("llama3.1", {"license": "llama3.1"}),
        ("GPL-3.0-only", {"license": "gpl-3.0"}),
        (None, {"license": "unknown"}),
        ("My Own, 2nd ed.", {"license": "other", "license_name": "my-own-2nd-ed"}),
        ("!", {"license": "other", "license_name": "custom"}),
    ],
)
def test_a_licence_is_the_hubs_id_or_other_with_its_name(name: str | None, said: dict[str, str]) -> None:
    assert metadata.licence(name) == said


def test_a_licence_that_the_hub_has_no_id_for_has_a_link() -> None:
    said = metadata.licence("MIT-0")
    assert (
        said["license"] == "other" and said["license_name"] == "mit-0" and said["license_link"].startswith("https://")
    )


@pytest.mark.parametrize(
    ("rows", "name"), [(0, "n<1K"), (999, "n<1K"), (1_000, "1K<n<10K"), (100_000, "100K<n<1M"), (10**9, "1B<n<10B")]
)
def test_size_categories(rows: int, name: str) -> None:
    assert metadata.size_category(rows) == name


def test_only_what_the_hub_can_read_is_a_language_or_a_repository() -> None:
    assert metadata.languages(["en", "zh", None, "en", "English", "e\n", "<b>", "jav"]) == ["en", "jav", "zh"]
    assert metadata.hub_ids(["a/b", "a/b", "../b", "a/b/c", "a b/c", None, "a/b\n", "Org-1/set_2.0"]) == [
        "Org-1/set_2.0",
        "a/b",
    ]


@pytest.mark.parametrize("value", quick(8, HOSTILE), ids=lambda value: repr(value[:20]))
def test_a_hostile_value_is_a_value(value: str, tmp_path: Path) -> None:
    content = {"pretty_name": value, "tags": [value, "x"], "license": "mit"}
    path = tmp_path / "README.md"
    path.write_text(f"---\n{metadata.dump(content)}---\n\nbody\n", encoding="utf-8")
    assert list(metadata_load(path) or {}) == ["pretty_name", "tags", "license"]
    card = DatasetCard.load(path)
    assert card.text == "\nbody\n"
    assert card.data.license == "mit"


@examples(80)
@given(st.dictionaries(st.text(min_size=1, max_size=8), st.text(max_size=30), max_size=4))
def test_metadata_round_trips(content: dict[str, str]) -> None:
    assert metadata.split(f"---\n{metadata.dump(content)}---\nbody") == (content, "body")


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("- a\n- b\n", "not a mapping"),
        ("a: [\n", "is not valid YAML"),
        ("a: !!python/object:os.x {}\n", "is not valid YAML"),
        ("a: 2024-13-45\n", "is not valid YAML"),
    ],
)
def test_a_damaged_block_gives_a_message(head: str, said: str) -> None:
    with pytest.raises(SeasDataError, match=said):
        metadata.split(f"---\n{head}---\nbody")


def test_merging_replaces_managed_keys_and_keeps_others() -> None:
    there = {
        "license": "mit",
        "pretty_name": "Our name",
        "tags": ["ours", "safety"],
        "thumbnail": "t.png",
        "datasets": ["org/theirs"],
        "extra_gated_heading": "Ask us",
        "extra_gated_prompt": "Who are you?",
        "dataset_info": [{"config_name": "gone"}],
    }
    fresh = {"pretty_name": "Made", "license": "cc-by-4.0", "tags": ["safety", "red-teaming"], "language": ["en"]}
    merged = metadata.merge(there, fresh)
    assert merged == {
        "pretty_name": "Our name",
        "license": "cc-by-4.0",
        "tags": ["ours", "safety", "red-teaming"],
        "language": ["en"],
        "thumbnail": "t.png",
        "datasets": ["org/theirs"],
        "extra_gated_heading": "Ask us",
        "extra_gated_prompt": "Who are you?",
        "dataset_info": [{"config_name": "gone"}],
    }
    assert metadata.differences(merged, fresh) == []
    assert metadata.merge(merged, fresh) == merged
    assert metadata.differences(there, fresh) == ["language", "license", "tags"]
    assert metadata.merge(there, fresh | {"extra_gated_prompt": "ours"})["extra_gated_prompt"] == "ours"


def _head(folder: Path) -> dict[str, Any]:
    content = metadata_load(folder / "README.md")
    assert content is not None
    return content


@pytest.mark.parametrize("profile", ["public", "gated"])
@pytest.mark.slow
def test_a_releases_metadata_round_trips_through_the_hubs_client(profile: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(profile)
    head = _head(folder)
    data = DatasetCardData(**head)
    assert yaml.safe_load(data.to_yaml()) == head
    card = DatasetCard.load(folder / "README.md")
    assert card.data.to_dict() == head
    assert head["tags"].count("arxiv:2408.02632") == 1
    assert "https://arxiv.org/abs/2408.02632" in card.text  # the Hub makes its tag of the link
    assert ("extra_gated_fields" in head) == (profile == "gated")


def test_values_are_of_the_hubs_lists(public: Path) -> None:
    from datasets.utils.metadata import known_task_ids

    head = _head(public)
    assert set(head["task_categories"]) <= set(known_task_ids)
    assert head["size_categories"] == ["n<1K"]
    assert set(head["annotations_creators"]) <= {"found", "machine-generated", "expert-generated", "no-annotation"}
    assert set(head["language_creators"]) <= {"found", "machine-generated"}
    assert head["multilinguality"][0] in ("monolingual", "multilingual")


@pytest.mark.parametrize("profile", quick(1, ["public", "gated"]))
def test_configs_and_their_info_are_what_datasets_loads(
    profile: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    import datasets

    folder: Path = request.getfixturevalue(profile)
    head = _head(folder)
    configs = MetadataConfigs.from_dataset_card_data(DatasetCardData(**head))
    assert configs.get_default_config_name() == "prompts"
    infos = {info["config_name"]: info for info in head["dataset_info"]}
    assert list(infos) == list(configs)
    for name, info in infos.items():
        loaded = datasets.load_dataset(str(folder), name, cache_dir=str(tmp_path))
        assert {split: rows.num_rows for split, rows in loaded.items()} == {
            split["name"]: split["num_examples"] for split in info["splits"]
        }
        features = datasets.Features._from_yaml_list(info["features"])
        assert all(rows.features == features for rows in loaded.values())
        held = sum(rows.data.nbytes for rows in loaded.values())
        assert 0.5 * held < info["dataset_size"] < 2 * held  # an estimate, of the right size
        assert {split["split"] for split in configs[name]["data_files"]} == {each["name"] for each in info["splits"]}


@pytest.mark.slow
def test_a_model_cards_metadata_round_trips(made: Path) -> None:
    from seas_data.query import version
    from seas_data.release import card

    opened = version.open(made).version()
    for name in ("R2", "T2"):
        loaded = ModelCard(card.model_card(opened, name))
        assert loaded.data.library_name == "transformers"
        assert loaded.data.license == "apache-2.0"
        assert ("extra_gated_prompt" in loaded.data.to_dict()) == (name == "R2")
