"""Commands for releases: checkout, card, check, push, pull, forget."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seas_data.cli.shared import (
    WORKSPACE,
    JsonOption,
    ProfileOption,
    VersionArgument,
    VersionOption,
    WorkspaceOption,
    command_listing,
    echo,
    open_version,
    print_json,
)
from seas_data.console import say
from seas_data.errors import SeasDataError

if TYPE_CHECKING:
    from seas_data.query.version import Version
    from seas_data.release.visibility import Profile

commands = typer.Typer()
_CommandWithChecks = command_listing("Checks", "seas_data.checks")
OfDataOption = Annotated[
    str | None, typer.Option("--profile", help="The profile of a version: public (the default) or gated.")
]
AllowOption = Annotated[
    list[str] | None, typer.Option("--allow", help="A check that may fail; give a reason with --because.")
]
BecauseOption = Annotated[list[str] | None, typer.Option("--because", help="The reason, one for each --allow.")]


@commands.command()
def checkout(
    version: Annotated[str, typer.Argument(help="Version or tag.")],
    folder: Annotated[Path, typer.Argument(help="Folder to create; must not exist.")],
    profile: ProfileOption = "public",
    workspace: WorkspaceOption = WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Write the folder that push uploads: Parquet files for `datasets`, Polars and DuckDB, and the card.

    \b
    seas-data checkout v0 release
    seas-data checkout v3 release --profile gated
    """
    from seas_data.release.folder import checkout as write
    from seas_data.release.visibility import parse_profile

    opened = open_version(workspace, version)
    manifest = write(opened, folder, parse_profile(profile))
    if as_json:
        withheld = [each.model_dump() for each in manifest.withheld]
        summary = {"version": opened.name, "profile": profile, "digest": manifest.digest, "rows": manifest.rows()}
        print_json(summary | {"full_digest": manifest.full_digest, "withheld": withheld})
        return
    echo(f"Wrote {opened.name} ({profile}) to {folder}. Load it with datasets.load_dataset({str(folder)!r}).")
    if manifest.withheld:
        echo(f"{len(manifest.withheld)} shards are withheld or redacted; manifest.json lists them with the reasons.")


@commands.command()
def export(
    version: VersionArgument = None,
    *,
    tool: Annotated[str, typer.Option("--to", help="pyrit, promptfoo, inspect, harmbench or garak.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write; its owner alone can read it.")],
    split: Annotated[str, typer.Option("--split", help="train, test or harmless; never holdout.")] = "test",
    workspace: WorkspaceOption = WORKSPACE,
    at: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the kept prompts of a split as the file that a red-team tool loads.

    \b
    seas-data export v0 --to pyrit -o seeds.yaml
    seas-data export v0 --to inspect --split harmless -o look-alikes.jsonl
    """
    from dataclasses import asdict

    from seas_data.release.export import export as write

    opened = open_version(workspace, version, at)
    made = write(opened, tool, output, split)
    if as_json:
        print_json({"version": opened.name, "tool": tool, "split": split, "file": output} | asdict(made))
        return
    echo(f"Wrote {made.written} prompts of the split {split} of {opened.name} to {output}, for {tool}.")
    if made.conversations:
        echo(f"{made.conversations} conversations are left out: {tool} takes prompts of one turn.")
    if made.without_text:
        echo(f"{made.without_text} prompts are left out: the release withholds their texts.")


@commands.command(cls=_CommandWithChecks)
def card(
    version: VersionArgument = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write, or with --check to compare.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare a card file with the version; exit with status 1 if they differ.")
    ] = False,
    model: Annotated[
        str | None, typer.Option("--model", help="Write the card of this trained model, such as R2.")
    ] = None,
    profile: OfDataOption = None,
    allow: AllowOption = None,
    because: BecauseOption = None,
    workspace: WorkspaceOption = WORKSPACE,
    at: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the card of a version or of a trained model, with all figures computed from the data; or check a card.

    \b
    seas-data card v3 -o README.md            # pictures are written to assets/ beside it
    seas-data card v3 --check -o release/README.md
    seas-data card v3 --model T3
    seas-data card v3 --check -o release/README.md --allow licences --because "asked the authors"
    """
    from seas_data.release import card as cards
    from seas_data.store import files

    opened, of = open_version(workspace, version, at), _profile(profile, model)
    texts = _card_texts(opened, of, model, _waivers(allow, because))
    current = texts.pop(cards.README)
    if check:
        _compare(opened.name, output or Path(cards.README), current, as_json)
        return
    if output is not None:
        cards.write(current, output)
        for path, picture in texts.items():
            files.write_text(output.parent / path, picture)
    if as_json:
        print_json({"version": opened.name, "path": output, "card": current})
    elif output is None:
        print(current, end="")


def _card_texts(version: "Version", profile: "Profile", model: str | None, waivers: dict[str, str]) -> dict[str, str]:
    """Return the card of a version or model, and its pictures: the text of each file, by path."""
    from seas_data.release import card as cards
    from seas_data.release import checks
    from seas_data.release.hub import push_model

    if model is not None:
        return {cards.README: cards.model_card(version, model, push_model.require_names(waivers))}
    if checks.require_names(waivers):  # the card lists only waivers of checks that fail
        waivers = checks.select_waived(checks.run(version, profile, waivers=waivers), waivers)
    return cards.dataset_files(version, profile, waivers)


def _compare(version: str, path: Path, current: str, as_json: bool) -> None:
    """Print whether the card at ``path`` is up to date; exit with status 1 if not."""
    from seas_data.release import card as cards

    differences = cards.find_differences(path, current)
    if as_json:
        print_json({"version": version, "current": not differences, "differences": differences})
    elif differences:
        echo(
            f"{path} is out of date for {version} ({len(differences)} lines differ); update it with: seas-data card "
            f"{version} -o {path}"
        )
        echo("\n".join(differences))
    else:
        echo(f"{path} is up to date for {version}.")
    if differences:
        raise typer.Exit(1)


@commands.command(cls=_CommandWithChecks)
def check(
    version: VersionArgument = None,
    profile: ProfileOption = "public",
    card: Annotated[Path | None, typer.Option("--card", help="A stored card to check as well.")] = None,
    allow: AllowOption = None,
    because: BecauseOption = None,
    workspace: WorkspaceOption = WORKSPACE,
    at: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check whether a version can be released; print each check and the ids of the rows that fail it.

    The exit status is 1 if a check fails that is not waived with --allow. Texts are never printed.

    \b
    seas-data check v3
    seas-data check v3 --profile gated --json
    seas-data check v3 --card release/README.md
    """
    from seas_data.cli import terminal
    from seas_data.release import checks
    from seas_data.store import files

    opened = open_version(workspace, version, at)
    waivers = checks.require_names(_waivers(allow, because))
    results = checks.run(opened, profile, files.read_text(card) if card else None, waivers)
    if as_json:
        rows = [{"name": c.name, "passed": c.passed, "ids": list(c.ids), "message": c.message} for c in results]
        print_json({"version": opened.name, "profile": profile, "checks": rows})
    else:
        terminal.print_checks(results)
    waived = checks.select_waived(results, waivers)
    if not all(each.passed or each.name in waived for each in results):
        raise typer.Exit(1)


@commands.command(cls=_CommandWithChecks)
def push(
    version: Annotated[str, typer.Argument(help="Version or tag.")],
    repository: Annotated[str, typer.Argument(help="Hugging Face Hub repository, such as org/name.")],
    tag_name: Annotated[str | None, typer.Option("--tag", help="A tag for it on the Hub, such as 1.2.0.")] = None,
    profile: OfDataOption = None,
    model: Annotated[str | None, typer.Option("--model", help="Push this trained model of the version.")] = None,
    public: Annotated[
        bool, typer.Option("--public", help="Make the repository public; the default is private.")
    ] = False,
    allow: AllowOption = None,
    because: BecauseOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be uploaded; change nothing, and need no Hub.")
    ] = False,
    workspace: WorkspaceOption = WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Push a version or a model to the Hugging Face Hub, after all checks passed; the repository is private by default.

    \b
    seas-data push v3 org/name --tag 1.2.0 --dry-run
    seas-data push v3 org/name-gated --profile gated --tag 1.2.0
    seas-data push v3 org/red-team --model R2
    """
    from seas_data.release.hub import output
    from seas_data.release.hub.push import PushRequest
    from seas_data.release.hub.push import push as push_version
    from seas_data.release.hub.push_model import push_model

    request = PushRequest(
        repository,
        tag=tag_name,
        public=public,
        waivers=_waivers(allow, because),
        dry_run=dry_run,
        confirm=_confirm if sys.stdin.isatty() else None,
        show_release=None if as_json else output.print_release,
    )
    chosen_profile = _profile(profile, model)
    opened = open_version(workspace, version)
    result = push_model(opened, model, request) if model else push_version(opened, request, chosen_profile)
    if as_json:
        print_json(output.push_json(result, tag=tag_name))
    else:
        output.print_push(model or opened.name, result, tag=tag_name)


@commands.command()
def pull(
    name: Annotated[
        str, typer.Argument(help="REPOSITORY@TAG such as org/name@1.2.0; without a tag the newest commit.")
    ],
    workspace: WorkspaceOption = WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Pull a published version into a new workspace, with the same digest, after verifying the hash of every file.

    \b
    seas-data pull org/name@1.2.0 --workspace ws2
    """
    from seas_data.release.hub.pull import pull as run

    result = run(name, workspace)
    version = result.version
    if as_json:
        summary = {"version": version.name, "digest": version.digest, "commit": result.commit, "new": result.new}
        print_json(summary | {"profile": version.manifest.profile, "recipe": str(result.recipe)})
        return
    action = "Pulled" if result.new else "Already in the workspace:"
    echo(f"{action} {version.name} ({version.manifest.profile}), digest {version.digest}, in {workspace}.")
    echo(f"Its recipe is {result.recipe}; the commands and servers in it run only with --trust.")


@commands.command()
def forget(
    ids: Annotated[list[str], typer.Argument(help="Ids of prompts, attacks or responses.")],
    because: Annotated[str, typer.Option("--because", help="Reason; the tombstone keeps it permanently.")],
    workspace: WorkspaceOption = WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Take down rows and everything that quotes or depends on them; only ids and the reason stay, as tombstones.

    \b
    seas-data forget 3f2a9c0d1e4b5a6978877665 --because "asked for by the person it names"
    """
    from seas_data.release.hub import output
    from seas_data.release.takedown import take_down

    done = take_down(workspace, ids, because)
    if as_json:
        print_json(output.takedown_json(done))
    else:
        output.print_takedown(done, str(workspace))


def _confirm(question: str) -> bool:
    """Ask for confirmation on standard error, because standard output is for results."""
    say(f"{question} [y/N]: ", end="")
    return sys.stdin.readline().strip().casefold() in ("y", "yes")


def _profile(name: str | None, model: str | None) -> "Profile":
    from seas_data.release.visibility import parse_profile

    if name is not None and model is not None:
        raise SeasDataError("a model has no profile; remove --profile or --model")
    return parse_profile(name or "public")


def _waivers(names: list[str] | None, reasons: list[str] | None) -> dict[str, str]:
    names, reasons = names or [], reasons or []
    if len(names) != len(reasons) or not all(reason.strip() for reason in reasons):
        raise SeasDataError('give a reason for each waived check: --allow NAME --because "REASON"')
    return dict(zip(names, reasons, strict=True))
