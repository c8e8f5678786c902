"""Options and helpers that several commands share."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from seas_data import registry
from seas_data.console import echo as echo
from seas_data.errors import SeasDataError

if TYPE_CHECKING:
    from seas_data.query.version import Version

WorkspaceOption = Annotated[Path, typer.Option("--workspace", help="Workspace folder, which contains the versions.")]
VersionOption = Annotated[str | None, typer.Option("--version", help="Version or tag; the newest by default.")]
VersionArgument = Annotated[str | None, typer.Argument(help="Version or tag; the newest by default.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document to standard output.")]
RevealOption = Annotated[bool, typer.Option("--reveal", help="Show whole texts instead of their first words.")]
ProfileOption = Annotated[
    str, typer.Option("--profile", help="public: without responses of models; gated: everything.")
]
ChangeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Set a key of the recipe, such as curation.near.duplicate_threshold=0.9; may be repeated.",
    ),
]
TrustOption = Annotated[
    bool, typer.Option("--trust", help="Allow a pulled recipe to run its commands and call its servers.")
]
WORKSPACE = Path("workspace")


def command_listing(title: str, group: str) -> type[TyperCommand]:
    """Return a command class whose help lists the names of a registry; they are looked up when the help is shown."""

    class CommandWithNames(TyperCommand):
        def format_epilog(self, ctx: Any, formatter: Any) -> None:
            formatter.write_paragraph()
            formatter.write_text(f"{title}: {', '.join(registry.names(group))}")

    return CommandWithNames


def open_version(workspace: Path, version: str | None = None, at: str | None = None) -> "Version":
    """Return the version named by the argument ``version`` or by --version (``at``); the newest without either."""
    from seas_data.query import version as versions

    name = resolve_name(version, at)
    return versions.open(workspace).version(name)


def resolve_name(version: str | None, at: str | None) -> str | None:
    """Return the version named by the argument or by --version. Raises SeasDataError if both name different ones."""
    if version is not None and at is not None and version != at:
        raise SeasDataError(f"{version} and --version {at} are different versions; name one of them")
    return at if version is None else version


def recipe_changes(given: list[str] | None, trust: bool) -> list[str]:
    """Return the changes to a recipe made by --set and --trust."""
    return [*(given or []), *(["pulled_from=null"] if trust else [])]


def print_json(content: Any) -> None:
    """Print ``content`` as one JSON document to standard output."""
    from seas_data.query.cells import is_unicode, to_json

    plain = json.loads(json.dumps(content, default=str))
    print(to_json(plain, ascii_only=not is_unicode(sys.stdout)))
