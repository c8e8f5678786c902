"""The reference pages are those that the code gives."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from tests.conftest import CHECKOUT

DOCS = CHECKOUT / "docs"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_up_to_date(generate: ModuleType) -> None:
    for path, text in generate.pages().items():
        assert (DOCS / path).read_text(encoding="utf-8") == text, f"{path} is out of date: run python docs/generate.py"


def test_every_key_of_a_recipe_and_every_public_name_is_described(generate: ModuleType) -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", generate.recipe_page(), re.MULTILINE)
    assert len(rows) > 150
    assert [key for key, meaning in rows if not meaning] == []
    assert "\n## find_contaminated\n" in generate.python_page()


def test_every_log_format_says_what_it_takes_leaves_and_cannot_know(generate: ModuleType) -> None:
    sections = generate.logs_page().split("\n## ")[1:]
    assert len(sections) == 8
    for section in sections:
        assert [word for word in ("\n- Takes: ", "\n- Leaves: ", "\n- Cannot know: ") if word not in section] == []


def test_every_guard_metric_and_check_is_listed(generate: ModuleType) -> None:
    listed = set(re.findall(r"^\| `([\w.-]+)` \|", generate.judges_page() + generate.plugins_page(), re.MULTILINE))
    for group in ("guards", "metrics", "checks", "formats"):
        assert {*generate._entries(f"seas_data.{group}")} <= listed


def links() -> list[tuple[Path, str]]:
    pages = [*CHECKOUT.glob("*.md"), *DOCS.rglob("*.md"), CHECKOUT / "sql" / "ADD-A-QUERY-OR-CHART.md"]
    found = [(page, re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))) for page in pages]
    return [(page, link) for page, each in found for link in each if not re.match(r"[a-z]+:", link)]


def test_no_link_between_pages_and_files_is_broken() -> None:
    assert len(links()) > 60
    broken = []
    for page, link in links():
        path, _, heading = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (heading and heading not in _headings(target)):
            broken.append(f"{page.relative_to(CHECKOUT)}: {link}")
    assert broken == []


def _headings(page: Path) -> set[str]:
    lines = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).strip().replace(" ", "-") for line in lines}
