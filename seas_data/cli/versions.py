"""Versions: build one, list them, look into one, tell a prompt's story, verify, tag."""

from typing import TYPE_CHECKING, Annotated

import typer

from seas_data.cli.shared import (
    WORKSPACE,
    ChangeOption,
    JsonOption,
    RevealOption,
    TrustOption,
    VersionArgument,
    VersionOption,
    WorkspaceOption,
    changes,
    one_of,
    opened,
    print_json,
)

if TYPE_CHECKING:
    from seas_data.query.version import Version

commands = typer.Typer()


@commands.command()
def build(
    recipe: Annotated[str, typer.Argument(help="A recipe, such as pipelines/example.yaml.")],
    workspace: WorkspaceOption = WORKSPACE,
    change: ChangeOption = None,
    iterations: Annotated[
        int | None, typer.Option("--iterations", min=1, help="How many iterations of the loop there are to be in all.")
    ] = None,
    trust: TrustOption = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and build nothing.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Build the next version of a dataset from a recipe, or go on where a killed build stopped.

    \b
    seas-data build pipelines/example.yaml
    seas-data build pipelines/public-prompts.yaml --workspace ws --set curation.near.duplicate_threshold=0.9
    """
    from seas_data import plan
    from seas_data import recipe as recipes
    from seas_data.cli import terminal
    from seas_data.cli.dry_run import write_plan

    more = [f"loop.iterations={iterations}"] if iterations else []
    loaded = recipes.load(recipes.shipped(recipe), changes(change, trust) + more)
    if dry_run:
        plan.check(loaded)
        if as_json:
            print_json(loaded.model_dump(mode="json"))
        else:
            write_plan(loaded)
        return
    from seas_data.query import summary
    from seas_data.run import build as run

    built = run(loaded, workspace)
    if as_json:
        print_json({"version": built.version.name, "digest": built.version.digest, "new": built.new})
    elif built.new and loaded.loop is not None:
        terminal.print_loop(summary.describe_loop(built.version))
    elif built.new:
        _show(built.version, False)
        print('\nNext: seas-data sql --list; seas-data sql drop-reasons-by-source; seas-data why "A PROMPT"')
    else:
        print(f"Nothing changed: {built.version.name} stands as it is. {built.message}".rstrip())


@commands.command()
def log(workspace: WorkspaceOption = WORKSPACE, version: VersionOption = None, as_json: JsonOption = False) -> None:
    """List the versions, oldest first (with --version: those that it was built on, and itself).

    \b
    seas-data log
    """
    from seas_data.cli import terminal
    from seas_data.query import summary
    from seas_data.store import open_workspace

    entries = summary.list_versions(open_workspace(workspace), version)
    if as_json:
        print_json(entries)
    elif entries:
        terminal.print_records(entries)
    else:
        print("no version yet; make one with: seas-data build RECIPE")


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
    _show(opened(workspace, version, at), as_json)


def _show(version: "Version", as_json: bool) -> None:
    from seas_data.cli import terminal
    from seas_data.query import summary

    content = summary.describe_version(version)
    if as_json:
        print_json(content)
    else:
        terminal.print_version(content)


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

    from seas_data.cli import terminal
    from seas_data.query import explain

    changes = explain.diff_versions(opened(workspace, before), opened(workspace, after))
    if as_json:
        print_json(
            {name: part.to_dicts() if isinstance(part, pl.DataFrame) else part for name, part in changes.items()}
        )
    else:
        terminal.print_diff(changes, before, after)


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
    from seas_data.cli import terminal
    from seas_data.query import explain

    told = opened(workspace, version)
    stories = [explain.describe_prompt(told, prompt_id) for prompt_id in explain.find_prompts(told, text_or_id)]
    if as_json:
        print_json(stories)
    else:
        terminal.print_prompts(stories, reveal=reveal)


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

    held = open_workspace(workspace)
    name = one_of(version, at)
    names = [held.manifest(name).version] if name is not None or not held.versions() else held.versions()
    problems = held.verify(*map(held.manifest, names))
    if as_json:
        print_json({"versions": names, "problems": problems})
    if problems:
        raise held.damaged(problems)
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
