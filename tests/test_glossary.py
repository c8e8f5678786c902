"""The glossary and the docs use one word for one thing."""

import re
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]
ROWS = [
    [cell.strip() for cell in line.strip("|\n").split("|")]
    for line in (CHECKOUT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    if line.startswith("| ") and not line.startswith("| term")
]
PAGES = [*sorted((CHECKOUT / "docs").glob("*.md")), CHECKOUT / "README.md"]


def test_terms_are_sorted_and_defined_once_in_one_line() -> None:
    terms = [row[0] for row in ROWS]
    assert terms == sorted(set(terms))
    assert all(len(row) == 3 and row[1].endswith(".") for row in ROWS)
    assert len(terms) >= 40


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_docs_use_the_glossary_term(page: Path) -> None:
    if page.name == "glossary.md":
        pytest.skip("it lists the words that the other pages do not use")
    text = page.read_text(encoding="utf-8").lower()
    used = [word for row in ROWS for word in filter(None, row[2].split(", ")) if re.search(rf"\b{word}s?\b", text)]
    assert not used


def test_every_term_occurs_in_the_docs_or_the_code() -> None:
    texts = [page.read_text(encoding="utf-8") for page in PAGES if page.name != "glossary.md"]
    texts += [path.read_text(encoding="utf-8") for path in (CHECKOUT / "seas_data").rglob("*.py")]
    everything = re.sub(r"[\s_-]+", " ", " ".join(texts)).lower()
    assert [row[0] for row in ROWS if row[0].replace("-", " ").lower() not in everything] == []
