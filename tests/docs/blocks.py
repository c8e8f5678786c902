"""Fenced blocks of the documentation, and the HTML comments that say how to run them.

Blocks of Python and of shell commands are examples and are run, in the order of the page, in one folder. An unlabelled
block is a shell example if one of its lines runs ``seas-data``. The block that directly follows an example, if it is
unlabelled or labelled ``text``, is the example's output. Comments, which readers do not see:

    <!-- examples: made -->           what the page starts from: example (the default), made, empty; hub adds a stand-in
    <!-- setup: COMMANDS -->          shell commands to run before the next example
    <!-- not run: REASON -->          the next block is an example that cannot run here
    <!-- slow -->                     the whole page is run by `make test-slow` only
    <!-- varies -->                   numbers and digests in the output of the next example differ between machines
    <!-- file: NAME -->               the next block is the content of a file that later examples use

A line ``...`` in an output stands for any number of lines.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from tests.conftest import CHECKOUT

COMMAND = re.compile(r"^(?:\w+=\S+ )*seas-data ", re.MULTILINE)
SHELL = {"sh", "bash", "console", "shell"}
COMMENT = re.compile(r"<!--\s*(examples|setup|not run|slow|varies|file)\b:?\s*(.*?)\s*-->", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """An example, a file, or commands that prepare for them."""

    kind: str
    """python, shell, setup or file."""

    line: int
    content: str
    output: str | None = None
    varies: bool = False
    not_run: str | None = None
    name: str | None = None


@dataclass(frozen=True)
class Page:
    """The examples of a page in order."""

    path: Path
    start: tuple[str, ...]
    slow: bool
    blocks: tuple[Block, ...]

    @property
    def examples(self) -> list[Block]:
        return [block for block in self.blocks if block.kind in ("python", "shell")]

    @property
    def runs(self) -> bool:
        return any(block.not_run is None for block in self.examples)


def read_page(path: Path) -> Page:
    """Return the examples of the Markdown page at ``path``."""
    blocks: list[Block] = []
    notes: dict[str, str] = {}
    start: tuple[str, ...] = ("example",)
    slow = previous_is_example = False
    for token in MarkdownIt().parse(path.read_text(encoding="utf-8")):
        line = token.map[0] + 1 if token.map else 0
        if token.type == "html_block":
            for word, text in COMMENT.findall(token.content):
                if word == "examples":
                    start = tuple(text.split())
                elif word == "slow":
                    slow = True
                elif word == "setup":
                    blocks.append(Block("setup", line, text))
                else:
                    notes[word] = text
        elif token.type == "fence":
            kind = _kind(token.info.strip(), token.content)
            if "file" in notes:
                blocks.append(Block("file", line, token.content, name=notes["file"]))
            elif kind is not None or "not run" in notes:
                blocks.append(
                    Block(kind or "shell", line, token.content, None, "varies" in notes, notes.get("not run"))
                )
            elif previous_is_example and token.info.strip() in ("", "text"):
                example = blocks.pop()
                blocks.append(Block(**{**vars(example), "output": token.content}))
            notes = {}
            previous_is_example = kind is not None
        else:
            previous_is_example = False
    return Page(path, start, slow, tuple(blocks))


def read_pages() -> list[Page]:
    """Return the pages of the project: the README, the docs and the page of the query library."""
    top = [
        *sorted(CHECKOUT.glob("*.md")),
        *sorted(CHECKOUT.glob("docs/**/*.md")),
        CHECKOUT / "sql" / "ADD-A-QUERY-OR-CHART.md",
    ]
    return [read_page(path) for path in top]


def _kind(language: str, content: str) -> str | None:
    if language == "python":
        return "python"
    if language in SHELL or (language == "" and COMMAND.search(content)):
        return "shell"
    return None
