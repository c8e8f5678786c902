"""The command line: parse arguments, call the package, print the result. One file per group of commands.

    versions    build, log, show, why, diff, verify, tag
    analysis    sql, report, explore
    review      review
    stages      attack, judge, pairs, train, evaluate
    add_metrics metrics
    release     check, card, checkout, export, push, pull, forget
    migrate     migrate

A new command goes into the file of its group; a new group is a new file and one name in ``groups`` below.

Results go to standard output, progress and errors to standard error. An error that the user can fix is one sentence,
with exit status 2. Each command imports heavy libraries itself, so that the other commands start fast.
"""

import io
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from seas_data.cli import add_metrics, analysis, migrate, release, review, stages, versions
from seas_data.console import echo, say
from seas_data.errors import SeasDataError
from seas_data.text import printable

# The base class of all errors in arguments, which typer does not export.
_ArgumentError: Any = typer.BadParameter.__mro__[2]


class _Group(TyperGroup):
    """The program: errors in arguments, which quote these, are printed with control characters made visible."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the program and end it with its exit status."""
        try:
            status = super().main(*args, **(options | {"standalone_mode": False}))
        except _ArgumentError as problem:
            message = io.StringIO()
            problem.show(file=message)
            say(message.getvalue(), end="")
            status = problem.exit_code
        except typer.Abort:
            say("Aborted!")
            status = 1
        sys.exit(status or 0)


app = typer.Typer(
    name="seas-data",
    cls=_Group,
    help="Build, version, query and release adversarial and ambiguous-harmless safety datasets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from seas_data import __version__

        echo(f"seas-data {__version__}")
        raise typer.Exit


@app.callback()
def start(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Build, version, query and release adversarial and ambiguous-harmless safety datasets."""


groups = (versions, analysis, review, release, stages, add_metrics, migrate)
for group in groups:
    app.add_typer(group.commands)


def main() -> None:
    """Run the command line. Print an expected error as one sentence and exit with status 2."""
    umask = os.umask(0o077)  # what commands write holds prompts, so it is readable by its owner only
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # an ASCII stream, or a path that is no text
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except KeyboardInterrupt:
        _interrupted()
    except SystemExit as end:
        if end.code == 130:  # typer turns a KeyboardInterrupt into this
            _interrupted()
        raise
    except UnicodeEncodeError as problem:
        if any("\udc80" <= character <= "\udcff" for argument in sys.argv for character in argument):
            _fail("an argument has bytes that are not UTF-8; rename the file, or give the text as UTF-8")
        _fail(f"a text cannot be written as {problem.encoding} ({problem.reason}); set PYTHONIOENCODING=utf-8")
    except SeasDataError as problem:
        _fail(str(problem))
    except UnicodeDecodeError as problem:
        _fail(f"a text file is not encoded in UTF-8 ({problem.reason} at byte {problem.start}); save it as UTF-8")
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except OSError as problem:
        name = problem.filename2 or problem.filename  # the target of a rename that failed
        location = f": {name}" if name else ""
        _fail(f"{problem.strerror or problem}{location}; no file was partly written, so fix it and rerun the command")
    finally:
        os.umask(umask)


def _interrupted() -> None:
    say("Interrupted; the same command goes on.")
    sys.exit(130)


def _fail(message: str) -> None:
    say(f"error: {printable(message)}")
    sys.exit(2)
