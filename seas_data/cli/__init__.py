"""The command line: parse arguments, call the package, print the result. One file per group of commands.

Results go to standard output, progress and errors to standard error. An error that the user can fix is one sentence,
with exit status 2. Each command imports heavy libraries itself, so that the other commands start fast.
"""

import sys

import typer

from seas_data.cli import analysis, migrate, release, stages, versions
from seas_data.errors import SeasDataError
from seas_data.text import printable

app = typer.Typer(
    name="seas-data",
    help="Build, version, query and release adversarial and ambiguous-harmless safety datasets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for group in (versions, analysis, release, stages, migrate):
    app.add_typer(group.commands)


def main() -> None:
    """Run the command line. Print an expected error as one sentence and exit with status 2."""
    try:
        app()
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


def _fail(message: str) -> None:
    print(f"error: {printable(message)}", file=sys.stderr)
    sys.exit(2)
