"""Run the examples of a page as a reader would: in order, in one folder, Python blocks in one namespace."""

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import CHECKOUT
from tests.docs.blocks import Block
from tests.program import called

OPERATOR = re.compile(r"[|><;&$`]|\bfor\b")
VARIABLE = re.compile(r"(\w+)=(\S*)\Z")
NUMBER = re.compile(r"\b[0-9a-f]{12,}\b|\d[\d,]*(?:\.\d+)?")


class ExampleError(Exception):
    """An example ended with an error, or printed something else than the page shows."""


@dataclass
class Folder:
    """The folder that the examples of a page run in; the current one while they do."""

    namespace: dict[str, object] = field(default_factory=lambda: {"__name__": "example"})

    def run(self, block: Block) -> None:
        """Run a block. Raises ExampleError if it fails or its output differs from the page."""
        if block.kind == "file":
            path = Path(block.name or "")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.content, encoding="utf-8")
        elif block.kind == "setup":
            _run_in_shell(block.content, {})
        elif block.not_run is None:
            printed = self._run_python(block) if block.kind == "python" else _run_lines(block.content)
            if block.output is not None and not outputs_match(block.output, printed, varies=block.varies):
                raise ExampleError(
                    f"line {block.line}: the page shows\n{block.output}\nand the example prints\n{printed}"
                )

    def _run_python(self, block: Block) -> str:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile("\n" * block.line + block.content, "example", "exec"), self.namespace)
        return out.getvalue()


def prepare(folder: Path, workspace: Path | None) -> None:
    """Fill ``folder`` with what a reader has: the checkout's folders and, if given, a copy of a built workspace."""
    for name in ("pipelines", "sql", "docs", "cards"):
        (folder / name).symlink_to(CHECKOUT / name)
    if workspace is not None:
        shutil.copytree(workspace, folder / "workspace")


def outputs_match(shown: str, printed: str, *, varies: bool = False) -> bool:
    """Return whether ``printed`` is what the page shows; a line ``...`` there stands for any lines."""
    parts = [_normalise(part, varies) for part in re.split(r"^\s*\.\.\.\s*$", shown, flags=re.MULTILINE)]
    pattern = r"(?:.*\n)*?".join(re.escape(part) for part in parts)
    return re.fullmatch(pattern, _normalise(printed, varies)) is not None


def _normalise(text: str, varies: bool) -> str:
    lines = [line.rstrip() for line in text.strip("\n").split("\n")]
    if varies:
        lines = [re.sub(r" +", " ", NUMBER.sub("N", line)) for line in lines]
    return "".join(f"{line}\n" for line in lines if line)


def _run_lines(content: str) -> str:
    """Run a shell block. Plain calls of seas-data run in this process, which takes a tenth of the time."""
    printed = ""
    commands = re.sub(r"\\\n\s*", " ", content)
    if "<<" in commands:
        return _run_in_shell(commands, {})
    for line in filter(None, map(str.strip, commands.split("\n"))):
        line = line.removeprefix("$ ")
        words = shlex.split(line, comments=True)
        variables = {}
        while words and (variable := VARIABLE.match(words[0])):
            variables[variable[1]] = variable[2]
            words.pop(0)
        unquoted = re.sub(r"'[^']*'|\"[^\"$`]*\"", "", line.split(" #")[0])
        if words and words[0] == "seas-data" and not OPERATOR.search(unquoted):
            with _environment(variables):
                ended = called(*words[1:])
            if ended.returncode:
                raise ExampleError(
                    f"{line}\nended with {ended.returncode}:\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}"
                )
            printed += ended.stdout
        elif words:
            printed += _run_in_shell(line, {})
    return printed


def _run_in_shell(script: str, variables: dict[str, str]) -> str:
    python = Path(sys.executable).parent
    environment = {
        **os.environ,
        **variables,
        "PATH": f"{python}:{os.environ['PATH']}",
        "PYTHONPATH": str(CHECKOUT),
        "COLUMNS": "100",
    }
    ended = subprocess.run(["bash", "-euc", script], env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise ExampleError(f"{script}\nended with {ended.returncode}:\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}")
    return ended.stdout


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
