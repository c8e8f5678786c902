"""The command line: parse, call, print.

Facts go to standard output, progress and errors to standard error. A problem that a person can mend is one sentence
and exit status 2. Heavy libraries are imported by the command that needs them, so that the light ones answer at once.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from seas_data.errors import SeasDataError

app = typer.Typer(
    name="seas-data",
    help="Build, version, question and release adversarial and ambiguous-harmless safety datasets.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

WorkspaceOption = Annotated[Path, typer.Option("--workspace", help="The folder that holds the versions.")]
VersionOption = Annotated[str | None, typer.Option("--version", help="A version or tag; the newest without it.")]
VersionArgument = Annotated[str | None, typer.Argument(help="A version or tag; the newest without it.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
RevealOption = Annotated[bool, typer.Option("--reveal", help="Show whole prompts, not their first words.")]
WORKSPACE = Path("workspace")


def main() -> None:
    """Run the command line and turn what goes wrong into one sentence and an exit status."""
    try:
        app()
    except SeasDataError as problem:
        _fail(str(problem))
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except OSError as problem:
        place = f" at {problem.filename}" if problem.filename else ""
        _fail(
            f"{problem.strerror or problem}{place}; nothing was half written: mend that and run the same command again"
        )


def _fail(sentence: str) -> None:
    print(f"error: {sentence}", file=sys.stderr)
    sys.exit(2)


@app.command()
def build(
    recipe: Annotated[str, typer.Argument(help="A recipe, such as pipelines/example.yaml.")],
    workspace: WorkspaceOption = WORKSPACE,
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe, such as a.b=1.")
    ] = None,
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
    from seas_data import recipe as recipes
    from seas_data import terminal

    changes = [*(change or []), *([f"loop.iterations={iterations}"] if iterations else [])]
    changes += ["pulled=null"] if trust else []
    loaded = recipes.load(recipes.shipped(recipe), changes)
    if dry_run:
        if as_json:
            _print_json(loaded.model_dump(mode="json"))
        else:
            terminal.plan(loaded)
        return
    from seas_data.build import build as run

    built = run(loaded, workspace)
    if as_json:
        _print_json({"version": built.version.name, "digest": built.version.digest, "new": built.new})
    elif built.new and loaded.loop is not None:
        terminal.loop(built.version)
    elif built.new:
        _show(workspace, built.version.name, False)
        print('\nNext: seas-data sql --list; seas-data sql drop-reasons-by-source; seas-data why "A PROMPT"')
    else:
        print(f"Nothing changed: {built.version.name} stands as it is. {built.remark}".rstrip())


@app.command()
def log(workspace: WorkspaceOption = WORKSPACE, version: VersionOption = None, as_json: JsonOption = False) -> None:
    """List the versions, oldest first (with --version: those that it was built on, and itself).

    \b
    seas-data log
    """
    from seas_data import summary, terminal
    from seas_data.store import open_workspace

    entries = summary.log(open_workspace(workspace), version)
    if as_json:
        _print_json(entries)
    else:
        terminal.records(entries)


@app.command()
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
    from seas_data import summary, terminal, version

    content = summary.show(version.open(workspace).version(name))
    if as_json:
        _print_json(content)
    else:
        terminal.summary(content)


@app.command()
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

    from seas_data import explain, terminal, version

    opened = version.open(workspace)
    changes = explain.difference(opened.version(before), opened.version(after))
    if as_json:
        _print_json(
            {name: part.to_dicts() if isinstance(part, pl.DataFrame) else part for name, part in changes.items()}
        )
    else:
        terminal.difference(changes, before, after)


@app.command()
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
    from seas_data import explain, terminal
    from seas_data import version as versions

    opened = versions.open(workspace).version(version)
    stories = [explain.story(opened, prompt_id) for prompt_id in explain.find(opened, text_or_id)]
    if as_json:
        _print_json(stories)
    else:
        terminal.stories(stories, reveal=reveal)


@app.command()
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
        _print_json(
            {"versions": names, "problems": [each for name in names for each in opened.verify(opened.manifest(name))]}
        )
    for each in names:
        opened.require_whole(opened.manifest(each))
    if not as_json:
        print(f"{', '.join(names)}: every file is whole and as it was written.")


@app.command()
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


ProfileOption = Annotated[
    str, typer.Option("--profile", help="public: without what models answered; gated: all of it.")
]


@app.command()
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
    from seas_data import version as versions
    from seas_data.release.folder import checkout as write
    from seas_data.release.profile import named

    opened = versions.open(workspace).version(version)
    manifest = write(opened, folder, named(profile))
    if as_json:
        withheld = [each.model_dump() for each in manifest.withheld]
        told = {"version": opened.name, "profile": profile, "digest": manifest.digest, "rows": manifest.rows()}
        _print_json(told | {"full_digest": manifest.full_digest, "withheld": withheld})
        return
    print(f"{opened.name} ({profile}) is in {folder}. Load it: datasets.load_dataset({str(folder)!r})")
    if manifest.withheld:
        print(f"{len(manifest.withheld)} shards are withheld or redacted; manifest.json says which and why.")


@app.command()
def card(
    version: VersionArgument = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The file to write, or with --check to read.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare a card with the version; exit status 1 if they differ.")
    ] = False,
    model: Annotated[str | None, typer.Option("--model", help="The card of a trained model, such as R2.")] = None,
    profile: ProfileOption = "public",
    workspace: WorkspaceOption = WORKSPACE,
    at: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the card of a version or of a model it trained, every figure computed from the data; or check one.

    \b
    seas-data card v3 -o README.md
    seas-data card v3 --check -o release/README.md
    seas-data card v3 --model T3
    """
    from seas_data import version as versions
    from seas_data.release import card as cards
    from seas_data.release.profile import named

    opened = versions.open(workspace).version(version or at)
    fresh = cards.model_card(opened, model) if model else cards.dataset_card(opened, named(profile))
    if not check:
        cards.write(fresh, output) if output else print(fresh, end="")
        return
    found = cards.check(output or Path("README.md"), fresh)
    if as_json:
        _print_json({"version": opened.name, "current": not found, "differences": found})
    elif found:
        print(
            f"{output or 'README.md'} is not what {opened.name} says ({len(found)} lines differ); write it anew "
            f"with: seas-data card {opened.name} -o {output or 'README.md'}"
        )
        print("\n".join(found))
    else:
        print(f"{output or 'README.md'} is what {opened.name} says.")
    if found:
        raise typer.Exit(1)


@app.command()
def check(
    version: VersionArgument = None,
    profile: ProfileOption = "public",
    card: Annotated[Path | None, typer.Option("--card", help="A stored card, which has to be current.")] = None,
    workspace: WorkspaceOption = WORKSPACE,
    at: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say whether a version may be released: every check, and the ids of the rows that fail it.

    The exit status is 1 when a check fails. Rows are named and never shown.

    \b
    seas-data check v3
    seas-data check v3 --profile gated --json
    seas-data check v3 --card release/README.md
    """
    from seas_data import terminal
    from seas_data import version as versions
    from seas_data.release import checks

    opened = versions.open(workspace).version(version or at)
    found = checks.run(opened, profile, card.read_text(encoding="utf-8") if card else None)
    if as_json:
        told = [{"name": c.name, "passed": c.passed, "ids": list(c.ids), "sentence": c.sentence} for c in found]
        _print_json({"version": opened.name, "profile": profile, "checks": told})
    else:
        terminal.checks(found)
    if not all(each.passed for each in found):
        raise typer.Exit(1)


@app.command()
def push(
    version: Annotated[str, typer.Argument(help="A version or tag.")],
    repository: Annotated[str, typer.Argument(help="A repository of the Hugging Face Hub, such as org/name.")],
    tag_name: Annotated[str | None, typer.Option("--tag", help="What to call it there, such as 1.2.0.")] = None,
    profile: ProfileOption = "public",
    model: Annotated[str | None, typer.Option("--model", help="Push this model that the version trained.")] = None,
    public: Annotated[bool, typer.Option("--public", help="Let everybody see it; without this it is private.")] = False,
    allow: Annotated[list[str] | None, typer.Option("--allow", help="A check that may fail; say --because.")] = None,
    because: Annotated[list[str] | None, typer.Option("--because", help="Why, one for each --allow.")] = None,
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
    from seas_data import version as versions
    from seas_data.release import hub_print
    from seas_data.release.profile import named
    from seas_data.release.push import Wanted
    from seas_data.release.push import push as push_version
    from seas_data.release.push_model import push_model

    wanted = Wanted(
        repository,
        tag=tag_name,
        public=public,
        allowed=_allowed(allow, because),
        dry_run=dry_run,
        confirm=typer.confirm if sys.stdin.isatty() else None,
    )
    opened = versions.open(workspace).version(version)
    done = push_model(opened, model, wanted) if model else push_version(opened, wanted, named(profile))
    if as_json:
        _print_json(hub_print.as_json(done, tag=tag_name))
    else:
        hub_print.pushed(model or opened.name, done, tag=tag_name)


@app.command()
def pull(
    name: Annotated[str, typer.Argument(help="REPOSITORY@TAG, or REPOSITORY for the newest, such as org/name@1.2.0.")],
    workspace: WorkspaceOption = WORKSPACE,
    as_json: JsonOption = False,
) -> None:
    """Bring a published version into a new workspace, with the same digest; every file's hash is checked first.

    \b
    seas-data pull org/name@1.2.0 --workspace ws2
    """
    from seas_data.release.pull import pull as run

    done = run(name, workspace)
    if as_json:
        told = {"version": done.version.name, "digest": done.version.digest, "commit": done.commit, "new": done.new}
        _print_json(told | {"profile": done.version.manifest.profile, "recipe": str(done.recipe)})
        return
    what = "is now" if done.new else "was already"
    print(f"{done.version.name} ({done.version.manifest.profile}) {what} in {workspace}: digest {done.version.digest}.")
    print(f"How it was made is in {done.recipe}; what that would start or call runs only with --trust.")


@app.command()
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
    from seas_data.release import forget as forgets
    from seas_data.release import hub_print

    done = forgets.forget(workspace, ids, because)
    if as_json:
        _print_json(hub_print.forgot_as_json(done))
    else:
        hub_print.forgot(done, str(workspace))


def _allowed(names: list[str] | None, reasons: list[str] | None) -> dict[str, str]:
    names, reasons = names or [], reasons or []
    if len(names) != len(reasons) or not all(reason.strip() for reason in reasons):
        raise SeasDataError('say why each failed check may pass: --allow NAME --because "..."')
    return dict(zip(names, reasons, strict=True))


@app.command()
def sql(
    name: Annotated[str | None, typer.Argument(help="A query of the library; --list names them.")] = None,
    query: Annotated[str | None, typer.Option("-q", "--query", help="One SELECT of your own.")] = None,
    file: Annotated[Path | None, typer.Option("-f", "--file", help="A file that holds one SELECT.")] = None,
    parameter: Annotated[list[str] | None, typer.Option("--param", metavar="NAME=VALUE")] = None,
    output: Annotated[str, typer.Option("--format", help="table, csv, json, parquet or markdown.")] = "table",
    list_them: Annotated[bool, typer.Option("--list", help="List the queries and what each answers.")] = False,
    as_json: JsonOption = False,
    reveal: RevealOption = False,
    workspace: WorkspaceOption = WORKSPACE,
    version: VersionOption = None,
) -> None:
    """Ask a version a question: a query of the library, or one SELECT over its tables. Nothing can be written.

    \b
    seas-data sql --list
    seas-data sql drop-reasons-by-source
    seas-data sql -q "select type, count(*) from kept group by 1" --format json
    """
    from seas_data.analysis import library, table
    from seas_data.resources import folder
    from seas_data.version import open as open_versions

    output = "json" if as_json else output
    queries = library.load(folder("sql"))
    if list_them:
        table.write(library.overview(queries), output, sys.stdout)
        return
    asked = [given for given in (name, query, file) if given is not None]
    if len(asked) != 1:
        raise SeasDataError("ask one thing: the name of a query (see: seas-data sql --list), -q SELECT or -f FILE")
    if name is not None:
        chosen = library.get(queries, name)
        text, values = chosen.sql, chosen.values(parameter or [])
    else:
        text = query if query is not None else Path(str(file)).read_text(encoding="utf-8")
        values = library.untyped(parameter or [])
    table.write(open_versions(workspace).version(version).sql(text, values), output, sys.stdout, reveal=reveal)


@app.command()
def report(
    version: VersionArgument = None,
    against: Annotated[
        str | None, typer.Option("--against", help="The version to compare with; its parent without it.")
    ] = None,
    with_text: Annotated[bool, typer.Option("--with-text", help="Embed prompts' texts, hidden until a click.")] = False,
    output: Annotated[Path, typer.Option("-o", "--output", help="The HTML file to write.")] = Path("report.html"),
    workspace: WorkspaceOption = WORKSPACE,
    at: VersionOption = None,
) -> None:
    """Write a version's report: one HTML file of charts and tables that opens offline. It holds ids, not prompts.

    \b
    seas-data report v3 -o report.html
    seas-data report v3 --against v1 -o report.html
    """
    from seas_data import version as versions
    from seas_data.analysis.report import write

    opened = versions.open(workspace)
    told = opened.version(version or at)
    write(told, output, against=opened.version(against) if against else None, with_text=with_text)
    marked = "; it holds prompts' texts, so do not publish it" if with_text else ""
    print(f"The report of {told.name} is in {output} ({output.stat().st_size / 1e6:.1f} MB){marked}.")


@app.command()
def explore(
    version: VersionArgument = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to write.")] = Path("map"),
    workspace: WorkspaceOption = WORKSPACE,
    at: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write the kept prompts as a map to walk through, and print the command that opens it in embedding-atlas.

    \b
    seas-data explore v3 -o map
    """
    from seas_data import version as versions
    from seas_data.analysis.explore import write

    told = versions.open(workspace).version(version or at)
    made = write(told, output)
    if as_json:
        _print_json({"path": str(made.path), "rows": made.rows, "without": made.without, "command": made.command})
        return
    left = f"; {made.without:,} more have no vector and so no place" if made.without else ""
    print(f"{made.rows:,} kept prompts of {told.name}, with their texts, are in {made.path}{left}.\nOpen it:\n")
    print(f"  {made.command}")


@app.command()
def review(
    version: VersionArgument = None,
    sample: Annotated[int, typer.Option("--sample", min=1, help="How many rows.")] = 200,
    responses: Annotated[
        bool, typer.Option("--responses", help="Responses and not prompts, to judge judges by.")
    ] = False,
    output: Annotated[Path, typer.Option("-o", "--output", help="The CSV to write.")] = Path("review.csv"),
    workspace: WorkspaceOption = WORKSPACE,
    at: VersionOption = None,
) -> None:
    """Write a stratified sample for people to judge: of the kept prompts, or of the responses.

    The sheet of prompts, filled in, serves as a recipe's overrides; that of responses, which does not say what the
    judges said, as a gold set.

    \b
    seas-data review v0 --sample 200 -o review.csv
    seas-data review v3 --responses --sample 400 -o gold.csv
    """
    from seas_data import review as reviews
    from seas_data import version as versions

    opened = versions.open(workspace).version(version or at)
    if responses:
        chosen = reviews.responses(opened, sample)
        reviews.write(chosen, output, reviews.RESPONSE_GIVEN, reviews.RESPONSE_ASKED)
        print(f"{chosen.height} responses of {opened.name} are in {output}; filled in: seas-data judge --gold {output}")
        return
    chosen = reviews.sample(opened.table("kept"), sample)
    reviews.write(chosen, output)
    print(
        f"{chosen.height} prompts of {opened.name} are in {output}; filled in, name it under overrides in the recipe."
    )


RecipeArgument = Annotated[str, typer.Argument(help="A recipe with a loop, such as pipelines/seas-llama3.yaml.")]
FolderArgument = Annotated[Path, typer.Argument(help="A folder of tables, one Parquet file each.")]
ChangeOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a key of the recipe, such as a.b=1.")
]
RedOption = Annotated[str | None, typer.Option("--red", help="The red team's checkpoint, in place of the recipe's.")]
TargetOption = Annotated[
    str | None, typer.Option("--target", help="The target's checkpoint, in place of the recipe's.")
]


@app.command()
def attack(
    recipe: RecipeArgument,
    folder: FolderArgument,
    prompts: Annotated[Path, typer.Option("--prompts", help="A JSONL or Parquet file with the columns text and type.")],
    red: RedOption = None,
    target: TargetOption = None,
    change: ChangeOption = None,
) -> None:
    """Draw seeds, have the red team write attacks and the target answer them: tables seeds, attacks, responses.

    \b
    seas-data attack pipelines/seas-llama3.yaml round --prompts attacks.jsonl --red models/R0 --target models/T0
    """
    from seas_data.loop import alone

    found = alone.attack(_scene(recipe, change, folder, red, target), folder, prompts)
    asked = found["attacks"]["reason"].null_count()
    print(
        f"{found['attacks'].height} attacks, {asked} of them asked; {found['responses'].height} responses in {folder}."
    )


@app.command()
def judge(
    recipe: Annotated[str | None, typer.Argument(help="A recipe with a loop; none with --gold.")] = None,
    folder: Annotated[Path | None, typer.Argument(help="A folder of tables, one Parquet file each.")] = None,
    change: ChangeOption = None,
    gold: Annotated[
        Path | None, typer.Option("--gold", help="What people said: the sheet of review --responses, filled in.")
    ] = None,
    workspace: WorkspaceOption = WORKSPACE,
    version: VersionOption = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="With --gold: figures as rows of metrics, .parquet or .json.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge the responses of a folder of tables (table verdicts); or, with --gold, judge a version's judges.

    \b
    seas-data judge pipelines/seas-llama3.yaml round
    seas-data judge --gold review.csv --version v3
    """
    if gold is not None:
        _judge_judges(gold, workspace, version, output, as_json)
        return
    if recipe is None or folder is None:
        raise SeasDataError("name a recipe and a folder of tables, or a gold file with --gold")
    from seas_data.loop import alone

    found = alone.verdicts(_scene(recipe, change, folder), folder)["verdicts"]
    counts = found.group_by("judge", "verdict").len().sort("judge", "verdict")
    for name, verdict, count in counts.iter_rows():
        print(f"{name}: {count} {verdict or 'without a verdict'}")


def _judge_judges(path: Path, workspace: Path, version: str | None, output: Path | None, as_json: bool) -> None:
    from seas_data import gold, terminal
    from seas_data import version as versions

    opened = versions.open(workspace).version(version)
    found = gold.report(opened, path)
    if output is not None:
        gold.write(found.metrics, opened.name, output)
    if as_json:
        tables = {name: getattr(found, name).to_dicts() for name in ("agreement", "refusals", "corrected")}
        _print_json({"version": opened.name, "gold": found.name, **tables})
        return
    print(f"{opened.name} beside the gold set {found.name}")
    for title, table in found.shown().items():
        print(f"\n{title}")
        terminal.records(table.to_dicts())


@app.command()
def pairs(
    recipe: Annotated[str | None, typer.Argument(help="A recipe with a loop; none with --from.")] = None,
    folder: Annotated[Path | None, typer.Argument(help="A folder of tables, one Parquet file each.")] = None,
    reference: Annotated[
        Path | None, typer.Option("--from", help="Rows of the SEAS reference code: JSONL or Parquet.")
    ] = None,
    role: Annotated[str, typer.Option("--role", help="With --from: red or target.")] = "target",
    output: Annotated[Path, typer.Option("-o", "--output", help="With --from: the file to write.")] = Path(
        "pairs.jsonl"
    ),
    change: ChangeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make preference pairs of a folder of tables, or of a file that the SEAS reference code wrote.

    \b
    seas-data pairs pipelines/seas-llama3.yaml round
    seas-data pairs --from reference.jsonl --role red -o pairs.jsonl
    """
    if reference is not None:
        from seas_data.pairs.convert import run_from

        if role not in ("red", "target"):
            raise SeasDataError(f"--role is {role}; it should be red or target")
        told = run_from(reference, "red" if role == "red" else "target", output)
        if as_json:
            _print_json(told)
        else:
            print(told["statement"])
        return
    if recipe is None or folder is None:
        raise SeasDataError("name a recipe and a folder of tables, or a file with --from")
    from seas_data.loop import alone

    made = alone.make_pairs(_scene(recipe, change, folder), folder)
    _print_json({name: frame.height for name, frame in made.items()})


@app.command()
def train(
    recipe: RecipeArgument,
    folder: FolderArgument,
    role: Annotated[str, typer.Option("--role", help="red or target.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The model folder to write.")],
    red: RedOption = None,
    target: TargetOption = None,
    change: ChangeOption = None,
) -> None:
    """Train the red team or the target on the pairs of a folder of tables.

    \b
    seas-data train pipelines/seas-llama3.yaml round --role target --target models/T0 -o models/T1
    """
    from seas_data.loop import alone

    if role not in ("red", "target"):
        raise SeasDataError(f"--role is {role}; it should be red or target")
    alone.train(_scene(recipe, change, folder, red, target), folder, "red" if role == "red" else "target", output)
    print(f"The model is in {output}.")


@app.command()
def evaluate(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Measure the attacks of a folder of tables, with intervals that know of seeds: table metrics.

    \b
    seas-data evaluate round
    """
    from seas_data import terminal
    from seas_data.loop import alone

    found = alone.metrics(folder).drop("version")
    if as_json:
        _print_json(found.to_dicts())
    else:
        terminal.records(found.to_dicts())


def _scene(
    recipe: str, change: list[str] | None, folder: Path, red: str | None = None, target: str | None = None
) -> Any:
    from seas_data import recipe as recipes
    from seas_data.loop import alone

    return alone.scene(recipes.load(recipes.shipped(recipe), change), folder, red, target)


def _print_json(content: Any) -> None:
    print(json.dumps(content, ensure_ascii=False, default=str))
