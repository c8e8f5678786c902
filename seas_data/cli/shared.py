"""What the commands share: options that several take, and JSON."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

WorkspaceOption = Annotated[Path, typer.Option("--workspace", help="The folder that holds the versions.")]
VersionOption = Annotated[str | None, typer.Option("--version", help="A version or tag; the newest without it.")]
VersionArgument = Annotated[str | None, typer.Argument(help="A version or tag; the newest without it.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
RevealOption = Annotated[bool, typer.Option("--reveal", help="Show whole prompts, not their first words.")]
ProfileOption = Annotated[
    str, typer.Option("--profile", help="public: without what models answered; gated: all of it.")
]
ChangeOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe, such as a.b=1.")
]
WORKSPACE = Path("workspace")


def print_json(content: Any) -> None:
    """Print one JSON document on standard output."""
    print(json.dumps(content, ensure_ascii=False, default=str))
