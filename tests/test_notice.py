"""NOTICE names a licence for every text of others, and the text of each licence is in the distribution."""

import re
import tomllib

import pytest

from tests.conftest import CHECKOUT

NOTICE = (CHECKOUT / "NOTICE").read_text(encoding="utf-8")
ENTRIES = [" ".join(entry.split()) for entry in re.findall(r"^- (.+?)(?=\n\n|\Z)", NOTICE, re.MULTILINE | re.DOTALL)]
FIRST_LINES = {
    "Apache-2.0": "Apache License",
    "CC-BY-4.0": "Attribution 4.0 International",
    "MIT": "MIT License",
    "Unicode-3.0": "UNICODE LICENSE V3",
}
"""The first words of each licence's text, by its SPDX name."""
TERMS_OF_USE = "Gemma Terms of Use"
"""Terms of a model, whose text its makers alone publish."""


def texts() -> set[str]:
    return {path.stem for path in (CHECKOUT / "LICENSES").glob("*.txt")}


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry[:40] for entry in ENTRIES])
def test_each_text_of_others_names_its_file_and_the_text_of_its_licence(entry: str) -> None:
    (path,) = re.findall(r"\((seas_data/[\w/.]+)\)", entry)
    assert (CHECKOUT / path).is_file()
    named = re.findall(r"\((LICENSES?[\w/.-]*)\)", entry)
    assert len(named) == 1 or (not named and TERMS_OF_USE in entry)
    assert all((CHECKOUT / name).is_file() for name in named)


def test_licences_are_those_that_notice_and_the_metadata_name() -> None:
    assert len(ENTRIES) >= 8
    named = {name.removeprefix("LICENSES/").removesuffix(".txt") for name in re.findall(r"LICENSES/[\w.-]+", NOTICE)}
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert texts() == named == set(project["license"].split(" AND ")) - {"Apache-2.0"}
    assert {"LICENSE", "NOTICE", "LICENSES/*.txt"} <= set(project["license-files"])


def test_each_licence_is_the_one_that_its_name_says() -> None:
    for name in {*texts(), "Apache-2.0"}:
        path = CHECKOUT / ("LICENSE" if name == "Apache-2.0" else f"LICENSES/{name}.txt")
        assert path.read_text(encoding="utf-8").strip().startswith(FIRST_LINES[name]), name


def test_the_public_license_of_creative_commons_is_whole() -> None:
    text = (CHECKOUT / "LICENSES" / "CC-BY-4.0.txt").read_text(encoding="utf-8")
    assert [f"Section {number} -- " in text for number in range(1, 9)] == [True] * 8
    assert text.rstrip().endswith("Creative Commons may be contacted at creativecommons.org.")
