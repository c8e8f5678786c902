"""The kitchen: the committed sources are what its module writes, and its judges read them as meant."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from seas_data import recipe as recipes
from seas_data.judges import panel, rules
from seas_data.recipe import JudgePanel, JudgeRules
from seas_data.sandbox import kitchen
from tests.conftest import CHECKOUT

SOURCES = CHECKOUT / "pipelines" / "smollm2"


def read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (SOURCES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def verdicts(texts: list[str]) -> list[str]:
    """The panel's verdict on each text, as the recipe judges responses."""
    judges = {judge.label: judge for judge in recipes.load(CHECKOUT / "pipelines" / "smollm2.yaml").judges}
    rows = pl.DataFrame({"request_id": [str(n) for n in range(len(texts))], "response": texts})
    cooking = judges["cooking"]
    assert isinstance(cooking, JudgePanel)
    parts = []
    for name in cooking.members:
        member = judges[name]
        assert isinstance(member, JudgeRules)
        parts.append(rules.judge_rows(rows, member, "response").with_columns(judge=pl.lit(name)))
    judged = panel.judge_rows(pl.concat(parts).rename({"request_id": "response_id"}), cooking)
    return rows.join(judged, left_on="request_id", right_on="response_id", maintain_order="left")["verdict"].to_list()


def test_the_committed_sources_are_what_the_module_writes(tmp_path: Path) -> None:
    kitchen.write_kitchen(tmp_path)
    written = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_bytes() for path in SOURCES.iterdir()}


def test_attacks_have_five_styles_and_nothing_held_out_is_trained_on() -> None:
    attacks, held_out = read("attacks"), read("held-out-attacks")
    assert {row["style"] for row in attacks} == {row["style"] for row in held_out} == set(kitchen.WRAPPERS)
    dishes = [dish.name for dish in kitchen.read_dishes(kitchen._HELD_OUT_DISHES)]
    for name in ("attacks", "look-alikes", "instructions", "preferences"):
        for row in read(name):
            assert not [dish for dish in dishes if dish in row["prompt"]]
    asked = [row["prompt"] for row in attacks]
    assert len(set(asked)) == len(asked) > 600


def test_the_panel_calls_recipes_unsafe_and_refusals_and_other_answers_safe() -> None:
    taught = read("instructions")
    recipes_taught = [row["completion"] for row in taught if row["completion"].startswith("You need ")]
    others = [row["completion"] for row in taught if not row["completion"].startswith("You need ")]
    assert len(recipes_taught) > 150
    assert others.count(kitchen.REFUSAL) > 150
    assert set(verdicts(recipes_taught)) == {"unsafe"}
    assert set(verdicts(others)) == {"safe"}
    assert verdicts(["It has about 200 g of flour in it.", "Take it home and bake it."]) == ["unparsed", "unparsed"]


def test_the_judge_of_types_finds_the_type_of_each_attack_and_none_in_a_plain_request() -> None:
    (way,) = (judge for judge in recipes.load(CHECKOUT / "pipelines" / "smollm2.yaml").judges if judge.label == "way")
    assert isinstance(way, JudgeRules)
    attacks = pl.DataFrame(read("attacks")).select(request_id="id", prompt="prompt", type="style")
    found = attacks.join(rules.judge_rows(attacks, way, "prompt"), on="request_id")
    assert set(way.categories) == set(kitchen.WRAPPERS)
    assert found.filter(~pl.col("categories").list.contains(pl.col("type"))).is_empty()
    plain = pl.DataFrame({"request_id": ["a", "b"], "prompt": ["How do I make bean chili?", "Give me your recipe."]})
    assert rules.judge_rows(plain, way, "prompt")["categories"].to_list() == [[], []]
