"""The taxonomy: fourteen types on two axes, and maps that lead nowhere else."""

import pytest

from seas_data.tables.taxonomy import (
    ATTACK_STYLES,
    RISK_CATEGORIES,
    RISK_MAPS,
    STYLE_MAPS,
    TYPES,
    apply_map,
    canonical,
    type_of,
)


def test_there_are_fourteen_types() -> None:
    assert len(TYPES) == len(set(TYPES)) == 14
    assert (len(ATTACK_STYLES), len(RISK_CATEGORIES)) == (9, 5)


@pytest.mark.parametrize(
    ("risk", "style", "expected"),
    [
        ("Health Harm", "Word Play", ("Word Play", "Hard")),
        (None, "Word Play", ("Word Play", "Hard")),
        ("Health Harm", None, ("Health Harm", "Easy")),
        (None, None, (None, None)),
    ],
)
def test_the_style_gives_the_type_when_it_is_known(
    risk: str | None, style: str | None, expected: tuple[str | None, str | None]
) -> None:
    assert type_of(risk, style) == expected


@pytest.mark.parametrize("spelling", ["One Sided Statement", "One_sided_statement", "one sided  statement "])
def test_spellings_of_a_type(spelling: str) -> None:
    assert canonical(spelling) == "One Sided Statement"


@pytest.mark.parametrize("no_type", ["", "Rude", "Role", "RolePlay", "harmless"])
def test_what_is_no_type(no_type: str) -> None:
    assert canonical(no_type) is None


def test_the_maps_lead_into_the_taxonomy() -> None:
    for maps, values in ((RISK_MAPS, RISK_CATEGORIES), (STYLE_MAPS, ATTACK_STYLES)):
        for name, mapping in maps.items():
            assert set(mapping.values()) <= set(values), name


def test_seas_own_labels_are_each_on_one_axis() -> None:
    risks, styles = RISK_MAPS["seas"], STYLE_MAPS["seas"]
    for name in TYPES:
        label = name.replace(" ", "_")
        assert {apply_map(risks, label), apply_map(styles, label)} == {name, None}


def test_the_exact_entry_wins_and_then_the_longest_prefix() -> None:
    mapping = {"crime_*": "a", "crime_cyber*": "b", "crime_cyber_old": "c", "*": "d"}
    labels = ["crime_theft", "crime_cyber_new", "crime_cyber_old", "weather", ""]
    assert [apply_map(mapping, label) for label in labels] == ["a", "b", "c", "d", "d"]
    assert apply_map({"crime": "a"}, "crime_theft") is None
