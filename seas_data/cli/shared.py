"""What the commands share: options that several take, and JSON."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from seas_data import registry
from seas_data.errors import SeasDataError

if TYPE_CHECKING:
    from seas_data.query.version import Version

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
TrustOption = Annotated[
    bool, typer.Option("--trust", help="Let a pulled recipe run the commands and call the servers it names.")
]
WORKSPACE = Path("workspace")


def command_listing(title: str, group: str) -> type[TyperCommand]:
    """Return a command class whose help lists the names of a registry; they are looked up when the help is shown."""

    class CommandWithNames(TyperCommand):
        def format_epilog(self, ctx: Any, formatter: Any) -> None:
            formatter.write_paragraph()
            formatter.write_text(f"{title}: {', '.join(registry.names(group))}")

    return CommandWithNames


def opened(workspace: Path, version: str | None = None, at: str | None = None) -> "Version":
    """Return the version that is named, as an argument or ``at`` --version; the newest without a name."""
    from seas_data.query import version as versions

    name = one_of(version, at)
    return versions.open(workspace).version(name)


def one_of(version: str | None, at: str | None) -> str | None:
    """Return the one name that an argument and --version give; raise SeasDataError if they are two."""
    if version is not None and at is not None and version != at:
        raise SeasDataError(f"both {version} and --version {at} are named; name one version")
    return at if version is None else version


def changes(given: list[str] | None, trust: bool) -> list[str]:
    """Return the changes to a recipe that --set and --trust make."""
    return [*(given or []), *(["pulled=null"] if trust else [])]


def print_json(content: Any) -> None:
    """Print one JSON document on standard output."""
    print(json.dumps(content, ensure_ascii=False, default=str))
