"""Releases: the folder, its card, the checks, to the Hub and back, and a row taken out."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from seas_data import registry
from seas_data.cli.shared import (
    WORKSPACE,
    JsonOption,
    ProfileOption,
    VersionArgument,
    VersionOption,
    WorkspaceOption,
    opened,
    print_json,
)
from seas_data.errors import SeasDataError

if TYPE_CHECKING:
    from seas_data.query.version import Version
    from seas_data.release.visibility import Profile

commands = typer.Typer()


class _CommandWithChecks(TyperCommand):
    """A command whose help lists the release checks; they are looked up when the help is shown."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the names of the checks."""
        formatter.write_paragraph()
        formatter.write_text(f"Checks: {', '.join(registry.names('seas_data.checks'))}")


OfDataOption = Annotated[
    str | None, typer.Option("--profile", help="Of a version: public (if you do not say) or gated.")
]
AllowOption = Annotated[list[str] | None, typer.Option("--allow", help="A check that may fail; give a reason with --because.")]
BecauseOption = Annotated[list[str] | None, typer.Option("--because", help="The reason, one for each --allow.")]


@commands.command()
def checkout(
    version: Annotated[str, typer.Argument(help="A version or tag.")],
    folder: Annotated[Path, typer.Argument(help="A folder that does not exist yet.")],
    profile: ProfileOption = "public",
    workspace: WorkspaceOption = WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Write a version as the folder that push uploads: Parquet that `datasets`, Polars and DuckDB open, and its card.

    \b
    seas-data checkout v0 release
    seas-data checkout v3 release --profile gated
    """
    from seas_data.release.folder import checkout as write
    from seas_data.release.visibility import parse_profile

    held = opened(workspace, version)
    manifest = write(held, folder, parse_profile(profile))
    if as_json:
        withheld = [each.model_dump() for each in manifest.withheld]
        told = {"version": held.name, "profile": profile, "digest": manifest.digest, "rows": manifest.rows()}
        print_json(told | {"full_digest": manifest.full_digest, "withheld": withheld})
        return
    print(f"{held.name} ({profile}) is in {folder}. Load it: datasets.load_dataset({str(folder)!r})")
    if manifest.withheld:
        print(f"{len(manifest.withheld)} shards are withheld or redacted; manifest.json says which and why.")


@commands.command(cls=_CommandWithChecks)
def card(
    version: VersionArgument = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The file to write, or with --check to read.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare a card with the version; exit status 1 if they differ.")
    ] = False,
    model: Annotated[str | None, typer.Option("--model", help="The card of a trained model, such as R2.")] = None,
    profile: OfDataOption = None,
    allow: AllowOption = None,
    because: BecauseOption = None,
    workspace: WorkspaceOption = WORKSPACE,
    at: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the card of a version or of a model it trained, every figure computed from the data; or check one.

    \b
    seas-data card v3 -o README.md            # and its pictures beside it, in assets
    seas-data card v3 --check -o release/README.md
    seas-data card v3 --model T3
    seas-data card v3 --check -o release/README.md --allow licences --because "asked the authors"
    """
    from seas_data.release import card as cards
    from seas_data.store import files

    held, of = opened(workspace, version, at), _profile(profile, model)
    texts = _card_texts(held, of, model, _allowed(allow, because))
    fresh = texts.pop(cards.README)
    if check:
        _compare(held.name, output or Path(cards.README), fresh, as_json)
        return
    if output is not None:
        cards.write(fresh, output)
        for place, picture in texts.items():
            files.write_text(output.parent / place, picture)
    if as_json:
        print_json({"version": held.name, "path": output, "card": fresh})
    elif output is None:
        print(fresh, end="")


def _card_texts(version: "Version", profile: "Profile", model: str | None, allowed: dict[str, str]) -> dict[str, str]:
    """Return the card of a version or of its model, and the pictures beside it: the text of each file, by its path."""
    from seas_data.release import card as cards
    from seas_data.release import checks
    from seas_data.release.hub import push_model

    if model is not None:
        return {cards.README: cards.model_card(version, model, push_model.named(allowed))}
    if checks.require_names(allowed):  # the card says of those that fail alone that they were overruled
        allowed = checks.select_waived(checks.run(version, profile, waivers=allowed), allowed)
    return cards.dataset_files(version, profile, allowed)


def _compare(version: str, path: Path, fresh: str, as_json: bool) -> None:
    """Say whether the card at ``path`` is ``fresh``; exit with status 1 if not."""
    from seas_data.release import card as cards

    found = cards.check(path, fresh)
    if as_json:
        print_json({"version": version, "current": not found, "differences": found})
    elif found:
        differ = f"{path} is not what {version} says ({len(found)} lines differ)"
        print(f"{differ}; write it anew with: seas-data card {version} -o {path}")
        print("\n".join(found))
    else:
        print(f"{path} is what {version} says.")
    if found:
        raise typer.Exit(1)


@commands.command(cls=_CommandWithChecks)
def check(
    version: VersionArgument = None,
    profile: ProfileOption = "public",
    card: Annotated[Path | None, typer.Option("--card", help="A stored card, which has to be current.")] = None,
    allow: AllowOption = None,
    because: BecauseOption = None,
    workspace: WorkspaceOption = WORKSPACE,
    at: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether a version may be released: every check, and the ids of the rows that fail it.

    The exit status is 1 when a check fails that --allow does not name. Rows are named and never shown.

    \b
    seas-data check v3
    seas-data check v3 --profile gated --json
    seas-data check v3 --card release/README.md
    """
    from seas_data.cli import terminal
    from seas_data.release import checks
    from seas_data.store import files

    held = opened(workspace, version, at)
    allowed = checks.require_names(_allowed(allow, because))
    found = checks.run(held, profile, files.read_text(card) if card else None, allowed)
    if as_json:
        told = [{"name": c.name, "passed": c.passed, "ids": list(c.ids), "message": c.message} for c in found]
        print_json({"version": held.name, "profile": profile, "checks": told})
    else:
        terminal.checks(found)
    excused = checks.select_waived(found, allowed)
    if not all(each.passed or each.name in excused for each in found):
        raise typer.Exit(1)


@commands.command(cls=_CommandWithChecks)
def push(
    version: Annotated[str, typer.Argument(help="A version or tag.")],
    repository: Annotated[str, typer.Argument(help="A repository of the Hugging Face Hub, such as org/name.")],
    tag_name: Annotated[str | None, typer.Option("--tag", help="What to call it there, such as 1.2.0.")] = None,
    profile: OfDataOption = None,
    model: Annotated[str | None, typer.Option("--model", help="Push this model that the version trained.")] = None,
    public: Annotated[bool, typer.Option("--public", help="Let everybody see it; without this it is private.")] = False,
    allow: AllowOption = None,
    because: BecauseOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent, and write nothing.")] = False,
    workspace: WorkspaceOption = WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Push a version, or a model, to the Hugging Face Hub: checked first, private unless told otherwise, tagged last.

    \b
    seas-data push v3 org/name --tag 1.2.0 --dry-run
    seas-data push v3 org/name-gated --profile gated --tag 1.2.0
    seas-data push v3 org/red-team --model R2
    """
    from seas_data.release.hub import print as hub_print
    from seas_data.release.hub.push import Wanted
    from seas_data.release.hub.push import push as push_version
    from seas_data.release.hub.push_model import push_model

    wanted = Wanted(
        repository,
        tag=tag_name,
        public=public,
        allowed=_allowed(allow, because),
        dry_run=dry_run,
        confirm=_confirm if sys.stdin.isatty() else None,
    )
    of = _profile(profile, model)
    held = opened(workspace, version)
    done = push_model(held, model, wanted) if model else push_version(held, wanted, of)
    if as_json:
        print_json(hub_print.as_json(done, tag=tag_name))
    else:
        hub_print.pushed(model or held.name, done, tag=tag_name)


@commands.command()
def pull(
    name: Annotated[str, typer.Argument(help="REPOSITORY@TAG, or REPOSITORY for the newest, such as org/name@1.2.0.")],
    workspace: WorkspaceOption = WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Bring a published version into a new workspace, with the same digest; every file's hash is checked first.

    \b
    seas-data pull org/name@1.2.0 --workspace ws2
    """
    from seas_data.release.hub.pull import pull as run

    done = run(name, workspace)
    if as_json:
        told = {"version": done.version.name, "digest": done.version.digest, "commit": done.commit, "new": done.new}
        print_json(told | {"profile": done.version.manifest.profile, "recipe": str(done.recipe)})
        return
    what = "is now" if done.new else "was already"
    print(f"{done.version.name} ({done.version.manifest.profile}) {what} in {workspace}: digest {done.version.digest}.")
    print(f"How it was made is in {done.recipe}; what that would start or call runs only with --trust.")


@commands.command()
def forget(
    ids: Annotated[list[str], typer.Argument(help="Ids of prompts, attacks or responses.")],
    because: Annotated[str, typer.Option("--because", help="Why; it stands in the new version, for good.")],
    workspace: WorkspaceOption = WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Take a row out, with all that holds its words or hangs on it: a new version, which has its id and why, no more.

    \b
    seas-data forget 3f2a9c0d1e4b5a6978877665 --because "asked for by the person it names"
    """
    from seas_data.release import takedown as forgets
    from seas_data.release.hub import print as hub_print

    done = forgets.forget(workspace, ids, because)
    if as_json:
        print_json(hub_print.forgot_as_json(done))
    else:
        hub_print.forgot(done, str(workspace))


def _confirm(question: str) -> bool:
    """Ask the person at the terminal; standard output is for what is answered."""
    print(f"{question} [y/N]: ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().casefold() in ("y", "yes")


def _profile(name: str | None, model: str | None) -> "Profile":
    from seas_data.release.visibility import parse_profile

    if name is not None and model is not None:
        raise SeasDataError("a model has no profile; leave out --profile or --model")
    return parse_profile(name or "public")


def _allowed(names: list[str] | None, reasons: list[str] | None) -> dict[str, str]:
    names, reasons = names or [], reasons or []
    if len(names) != len(reasons) or not all(reason.strip() for reason in reasons):
        raise SeasDataError('say why each failed check may pass: --allow NAME --because "..."')
    return dict(zip(names, reasons, strict=True))
