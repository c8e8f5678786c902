"""The command that adds figures of other tools to a workspace."""

from pathlib import Path
from typing import Annotated

import typer

from seas_data.cli.shared import WORKSPACE, JsonOption, WorkspaceOption, echo, print_json
from seas_data.errors import SeasDataError
from seas_data.text import printable

commands = typer.Typer()


@commands.command()
def metrics(
    action: Annotated[str, typer.Argument(help="The word add.")],
    file: Annotated[
        Path, typer.Argument(help="results_*.json of lm-evaluation-harness, or a .eval or .json log of inspect_ai.")
    ],
    model: Annotated[str, typer.Option("--model", help="The target that was evaluated, such as T1.")],
    partial: Annotated[bool, typer.Option("--partial", help="Take figures of a part of a task, which say so.")] = False,
    workspace: WorkspaceOption = WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Add the results file of an evaluation harness to the newest version, as figures of a target's utility.

    Versions never change, so a new one is made, with the same rows and the figures in its table metrics.

    \b
    seas-data metrics add results_2026-11-29.json --model T1
    """
    if action != "add":
        raise SeasDataError(
            f"there is no command metrics {printable(action)[:40]}; use: seas-data metrics add FILE --model T1"
        )
    from seas_data.cli import terminal
    from seas_data.store import open_workspace
    from seas_data.utility.results_file import add_results

    version, rows = add_results(open_workspace(workspace), file, model, partial=partial)
    if as_json:
        print_json({"version": version.name, "digest": version.digest, "rows": rows.to_dicts()})
        return
    shown = rows.with_columns(
        *(rows["facets"].str.json_path_match(f"$.{key}").alias(key) for key in ("task", "metric", "filter"))
    )
    terminal.print_records(shown.select("task", "metric", "filter", "value", "low", "high", "n").to_dicts())
    echo(f"\n{version.name} has these figures of {model}. Next: seas-data sql utility; seas-data sql safety-frontier")
