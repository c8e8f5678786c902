"""What the server of the review page answers, without a browser: unread texts, notes, undo, the order of items."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import seas_data as sd
from seas_data.query.version import Version
from seas_data.review.page.session import Session
from tests.review.pages import prompt_session, served, visit


@pytest.fixture(scope="module")
def version(made: Path) -> Version:
    return sd.open(made).version("v2")


@pytest.fixture
def work(version: Version, tmp_path: Path) -> Session:
    return prompt_session(version, tmp_path / "ada.csv", 20)


@pytest.fixture
def client(version: Version, work: Session) -> Iterator[httpx.Client]:
    with served(version, work) as address:
        yield visit(address)


def hidden_row(version: Version, work: Session) -> str:
    kinds = dict(version.table("prompts", ["prompt_id", "kind"]).iter_rows())
    return next(row_id for row_id in work.ids if kinds[row_id] == "adversarial")


def decide(client: httpx.Client, row: str, choice: str = "1", **fields: str) -> str:
    data = {"row": row, "choice": choice, "read": "yes"} | fields
    return client.post("/decide", data=data).raise_for_status().text


def test_a_decision_on_a_hidden_text_is_refused_and_the_text_is_shown(
    client: httpx.Client, version: Version, work: Session
) -> None:
    row = hidden_row(version, work)
    for key in "1234":
        page = decide(client, row, key, read="", note="kept", detail="harmless")
        assert work.decided == 0
        assert "Nothing was recorded" in page
        assert '<details id="texts" class="texts" open>' in page
        assert f'value="{row}"' in page
    assert work.note(row) == "kept"
    assert work.cells(row)["label"] == ""
    assert "Nothing was recorded" not in client.get("/").text, "it is said once"
    decide(client, row)
    assert work.decided == 1
    decide(client, row, "0", read="")
    assert work.decided == 0, "clearing needs no text"


def test_texts_at_once_is_remembered_by_the_browser(client: httpx.Client, version: Version, work: Session) -> None:
    row = hidden_row(version, work)
    assert "Hide texts until asked" in client.post("/reveal", data={"at_once": "yes"}).text
    decide(client, row, read="")
    assert work.decided == 1
    assert "Show texts at once" in client.post("/reveal", data={"at_once": "no"}).text
    decide(client, row, "0")
    decide(client, row, read="")
    assert work.decided == 0


def test_what_was_typed_is_saved_on_leaving(client: httpx.Client, version: Version, work: Session) -> None:
    row = hidden_row(version, work)
    saved = client.post("/save", data={"row": row, "note": "not sure", "detail": "Role Play"})
    assert saved.status_code == 204
    assert (work.note(row), work.decided) == ("not sure", 0), "a label is a decision, and the text is hidden"
    client.post("/save", data={"row": row, "note": "not sure", "detail": "Role Play", "read": "yes"})
    assert (work.cells(row)["label"], work.decided) == ("Role Play", 1)
    decide(client, row, note="sure", detail="Role Play")
    client.post("/save", data={"row": row, "note": "very sure", "detail": "Role Play"})
    assert (work.cells(row)["decision"], work.note(row)) == ("keep", "very sure")
    assert client.post("/save", data={"row": row, "note": "x" * 2_001}).status_code == 400
    assert client.post("/save", data={"row": "x", "note": "x"}).status_code == 400


def test_what_a_form_leaves_out_stays_as_it_was(client: httpx.Client, work: Session) -> None:
    row = work.ids[0]
    work.annotate(row, "Role Play", "typed just before the page was loaded again")
    decide(client, row)
    assert (work.cells(row)["decision"], work.cells(row)["label"]) == ("keep", "Role Play")
    assert work.note(row) == "typed just before the page was loaded again"
    decide(client, row, "0")
    assert (work.decided, work.note(row)) == (0, "typed just before the page was loaded again")
    decide(client, row, "2", note="", detail="")
    assert (work.cells(row)["decision"], work.cells(row)["label"], work.note(row)) == ("drop", "", "")


def test_undo_says_when_there_is_nothing_to_undo(client: httpx.Client, work: Session) -> None:
    assert "Nothing to undo" in client.post("/undo", data={"at": "2"}).text
    decide(client, work.ids[0])
    assert "Nothing to undo" not in client.post("/undo", data={"at": "2"}).text


def test_skip_goes_on_with_the_first_undecided_item_and_the_last_item_says_what_is_before_it(
    client: httpx.Client, work: Session
) -> None:
    for row in work.ids[:5]:
        decide(client, row)
    last = client.get("/?at=20").text
    assert '<a class="button" href="/?at=6" data-key="s"' in last
    assert "14 undecided before this one" in last
    assert "undecided before this one" not in client.get("/?at=19").text
    for row in work.ids[5:]:
        page = decide(client, row)
    assert "undecided before this one" not in page
    assert 'data-key="s"' not in page


def test_a_filter_says_how_many_items_match(client: httpx.Client, work: Session) -> None:
    for row in work.ids[:5]:
        decide(client, row)
    assert "Item 3 of 20, 3 of 5 shown" in " ".join(client.get("/?at=3&show=decided").text.split())
    assert "Item 7 of 20, 5 shown" in " ".join(client.get("/?at=7&show=decided").text.split())
    assert " shown" not in client.get("/?at=3").text.split("<h1")[1].split("</h1>")[0]


def test_the_page_has_the_id_the_keys_and_no_change(client: httpx.Client, work: Session) -> None:
    page = client.get("/?at=4").text
    assert f'<code class="id">{work.ids[3]}</code>' in page
    assert '<option value="">no change</option>' in page
    keys = page.split('<details id="keys"')[1].split("</details>")[0]
    for key in ("1", "2", "3", "4", "0", "l", "j", "k", "s", "u", "n", "v", "?"):
        assert f"<kbd>{key}</kbd>" in keys, key
