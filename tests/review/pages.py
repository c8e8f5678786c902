"""The review page as tests use it: served in a thread of this process, opened in a browser that asks nobody else."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from seas_data.query.version import Version
from seas_data.review import sheet
from seas_data.review.page import forms, items, serve
from seas_data.review.page.app import ReviewPage
from seas_data.review.page.session import Session

REASON = "review of v0"


def prompt_session(version: Version, path: Path, size: int, who: str = "ada") -> Session:
    if not path.exists():
        sheet.write_sheet(sheet.sample_prompts(version.table("kept"), size), path)
    return Session(path, forms.prompt_form(["Role Play"]), who, REASON)


def response_session(version: Version, path: Path, size: int, who: str = "ada") -> Session:
    if not path.exists():
        drawn = sheet.sample_responses(version, size)
        sheet.write_sheet(drawn, path, sheet.RESPONSE_COLUMNS, sheet.RESPONSE_INPUTS)
    return Session(path, forms.response_form(), who)


@contextmanager
def served(version: Version, session: Session) -> Iterator[str]:
    """Serve the page of a session in a thread; yield the address with the token."""
    kind = items.PromptItems if session.form.noun == "prompt" else items.ResponseItems
    page = ReviewPage(session, kind(version, session.ids, session.path), "test")
    told: list[str] = []
    ready = threading.Event()

    def announce(address: str) -> None:
        told.append(address)
        ready.set()

    with serve.Server(page.app(), 0) as server:
        thread = threading.Thread(target=server.run, args=(announce,), daemon=True)
        thread.start()
        assert ready.wait(30)
        try:
            yield told[0]
        finally:
            server.stop()
            thread.join(30)


def visit(address: str) -> httpx.Client:
    """Return a client that has exchanged the token for the cookie."""
    base = address.split("/open")[0]
    client = httpx.Client(base_url=base, follow_redirects=True, headers={"origin": base})
    assert client.get(address).status_code == 200
    return client


class Opened:
    """A page in a browser, with its requests and its errors."""

    def __init__(self, browser: Any, address: str, **settings: Any) -> None:
        self.base = address.split("/open")[0]
        self.context = browser.new_context(**settings)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda problem: self.said.append(str(problem)))
        self.page.on("dialog", lambda dialog: (self.said.append(dialog.message), dialog.dismiss()))
        self.context.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(address)

    def press(self, key: str) -> None:
        """Press a key, and wait until the page shows what it leads to."""
        self.page.keyboard.press(key)
        self.settle()

    def settle(self) -> None:
        """Wait until the page shows the answer to all that was pressed."""
        self.page.wait_for_selector("html:not([aria-busy])", state="attached")

    def show_texts(self) -> None:
        """Show the texts of all items from now on."""
        self.page.get_by_role("button", name="Show texts at once").click()
        self.settle()

    def decide(self, key: str) -> None:
        """Show the text, if it is hidden, and press the key of a choice."""
        if self.page.locator("#texts:not([open])").count():
            self.press("v")
        self.press(key)
