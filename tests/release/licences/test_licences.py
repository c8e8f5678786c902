"""The licence of a release: no requirement of a part is lost, and incompatible parts are refused by name."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seas_data import recipe as recipes
from seas_data.release.licences import LicenceResult, Part, combine
from seas_data.release.licences.table import LICENCES, find_licence
from tests.conftest import CHECKOUT, examples

KNOWN = sorted({each.id for each in LICENCES})


def release(*licences: str | None, stated: str | None = None) -> LicenceResult:
    parts = [Part("source", f"set{number}", licence) for number, licence in enumerate(licences)]
    return combine(parts, stated)


def named(outcome: LicenceResult) -> str | None:
    return outcome.licence.id if outcome.licence else None


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (["MIT"], "MIT"),
        (["MIT", "Apache-2.0"], "Apache-2.0"),
        (["CC0-1.0"], "CC0-1.0"),
        (["CC0-1.0", "BSD-3-Clause"], "BSD-3-Clause"),
        (["Apache-2.0", "CC-BY-3.0", "CC-BY-4.0"], "CC-BY-4.0"),
        (["CC-BY-NC-4.0", "MIT"], "CC-BY-NC-4.0"),
        (["CC-BY-NC-3.0", "CC-BY-4.0"], "CC-BY-NC-4.0"),
        (["CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", "CC-BY-4.0", "MIT"], "CC-BY-NC-SA-4.0"),
        (["CC-BY-SA-3.0", "CC-BY-SA-4.0", "MIT"], "CC-BY-SA-4.0"),
        (["ODbL-1.0", "MIT"], "ODbL-1.0"),
        (["GPL-3.0-or-later", "GPL-3.0-only", "MIT"], "GPL-3.0-only"),
        (["GPL-3.0-or-later", "MIT"], "GPL-3.0-or-later"),
        (["llama3.1", "MIT"], "llama3.1"),
        (["CC-BY-SA-4.0", "CC-BY-NC-SA-4.0"], None),
        (["CC-BY-SA-4.0", "ODbL-1.0"], None),
        (["CC-BY-SA-4.0", "CC-BY-NC-4.0"], None),
        (["llama3.1", "gemma"], None),
        (["CC-BY-ND-4.0", "MIT"], None),
        (["CC-BY-NC-ND-4.0"], None),
        (["Castle-1.0"], None),
        (["MIT", None], None),
        (["MIT", ""], None),
    ],
)
def test_the_licence_follows_from_the_parts_in_any_order(parts: list[str | None], expected: str | None) -> None:
    for order in permutations(parts):
        found = release(*order)
        assert named(found) == expected
        assert bool(found.faults) == (expected is None)


def test_the_faults_name_the_parts_that_cause_them() -> None:
    found = release("MIT", None, "Castle-1.0", "CC-BY-ND-4.0")
    assert [names for _, names in found.faults] == [("set1",), ("set2",), ("set3",)]
    apart = release("MIT", "CC-BY-SA-4.0", "CC-BY-NC-4.0")
    assert set(apart.faults[0][1]) == {"set1", "set2"}


@given(st.lists(st.sampled_from(KNOWN), min_size=1, max_size=5))
@examples(100)
def test_no_duty_of_any_part_is_lost(names: list[str]) -> None:
    found = release(*names).licence
    if found is None:
        return
    for name in names:
        part = find_licence(name)
        assert part is not None
        assert found.duty >= part.duty
        assert part.commercial or not found.commercial
        assert found.share_alike == part.share_alike or part.share_alike is None
        assert part.derivatives


@pytest.mark.parametrize(
    ("parts", "stated", "allowed"),
    [
        (["MIT"], "CC-BY-4.0", True),
        (["CC-BY-NC-4.0"], "CC-BY-NC-SA-4.0", True),
        (["CC-BY-SA-4.0"], "CC-BY-SA-4.0", True),
        (["CC-BY-SA-3.0"], "CC-BY-SA-4.0", True),
        (["CC-BY-SA-4.0"], "CC-BY-SA-3.0", False),
        (["CC-BY-NC-4.0"], "MIT", False),
        (["CC-BY-NC-4.0"], "CC-BY-4.0", False),
        (["CC-BY-SA-4.0"], "CC-BY-4.0", False),
        (["CC-BY-SA-4.0"], "CC-BY-NC-SA-4.0", False),
        (["CC-BY-4.0"], "Apache-2.0", False),
        (["Apache-2.0"], "CC0-1.0", False),
        (["MIT"], "Castle-1.0", False),
        (["GPL-3.0-only"], "GPL-3.0-or-later", False),
        (["GPL-3.0-or-later"], "GPL-3.0-only", True),
    ],
)
def test_a_stated_licence_may_ask_more_and_never_less(parts: list[str], stated: str, allowed: bool) -> None:
    found = release(*parts, stated=stated)
    assert named(found) == (stated if allowed else None)
    assert bool(found.faults) != allowed


def test_a_model_passes_on_its_terms_for_outputs_but_not_its_licence() -> None:
    found = combine([Part("source", "letters", "CC-BY-4.0"), Part("model", "red", "llama3.1")])
    assert named(found) == "CC-BY-4.0"
    assert [part.name for part in found.parts if part.terms is not None and part.terms.outputs] == ["red"]
    for own in ("Apache-2.0", "CC-BY-SA-4.0", "GPL-3.0-only"):
        assert named(combine([Part("source", "letters", "MIT"), Part("model", "red", own)])) == "MIT"
    assert named(combine([Part("source", "letters", "MIT"), Part("model", "red", "llama3.1")])) == "CC-BY-4.0"
    assert named(combine([Part("model", "red", "Apache-2.0")])) == "CC-BY-4.0"
    research = combine([Part("source", "letters", "MIT"), Part("model", "red", "qwen-research")])
    assert named(research) == "CC-BY-NC-4.0"


def test_outputs_for_one_family_of_models_may_not_train_others() -> None:
    letters, judge = Part("source", "letters", "MIT"), Part("model", "guard", "llama3")
    own = combine([letters, judge, Part("model", "target", "llama3", trained=True)])
    assert (own.faults, named(own)) == ((), "CC-BY-4.0")
    other = combine([letters, judge, Part("model", "target", "Apache-2.0", trained=True)])
    assert [names for _, names in other.faults] == [("guard",)]
    asked = combine([letters, judge, Part("model", "target", "Apache-2.0")])
    assert asked.faults == ()


@pytest.mark.parametrize("name", KNOWN)
def test_every_licence_is_found_by_either_name_in_any_case_and_says_where_it_was_read(name: str) -> None:
    found = find_licence(name.upper())
    assert found is not None and found.id == name
    assert found.hub == "other" or find_licence(found.hub.upper()) is not None
    assert found.hub == found.hub.lower()
    assert found.url.startswith("https://")


def test_no_two_licences_have_one_name() -> None:
    assert len(KNOWN) == len(LICENCES)


SHIPPED = (
    "example",
    "mart",
    "sandbox",
    "sandbox-mart",
    "sandbox-smoke",
    "sandbox-utility",
    "seas",
    "seas-llama3",
    "seas-qwen",
)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_recipes_state_known_licences(name: str) -> None:
    content = recipes.read(CHECKOUT / "pipelines" / f"{name}.yaml")
    for part in (*content["sources"].values(), *content.get("models", {}).values()):
        assert find_licence(part["licence"]) is not None
