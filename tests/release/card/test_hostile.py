"""Hostile text in every field that a card prints: nothing runs, nothing breaks, and the page is the one it was."""

import re
import shutil
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from seas_data.release import card
from seas_data.release.card import metadata
from tests.release import hostile
from tests.test_markdown import Tags

# Short enough to be shown whole: a value is cut at 120 characters. The first has a little of each of the others.
PAYLOADS = {
    "mixed": "<script>x</script>**b** [l](//evil.example) `c` | d |\n# H\n{{ 7*7 }}\n---\n"
    "<!-- seas-data: end -->\x1b[2J\u202e",
    "html": '<script>document.title=1</script><img src=x onerror="document.title=1"></td> https://evil.example @me',
    "markdown": " **b** [l](https://evil.example) ![i](//evil.example) `c` ~~x~~ $$y$$ | d |\n| --- |\n\n# H\n\n```f",
    "template": " {{ 7*7 }}{% raw %} &a *a !!x\n---\nevil: true\n---\n<!-- seas-data: end -->\n<!-- seas-data: begin",
    "terminal": " \x1b]8;;https://evil.example\x07h\x00\u202egnp.exe\u2066\u200b" + "x|`<" * 1_000,
}
PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def structure(page: str) -> list[str]:
    """Return the tags and headings of a card's body; code spans are how values are shown, so they do not count."""
    body = metadata.split(page)[1]
    body = re.sub(r"<!-- seas-data: begin .*?-->", "", body)
    return [tag for tag in Tags(PARSER.render(body)).tags if tag != "code"]


def headings(page: str) -> list[str]:
    tokens = PARSER.parse(metadata.split(page)[1])
    return [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]


def links(page: str) -> set[str]:
    return set(re.findall(r'(?:href|src)="([^"]*)"', PARSER.render(metadata.split(page)[1])))


@dataclass(frozen=True)
class Cards:
    """The cards of a version that says a payload everywhere: of the dataset, of a red team and of a target."""

    dataset: str
    models: tuple[str, ...]
    pictures: dict[str, str]


def write_cards(made: Path, folder: Path, payload: str, waivers: dict[str, str]) -> Cards:
    opened = hostile.workspace(made, folder, payload)
    files = card.dataset_files(opened, "gated", waivers)
    models = tuple(card.model_card(opened, f"{name}{payload}") for name in ("R1", "T1"))
    return Cards(files.pop(card.README), models, files)


@pytest.fixture(
    scope="module",
    params=[name if name == "mixed" else pytest.param(name, marks=pytest.mark.slow) for name in PAYLOADS],
)
def attacked(request: pytest.FixtureRequest, made: Path, tmp_path_factory: pytest.TempPathFactory) -> Cards:
    payload = PAYLOADS[request.param]
    waivers = {"licences": f"because{payload}", f"name{payload}": "because"}
    return write_cards(made, tmp_path_factory.mktemp("hostile") / "ws", payload, waivers)


@pytest.fixture(scope="module")
def clean(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Cards:
    """The cards of the same version with a plain word in place of the payload."""
    waivers = {"licences": "because", "name": "because"}
    return write_cards(made, tmp_path_factory.mktemp("clean") / "ws", " door", waivers)


def test_the_dataset_card_keeps_its_shape(attacked: Cards, clean: Cards) -> None:
    page, plain = attacked.dataset, clean.dataset
    assert page.count("`") > plain.count("`") + 200  # the payload is on the page, in code
    assert headings(page) == headings(plain)
    assert structure(page) == structure(plain)
    assert links(page) == links(plain)
    assert list(metadata.split(page)[0]) == list(metadata.split(plain)[0])
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]", page)
    assert max(map(len, page.splitlines())) < 2_000
    assert card.merge(page, page) == page


def test_the_model_card_keeps_its_shape(attacked: Cards, clean: Cards) -> None:
    for page, plain in zip(attacked.models, clean.models, strict=True):
        assert structure(page) == structure(plain)
        assert len(headings(page)) == len(headings(plain))
        assert links(page) == links(plain)
        assert list(metadata.split(page)[0]) == list(metadata.split(plain)[0])


def test_pictures_stay_pictures(attacked: Cards, clean: Cards) -> None:
    drawn, plain = attacked.pictures, clean.pictures
    assert list(drawn) == list(plain) == ["assets/attack-success.svg", "assets/course.svg"]
    for name, picture in drawn.items():
        tags = [each.tag for each in ElementTree.fromstring(picture).iter()]
        assert tags == [each.tag for each in ElementTree.fromstring(plain[name]).iter()]
        assert not any("script" in tag or "image" in tag for tag in tags)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs Chromium")
def test_a_browser_shows_it_and_runs_nothing(made: Path, tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    opened = hostile.workspace(made, tmp_path / "ws", PAYLOADS["html"])
    files = card.dataset_files(opened, "gated")
    page = PARSER.render(metadata.split(files.pop(card.README))[1])
    for name, picture in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(picture, encoding="utf-8")
    (tmp_path / "card.html").write_text(f"<meta charset=utf-8><title>card</title>{page}", encoding="utf-8")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        seen = browser.new_page(viewport={"width": 940, "height": 900})
        asked: list[str] = []
        seen.on("request", lambda request: asked.append(request.url))
        seen.goto(f"file://{tmp_path / 'card.html'}")
        assert seen.title() == "card"
        assert all(url.startswith("file://") for url in asked) and len(asked) == 3
        assert seen.evaluate("[...document.images].every(image => image.naturalWidth > 100)")
        browser.close()
