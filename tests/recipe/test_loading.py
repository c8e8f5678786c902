"""Recipes: what is wrong is named with its key and what is allowed; the digest is of content, not of places."""

from pathlib import Path

import pytest
import yaml

from seas_data import recipe
from seas_data.errors import SeasDataError
from tests.conftest import CHECKOUT

MINIMAL = {"name": "small", "sources": {"vaults": {"path": "vaults.jsonl", "kind": "general"}}}


def load(tmp_path: Path, content: object = MINIMAL, *changes: str) -> recipe.Recipe:
    path = tmp_path / "small.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return recipe.load(path, list(changes))


def fails(tmp_path: Path, *changes: str, content: object = MINIMAL) -> str:
    with pytest.raises(SeasDataError) as caught:
        load(tmp_path, content, *changes)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_settings_of_the_loop_are_changed_by_the_names_that_they_are_known_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SEAS_MATERIAL", "/somewhere")
    changed = recipe.load(
        CHECKOUT / "pipelines" / "seas-llama3.yaml", ["loop.seeds_per_iteration=4000", "loop.iterations=1"]
    )
    assert changed.loop is not None
    assert (changed.loop.seeds_per_iteration, changed.loop.iterations) == (4_000, 1)


def test_a_small_recipe_has_the_defaults(tmp_path: Path) -> None:
    loaded = load(tmp_path)
    assert loaded.sources["vaults"].path == str(tmp_path / "vaults.jsonl")
    assert loaded.curation == recipe.Curation()


@pytest.mark.parametrize("name", sorted(path.name for path in (CHECKOUT / "pipelines").glob("*.yaml")))
def test_recipes_that_come_with_the_package_load(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAS_DATA_REAL", "/somewhere")
    monkeypatch.setenv("SEAS_MATERIAL", "/somewhere")
    loaded = recipe.load(CHECKOUT / "pipelines" / name)
    assert loaded.name == Path(name).stem
    assert loaded.description


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("descripton=x", "descripton is not a key (did you mean description?); allowed keys: curation, description, "),
        ("sources.vaults.licens=MIT", "sources.vaults.licens is not a key (did you mean licence?)"),
        (
            "sources.vaults.columns.txt=a",
            "sources.vaults.columns.txt is not a key (did you mean text?); allowed keys: goal, id",
        ),
        ("curation.near.duplicate=0.9", "curation.near.duplicate is not a key (did you mean duplicate_threshold?)"),
        (
            "curation.near.duplicate_threshold=2",
            "curation.near.duplicate_threshold: Input should be less than or equal to 1 (given: 2)",
        ),
        ("curation.limits.min_characters=few", "curation.limits.min_characters: Input should be a valid integer"),
        ("sources.vaults.kind=bad", "sources.vaults.kind: Input should be 'adversarial', 'harmless' or 'general'"),
        (
            "sources.vaults.risk_map=alrt",
            "sources.vaults.risk_map: there is no map 'alrt'; set it to one of seas, s-eval, alert",
        ),
        ("sources.vaults.style_map={a: Rude}", "'Rude' is not in the taxonomy; allowed are Role Play"),
        ("sources.vaults.language_pattern='[a-z]+'", "language_pattern needs a group"),
        ("sources.vaults.language_pattern='('", "not a regular expression"),
        ("sources.vaults.kind=null", "sources.vaults: give either kind, or columns.kind with kind_map"),
        ("sources.vaults.hub=a/b", "sources.vaults: give either path or hub"),
        ("sources.vaults.file=a.jsonl", "sources.vaults: file is a file of a hub dataset"),
        ("sources.x={hub: a/b, kind: general}", "sources.x: give the revision (a commit) of a hub dataset"),
        (
            "sources.x={hub: a/b, kind: general, revision: main}",
            "revision should be a commit, 7 to 40 hex digits: main",
        ),
        ("sources={}", "sources: "),
        ("name=Big Name", "name: "),
        ("pairs.mart.min_reward=0.5", "pairs.mart: reward_model and min_reward go together"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(tmp_path: Path, change: str, says: str) -> None:
    assert says in fails(tmp_path, change)


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    message = fails(tmp_path, "nam=x", "curation.near.group_threshold=7", "sources.vaults.priority=high")
    assert all(
        key in message for key in ("nam is not a key", "curation.near.group_threshold", "sources.vaults.priority")
    )


def test_a_missing_key(tmp_path: Path) -> None:
    assert "sources is missing" in fails(tmp_path, content={"name": "small"})


def test_changes_set_values_as_in_yaml(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        MINIMAL,
        "curation.near=null",
        "curation.semantic.duplicate_threshold=0.9",
        "sources.vaults.priority=5",
        "sources.more={path: more.csv, kind: harmless}",
        "description=a = b",
        "curation.templates.max_per_template=",
    )
    assert loaded.curation.near is None
    assert loaded.curation.semantic.duplicate_threshold == 0.9
    assert loaded.sources["vaults"].priority == 5
    assert loaded.sources["more"].path == str(Path.cwd() / "more.csv")
    assert loaded.description == "a = b"
    assert loaded.curation.templates.max_per_template is None


def test_a_change_below_null_makes_a_place_for_it(tmp_path: Path) -> None:
    off = MINIMAL | {"curation": {"near": None}}
    assert load(tmp_path, off).curation.near is None
    assert load(tmp_path, off, "curation.near.group_threshold=0.7").curation.near.group_threshold == 0.7


def test_a_change_leaves_what_shares_its_text_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A YAML alias is the very mapping that its anchor names, so what is set in one must not be set in both."""
    text = yaml.safe_dump(MINIMAL) + "training: {red: &update {beta: 0.2}, target: *update}\n"
    training = load(tmp_path, text, "training.target.beta=0.3").training
    assert (training.red.beta, training.target.beta) == (0.2, 0.3)

    monkeypatch.setenv("SEAS_MATERIAL", "/somewhere")
    shipped = CHECKOUT / "pipelines" / "seas-llama3.yaml"
    changes = ["training.target.reference_model=first", "models.target.concurrency=1", "training.target_sft.epochs=1"]
    changed = recipe.load(shipped, changes)
    assert (changed.training.target.reference_model, changed.training.red.reference_model) == ("first", "previous")
    assert (changed.models["target"].concurrency, changed.models["red"].concurrency) == (1, 512)
    assert (changed.training.target_sft.epochs, changed.training.red_sft.epochs) == (1, 3)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("name", "--set name should have the form a.b=value"),
        ("=x", "--set =x should have the form a.b=value"),
        ("name.first=x", "--set name.first=x: name is a value, not a section"),
        ("name.first.second=x", "name is a value"),
        ("description=[", "'[' is not a YAML value"),
    ],
)
def test_changes_that_cannot_be_made(tmp_path: Path, change: str, says: str) -> None:
    assert says in fails(tmp_path, change)


def test_a_recipe_says_only_what_is_other_than_in_its_base(tmp_path: Path) -> None:
    base = MINIMAL | {
        "curation": {"near": {"duplicate_threshold": 0.7, "group_threshold": 0.5}},
        "description": "the one below",
    }
    (tmp_path / "below.yaml").write_text(yaml.safe_dump(base))
    more = {"name": "above", "base": "below.yaml", "curation": {"near": {"group_threshold": 0.6}, "semantic": None}}
    loaded = load(tmp_path, more | {"sources": {"more": {"path": "more.csv", "kind": "general"}}})
    assert (loaded.name, loaded.description, list(loaded.sources)) == ("above", "the one below", ["vaults", "more"])
    assert loaded.sources["vaults"].path == str(tmp_path / "vaults.jsonl")
    assert (loaded.curation.near.duplicate_threshold, loaded.curation.near.group_threshold) == (0.7, 0.6)
    assert loaded.curation.semantic is None
    assert load(tmp_path, more, "curation.near.group_threshold=0.65").curation.near.group_threshold == 0.65
    assert load(tmp_path, {"base": "below.yaml"}).digest() == recipe.load(tmp_path / "below.yaml").digest()


@pytest.mark.parametrize(
    ("base", "says"),
    [
        ("gone.yaml", "there is no recipe at"),
        ("other/below.yaml", "base should be the name of a recipe in the same folder (given: 'other/below.yaml')"),
        ("[a]", "base should be the name of a recipe"),
        ("small.yaml", "its base small.yaml has a base itself"),
    ],
)
def test_bases_that_are_none(tmp_path: Path, base: str, says: str) -> None:
    assert says in fails(tmp_path, content=f"base: {base}\nname: small")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("- a\n- b", "is not a recipe: it should be a mapping"),
        ("a: [", "cannot be read as YAML"),
        ("", "is not a recipe"),
    ],
)
def test_files_that_are_no_recipe(tmp_path: Path, content: str, says: str) -> None:
    assert says in fails(tmp_path, content=content)


def test_no_file_names_the_recipes_there_are(tmp_path: Path) -> None:
    with pytest.raises(SeasDataError, match=r"there is no recipe at .*gone.yaml; .*pipelines/example.yaml"):
        recipe.load(tmp_path / "gone.yaml")


def test_paths_are_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULTS", "/the/vaults")
    monkeypatch.setenv("HOME", "/the/home")
    places = {
        "$VAULTS/a.csv": "/the/vaults/a.csv",
        "${VAULTS}/a.csv": "/the/vaults/a.csv",
        "~/a.csv": "/the/home/a.csv",
    }
    for given, expected in places.items():
        assert load(tmp_path, MINIMAL, f"sources.vaults.path={given}").sources["vaults"].path == expected
    assert load(tmp_path, MINIMAL | {"overrides": "mine.csv"}).overrides == str(tmp_path / "mine.csv")


def test_a_variable_that_is_not_set_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VAULTS", raising=False)
    message = fails(tmp_path, "sources.vaults.path=$VAULTS/a.csv", "overrides=$VAULTS/b.csv", "nam=x")
    assert message.count("$VAULTS is not set") == 1 and "nam is not a key" in message
    message = fails(tmp_path, "sources.vaults.path=$VAULTS/a.csv")
    assert (
        "sources.vaults.path: the environment variable $VAULTS is not set; set it to the folder that the path"
        in message
    )


def test_the_digest_is_of_content_and_not_of_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULTS", "/here")
    first = load(tmp_path, MINIMAL, "sources.vaults.path=$VAULTS/vaults.jsonl").digest()
    monkeypatch.setenv("VAULTS", "/there")
    (tmp_path / "other").mkdir()
    second = load(tmp_path / "other", MINIMAL, "sources.vaults.path=$VAULTS/vaults.jsonl", "overrides=mine.csv")
    assert second.digest() == first
    assert "/there" not in str(second.canonical())
    assert load(tmp_path, MINIMAL).digest() == first
    for change in (
        "sources.vaults.licence=MIT",
        "curation.near.group_threshold=0.7",
        "sources.vaults.path=other.jsonl",
    ):
        assert load(tmp_path, MINIMAL, change).digest() != first


def test_the_order_of_keys_is_no_content(tmp_path: Path) -> None:
    two = MINIMAL["sources"] | {"more": {"path": "more.csv", "kind": "harmless"}}
    turned = dict(reversed(two.items()))
    assert load(tmp_path, MINIMAL | {"sources": two}).digest() == load(tmp_path, MINIMAL | {"sources": turned}).digest()


def test_shipped_recipes_are_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert recipe.find_recipe("pipelines/example.yaml") == CHECKOUT / "pipelines" / "example.yaml"
    assert recipe.find_recipe("example") == CHECKOUT / "pipelines" / "example.yaml"
    (tmp_path / "example.yaml").write_text("name: mine", encoding="utf-8")
    assert recipe.find_recipe("example.yaml") == Path("example.yaml")


@pytest.mark.parametrize("name", ["my/example.yaml", "../pipelines/example.yaml", "/elsewhere/pipelines/example.yaml"])
def test_a_file_that_is_missing_from_another_folder_is_no_shipped_recipe(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert recipe.find_recipe(name) == Path(name)
