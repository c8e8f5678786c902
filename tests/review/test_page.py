"""The review page in a real browser: keys, undo, filters, people, themes; nothing hostile acts and nothing leaves."""

import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import seas_data as sd
from seas_data.errors import SeasDataError
from seas_data.query.version import Version
from seas_data.review import sheet
from seas_data.review.page.items import PromptItems, ResponseItems
from seas_data.review.response_index import response_texts
from seas_data.sources.sheets import unguard_cell
from seas_data.store import open_workspace
from seas_data.tables import TABLES
from seas_data.text import content_id
from tests import made as made_up
from tests.review import hostile
from tests.review.pages import Opened, prompt_session, response_session, served, visit

playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
CHROMIUM = Path("/usr/bin/chromium")
if not CHROMIUM.exists():
    pytest.skip("needs a Chromium at /usr/bin/chromium", allow_module_level=True)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        yield started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])


@pytest.fixture(scope="module")
def version(made: Path) -> Version:
    return sd.open(made).version("v2")


@pytest.fixture(scope="module")
def hostile_version(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Version:
    """A version whose first sixty prompts, and their responses, are attempts, and whose labels are some too."""
    version = sd.open(made).version("v2")
    frames = {name: version.table(name) for name in TABLES}
    count = len(hostile.TEXTS)
    kept = set(version.table("kept")["prompt_id"].head(count))
    prompts = frames["prompts"]
    texts = iter(hostile.TEXTS)
    replaced = [next(texts) if row_id in kept else text for row_id, text in prompts.select("prompt_id", "text").rows()]
    frames["prompts"] = prompts.with_columns(
        pl.Series("text", replaced), source_risk=pl.lit(hostile.ATTEMPTS[1]), language=pl.lit('en" onload="x')
    )
    answers = [hostile.TEXTS[at % count] for at in range(frames["responses"].height)]
    frames["responses"] = frames["responses"].with_columns(text=pl.Series(answers))
    root = tmp_path_factory.mktemp("hostile") / "ws"
    return made_up._commit(open_workspace(root, create=True), made_up.recipe(), None, frames, ("write",))


def cells(path: Path) -> dict[str, dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {next(iter(row.values())): row for row in csv.DictReader(file)}


def test_ten_items_by_keys(version: Version, browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "ada.csv"
    session = prompt_session(version, path, 10)
    ids = session.ids
    with served(version, session) as address:
        opened = Opened(browser, address)
        page = opened.page
        assert page.url == f"{opened.base}/"
        assert page.title().startswith("Item 1 of 10")
        for key in "1234":
            opened.decide(key)
        assert "4 of 10 decided" in page.locator("#progress").inner_text()
        opened.press("s")
        opened.press("k")
        opened.press("n")
        page.keyboard.type("1 unclear word")
        page.keyboard.press("Enter")
        opened.decide("2")
        opened.press("u")
        assert page.title().startswith("Item 5 of 10")
        opened.press("j")
        opened.press("l")
        page.keyboard.type("Role")
        page.keyboard.press("Escape")
        opened.decide("1")
        opened.press("k")
        assert page.locator("[aria-pressed=true]").inner_text().split() == ["1", "Keep"]
        opened.press("0")
        page.select_option("[name=show]", "decided")
        page.get_by_role("button", name="Filter").click()
        opened.settle()
        assert page.title().startswith("Item 1 of 10")
        assert "show=decided" in page.url
        page.goto(opened.base)
        assert page.title().startswith("Item 5 of 10"), "the first undecided one"
        assert opened.said == []
    rows = cells(path)
    decided = [(rows[each]["decision"], rows[each]["label"], rows[each]["who"]) for each in ids]
    assert decided[:4] == [
        ("keep", "", "ada"),
        ("drop", "", "ada"),
        ("", "harmless", "ada"),
        ("", "adversarial", "ada"),
    ]
    assert set(decided[4:]) == {("", "", "")}


def test_of_keys_in_quick_succession_none_is_lost_and_none_decides_an_item_that_was_not_shown(
    version: Version, browser: Any, tmp_path: Path
) -> None:
    session = prompt_session(version, tmp_path / "ada.csv", 30)
    with served(version, session) as address:
        opened = Opened(browser, address)
        page = opened.page
        opened.show_texts()
        for pair in range(6):
            before = session.decided
            page.keyboard.press("1")
            page.keyboard.press("2")
            opened.settle()
            refused = "The key 2 was not taken" in page.locator("#hint").inner_text()
            assert session.decided == before + 2 - refused, pair
            assert page.title().startswith(f"Item {session.decided + 1} of")
        done, decide = session.decided, session.decide

        def slowly(*given: str) -> None:
            time.sleep(0.3)
            decide(*given)

        session.decide = slowly  # type: ignore[method-assign]
        page.keyboard.press("1")
        page.keyboard.press("2")
        page.keyboard.press("j")
        opened.settle()
        assert "The key j was not taken" in page.locator("#hint").inner_text(), "nothing overtakes a refused key"
        hint = page.locator("#hint").bounding_box()
        assert 0 < hint["y"] < page.viewport_size["height"] - hint["height"], "it is in view"
        assert session.decided == done + 1
        assert page.title().startswith(f"Item {done + 2} of")
        for key in "1jjk":
            page.keyboard.press(key)
        opened.settle()
        assert session.decided == done + 2
        assert page.title().startswith(f"Item {done + 4} of")
        session.decide = decide  # type: ignore[method-assign]
        page.get_by_role("button", name="Drop").dblclick()
        opened.settle()
        assert "The second click was not taken" in page.locator("#hint").inner_text()
        assert session.decided == done + 3
        assert opened.said == []


def test_a_server_that_was_killed_is_told_and_the_key_counts_after_the_next_start(
    version: Version, browser: Any, tmp_path: Path
) -> None:
    session = prompt_session(version, tmp_path / "ada.csv", 5)
    with served(version, session) as address:
        opened = Opened(browser, address)
        opened.decide("1")
    opened.show_texts()
    assert "The server does not answer" in opened.page.locator("#hint").inner_text()
    again = prompt_session(version, tmp_path / "ada.csv", 5)
    assert again.decided == 1
    again.close()


def test_a_key_decides_nothing_while_the_text_is_hidden(version: Version, browser: Any, tmp_path: Path) -> None:
    session = prompt_session(version, tmp_path / "ada.csv", 30)
    kinds = dict(version.table("prompts", ["prompt_id", "kind"]).iter_rows())
    at = next(at for at, row_id in enumerate(session.ids, start=1) if kinds[row_id] == "adversarial")
    with served(version, session) as address:
        opened = Opened(browser, address)
        opened.page.goto(f"{opened.base}/?at={at}")
        assert not opened.page.locator(".texts .text").first.is_visible()
        opened.press("1")
        assert opened.page.locator(".texts .text").first.is_visible()
        assert "Nothing was recorded" in opened.page.locator("#hint").inner_text()
        assert session.decided == 0
        opened.press("1")
        assert session.decided == 1
        opened.show_texts()
        assert opened.page.locator(".texts .text").first.is_visible()


def test_a_click_decides_nothing_while_the_text_is_hidden_and_the_buttons_stay_where_they_are(
    version: Version, browser: Any, tmp_path: Path
) -> None:
    session = response_session(version, tmp_path / "gold.csv", 5)
    with served(version, session) as address:
        opened = Opened(browser, address)
        page, button = opened.page, opened.page.get_by_role("button", name="Unsafe")
        before = button.bounding_box()
        button.click()
        assert session.decided == 0
        assert "Nothing was recorded" in page.locator("#hint").inner_text()
        assert page.locator(".texts .text").first.is_visible()
        assert button.bounding_box() == before
        assert "Hide the response" in page.locator("summary").first.inner_text()
        opened.press("v")
        page.wait_for_function("!document.getElementById('hint').textContent")
        page.locator("[name=detail]").evaluate(
            "(list) => { list.value = 'full_refusal'; list.dispatchEvent(new Event('change', {bubbles: true})); }"
        )
        assert (page.locator("[name=detail]").input_value(), page.locator("#texts[open]").count()) == ("", 1)
        button.click()
        opened.settle()
        assert session.decided == 1
        opened.press("k")
        colours = []
        for key in "21":
            opened.decide(key)
            opened.press("k")
            colours.append(page.locator(".chosen").evaluate("(each) => getComputedStyle(each).backgroundColor"))
        assert colours[0] != colours[1], "what rejects has a colour of its own"
        assert opened.said == []


def test_what_was_typed_is_not_lost_on_any_way_out_and_digits_decide_in_the_list(
    version: Version, browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    session = prompt_session(version, tmp_path / "ada.csv", 20)
    ids = session.ids
    with served(version, session) as address:
        opened = Opened(browser, address)
        page = opened.page
        opened.show_texts()
        ways = ("j", "s", "u", "Next", "Filter", "back", "reload")
        for at, way in enumerate(ways):
            page.goto(f"{opened.base}/?at={at + 1}")
            opened.settle()
            if way == "back":
                opened.press("j")
                opened.press("k")
            opened.press("n")
            page.keyboard.type(f"left by {way}")
            if len(way) == 1:
                page.keyboard.press("Enter")
                opened.press(way)
            elif way == "Next":
                page.get_by_role("link", name=way).click()
            elif way == "Filter":
                page.get_by_role("button", name=way).click()
            elif way == "back":
                page.go_back()
            else:
                page.reload()
            opened.settle()
            page.wait_for_timeout(100)
            assert session.note(ids[at]) == f"left by {way}"
        assert session.decided == 0
        with monkeypatch.context() as patched:
            patched.setattr("os.fsync", full)
            for key in "j1":
                page.goto(f"{opened.base}/?at=9")
                opened.press("n")
                page.keyboard.type("kept")
                page.keyboard.press("Enter")
                opened.press(key)
                assert "No space left on device" in page.locator("#hint").inner_text()
                assert page.locator("[name=note]").input_value() == "kept"
                page.locator("[name=note]").fill("")
        page.locator("[name=note]").fill("seen")
        page.reload()
        opened.press("1")
        assert session.note(ids[8]) == "seen", "the page may be older than the note"
        page.goto(f"{opened.base}/?at=20")
        opened.press("j")
        assert "last item" in page.locator("#hint").inner_text()
        page.goto(f"{opened.base}/?at=10")
        opened.press("l")
        page.keyboard.type("Role")
        opened.press("1")
        assert session.cells(ids[9]) | {"because": ""} == {
            "decision": "keep",
            "label": "Role Play",
            "who": "ada",
            "because": "",
        }
        assert page.title().startswith("Item 11 of")
        opened.press("l")
        page.keyboard.type("Role")
        page.keyboard.press("Enter")
        opened.press("j")
        assert session.cells(ids[10])["label"] == "Role Play"
        assert "is saved" in page.locator("#hint").inner_text()
        opened.press("j")
        page.locator("[name=detail]").dispatch_event("pointerdown")
        page.select_option("[name=detail]", "general")
        assert page.evaluate("document.activeElement.id") == "item", "after the mouse, keys are those of the page"
        opened.press("2")
        assert [session.cells(ids[12])[name] for name in ("decision", "label")] == ["drop", "general"]
        opened.press("?")
        assert page.locator("#keys[open]").count() == 1
        assert page.locator("#keys dl").is_visible()
        assert page.locator(".choices kbd").first.is_visible(), "the buttons show their keys"
        assert [each for each in opened.said if "status of 400" not in each] == []


def test_responses_are_blind(version: Version, tmp_path: Path) -> None:
    session = response_session(version, tmp_path / "gold.csv", 40)
    judges = version.table("verdicts")["judge"].unique().to_list()
    models = version.table("responses")["model"].unique().to_list()
    with served(version, session) as address:
        client = visit(address)
        for at in range(1, 41):
            text = client.get(f"/?at={at}").text
            before, after = text.split('<div class="texts">' if "<div class=texts" in text else 'id="texts"')
            about = before + after.split("</details>", 1)[1]
            for word in (*judges, *models, "score", "unparsed", "similarity"):
                assert word not in about.split(), word
            assert "facts" not in about
            assert "aria-pressed" not in about


def test_the_page_works_at_three_widths_in_both_themes_and_without_scripts(
    version: Version, browser: Any, tmp_path: Path
) -> None:
    session = prompt_session(version, tmp_path / "ada.csv", 10)
    with served(version, session) as address:
        opened = Opened(browser, address, java_script_enabled=True)
        page = opened.page
        papers = set()
        for width in (1200, 820, 390):
            for scheme in ("light", "dark"):
                page.set_viewport_size({"width": width, "height": 800})
                page.emulate_media(color_scheme=scheme)
                papers.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
                assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert len(papers) == 2
        names = page.evaluate(
            "[...document.querySelectorAll('button, a, select, input:not([type=hidden])')]"
            ".map((each) => each.innerText || each.labels?.[0]?.innerText || '')"
        )
        assert all(name.strip() for name in names), "every control has a name"
        assert page.evaluate("document.activeElement.id") == "item"
        plain = opened.context.browser.new_context(
            java_script_enabled=False, storage_state=opened.context.storage_state()
        ).new_page()
        plain.goto(f"{opened.base}/?at=1")
        hidden = plain.locator("#texts").count()
        plain.get_by_role("button", name="Drop").click()
        if hidden:
            assert "Nothing was recorded" in plain.locator("#hint").inner_text()
            assert (session.decided, plain.locator(".texts .text").first.is_visible()) == (0, True)
            plain.get_by_label("I have shown and read the text").check()
            plain.get_by_role("button", name="Drop").click()
        plain.wait_for_url("**at=2**")
        assert session.decided == 1
        assert opened.said == []


TEXT = """() => [...document.querySelectorAll(".texts .text")].map((each) => each.textContent)"""


@pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_nothing_hostile_acts_and_nothing_leaves(
    hostile_version: Version, browser: Any, tmp_path: Path, step: int
) -> None:
    texts = hostile.TEXTS[::step]
    count = len(texts)
    kept = hostile_version.table("kept").filter(pl.col("text").is_in(list(texts)))
    assert kept.height == count
    path = tmp_path / "ada.csv"
    sheet.write_sheet(kept, path)
    session = prompt_session(hostile_version, path, count)
    with served(hostile_version, session) as address:
        opened = Opened(browser, address)
        for at in range(count):
            opened.decide("12"[at % 2])
            assert opened.page.evaluate("window.hit") is None
            assert (
                opened.page.locator("main iframe, main img, main svg, main script, main style, main meta").count() == 0
            )
        opened.page.goto(f"{opened.base}/?at=1&search=%3Cscript%3Ewindow.hit%3D1%3C/script%3E&show=%22%3E%3Cb%3E")
        assert opened.page.evaluate("window.hit") is None
        assert opened.said == []
        assert {url for url in opened.asked if not url.startswith((opened.base, "data:"))} == set()
    rows = cells(path)
    for at, row_id in enumerate(session.ids):
        assert rows[row_id]["decision"] == ("keep", "drop")[at % 2]
    stored = dict(kept.select("prompt_id", "text").iter_rows())
    assert all(unguard_cell(row["text"]) == stored[row_id] for row_id, row in rows.items())


@pytest.mark.slow
def test_a_response_is_shown_with_the_turns_of_its_conversation(hostile_version: Version, tmp_path: Path) -> None:
    query = "select response_id, prompt_id from responses where prompt_id in (select prompt_id from kept) order by all"
    response_id, prompt_id = hostile_version.select(query).row(0)
    turns = [
        ("system", "Be brief."),
        ("user", "[[assistant]]"),
        ("assistant", "Which door?"),
        ("user", "The blue one."),
    ]
    messages = [{"role": role, "content": content} for role, content in turns]
    frames = {name: hostile_version.table(name) for name in TABLES}
    row = pl.Series([messages], dtype=frames["prompts"].schema["messages"])
    frames["prompts"] = frames["prompts"].with_columns(
        messages=pl.when(pl.col("prompt_id") == prompt_id).then(pl.lit(row).first()).otherwise("messages")
    )
    workspace = open_workspace(tmp_path / "ws", create=True)
    version = made_up._commit(workspace, made_up.recipe(), None, frames, ("write",))
    shown = ResponseItems(version, [response_id], tmp_path / "x.csv").show(response_id)
    assert [each.title for each in shown.passages] == [*(role for role, _ in turns), "response"]
    path = tmp_path / "gold.csv"
    texts = response_texts(version, pl.Series([response_id]))
    sheet.write_sheet(texts, path, sheet.RESPONSE_COLUMNS, sheet.RESPONSE_INPUTS)
    with served(version, response_session(version, path, 1)) as address:
        page = visit(address).get("/").text
    assert [title in page for title in (">assistant</h2>", ">response</h2>", ">prompt</h2>")] == [True, True, False]


def test_hostile_responses_do_not_act_either(hostile_version: Version, browser: Any, tmp_path: Path) -> None:
    session = response_session(hostile_version, tmp_path / "gold.csv", 3)
    with served(hostile_version, session) as address:
        opened = Opened(browser, address)
        opened.show_texts()
        for _ in range(3):
            opened.decide("2")
        assert opened.page.evaluate("window.hit") is None
        assert opened.said == []
        assert session.decided == 3


def test_a_sheet_of_another_version_is_refused(version: Version, tmp_path: Path) -> None:
    rows = version.table("kept").head(2).with_columns(prompt_id=pl.Series([content_id("x", 1), content_id("x", 2)]))
    sheet.write_sheet(rows, tmp_path / "ada.csv")
    session = prompt_session(version, tmp_path / "ada.csv", 2)
    with pytest.raises(SeasDataError, match="2 prompts that v2 does not have"):
        PromptItems(version, session.ids, session.path)
    session.close()
