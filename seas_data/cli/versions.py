"""Commands on versions: build, log, show, diff, why, verify, tag."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

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
    echo,
    open_version,
    print_json,
    recipe_changes,
    resolve_name,
)

if TYPE_CHECKING:
    from seas_data.query.version import Version

commands = typer.Typer()


@commands.command()
def build(
    recipe: Annotated[str, typer.Argument(help="Recipe file, such as pipelines/example.yaml.")],
    workspace: WorkspaceOption = WORKSPACE,
    change: ChangeOption = None,
    iterations: Annotated[
        int | None, typer.Option("--iterations", min=1, help="Total number of iterations of the loop.")
    ] = None,
    trust: TrustOption = False,
    engine: Annotated[
        Literal["local", "ray"],
        typer.Option(
            "--engine", help="Run slow steps in this process (local) or on a Ray cluster; the result is the same."
        ),
    ] = "local",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan without building.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Build the next version of a dataset from a recipe, or resume an interrupted build.

    \b
    seas-data build pipelines/example.yaml
    seas-data build pipelines/public-prompts.yaml --workspace ws --set curation.near.duplicate_threshold=0.9
    """
    from seas_data import plan
    from seas_data import recipe as recipes
    from seas_data.cli import terminal
    from seas_data.cli.dry_run import write_plan

    more = [f"loop.iterations={iterations}"] if iterations else []
    loaded = recipes.load(recipes.find_recipe(recipe), recipe_changes(change, trust) + more)
    if dry_run:
        plan.check(loaded)
        if as_json:
            print_json(loaded.model_dump(mode="json"))
        elif not write_plan(loaded, engine):
            raise typer.Exit(1)
        return
    from seas_data.query import summary
    from seas_data.run import build as run
    from seas_data.sources.account import account_lines

    built = run(loaded, workspace, engine)
    if as_json:
        account = asdict(built.account) if built.account is not None else None
        print_json(
            {
                "version": built.version.name,
                "digest": built.version.digest,
                "new": built.new,
                "account": account,
            }
        )
    elif built.new and loaded.loop is not None:
        terminal.print_loop(summary.describe_loop(built.version))
    elif built.new:
        _show(built.version, False)
        echo('\nNext: seas-data sql --list; seas-data sql drop-reasons-by-source; seas-data why "A PROMPT"')
    else:
        echo(f"Nothing changed; {built.version.name} is up to date. {built.message}".rstrip())
    if built.account is not None and not as_json:
        echo("\n" + "\n".join(account_lines(built.account)))


@commands.command()
def log(workspace: WorkspaceOption = WORKSPACE, version: VersionOption = None, as_json: JsonOption = False) -> None:
    """List the versions, oldest first (with --version: only that version and its ancestors).

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
        echo("no versions yet; create one with: seas-data build RECIPE")


@commands.command()
def show(
    version: VersionArgument = None,
    workspace: WorkspaceOption = WORKSPACE,
    at: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a version: headline figures, kept rows by kind and split, and decisions by reason.

    \b
    seas-data show v0
    seas-data show v0 --json
    """
    _show(open_version(workspace, version, at), as_json)


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
    before: Annotated[str, typer.Argument(help="Earlier version or tag.")],
    after: Annotated[str, typer.Argument(help="Later version or tag.")],
    workspace: WorkspaceOption = WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Compare two versions: rows added, dropped and relabelled, by type and with reasons.

    \b
    seas-data diff v0 v1
    """
    import polars as pl

    from seas_data.cli import terminal

    changes = open_version(workspace, before).diff(open_version(workspace, after))
    if as_json:
        print_json(
            {name: part.to_dicts() if isinstance(part, pl.DataFrame) else part for name, part in changes.items()}
        )
    else:
        terminal.print_diff(changes, before, after)


@commands.command()
def why(
    text_or_id: Annotated[str, typer.Argument(help="A prompt's text, its id, or the beginning of its id.")],
    workspace: WorkspaceOption = WORKSPACE,
    version: VersionOption = None,
    reveal: RevealOption = False,
    as_json: JsonOption = False,
) -> None:
    """Explain a prompt: where it came from, its labels, and each decision with the witness that caused it.

    \b
    seas-data why 3f2a9c
    seas-data why "what colour is the door?"
    """
    from seas_data.cli import terminal
    from seas_data.query import explain

    opened = open_version(workspace, version)
    prompts = [explain.describe_prompt(opened, prompt_id) for prompt_id in explain.find_prompts(opened, text_or_id)]
    if as_json:
        print_json(prompts)
    else:
        terminal.print_prompts(prompts, reveal=reveal)


@commands.command()
def verify(
    version: VersionArgument = None,
    workspace: WorkspaceOption = WORKSPACE,
    at: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check every file's hash and every row's id; list files that are damaged or missing (of all versions by default).

    \b
    seas-data verify
    """
    from seas_data.store import open_workspace
    from seas_data.store.contents import find_mismatches

    opened = open_workspace(workspace)
    name = resolve_name(version, at)
    names = [opened.manifest(name).version] if name is not None or not opened.versions() else opened.versions()
    manifests = [opened.manifest(each) for each in names]
    problems = opened.verify(*manifests) or [str(mismatch) for mismatch in find_mismatches(opened, *manifests)]
    if as_json:
        print_json({"versions": names, "problems": problems})
    if problems:
        raise opened.damage_error(problems)
    if not as_json:
        echo(f"{', '.join(names)}: all files are intact.")


@commands.command()
def tag(
    version: Annotated[str, typer.Argument(help="Version.")],
    name: Annotated[str, typer.Argument(help="Name of the tag, such as 1.0.0.")],
    workspace: WorkspaceOption = WORKSPACE,
) -> None:
    """Add a tag to a version. Every command accepts tags; a tag cannot be moved.

    \b
    seas-data tag v0 1.0.0
    """
    from seas_data.store import open_workspace

    echo(f"Tagged {open_workspace(workspace).tag(version, name).version} as {name}.")
