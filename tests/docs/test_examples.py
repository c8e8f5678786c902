"""Every command and Python block of the README and the docs is run, and prints what the page shows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT
from tests.docs.blocks import Page, read_page, read_pages
from tests.docs.runner import Folder, outputs_match, prepare
from tests.release.conftest import hub  # noqa: F401  (a fixture)

PAGES = read_pages()


def cases() -> Iterator[object]:
    for page in PAGES:
        if page.runs:
            marks = [pytest.mark.slow] if page.slow else []
            yield pytest.param(page, id=str(page.path.relative_to(CHECKOUT)), marks=marks)


@pytest.mark.parametrize("page", cases())
def test_the_examples_of_a_page_run_and_print_what_it_shows(
    page: Page, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = next((name for name in page.start if name in ("example", "made")), None)
    prepare(tmp_path, request.getfixturevalue(base) if base else None)
    monkeypatch.chdir(tmp_path)
    if "hub" in page.start:
        request.getfixturevalue("hub")
    folder = Folder()
    for block in page.blocks:
        folder.run(block)


def test_an_example_that_is_not_run_says_why() -> None:
    blocks = [(page.path.name, block) for page in PAGES for block in page.blocks if block.not_run is not None]
    assert [(name, block.line) for name, block in blocks if len((block.not_run or "").split()) < 2] == []


def test_outputs_are_compared_line_by_line_with_gaps_and_numbers_that_vary() -> None:
    assert outputs_match("a  1\nb\n", "a  1   \nb")
    assert not outputs_match("a 1\nb\n", "a 1\nc\n")
    assert not outputs_match("a 1\n", "a 2\n")
    assert outputs_match("a 1\n...\nz\n", "a 1\nb\nc\nz\n")
    assert not outputs_match("a 1\n...\nz\n", "a 1\nb\nc\n")
    assert outputs_match("rows  1,200 of 0.5\n", "rows  7 of 1\n", varies=True)
    assert not outputs_match("rows 1 of 2\n", "rows 1\n", varies=True)


def test_blocks_are_found_with_their_outputs_and_comments(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- examples: made hub -->\n\n```sh\nls\n```\n```text\nx\n```\n\n<!-- not run: needs a GPU -->\n```\n"
        "vllm serve\n```\n\n```yaml\na: 1\n```\n\n<!-- setup: touch y -->\n<!-- varies -->\n```\nseas-data log\n```\n"
    )
    read = read_page(page)
    assert read.start == ("made", "hub")
    assert [(block.kind, block.output, block.not_run, block.varies) for block in read.blocks] == [
        ("shell", "x\n", None, False),
        ("shell", None, "needs a GPU", False),
        ("setup", None, None, False),
        ("shell", None, None, True),
    ]
