"""Versions: build one, list them, look into one, tell a prompt's story, verify, tag."""

from pathlib import Path
from typing import Annotated

import typer

from seas_data.cli.shared import (
    WORKSPACE,
    ChangeOption,
    JsonOption,
    RevealOption,
    VersionArgument,
    VersionOption,
    WorkspaceOption,
    print_json,
)

commands = typer.Typer()


@commands.command()
def build(
    recipe: Annotated[str, typer.Argument(help="A recipe, such as pipelines/example.yaml.")],
    workspace: WorkspaceOption = WORKSPACE,
    change: ChangeOption = None,
    iterations: Annotated[
        int | None, typer.Option("--iterations", min=1, help="How many iterations of the loop there are to be in all.")
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Let a pulled recipe run the commands and call the servers it names.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and build nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Build the next version of a dataset from a recipe, or go on where a killed build stopped.

    \b
    seas-data build pipelines/example.yaml
    seas-data build pipelines/public-prompts.yaml --workspace ws --set curation.near.duplicate=0.9
    """
    from seas_data import plan
    from seas_data import recipe as recipes
    from seas_data.cli import terminal

    changes = [*(change or []), *([f"loop.iterations={iterations}"] if iterations else [])]
    changes += ["pulled=null"] if trust else []
    loaded = recipes.load(recipes.shipped(recipe), changes)
    if dry_run:
        plan.check(loaded)
        if as_json:
            print_json(loaded.model_dump(mode="json"))
        else:
            terminal.plan(loaded)
        return
    from seas_data.build import build as run

    built = run(loaded, workspace)
    if as_json:
        print_json({"version": built.version.name, "digest": built.version.digest, "new": built.new})
    elif built.new and loaded.loop is not None:
        terminal.loop(built.version)
    elif built.new:
        _show(workspace, built.version.name, False)
        print('\nNext: seas-data sql --list; seas-data sql drop-reasons-by-source; seas-data why "A PROMPT"')
    else:
        print(f"Nothing changed: {built.version.name} stands as it is. {built.remark}".rstrip())


@commands.command()
def log(workspace: WorkspaceOption = WORKSPACE, version: VersionOption = None, as_json: JsonOption = False) -> None:
    """List the versions, oldest first (with --version: those that it was built on, and itself).

    \b
    seas-data log
    """
    from seas_data.analysis import summary
    from seas_data.cli import terminal
    from seas_data.store import open_workspace

    entries = summary.log(open_workspace(workspace), version)
    if as_json:
        print_json(entries)
    else:
        terminal.records(entries)


@commands.command()
def show(
    version: VersionArgument = None,
    workspace: WorkspaceOption = WORKSPACE,
    at: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a version holds: rows, kept rows by kind and split, and what was dropped and why.

    \b
    seas-data show v0
    seas-data show v0 --json
    """
    _show(workspace, version or at, as_json)


def _show(workspace: Path, name: str | None, as_json: bool) -> None:
    from seas_data import version
    from seas_data.analysis import summary
    from seas_data.cli import terminal

    content = summary.show(version.open(workspace).version(name))
    if as_json:
        print_json(content)
    else:
        terminal.summary(content)


@commands.command()
def diff(
    before: Annotated[str, typer.Argument(help="The earlier version or tag.")],
    after: Annotated[str, typer.Argument(help="The later version or tag.")],
    workspace: WorkspaceOption = WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Show rows added, dropped and relabelled between two versions, by type and with reasons.

    \b
    seas-data diff v0 v1
    """
    import polars as pl

    from seas_data import version
    from seas_data.analysis import explain
    from seas_data.cli import terminal

    opened = version.open(workspace)
    changes = explain.difference(opened.version(before), opened.version(after))
    if as_json:
        print_json(
            {name: part.to_dicts() if isinstance(part, pl.DataFrame) else part for name, part in changes.items()}
        )
    else:
        terminal.difference(changes, before, after)


@commands.command()
def why(
    text_or_id: Annotated[str, typer.Argument(help="A prompt's text, its id, or the start of its id.")],
    workspace: WorkspaceOption = WORKSPACE,
    version: VersionOption = None,
    reveal: RevealOption = False,
    as_json: JsonOption = False,
) -> None:
    """Tell a prompt's whole story: where it came from, how it is labelled, what was decided and because of which row.

    \b
    seas-data why 3f2a9c
    seas-data why "what colour is the door?"
    """
    from seas_data import version as versions
    from seas_data.analysis import explain
    from seas_data.cli import terminal

    opened = versions.open(workspace).version(version)
    stories = [explain.story(opened, prompt_id) for prompt_id in explain.find(opened, text_or_id)]
    if as_json:
        print_json(stories)
    else:
        terminal.stories(stories, reveal=reveal)


@commands.command()
def verify(
    version: VersionArgument = None,
    workspace: WorkspaceOption = WORKSPACE,
    at: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hash every file again and name what is damaged or missing (every version without one named).

    \b
    seas-data verify
    """
    from seas_data.store import open_workspace

    opened = open_workspace(workspace)
    name = version or at
    names = [opened.manifest(name).version] if name or not opened.versions() else opened.versions()
    if as_json:
        print_json(
            {"versions": names, "problems": [each for name in names for each in opened.verify(opened.manifest(name))]}
        )
    for each in names:
        opened.require_whole(opened.manifest(each))
    if not as_json:
        print(f"{', '.join(names)}: every file is whole and as it was written.")


@commands.command()
def tag(
    version: Annotated[str, typer.Argument(help="A version.")],
    name: Annotated[str, typer.Argument(help="What to call it, such as 1.0.0.")],
    workspace: WorkspaceOption = WORKSPACE,
) -> None:
    """Give a version a name that every other command understands. Tags do not move.

    \b
    seas-data tag v0 1.0.0
    """
    from seas_data.store import open_workspace

    print(f"{name} is {open_workspace(workspace).tag(version, name).version}.")
