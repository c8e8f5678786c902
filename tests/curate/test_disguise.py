"""Disguised copies and hidden payloads are flagged, kept, and on one side of the split."""

import json
from pathlib import Path

import polars as pl
import pytest

from seas_data import folding
from seas_data.curate.dedup.edges import find_edges, is_duplicate, must_stay_together
from seas_data.curate.dedup.items import collect_items
from seas_data.curate.dedup.select import select
from seas_data.curate.disguise import flag_disguised
from seas_data.recipe import Recipe
from seas_data.run import build
from seas_data.store import Manifest
from seas_data.text import text_digest
from tests.curate.settings import curation

BREAD = "how should a baker store fresh rye bread over a long weekend"
NOBODY = pl.Series([], dtype=pl.String)
NEAR_ONLY = curation(semantic=None)


def prompts(**texts: str) -> pl.DataFrame:
    rows = [(name, text, text_digest(text), folding.leak_digest(text), "en", None) for name, text in texts.items()]
    columns = ("prompt_id", "text", "text_digest", "leak_digest", "language", "attack_style")
    return pl.DataFrame(rows, dict.fromkeys(columns, pl.String), orient="row")


def find(rows: pl.DataFrame) -> pl.DataFrame:
    templates = pl.DataFrame(schema=dict.fromkeys(("prompt_id", "template_id", "payload"), pl.String))
    return find_edges(collect_items(rows, templates), None, NEAR_ONLY).duplicates


def hidden(text: str) -> str:
    return "".join(chr(0xE0000 + ord(character)) for character in text)


DISGUISES = {
    "wide": "".join(chr(ord(c) + 0xFEE0) if c.isalpha() else c for c in BREAD),
    "cyrillic": BREAD.translate(str.maketrans("aeo", "\u0430\u0435\u043e")),
    "zero-width": "\u200b".join(BREAD),
}


@pytest.mark.parametrize("name", DISGUISES)
def test_a_disguised_copy_is_flagged_and_related_to_the_plain_text(name: str) -> None:
    rows = prompts(a=DISGUISES[name], b=BREAD, c="which lamp is best for reading small print")
    flags = flag_disguised(rows, NOBODY)
    assert flags.select("prompt_id", "decision", "reason", "witness_id").rows() == [("a", "flag", "disguised", "b")]
    assert flag_disguised(rows, pl.Series(["a"])).is_empty(), "it was flagged in its own version"
    (edge,) = find(rows).with_columns(together=must_stay_together(NEAR_ONLY), drops=is_duplicate(NEAR_ONLY)).rows()
    assert edge == ("a", "b", "related", 1.0, True, False)


def test_both_widths_in_chinese_are_one_text() -> None:
    rows = prompts(a="\uff21\uff22\uff23\u8fd9\u662f\u4ec0\u4e48\uff1f", b="ABC\u8fd9\u662f\u4ec0\u4e48?")
    assert find(rows).rows() == [("a", "b", "near_duplicate", 1.0)]
    assert flag_disguised(rows, NOBODY).is_empty()


def test_hidden_payloads_are_flagged_and_never_merged() -> None:
    rows = prompts(a=BREAD + hidden("one"), b=BREAD + hidden("two"), c=BREAD + " ", d=BREAD + hidden("one").upper())
    flags = flag_disguised(rows, NOBODY).filter(reason="hidden_payload")
    assert flags["prompt_id"].to_list() == ["a", "b", "d"]
    edges = find(rows)
    assert edges.height and set(edges["reason"]) == {"related"}


def test_texts_without_disguise_have_no_flags() -> None:
    rows = prompts(
        a=BREAD,
        b=BREAD.upper(),
        c="\u0447\u0442\u043e \u0432 \u043a\u043e\u0440\u043e\u0431\u043a\u0435?",
        d="\u2764\ufe0f",
    )
    assert flag_disguised(rows, NOBODY).is_empty()


DROPPING = curation(semantic=None, drop_disguised=True)


def dropped(rows: pl.DataFrame) -> dict[str, tuple[str, str]]:
    rows = rows.with_columns(kind=pl.lit("general"), priority=pl.lit(0, pl.Int32))
    templates = pl.DataFrame(schema=dict.fromkeys(("prompt_id", "template_id", "payload"), pl.String))
    found = find_edges(collect_items(rows, templates), None, DROPPING).duplicates
    flags = flag_disguised(rows, NOBODY).filter(reason="disguised")["prompt_id"]
    decisions = select(rows, found, templates, DROPPING, disguised=flags).decisions.filter(decision="drop")
    return {each: (reason, witness) for each, reason, witness in decisions["prompt_id", "reason", "witness_id"].rows()}


def test_a_setting_drops_disguised_copies_and_keeps_the_plain_text() -> None:
    names = dict(zip("abc", DISGUISES.values(), strict=True))
    assert dropped(prompts(**names, d=BREAD)) == dict.fromkeys("abc", ("disguised", "d"))
    assert dropped(prompts(**names)) == dict.fromkeys("ac", ("disguised", "b")), "without the plain text one is kept"


def test_no_setting_drops_hidden_payloads() -> None:
    rows = prompts(a=BREAD + hidden("one"), b=BREAD + hidden("two"), c=BREAD, d=BREAD + "\ufe01\ufe02\ufe03")
    assert dropped(rows) == {}
    assert set(find(rows)["reason"]) == {"related"}


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    path = tmp_path_factory.mktemp("disguise") / "prompts.jsonl"
    texts = [*DISGUISES.values(), BREAD, BREAD + hidden("one"), "which lamp is best for reading small print"]
    path.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts))
    source = {"path": str(path), "kind": "general", "language": "en"}
    return Recipe.model_validate({"name": "disguise", "embedders": [], "sources": {"made": source}})


def test_a_version_records_the_folding_and_the_digests_of_folded_texts(recipe: Recipe, tmp_path: Path) -> None:
    version = build(recipe, tmp_path / "ws").version
    assert version.manifest.folding == folding.version()
    assert version.manifest.computed_digest() != version.manifest.model_copy(update={"folding": "2"}).computed_digest()
    assert {json.loads(tools)["folding"] for tools in version.table("runs")["tools"]} == {folding.version()}
    rows = version.table("prompts", ["text", "text_digest", "leak_digest"])
    assert rows["leak_digest"].to_list() == [folding.leak_digest(text) for text in rows["text"]]
    assert rows["text_digest"].n_unique() == 6 and rows["leak_digest"].n_unique() == 2
    assert version.table("kept").height == 6
    assert version.table("splits")["group_id"].n_unique() == 2


def test_a_build_with_the_setting_keeps_the_plain_text_and_hidden_payloads(recipe: Recipe, tmp_path: Path) -> None:
    dropping = recipe.model_copy(update={"curation": recipe.curation.model_copy(update={"drop_disguised": True})})
    version = build(dropping, tmp_path / "ws").version
    assert sorted(version.table("kept")["text"]) == sorted(
        [BREAD, BREAD + hidden("one"), "which lamp is best for reading small print"]
    )
    drops = version.table("decisions").filter(decision="drop")
    assert set(drops["reason"]) == {"disguised"} and drops["witness_id"].n_unique() == 1


def test_a_manifest_without_folding_keeps_its_digest(tmp_path: Path) -> None:
    content = {"version": "v0", "iteration": 0, "parent": None, "parent_digest": None, "tables": {}}
    manifest = Manifest.model_validate(content | {"recipe": {}, "recipe_digest": ""})
    assert "folding" not in manifest.to_json()
    assert manifest.computed_digest() == "6287ab956012533b35291aa616fc4e3e8e61d94a3f43f805e0e78938a2de44f3"
