"""Manual decisions apply in every later build, even if its recipe no longer names their file."""

import csv
import json
from pathlib import Path

import polars as pl
import pytest

from seas_data import tables
from seas_data.curate import incoming
from seas_data.loop import iteration
from seas_data.query.version import Version
from seas_data.recipe import Curation, Recipe
from seas_data.run import build
from tests.curate.settings import curation

PLAIN = [
    f"Where in the {room} does the gardener keep the {thing}?"
    for room, thing in zip(
        ("cellar", "attic", "shed", "tower", "kitchen", "stable", "library", "chapel", "hall", "mill"),
        ("spade", "blue jug", "wheelbarrow", "seeds", "honey pots", "saddle", "old maps", "candles", "lute", "flour"),
        strict=True,
    )
]
Override = tuple[str, str, str]  # prompt_id, decision, because


def recipe_of(folder: Path, overrides: list[Override] | None = None, **sources: list[str]) -> Recipe:
    """Return a recipe without an embedder; a source whose name starts with ``test`` is a holdout set."""
    folder.mkdir(parents=True, exist_ok=True)
    content: dict[str, object] = {
        "name": "overrides",
        "embedders": [],
        "sources": {},
        "curation": curation().model_dump(),
    }
    for name, texts in sources.items():
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts))
        about = {"path": str(path), "kind": "harmless", "language": "en", "licence": "CC0-1.0"}
        content["sources"][name] = about | ({"role": "holdout"} if name.startswith("test") else {})  # type: ignore[index]
    if overrides is not None:
        with (folder / "overrides.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["prompt_id", "decision", "label", "who", "because"])
            writer.writerows((prompt_id, decision, "", "ann", because) for prompt_id, decision, because in overrides)
        content["overrides"] = str(folder / "overrides.csv")
    return Recipe.model_validate(content)


def find_id(version: Version, text: str) -> str:
    return str(version.table("prompts").row(by_predicate=pl.col("text") == text, named=True)["prompt_id"])


def kept(version: Version) -> set[str]:
    return set(version.table("kept")["prompt_id"])


@pytest.fixture
def kept_by_person(tmp_path: Path) -> tuple[Path, Version, str]:
    """A workspace of two versions: in the second a person keeps a prompt that the first dropped as too short."""
    root = tmp_path / "ws"
    first = build(recipe_of(tmp_path / "0", plain=[*PLAIN, "Hm"]), root).version
    short = find_id(first, "Hm")
    assert short not in kept(first)
    second = build(recipe_of(tmp_path / "1", [(short, "keep", "wanted")], plain=[*PLAIN, "Hm"]), root).version
    assert short in kept(second)
    return root, second, short


def test_a_keep_applies_after_its_overrides_file_is_removed(
    tmp_path: Path, kept_by_person: tuple[Path, Version, str]
) -> None:
    root, _, short = kept_by_person
    third = build(recipe_of(tmp_path / "2", plain=PLAIN, more=["How tall is the clock tower by now?"]), root).version
    assert third.name == "v2"
    assert short in kept(third)


@pytest.mark.slow
def test_a_keep_applies_against_a_later_holdout_set(tmp_path: Path) -> None:
    root = tmp_path / "ws"
    first = build(recipe_of(tmp_path / "0", plain=PLAIN), root).version
    quoted = find_id(first, PLAIN[0])
    build(recipe_of(tmp_path / "1", [(quoted, "keep", "wanted")], plain=PLAIN), root)
    third = build(recipe_of(tmp_path / "2", plain=PLAIN, test_later=PLAIN[:2]), root).version
    assert quoted in kept(third)
    assert find_id(first, PLAIN[1]) not in kept(third)


@pytest.mark.slow
def test_the_loop_keeps_manual_keeps(kept_by_person: tuple[Path, Version, str]) -> None:
    _, second, short = kept_by_person
    fresh = iteration.build_incoming(tables.empty("prompts"), incoming.read_earlier(second))
    assert fresh.manual_keeps.to_list() == [short]
    assert fresh.manual_drops.is_empty()


@pytest.mark.slow
def test_alternating_keeps_and_drops_apply_each_time(tmp_path: Path, kept_by_person: tuple[Path, Version, str]) -> None:
    root, _, short = kept_by_person
    for number, (decision, because) in enumerate([("drop", "not wanted"), ("keep", "wanted"), ("drop", "not wanted")]):
        recipe = recipe_of(tmp_path / f"again{number}", [(short, decision, because)], plain=PLAIN)
        built = build(recipe, root)
        assert built.new
        assert (short in kept(built.version)) == (decision == "keep")
        assert not build(recipe, root).new


@pytest.mark.slow
def test_a_keep_does_not_bring_a_bridge_into_training(tmp_path: Path) -> None:
    """Neither in the version of the keep nor in a later one; its reason is the split, although it is a copy."""
    root = tmp_path / "ws"
    first = build(recipe_of(tmp_path / "0", plain=PLAIN), root).version
    tested = first.select("select text from kept join splits using (prompt_id) where split <> 'train' limit 1").item()
    more = [tested.upper(), "How tall is the clock tower by now?"]
    second = build(recipe_of(tmp_path / "1", plain=PLAIN, more=more), root).version
    copy = find_id(second, more[0])
    third = build(recipe_of(tmp_path / "2", [(copy, "keep", "wanted")], plain=PLAIN, more=more), root).version
    fourth = build(recipe_of(tmp_path / "3", plain=PLAIN, late=["Who winds the clock in the hall at noon?"]), root)
    assert fourth.version.name == "v3"
    for version in (second, third, fourth.version):
        assert copy not in kept(version)
        assert kept(version) == set(version.table("splits")["prompt_id"])
    decisions = fourth.version.select("select version, decision, reason from decisions order by all")
    assert decisions.rows() == [
        ("v1", "drop", "exact_duplicate"),
        ("v2", "drop", "split_bridge"),
        ("v2", "keep", "manual"),
    ]


def test_a_recipe_can_raise_the_reader_limit_of_prompt_length(tmp_path: Path) -> None:
    recipe = recipe_of(tmp_path, plain=["a long walk " * 12_000, "a longer walk " * 20_000])
    allowed = recipe.model_copy(update={"curation": Curation.model_validate({"limits": {"max_characters": 200_000}})})
    known = incoming.read_earlier(None)
    assert incoming.read_incoming(recipe, known).prompts.is_empty()
    read = incoming.read_incoming(allowed, known)
    assert (read.prompts.height, read.set_aside["reason"].to_list()) == (1, ["too_long"])


def test_the_newest_decision_on_each_prompt_counts() -> None:
    rows = [
        ("a", "v9", "drop"), ("a", "v10", "keep"), ("b", "v1", "keep"), ("b", "v2", "drop"),
        ("c", "v1", "keep"), ("c", "v2", "flag"), ("d", "v1", "keep"),
    ]  # fmt: skip
    manual = pl.DataFrame(rows, schema=["prompt_id", "version", "decision"], orient="row")
    overrides = pl.DataFrame({"prompt_id": ["d", "e"], "decision": ["drop", None]})
    keeps, drops = incoming.manual_decisions(manual, overrides)
    assert keeps.to_list() == ["a", "c"]
    assert drops.to_list() == ["b", "d"]


def test_prompts_put_aside_are_read_again_unchanged(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Where is the spade?"}, {"role": "assistant", "content": "In the shed."}]
    conversation = json.dumps({"prompt": [*turns, {"role": "user", "content": "And the blue jug?"}]})
    recipe = recipe_of(tmp_path, plain=PLAIN, talk=[])
    (tmp_path / "talk.jsonl").write_text(conversation + "\n")
    talk = recipe.sources["talk"].model_copy(update={"turn": "all"})
    recipe = recipe.model_copy(update={"sources": recipe.sources | {"talk": talk}})
    read = incoming.read_incoming(recipe, incoming.read_earlier(None))
    aside = read.put_aside(tmp_path / "aside.parquet")
    assert aside.prompts.is_empty()
    assert read.prompts["messages"].null_count() == len(PLAIN)
    assert aside.read_prompts().equals(read.prompts)
    columns = ("priority", "prompt_id", "messages")  # not the order in the table
    assert aside.read_prompts(columns).equals(read.read_prompts(columns))
    assert aside.read_prompts(columns).columns == list(columns)
