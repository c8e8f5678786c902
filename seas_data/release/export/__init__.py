"""Export a split of a version to the file that a red-team tool loads: PyRIT, promptfoo, inspect_ai, HarmBench, garak.

One module per tool turns ``ExportRow`` into the text of its file. Prompts are data: a tool that renders templates or
opens paths in the texts that it loads gets them escaped, so that it sends each text as it is. Holdout prompts are
never exported, because tools keep what they load.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from seas_data.errors import SeasDataError
from seas_data.release.export import garak, harmbench, inspect_ai, promptfoo, pyrit
from seas_data.release.export.rows import About, ExportRow, select_rows
from seas_data.store import files
from seas_data.store.version import Version

__all__ = ["TOOLS", "Exported", "Tool", "export"]


@dataclass(frozen=True)
class Tool:
    """A tool: how its file is written, and whether it takes conversations with several turns."""

    write: Callable[[list[ExportRow], About], str]
    takes_turns: bool = False


TOOLS: Final = {
    "pyrit": Tool(pyrit.write, takes_turns=True),
    "promptfoo": Tool(promptfoo.write),
    "inspect": Tool(inspect_ai.write, takes_turns=True),
    "harmbench": Tool(harmbench.write),
    "garak": Tool(garak.write),
}


@dataclass(frozen=True)
class Exported:
    """Numbers of prompts: ``written``, and left out ``without_text`` or because they are ``conversations``."""

    written: int
    without_text: int
    conversations: int


def export(version: Version, tool: str, output: Path, split: str = "test") -> Exported:
    """Write the kept prompts of ``split`` to ``output`` in the form of ``tool``, readable by the owner only.

    Raises SeasDataError if there is no such tool, the split is not one that models may be attacked with, or no prompt
    is left.
    """
    if tool not in TOOLS:
        raise SeasDataError(f"there is no export to {tool!r}; choose one of: {', '.join(TOOLS)}")
    rows, about, without_text = select_rows(version, split)
    taken = rows if TOOLS[tool].takes_turns else [row for row in rows if row.turns is None]
    if not taken:
        raise SeasDataError(
            f"{version.name} has no prompt in the split {split} that {tool} takes; choose another split, or see: "
            "seas-data sql rows-by-split"
        )
    files.write_text(output, TOOLS[tool].write(taken, about), private=True)
    return Exported(len(taken), without_text, len(rows) - len(taken))
