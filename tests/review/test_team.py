"""Two people review 200 prompts by keys, the server is killed in between, and a third settles what they differ on."""

import csv
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import seas_data as sd
from seas_data.recipe.taxonomy import default_taxonomy
from seas_data.sources.overrides import read_overrides
from tests.program import PROGRAM
from tests.review.pages import Opened

playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
CHROMIUM = Path("/usr/bin/chromium")
if not CHROMIUM.exists():
    pytest.skip("needs a Chromium at /usr/bin/chromium", allow_module_level=True)

ITEMS = 200
SAID = {"1": ("keep", ""), "2": ("drop", ""), "3": ("", "harmless"), "4": ("", "adversarial")}


@contextmanager
def command(workspace: Path, *arguments: object, kill: bool = False) -> Iterator[str]:
    """Run ``review --serve`` as people do; yield the address. At the end press Ctrl+C, or ``kill``."""
    started = subprocess.Popen(
        [*PROGRAM, "review", "v2", "--serve", "--workspace", str(workspace), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert started.stdout is not None
    lines = iter(started.stdout.readline, "")
    yield next(found[0] for line in lines if (found := re.search(r"http://\S+", line)))
    started.send_signal(signal.SIGKILL if kill else signal.SIGINT)
    rest = started.stdout.read()
    assert started.wait(60) == (-9 if kill else 0), rest


def press(browser: Any, address: str, keys: str, at: int = 0) -> None:
    """Press a key for each item from the first undecided one on."""
    opened = Opened(browser, address)
    opened.show_texts()
    assert opened.page.title().startswith(f"Item {at + 1} of")
    for key in keys:
        opened.press(key)
    assert opened.said == []
    opened.context.close()


def cells(path: Path) -> list[tuple[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [(row["decision"], row["label"]) for row in csv.DictReader(file)]


@pytest.mark.slow
def test_the_sheets_are_what_was_pressed(made: Path, tmp_path: Path) -> None:
    ada, ben, both = (tmp_path / f"{name}.csv" for name in ("ada", "ben", "both"))
    ada_keys = "".join("1213"[at % 4] for at in range(ITEMS))
    ben_keys = "".join("2" if at % 50 == 0 else "1213"[at % 4] for at in range(ITEMS))
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        with command(made, "--sample", ITEMS, "--who", "ada", "-o", ada, kill=True) as address:
            press(browser, address, ada_keys[:120])
        assert read_overrides(ada, default_taxonomy()).height == 120
        with command(made, "--who", "ada", "-o", ada) as address:
            press(browser, address, ada_keys[120:], at=120)
        with command(made, "--sample", ITEMS, "--who", "ben", "-o", ben) as address:
            press(browser, address, ben_keys)
        assert cells(ada) == [SAID[key] for key in ada_keys]
        assert cells(ben) == [SAID[key] for key in ben_keys]
        subprocess.run([*PROGRAM, "review", "merge", ada, ben, "-o", both], check=True, capture_output=True)
        differ = [at for at in range(ITEMS) if ada_keys[at] != ben_keys[at]]
        assert len(differ) == 4
        with command(made, "--settle", both, "--who", "cy") as address:
            press(browser, address, "1212"[: len(differ)])
    settled = cells(both)
    assert [settled[at] for at in differ] == [SAID[key] for key in "1212"]
    assert [each for at, each in enumerate(settled) if at not in differ] == [
        SAID[key] for at, key in enumerate(ada_keys) if at not in differ
    ]
    kept = set(sd.open(made).version("v2").table("kept", ["prompt_id"])["prompt_id"])
    overrides = read_overrides(both, default_taxonomy())
    assert overrides.height == ITEMS
    assert set(overrides["prompt_id"]) <= kept
    assert overrides.filter(who="cy")["because"].str.contains("ada: .*ben: ").all()
