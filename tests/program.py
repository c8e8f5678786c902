"""The program as tests call it: as a process of its own, or, much sooner, inside this one."""

import contextlib
import io
import sys
from dataclasses import dataclass
from unittest import mock

from seas_data.cli import main

PROGRAM = [sys.executable, "-m", "seas_data"]


@dataclass(frozen=True)
class Ended:
    returncode: int
    stdout: str
    stderr: str


def called(*arguments: object) -> Ended:
    """Run the program in this process; a traceback is the test's."""
    out, errors = io.StringIO(), io.StringIO()
    code: object = 0
    with (
        mock.patch.object(sys, "argv", ["seas-data", *map(str, arguments)]),
        mock.patch.dict("os.environ", {"COLUMNS": "100"}),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(errors),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
    return Ended(code if isinstance(code, int) else int(code is not None), out.getvalue(), errors.getvalue())
