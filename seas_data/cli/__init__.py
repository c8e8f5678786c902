"""The command line: parse, call, print. One file a group of commands.

Facts go to standard output, progress and errors to standard error. A problem that a person can mend is one sentence
and exit status 2. Heavy libraries are imported by the command that needs them, so that the light ones answer at once.
"""

import sys

import typer

from seas_data.cli import analysis, release, stages, versions
from seas_data.errors import SeasDataError
from seas_data.text import printable

app = typer.Typer(
    name="seas-data",
    help="Build, version, question and release adversarial and ambiguous-harmless safety datasets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for group in (versions, analysis, release, stages):
    app.add_typer(group.commands)


def main() -> None:
    """Run the command line and turn what goes wrong into one sentence and an exit status."""
    try:
        app()
    except SeasDataError as problem:
        _fail(str(problem))
    except UnicodeDecodeError as problem:
        _fail(f"a file that should be text is not in UTF-8 ({problem.reason} at byte {problem.start}); save it as that")
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except OSError as problem:
        name = problem.filename2 or problem.filename  # of a file that could not take its place, the place
        place = f" at {name}" if name else ""
        _fail(
            f"{problem.strerror or problem}{place}; nothing was half written: mend that and run the same command again"
        )


def _fail(sentence: str) -> None:
    print(f"error: {printable(sentence)}", file=sys.stderr)
    sys.exit(2)
