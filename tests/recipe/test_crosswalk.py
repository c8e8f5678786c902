"""The crosswalk: each label once for each hazard, known relations, and only hazards that follow from the label."""

from collections import Counter

from seas_data.judges.guards import llama_guard, nemotron, openai_moderation, polyguard, qwen3guard, shieldgemma
from seas_data.recipe.crosswalk import HAZARD_SET, RELATIONS, VERDICT_SET, hazard_maps, hazards, load_crosswalk
from seas_data.recipe.taxonomy import default_taxonomy, load_packaged


def test_every_row_has_a_known_relation_a_known_hazard_and_a_source() -> None:
    rows = load_crosswalk()
    assert max(Counter((row.set, row.label, row.hazard) for row in rows).values()) == 1
    for row in rows:
        assert row.relation in RELATIONS and row.label and row.source, row
        assert (row.hazard in hazards()) if row.relation != "none" else not row.hazard, row


def test_a_label_has_no_hazard_or_one_or_is_broader_than_each() -> None:
    for place, count in Counter((row.set, row.label) for row in load_crosswalk()).items():
        if count > 1:
            assert {row.relation for row in load_crosswalk() if (row.set, row.label) == place} == {"broader"}, place


def test_only_exact_and_narrower_labels_give_a_hazard() -> None:
    maps = hazard_maps()
    assert maps["catqa"]["Malware Viruses / Trojans"] == "ncr"
    assert "Illegal Activity / Drug" not in maps["catqa"]  # broader
    assert "Political Campaigning / Lobbying" not in maps["catqa"]  # none
    assert maps["seas"] == {}


def test_the_hazards_are_those_of_the_taxonomy_ailuminate() -> None:
    categories = load_packaged("ailuminate").risk.categories
    assert [code for each in categories for code in each.hazards] == hazards() == list(hazard_maps()[HAZARD_SET])


def test_every_label_of_the_default_taxonomys_own_set_and_every_code_of_a_guard_is_listed() -> None:
    labels: dict[str, set[str]] = {}
    for row in load_crosswalk():
        labels.setdefault(row.set, set()).add(row.label)
    assert set(default_taxonomy().risk.maps["seas"]) == labels["seas"]
    assert set(llama_guard.CODES_2) == labels["llama-guard-2"]
    assert set(llama_guard.CODES_3) == labels["llama-guard-3"] == labels["llama-guard-4"]
    assert set(qwen3guard.CATEGORIES) == labels["qwen3guard"]
    assert set(shieldgemma.CATEGORIES) == labels["shieldgemma"]
    assert set(polyguard.CODES) == labels["polyguard"]
    assert set(nemotron.CATEGORIES) == labels["nemotron"]
    assert set(openai_moderation.CATEGORIES) == labels["openai-moderation"]
    guards = (qwen3guard.CATEGORIES, shieldgemma.CATEGORIES, nemotron.CATEGORIES, openai_moderation.CATEGORIES)
    for codes in (llama_guard.CODES_2, llama_guard.CODES_3, polyguard.CODES, *guards):
        assert set(codes.values()) <= labels[VERDICT_SET]


def test_a_guards_code_and_the_category_of_its_verdict_stand_for_the_same_hazard() -> None:
    maps = hazard_maps()
    for name, codes in (("llama-guard-2", llama_guard.CODES_2), ("llama-guard-3", llama_guard.CODES_3)):
        assert {code: maps[name].get(code) for code in codes} == {
            code: maps[VERDICT_SET].get(category) for code, category in codes.items()
        }
