"""The default taxonomy: fourteen types on two axes, and maps that lead nowhere else; files of one's own."""

from pathlib import Path

import pytest
import yaml

from seas_data import recipe as recipes
from seas_data.errors import SeasDataError
from seas_data.recipe import Labelling, Recipe, Source, Taxonomy
from seas_data.recipe.taxonomy import apply_map, load_packaged, packaged_names
from tests.taxonomies import ATTACK_STYLES, RISK_CATEGORIES, SEAS, TYPES

RECIPE = {"name": "set", "sources": {"set": {"path": "set.jsonl", "kind": "adversarial"}}}
COOKING = {
    "name": "cooking",
    "risk": {
        "difficulty": "Easy",
        "categories": [{"name": "Desserts", "aliases": ["sweet"]}, {"name": "Soups & Stews"}],
        "maps": {"kitchen": {"cake*": "Desserts"}},
    },
}


def written(folder: Path, content: object = COOKING, **changes: object) -> Path:
    (folder / "cooking.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(RECIPE | {"taxonomy": "cooking.yaml"} | changes), encoding="utf-8")
    return path


def test_there_are_fourteen_types() -> None:
    assert len(TYPES) == len(set(TYPES)) == 14
    assert (len(ATTACK_STYLES), len(RISK_CATEGORIES)) == (9, 5)
    assert TYPES == ATTACK_STYLES + RISK_CATEGORIES


@pytest.mark.parametrize(
    ("risk", "style", "expected"),
    [
        (None, None, (None, None)),
        ("Health Harm", None, ("Health Harm", "Easy")),
        (None, "Role Play", ("Role Play", "Hard")),
        ("Health Harm", "Role Play", ("Role Play", "Hard")),
    ],
)
def test_the_style_is_the_type_where_it_is_known(
    risk: str | None, style: str | None, expected: tuple[str | None, str | None]
) -> None:
    assert SEAS.type_of(risk, style) == expected


@pytest.mark.parametrize("spelling", ["One Sided Statement", "one_sided_statement", " ONE  sided_Statement "])
def test_a_type_is_found_in_any_spelling(spelling: str) -> None:
    assert SEAS.canonical(spelling) == "One Sided Statement"


@pytest.mark.parametrize("no_type", ["", "Rude", "Role", "RolePlay", "harmless"])
def test_what_is_no_type(no_type: str) -> None:
    assert SEAS.canonical(no_type) is None


def test_every_packaged_taxonomy_is_valid_and_described() -> None:
    assert packaged_names()[0] == "seas"
    for name in packaged_names():
        taxonomy = load_packaged(name)
        assert taxonomy.name == name
        assert all(each.description for axis in (taxonomy.risk, taxonomy.style) for each in axis.categories), name
        assert taxonomy.title and taxonomy.description and taxonomy.url


def test_seas_own_labels_are_each_on_one_axis() -> None:
    risks, styles = SEAS.risk.maps["seas"], SEAS.style.maps["seas"]
    for name in TYPES:
        label = name.replace(" ", "_")
        assert {apply_map(risks, label), apply_map(styles, label)} == {name, None}


def test_the_exact_entry_wins_and_then_the_longest_prefix() -> None:
    mapping = {"crime_*": "a", "crime_cyber*": "b", "crime_cyber_old": "c", "*": "d"}
    labels = ["crime_theft", "crime_cyber_new", "crime_cyber_old", "weather", ""]
    assert [apply_map(mapping, label) for label in labels] == ["a", "b", "c", "d", "d"]
    assert apply_map({"crime": "a"}, "crime_theft") is None


def test_a_recipe_names_a_packaged_taxonomy_or_a_file() -> None:
    assert Recipe.model_validate(RECIPE).taxonomy == SEAS
    assert Recipe.model_validate(RECIPE | {"taxonomy": "seas"}).taxonomy == SEAS


def test_a_file_is_relative_to_the_recipe_and_its_content_is_in_the_digest(tmp_path: Path) -> None:
    before = recipes.load(written(tmp_path))
    assert before.taxonomy.types == ["Desserts", "Soups & Stews"]
    assert before.taxonomy.canonical("SWEET") == "Desserts"
    again = Recipe.model_validate(before.canonical())
    assert again.taxonomy == before.labelling.used_maps([]) and again.digest() == before.digest()
    renamed = COOKING | {"risk": {"categories": [{"name": "Desserts"}, {"name": "Soups"}]}}
    assert recipes.load(written(tmp_path, renamed)).digest() != before.digest()


def test_the_order_of_categories_is_in_the_digest_and_unused_maps_are_not(tmp_path: Path) -> None:
    first = recipes.load(written(tmp_path)).digest()
    risk = COOKING["risk"]
    assert isinstance(risk, dict)
    assert recipes.load(written(tmp_path, COOKING | {"risk": risk | {"maps": {}}})).digest() == first
    turned = COOKING | {"risk": risk | {"categories": risk["categories"][::-1]}}
    assert recipes.load(written(tmp_path, turned)).digest() != first


def test_labels_that_are_in_terms_of_the_taxonomy_need_no_map(tmp_path: Path) -> None:
    source = {"path": "set.jsonl", "kind": "adversarial", "risk_map": "cooking"}
    loaded = recipes.load(written(tmp_path, sources={"set": source}))
    assert loaded.labelling.risk_map(loaded.sources["set"]) == {
        "Desserts": "Desserts",
        "sweet": "Desserts",
        "Soups & Stews": "Soups & Stews",
    }


def test_the_sets_of_the_crosswalk_are_maps_where_categories_have_hazards() -> None:
    labelled = {"path": "set.jsonl", "kind": "adversarial", "risk_map": "catqa"}
    loaded = Recipe.model_validate(RECIPE | {"taxonomy": "llama-guard-3", "sources": {"set": labelled}})
    found = loaded.labelling.risk_map(loaded.sources["set"])
    assert found["Physical Harm / Self-harm"] == "Suicide & Self-Harm"
    assert not {"Illegal Activity / Drug", "Tailored Financial Advice / Tax planning"} & set(found)
    again = Recipe.model_validate(loaded.canonical())
    assert again.digest() == loaded.digest() and again.taxonomy.risk.maps == {"catqa": found}


def test_the_hazards_of_a_source_are_those_of_the_set_that_its_map_names() -> None:
    source = {"path": "set.jsonl", "kind": "adversarial", "columns": {"text": "text"}}
    for keys in ({"risk_map": "alert"}, {"hazard_map": "alert"}, {"hazard_map": {"crime_tax": "ncr"}}):
        loaded = Recipe.model_validate(RECIPE | {"sources": {"set": source | keys}})
        assert loaded.labelling.hazard_map(loaded.sources["set"])["crime_tax"] == "ncr"
        again = Recipe.model_validate(loaded.canonical())
        assert again.labelling.hazard_map(again.sources["set"])["crime_tax"] == "ncr"
        assert again.digest() == loaded.digest()
    plain = Recipe.model_validate(RECIPE)
    assert not plain.labelling.hazard_map(plain.sources["set"])


def test_a_map_to_an_axis_that_the_taxonomy_leaves_empty_maps_nothing() -> None:
    labelling = Labelling(Taxonomy.model_validate(COOKING))
    for style_map in ("s-eval", {"a": "Role Play"}):
        source = Source.model_validate({"path": "a", "kind": "adversarial", "style_map": style_map})
        assert not labelling.faults(source) and not labelling.style_map(source)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"taxonomy": "food"}, "taxonomy: there is no taxonomy 'food'; set it to one of seas"),
        ({"taxonomy": "x" * 300}, "taxonomy: there is no taxonomy 'xxx"),
        ({"taxonomy": "../cooking"}, "taxonomy: there is no taxonomy '../cooking'"),
        ({"taxonomy": "gone.yaml"}, "gone.yaml cannot be read as YAML"),
        ({"taxonomy": COOKING | {"name": "Big Name"}}, "taxonomy.name: "),
        ({"taxonomy": COOKING | {"colour": "red"}}, "taxonomy.colour is not a key"),
        (
            {"sources": {"set": RECIPE["sources"]["set"] | {"risk_map": "s-eval"}}},  # type: ignore[index]
            "sources.set.risk_map: there is no map 's-eval'; set it to one of cooking, kitchen",
        ),
        (
            {"sources": {"set": RECIPE["sources"]["set"] | {"hazard_map": "food"}}},  # type: ignore[index]
            "sources.set.hazard_map: the crosswalk has no set 'food'; set it to one of ailuminate",
        ),
        (
            {"sources": {"set": RECIPE["sources"]["set"] | {"hazard_map": {"a": "fire"}}}},  # type: ignore[index]
            "sources.set.hazard_map: 'fire' is not a hazard; allowed are vcr",
        ),
    ],
)
def test_what_is_wrong_with_a_taxonomy_key_is_named(tmp_path: Path, change: dict[str, object], says: str) -> None:
    with pytest.raises(SeasDataError) as problem:
        recipes.load(written(tmp_path, **change))
    assert says in str(problem.value)


@pytest.mark.parametrize(
    ("risk", "says"),
    [
        ({"categories": []}, "it has no category; add some to risk or style"),
        ({"categories": [{"name": "Soups"}, {"name": "soups"}]}, "'soups' names more than one category"),
        ({"categories": [{"name": "Soups"}, {"name": "A", "aliases": ["SOUPS"]}]}, "names more than one category"),
        ({"categories": [{"name": "Harmless"}]}, "a category cannot be called 'harmless'"),
        ({"categories": [{"name": "a|b"}]}, "risk.categories.0.name: String should match pattern"),
        ({"categories": [{"name": "=SUM(A1)"}]}, "risk.categories.0.name: String should match pattern"),
        ({"categories": [{"name": "<b>"}]}, "risk.categories.0.name: String should match pattern"),
        ({"categories": [{"name": "a\u202eb"}]}, "risk.categories.0.name: String should match pattern"),
        ({"categories": [{"name": "a\nb"}]}, "risk.categories.0.name: String should match pattern"),
        ({"categories": [{"name": 1}]}, "risk.categories.0.name: Input should be a valid string"),
        ({"categories": [{"name": "A"}], "maps": {"m": {"b": "B"}}}, "risk.maps.m: 'B' is not a category of risk"),
        ({"categories": [{"name": "A", "hazards": ["xyz"]}]}, "'xyz' is not an MLCommons hazard; allowed are vcr"),
        (
            {"categories": [{"name": "A", "hazards": ["vcr"]}, {"name": "B", "hazards": ["vcr"]}]},
            "the hazard 'vcr' belongs to more than one category",
        ),
        ({"categories": [{"name": "A"}], "difficulty": "Medium"}, "risk.difficulty: Input should be 'Easy' or 'Hard'"),
        ([], "risk"),
    ],
)
def test_what_is_wrong_in_a_taxonomy_file_is_named_with_the_file(tmp_path: Path, risk: object, says: str) -> None:
    with pytest.raises(SeasDataError) as problem:
        recipes.load(written(tmp_path, {"name": "cooking", "risk": risk}))
    assert "taxonomy: the taxonomy cooking.yaml: " in str(problem.value) and says in str(problem.value)
    assert "\n" not in str(problem.value)


def test_the_recipe_of_a_manifest_names_no_file() -> None:
    with pytest.raises(ValueError, match="only the file of a recipe can name one"):
        Recipe.model_validate(RECIPE | {"taxonomy": "cooking.yaml"})


def test_a_pulled_recipe_reads_no_taxonomy_outside_its_folder(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    path = written(tmp_path / "inner", pulled_from="org/name@1.0.0")
    path.write_text(path.read_text().replace("cooking.yaml", "../cooking.yaml"), encoding="utf-8")
    with pytest.raises(SeasDataError, match="neither environment variables nor files outside its own folder"):
        recipes.load(path)
