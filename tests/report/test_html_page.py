"""The report in a real browser: charts, tables and the map work, text stays hidden, and nothing hostile acts."""

import csv
import io
import itertools
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import seas_data as sd
from seas_data import report
from seas_data.query.version import Version
from seas_data.review.choice import choose_selection
from seas_data.store import open_workspace
from seas_data.tables import TABLES
from tests import made as made_up

playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
CHROMIUM = Path("/usr/bin/chromium")
if not CHROMIUM.exists():
    pytest.skip("needs a Chromium at /usr/bin/chromium", allow_module_level=True)

WAIT = 300_000  # milliseconds: charts are many, and the machine may be busy
ATTEMPTS = (
    '=HYPERLINK("http://hit.example")',
    "</script><script>window.hit=1</script>",
    '<img src=x onerror="window.hit=1">',
    "'\"><svg/onload=window.hit=1>",
    "{{ 7 * 191 }}{% raw %}",
    "datum.x + (window.hit=1)",
    "');window.hit=1;//",
    "[[window.hit=1]] ${window.hit=1}",
    "\u202egnp.exe\u2066 \u200b\u2028 <!-- \x1b]0;hit\x07",
    "javascript:window.hit=1",
    "https://hit.example/x.png",
    "__proto__",
)


class Opened:
    """A page of the report, with its requests and its errors."""

    def __init__(self, browser: Any, path: Path, **settings: Any) -> None:
        self.page = browser.new_page(**({"viewport": {"width": 1200, "height": 900}} | settings))
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda problem: self.said.append(str(problem)))
        self.page.on("dialog", lambda dialog: (self.said.append(dialog.message), dialog.dismiss()))
        self.page.set_default_timeout(WAIT)
        self.page.route("**/*", self._route)
        self.page.goto(path.as_uri())
        self.page.wait_for_selector("html[data-ready]", state="attached")

    def _route(self, route: Any) -> None:
        self.asked.append(route.request.url)
        if route.request.url.startswith("file:"):
            route.continue_()
        else:
            route.abort()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        yield started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])


@pytest.fixture(scope="module")
def plain(made: Path, browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    path = tmp_path_factory.mktemp("report") / "plain.html"
    report.write_report(sd.open(made).version(), path)
    return Opened(browser, path, color_scheme="dark")


@pytest.fixture(scope="module")
def hostile_version(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Version:
    """A version in which every text that comes from outside is an attempt."""
    version = sd.open(made).version()
    columns = {
        "prompts": ("text", "source", "licence", "language", "source_risk", "source_style", "repository"),
        "clusters": ("label",),
        "attacks": ("text",),
        "verdicts": ("judge",),
        "pairs": ("judge",),
        "checkpoints": ("statement",),
        "decisions": ("detail", "step"),
        "set_aside": ("source", "detail"),
    }
    frames = {}
    for name in TABLES:
        frame = version.table(name)
        for column in columns.get(name, ()):
            values = dict(zip(frame[column].drop_nulls().unique().sort(), itertools.cycle(ATTEMPTS), strict=False))
            told = pl.col(column).replace_strict(values, default=None, return_dtype=pl.String)
            same = told if column in ("source", "judge") else told + " " + pl.col(column)
            frame = frame.with_columns(same.alias(column))
        frames[name] = frame
    root = tmp_path_factory.mktemp("hostile") / "ws"
    return made_up._commit(open_workspace(root, create=True), made_up.recipe(), None, frames, (ATTEMPTS[1], "write"))


@pytest.fixture(scope="module")
def hostile(hostile_version: Version, browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    path = tmp_path_factory.mktemp("report") / "hostile.html"
    report.write_report(hostile_version, path, with_text=True)
    return Opened(browser, path)


def until(page: Any, condition: str, given: Any = None) -> None:
    """Wait for a condition; ``wait_for_function`` cannot, since it compiles it where the page's policy forbids that."""
    ends = time.monotonic() + WAIT / 1000
    while not page.evaluate(condition, given):
        assert time.monotonic() < ends, condition
        page.wait_for_timeout(50)


MARKS = """(box) => {
  const count = (item) => (item.marktype && item.marktype !== "group" && item.role === "mark" ? item.items.length : 0)
    + (item.items ?? []).reduce((sum, each) => sum + count(each), 0);
  return box.view ? count(box.view.scenegraph().root) : -1;
}"""


@pytest.mark.slow
def test_every_chart_has_marks(hostile: Opened) -> None:
    boxes = hostile.page.query_selector_all("[data-chart], [data-map-chart]")
    assert len(boxes) > 40
    marks = {box.get_attribute("data-chart"): box.evaluate(MARKS) for box in boxes}
    assert not {name: count for name, count in marks.items() if count < 1}
    assert hostile.page.query_selector_all(".flow .link")


@pytest.mark.slow
def test_it_complains_of_nothing_and_asks_nobody(plain: Opened) -> None:
    assert plain.said == []
    assert len(plain.asked) == 1


@pytest.mark.slow
def test_a_table_sorts_both_ways_filters_and_shows_more(plain: Opened) -> None:
    table = plain.page.locator("#q-flow details.table")
    numbers = lambda: [int(cell.replace(",", "")) for cell in table.locator("td.number").all_inner_texts()]  # noqa: E731
    head = table.get_by_role("button", name="rows", exact=True)
    head.click()
    assert numbers() == sorted(numbers(), reverse=True)
    assert table.locator("th[aria-sort=descending]").count() == 1
    head.click()
    assert numbers() == sorted(numbers())
    few = table.locator("tbody tr").count()
    table.get_by_role("button", name="Show more rows").click()
    assert table.locator("tbody tr").count() > few
    table.get_by_label("Filter rows").fill("letters KEPT")
    rows = table.locator("tbody tr").all_inner_texts()
    assert rows
    assert all("letters" in row and "kept" in row for row in rows)
    assert table.locator(".found").inner_text().startswith(f"{len(rows)} of ")
    table.get_by_label("Filter rows").fill("")


@pytest.mark.slow
def test_the_keyboard_is_enough(plain: Opened) -> None:
    summary = plain.page.locator("#q-judges details.table > summary")
    summary.focus()
    plain.page.keyboard.press("Enter")
    plain.page.wait_for_selector("#q-judges details.table tbody tr")
    plain.page.keyboard.press("Tab")
    plain.page.keyboard.type("guard")
    assert plain.page.locator("#q-judges tbody tr").count() == 1
    plain.page.keyboard.press("Tab")
    assert plain.page.evaluate("document.activeElement.textContent") == "Export CSV"
    assert plain.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"


@pytest.mark.slow
def test_it_fits_phones_and_screens_and_both_themes(plain: Opened) -> None:
    page = plain.page
    colours = set()
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        ink = page.evaluate("getComputedStyle(document.body).color")
        label = page.evaluate("getComputedStyle(document.querySelector('.chart .role-axis-label text')).fill")
        assert label == ink
        colours.add(ink)
    assert len(colours) == 2
    for width in (390, 820):
        page.set_viewport_size({"width": width, "height": 800})
        until(page, "(width) => document.documentElement.dataset.ready === String(width)", width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.emulate_media(media="print")
    assert not page.locator(".tools").first.is_visible()
    assert (
        page.evaluate("Math.max(...[...document.querySelectorAll('.chart svg')].map((each) => each.clientWidth))")
        <= 820
    )
    page.emulate_media(media="screen")


SPAN = """() => {
  const [low, high] = document.querySelector("[data-map-chart]").view.scale("x").domain();
  return high - low;
}"""
SPOT = """(box) => {
  box.scrollIntoView({block: "center", behavior: "instant"});
  const view = box.view, [left, top] = view.origin(), padding = view.padding(), row = view.data("rows")[0];
  return {x: padding.left + left + view.scale("x")(row.x), y: padding.top + top + view.scale("y")(row.y)};
}"""


@pytest.mark.slow
def test_the_map_can_be_coloured_zoomed_and_asked(plain: Opened) -> None:
    page, chart = plain.page, plain.page.locator("[data-map-chart]")
    points = chart.evaluate("(box) => box.view.data('rows').length")
    offered = page.locator(".map-colour option").all_inner_texts()
    assert {"kind", "type", "attack success", "novelty"} <= set(offered)
    page.locator(".map-colour").select_option(label="attack success")
    fewer = "(all) => document.querySelector('[data-map-chart]').view?.data('rows').length < all"
    until(page, fewer, points)
    wide = page.evaluate(SPAN)
    page.get_by_label("Zoom in").click()
    until(page, f"(wide) => ({SPAN})() < wide * 0.7", wide)
    page.get_by_role("button", name="Reset").click()
    until(page, f"(wide) => ({SPAN})() === wide", wide)
    chart.locator("canvas").click(position=chart.evaluate(SPOT))
    assert len(page.locator(".picked code").inner_text()) == 24
    assert plain.said == []


@pytest.mark.slow
def test_a_point_of_the_map_can_be_picked_by_keyboard(plain: Opened) -> None:
    page = plain.page
    page.locator(".map .near summary").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".map .near li")
    whole = page.locator(".map .near li").all_inner_texts()
    assert len(whole) == 20
    page.keyboard.press("Tab")
    focused = page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    assert page.locator(".picked code").inner_text() == focused == whole[0].split()[0]
    page.get_by_label("Zoom in").press("Enter")
    until(page, "(wide) => document.querySelectorAll('.map .near li').length > 0", None)
    page.locator(".map .near summary").press("Enter")
    page.get_by_role("button", name="Reset").press("Enter")
    assert plain.said == []


def saved_ids(page: Any, path: Path) -> list[str]:
    with page.expect_download() as download:
        page.get_by_role("button", name="Save ids").click()
    assert download.value.suggested_filename == "v0-region.csv"
    download.value.save_as(path)
    return pl.read_csv(path, infer_schema=False)["prompt_id"].to_list()


IN_BOX = """([[left, top], [right, bottom]]) => {
  const box = document.querySelector("[data-map-chart]"), view = box.view, padding = view.padding();
  const [x0, y0] = view.origin().map((each, at) => each + padding[["left", "top"][at]]);
  const edge = box.querySelector("canvas").getBoundingClientRect();
  return view.data("rows").filter((row) => {
    const x = edge.left + x0 + view.scale("x")(row.x), y = edge.top + y0 + view.scale("y")(row.y);
    return x > left && x < right && y > top && y < bottom;
  }).map((row) => row.id).sort();
}"""


@pytest.mark.slow
def test_a_region_drawn_with_the_mouse_is_saved_and_reviewed(
    hostile: Opened, hostile_version: Version, tmp_path: Path
) -> None:
    page, toggle = hostile.page, hostile.page.get_by_role("button", name="Region")
    toggle.scroll_into_view_if_needed()
    toggle.click()
    edge = page.locator(".region").bounding_box()
    left, top = edge["x"] + 0.3 * edge["width"], edge["y"] + 0.2 * edge["height"]
    right, bottom = edge["x"] + 0.75 * edge["width"], edge["y"] + 0.7 * edge["height"]
    page.mouse.move(left, top)
    page.mouse.down()
    for x, y in ((right, top), (right, bottom), (left, bottom), (left, top + 4)):
        page.mouse.move(x, y, steps=4)
    page.mouse.up()
    ids = saved_ids(page, tmp_path / "region.csv")
    assert ids == page.evaluate(IN_BOX, [[left, top], [right, bottom]])
    assert 0 < len(ids) < page.locator("[data-map-chart]").evaluate("(box) => box.view.data('rows').length")
    assert page.locator(".region-count").inner_text().startswith(f"{len(ids)} of ")
    wide = page.evaluate(SPAN)
    page.get_by_label("Zoom in").click()
    until(page, f"(wide) => ({SPAN})() < wide * 0.7", wide)
    assert saved_ids(page, tmp_path / "zoomed.csv") == ids, "a region is of the map, not of the screen"
    page.get_by_role("button", name="Reset").click()
    until(page, f"(wide) => ({SPAN})() === wide", wide)
    chosen = choose_selection(hostile_version, tmp_path / "region.csv")
    assert chosen["prompt_id"].to_list() == ids
    page.get_by_role("button", name="Clear").click()
    toggle.click()
    assert page.get_by_role("button", name="Save ids").is_disabled()
    assert hostile.said == []


@pytest.mark.slow
def test_a_region_is_moved_and_resized_by_keyboard(hostile: Opened, tmp_path: Path) -> None:
    page, toggle = hostile.page, hostile.page.get_by_role("button", name="Region")
    corners = "document.querySelector('[data-map]').corners"
    toggle.press("Enter")
    assert page.evaluate("document.activeElement.classList.contains('region')")
    page.keyboard.press("ArrowRight")
    start = page.evaluate(corners)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    moved = page.evaluate(corners)
    assert [moved[0][at] > start[0][at] for at in (0, 1)] == [True, True]
    for _ in range(8):
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Shift+ArrowUp")
    grown = page.evaluate(corners)
    assert grown[0] == pytest.approx(moved[0])
    assert grown[2][0] > moved[2][0]
    ids = saved_ids(page, tmp_path / "region.csv")
    (left, low), _, (right, high), _ = grown
    inside = "([left, low, right, high]) => document.querySelector('[data-map-chart]').view.data('rows')"
    inside += (
        ".filter((row) => row.x > left && row.x < right && row.y > low && row.y < high).map((row) => row.id).sort()"
    )
    assert ids == page.evaluate(inside, [left, low, right, high])
    assert ids
    page.locator(".region").focus()
    page.keyboard.press("Escape")
    assert page.evaluate(corners) == []
    toggle.press("Enter")
    assert hostile.said == []


TEXT = """() => [...document.querySelectorAll("body *:not(script)")]
  .flatMap((each) => [...each.childNodes]).filter((node) => node.nodeType === 3).map((node) => node.data).join("\\n")"""


@pytest.mark.slow
def test_texts_stay_hidden_until_asked_for(hostile: Opened, hostile_version: Version) -> None:
    page = hostile.page
    assert page.title().startswith("CONTAINS PROMPT TEXT")
    assert page.locator(".banner").first.is_visible()
    texts = {row["prompt_id"]: row["text"] for row in hostile_version.table("prompts").to_dicts()}
    cell = page.locator("#q-flipped-prompts td.id").first
    prompt_id = str(cell.evaluate("(each) => each.firstChild.data"))
    attacks = {row["prompt_id"]: row["text"] for row in hostile_version.table("attacks").to_dicts()}
    tail = (texts | attacks)[prompt_id][-30:]
    assert tail not in page.evaluate(TEXT)
    assert page.locator(".prompt").count() == 0
    rows = page.locator("#q-flipped-prompts tbody tr").count()
    cell.get_by_role("button", name="show text").click()
    assert tail in page.evaluate(TEXT)
    assert page.locator(".prompt").count() == 1
    cell.get_by_role("button", name="hide text").click()
    assert tail not in page.evaluate(TEXT)
    assert page.locator("#q-flipped-prompts tbody tr").count() == rows


@pytest.mark.slow
def test_an_exported_table_runs_no_formula(hostile: Opened) -> None:
    page = hostile.page
    with page.expect_download() as download:
        page.locator("#q-flow").get_by_role("button", name="Export CSV").click()
    rows = list(csv.reader(io.StringIO(Path(download.value.path()).read_text(encoding="utf-8"))))
    assert rows[0] == ["source", "outcome", "detail", "rows"]
    assert len(rows) > 10
    assert "'=HYPERLINK" in "".join(row[0] for row in rows)
    assert not [cell for row in rows for cell in row if cell and cell[0] in "=+-@\t\r"]


@pytest.mark.slow
def test_nothing_hostile_acts(hostile: Opened) -> None:
    page = hostile.page
    for details in page.query_selector_all("details"):
        details.evaluate("(each) => { each.open = true; }")
    until(page, "() => [...document.querySelectorAll('details[data-table]')].every((each) => each.dataset.built)")
    for button in page.query_selector_all("button.reveal")[:40]:
        button.evaluate("(each) => each.click()")
    assert page.locator(".prompt").count() >= 20
    for place in range(page.locator(".map-colour option").count()):
        page.locator(".map-colour").select_option(index=place)
    for box in page.query_selector_all(".chart svg [aria-roledescription]")[:60]:
        box.dispatch_event("mousemove")
    assert page.evaluate("window.hit") is None
    assert page.evaluate("({}).hit") is None
    assert hostile.said == []
    assert len([url for url in hostile.asked if not url.startswith("blob:")]) == 1
    found = page.evaluate(
        """() => ({
          scripts: document.querySelectorAll("script:not([type])").length,
          foreign: document.querySelectorAll("img, iframe, object, embed, link, main a, form:not(.vega-bindings)")
            .length,
          handlers: [...document.querySelectorAll("*")]
            .filter((each) => [...each.attributes].some((one) => one.name.startsWith("on"))).length,
          text: document.body.innerText,
        })"""
    )
    assert (found["scripts"], found["foreign"], found["handlers"]) == (6, 0, 0)
    assert "1337" not in found["text"]
    assert "{{ 7 * 191 }}" in found["text"]
    assert not set(found["text"]) & set("\u202e\u2066\u200b\u2028\x1b\x07")
    assert "\\u{202e}" in found["text"]


@pytest.mark.slow
def test_the_data_of_the_page_is_what_was_asked(plain: Opened, made: Path) -> None:
    told = json.loads(plain.page.locator("#page-data").text_content() or "")
    kept = sd.open(made).version().table("kept")
    section = told["sections"]["q-rows-by-kind"]
    names = [column["name"] for column in section["columns"]]
    assert sum(section["values"][names.index("kept")]) == kept.height
