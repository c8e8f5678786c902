"""The command that converts workspaces and releases of older formats."""

from pathlib import Path
from typing import Annotated

import typer

from seas_data.cli.shared import JsonOption, echo, print_json

commands = typer.Typer()


@commands.command()
def migrate(
    old: Annotated[Path, typer.Argument(help="A workspace or release of an older format. It is only read.")],
    new: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
    as_json: JsonOption = False,
) -> None:
    """Convert a workspace or release of an older format into a new workspace.

    \b
    seas-data migrate workspace workspace-2
    """
    from seas_data.cli import terminal
    from seas_data.migrate import migrate as convert

    result = convert(old, new)
    versions = [
        {"version": version, "old_digest": before, "digest": now} for version, (before, now) in result.digests.items()
    ]
    if as_json:
        content = {"workspace": str(new), "old_format": result.old_format, "versions": versions}
        print_json(content | {"copied": result.copied, "recomputed": result.recomputed, "left": result.left})
        return
    terminal.print_records([{**each, "old_digest": each["old_digest"][:12]} for each in versions])
    echo(f"\n{new} holds these versions with the same rows; {old} is unchanged.")
    for names, text in (
        (result.copied, "Also copied"),
        (result.recomputed, "Not copied, because they are computed again when needed"),
        (result.left, "Not copied, because they are not part of a workspace"),
    ):
        if names:
            echo(f"{text}: {', '.join(names)}.")
