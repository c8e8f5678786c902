"""Builds under a taxonomy of one's own: labels, queries, the table, and what a later version may change."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from seas_data import recipe as recipes
from seas_data.errors import SeasDataError
from seas_data.query import library, sql
from seas_data.query.version import Version
from seas_data.resources import folder
from seas_data.run import build
from seas_data.tables import TABLES

LABELS = {"type", "risk_category", "attack_style"}
DISHES = ("onion soup", "plum cake", "barley bread", "leek pie", "pea stew", "apple tart", "rye porridge", "oat bars")
KITCHEN: dict[str, Any] = {
    "name": "kitchen",
    "title": "Kitchen rules",
    "risk": {
        "difficulty": "Easy",
        "categories": [
            {"name": "Cooking Instructions", "description": "Asks how to prepare a dish.", "aliases": ["K1"]},
            {"name": "Menus (secret)", "hazards": ["ipv"]},
        ],
        "maps": {"old-labels": {"cook*": "Cooking Instructions"}},
    },
    "style": {"difficulty": "Hard", "categories": [{"name": "Asked As A Poem"}]},
}


def written(place: Path, taxonomy: object = KITCHEN, *, more: int = 0) -> Path:
    """Write a recipe with eight prompts about dishes, and ``more`` of another kind."""
    place.mkdir(exist_ok=True)
    rows = [
        {
            "prompt": f"How do I make {dish} for {number + 2} people?",
            "label": "cooking",
            "form": ("", "poem")[number % 2],
        }
        for number, dish in enumerate(DISHES)
    ]
    rows += [{"prompt": f"Which wine is on table {n} tonight?", "label": "wine", "form": ""} for n in range(more)]
    (place / "set.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (place / "kitchen.yaml").write_text(yaml.safe_dump(taxonomy), encoding="utf-8")
    source = {
        "path": "set.jsonl",
        "columns": {"text": "prompt", "risk": "label", "style": "form"},
        "kind": "adversarial",
        "language": "en",
        "risk_map": "old-labels",
        "style_map": {"poem": "Asked As A Poem"},
        "hazard_map": {"cooking": "ipv"},
    }
    content = {"name": "kitchen", "taxonomy": "kitchen.yaml", "embedders": [], "sources": {"set": source}}
    (place / "recipe.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return place / "recipe.yaml"


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Version:
    place = tmp_path_factory.mktemp("kitchen")
    return build(recipes.load(written(place)), place / "ws").version


def test_labels_are_those_of_the_recipes_own_taxonomy(version: Version) -> None:
    found = version.select("select type, difficulty, hazard, count(*) as n from kept group by all order by all").rows()
    assert found == [("Asked As A Poem", "Hard", "ipv", 4), ("Cooking Instructions", "Easy", "ipv", 4)]
    assert version.table("taxonomy").sort("position")["type"].to_list() == [
        "Asked As A Poem",
        "Cooking Instructions",
        "Menus (secret)",
    ]
    assert version.manifest.recipe["taxonomy"]["title"] == "Kitchen rules"


def test_queries_report_the_categories_of_the_version(version: Version) -> None:
    queries = library.load(folder("sql"))
    rows = sql.run_all(version.paths(), [(queries["taxonomy"].sql, {}), (queries["thin-types"].sql, {})])
    assert rows[0].select("axis", "type", "difficulty", "kept").rows() == [
        ("style", "Asked As A Poem", "Hard", 4),
        ("risk", "Cooking Instructions", "Easy", 4),
        ("risk", "Menus (secret)", "Easy", 0),
    ]
    assert rows[1]["type"].to_list() == ["Menus (secret)", "Asked As A Poem", "Cooking Instructions"]


def test_every_category_of_the_version_is_in_its_taxonomy(version: Version) -> None:
    places = [(name, column) for name, schema in TABLES.items() for column in LABELS & set(schema.column_names())]
    query = " union all ".join(
        f"select '{name}.{column}' as place, {column} as label from {name}" for name, column in places
    )
    assert len(places) > 8
    assert version.select(f"from ({query}) where label not in (select type from taxonomy)").is_empty()


def test_a_later_version_may_add_categories_and_neither_remove_nor_rename_one(tmp_path: Path) -> None:
    root = tmp_path / "ws"
    first = build(recipes.load(written(tmp_path)), root).version
    risk = KITCHEN["risk"]
    wine = risk | {"categories": [*risk["categories"], {"name": "Wine"}]}
    longer = KITCHEN | {"risk": wine}
    second = build(recipes.load(written(tmp_path, longer, more=2)), root).version
    assert (first.name, second.name) == ("v0", "v1")
    assert [version.table("taxonomy").height for version in (first, second)] == [3, 4]
    assert second.select("select count(*) as n from taxonomy where type = 'Wine'").item() == 1
    for changed, problem in (
        (wine | {"categories": wine["categories"][::2]}, "without the category 'Menus (secret)' on the axis risk"),
        (wine | {"difficulty": "Hard"}, "with another difficulty on the axis risk"),
    ):
        with pytest.raises(SeasDataError) as found:
            build(recipes.load(written(tmp_path, longer | {"risk": changed}, more=4)), root)
        assert problem in str(found.value) and "build into a new workspace" in str(found.value)
