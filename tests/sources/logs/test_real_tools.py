"""The fixtures made again by the real tools, each in an environment of its own.

``SEAS_DATA_TOOLS`` is the folder that ``tests/release/export/test_real_tools.py`` describes, with ``deepteam`` beside
the others. What is compared is what the readers find: not bytes, because the tools write times and random ids.
"""

import os
import re
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.sources.logs.reading import FIXTURES, attempts, read, skipped, verdicts
from tests.sources.logs.tool_counts import CHECKS, FILES, INSPECT_OPTIONS

TOOLS = Path(os.environ.get("SEAS_DATA_TOOLS", "no-folder"))
SCRIPTS = Path(__file__).parent / "make_fixtures"
ENVIRONMENTS = {"inspect_ai": "inspect"}
KITCHEN = Path(__file__).parents[3] / "pipelines" / "garak-log" / "kitchen.report.jsonl"


def make(tool: str, folder: Path, *more: str) -> None:
    """Write the files of a tool with its script, or skip."""
    binaries = TOOLS / ENVIRONMENTS.get(tool, tool) / ("node_modules/.bin" if tool == "promptfoo" else "bin")
    if not (binaries / ("promptfoo" if tool == "promptfoo" else "python")).exists():
        pytest.skip(f"{tool} is not installed in $SEAS_DATA_TOOLS/{ENVIRONMENTS.get(tool, tool)}")
    environment = {**os.environ, "PATH": f"{binaries.resolve()}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": ""}
    script = SCRIPTS / f"make_{ENVIRONMENTS.get(tool, tool)}.py"
    command = ["python", str(script), str(folder), *more]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]


def content(tool: str, file: Path) -> tuple[Counter[Any], ...]:
    """Return what is to be the same in each run: verdicts, finish reasons, texts and set-aside records, counted."""
    found = read(FILES[tool][0], file, **(INSPECT_OPTIONS if tool == "inspect_ai" else {}))
    return (
        Counter((style, re.sub(r":[0-9a-f]{8}$", "", judge), verdict) for style, judge, verdict in verdicts(found)),
        Counter(tuple(turn.content for turn in each.messages) for each in attempts(found)),
        Counter((answer.text, answer.finish_reason) for each in attempts(found) for answer in each.answers),
        Counter(reason for _, reason in skipped(found)),
    )


@pytest.mark.slow  # each tool takes from ten seconds to a minute
@pytest.mark.parametrize("tool", list(FILES))
def test_a_new_run_has_the_counts_of_the_tool_and_what_the_fixture_has(tmp_path: Path, tool: str) -> None:
    make(tool, tmp_path / "made")
    assert CHECKS[tool](tmp_path / "made") > 0
    for name in FILES[tool][1]:
        assert content(tool, tmp_path / "made" / name) == content(tool, FIXTURES / tool / name), name


@pytest.mark.slow
def test_a_new_run_of_the_example_has_what_the_example_has(tmp_path: Path) -> None:
    make("garak", tmp_path / "made", "kitchen")
    assert CHECKS["garak"](tmp_path / "made") > 0
    assert content("garak", tmp_path / "made" / KITCHEN.name) == content("garak", KITCHEN)
