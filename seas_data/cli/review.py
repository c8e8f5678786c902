"""The command review: samples for people to judge, as a sheet or in the browser."""

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seas_data.cli.shared import (
    WORKSPACE,
    JsonOption,
    VersionOption,
    WorkspaceOption,
    echo,
    open_version,
    print_json,
)
from seas_data.console import say
from seas_data.errors import SeasDataError

if TYPE_CHECKING:
    import polars as pl

    from seas_data.query.version import Version
    from seas_data.review.page.forms import Form

commands = typer.Typer()
_SAMPLE = 200  # rows


@commands.command()
def review(
    version: Annotated[
        str | None,
        typer.Argument(
            help="Version or tag; the newest by default. Or: merge, followed by sheets; import, followed by an export."
        ),
    ] = None,
    sheets: Annotated[
        list[Path] | None,
        typer.Argument(
            help="With merge: the filled-in sheets of the people. With import: an export of Label Studio or Argilla."
        ),
    ] = None,
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="Number of rows: 200; all of a cluster, query or selection.")
    ] = None,
    responses: Annotated[
        bool, typer.Option("--responses", help="Sample responses instead of prompts, for a gold set.")
    ] = False,
    cluster: Annotated[int | None, typer.Option("--cluster", help="Review the kept prompts of this cluster.")] = None,
    query: Annotated[
        Path | None, typer.Option("--query", help="Review what a query returns: a file with one SELECT of prompt_id.")
    ] = None,
    selection: Annotated[
        Path | None,
        typer.Option("--selection", help="Review the prompts of a file with prompt_id, such as a selection on a map."),
    ] = None,
    uncertain: Annotated[
        bool, typer.Option("--uncertain", help="Review prompts that steps, labels or judges were unsure of.")
    ] = False,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The sheet, a CSV file: written, or continued with --serve.")
    ] = Path("review.csv"),
    page: Annotated[bool, typer.Option("--serve", help="Review in the browser, on this machine only.")] = False,
    label_studio: Annotated[
        Path | None,
        typer.Option(
            "--label-studio", help="Write the rows as tasks of Label Studio into this folder, not as a sheet."
        ),
    ] = None,
    argilla: Annotated[
        Path | None, typer.Option("--argilla", help="Write the rows as records of Argilla into this folder.")
    ] = None,
    who: Annotated[
        str | None, typer.Option("--who", help="With --serve: name of the reviewer. With import: the annotator.")
    ] = None,
    settle: Annotated[
        Path | None, typer.Option("--settle", help="With --serve: a merged sheet, to settle where people disagree.")
    ] = None,
    apply: Annotated[
        Path | None,
        typer.Option("--apply", help="Show what a build with the decisions of this sheet would change; build nothing."),
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="With --serve: port; 0 for a free one.")] = 0,
    workspace: WorkspaceOption = WORKSPACE,
    at: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let people review a stratified sample: of the kept prompts, or of the responses, as a sheet or in the browser.

    A filled-in sheet of prompts can be used as a recipe's overrides. A filled-in sheet of responses, which hides the
    judges' verdicts, is a gold set. Merge joins the sheets of several people and measures their agreement.

    \b
    seas-data review v0 --sample 200 -o review.csv
    seas-data review v0 --sample 200 -o ada.csv --serve --who ada
    seas-data review v3 --responses --sample 400 -o gold.csv
    seas-data review v0 --cluster 17 --serve --who ada -o cluster.csv
    seas-data review v0 --query thin.sql -o thin.csv
    seas-data review merge ada.csv ben.csv -o both.csv
    seas-data review --apply both.csv
    seas-data review v0 --settle both.csv --serve --who cy
    seas-data review v0 --sample 200 --label-studio tasks
    seas-data review import export.json --who ada@example.org -o ada.csv
    """
    if version == "import":
        if page or settle or responses or len(sheets or []) != 1:
            raise SeasDataError(
                "review import takes one export of Label Studio or Argilla, --who NAME and -o FILE only"
            )
        _import((sheets or [])[0], who, output)
        return
    if version == "merge":
        if page or settle or responses:
            raise SeasDataError("review merge takes sheets, -o FILE and --version only")
        _merge(sheets or [], output, workspace, at, as_json)
        return
    if sheets:
        raise SeasDataError(f"{sheets[0]} is one argument too many; sheets follow the word merge, an export import")
    if apply is not None:
        if page or settle or responses:
            raise SeasDataError("--apply takes a sheet of prompts, --version, --workspace and --json only")
        _preview(open_version(workspace, version, at), apply, as_json)
        return
    if as_json:
        raise SeasDataError("--json is for review merge and --apply")
    if not page and (who is not None or port or settle):
        raise SeasDataError("--who, --port and --settle are for the page; add --serve")
    given = {"cluster": cluster, "query": query, "selection": selection, "uncertain": uncertain or None}
    chosen = {name: value for name, value in given.items() if value is not None}
    if len(chosen) > 1 or (chosen and (responses or settle)):
        raise SeasDataError(
            "pass one of --cluster, --query, --selection and --uncertain, for prompts; responses are drawn at random, "
            "because a gold set stands for all of them"
        )
    if sum(each is not None for each in (label_studio, argilla, settle)) + (page and settle is None) > 1:
        raise SeasDataError("pass one of --label-studio, --argilla and --serve")
    opened = open_version(workspace, version, at)
    if label_studio is not None:
        _write_project(opened, responses, sample, chosen, label_studio)
        return
    if argilla is not None:
        _write_records(opened, responses, sample, chosen, argilla)
        return
    if settle is not None:
        _require_page()
        _serve(opened, settle, _is_of_responses(settle), _reviewer(who), port, settle=True)
        return
    if page:
        _require_page()
        name = _reviewer(who)
        if not output.exists():
            _write_sample(opened, responses, sample, chosen, output)
        elif sample is not None or chosen:
            say(f"{output} exists and is continued as it is; what to look at is chosen for a new sheet (-o FILE).")
        _serve(opened, output, responses, name, port)
        return
    rows = _write_sample(opened, responses, sample, chosen, output)
    if responses:
        echo(
            f"Wrote {rows} responses of {opened.name} to {output}; "
            f"fill it in, then run: seas-data judge --gold {output}"
        )
    else:
        echo(f"Wrote {rows} prompts of {opened.name} to {output}; fill it in, then {_next_steps(output)}.")


def _merge(sheets: list[Path], output: Path, workspace: Path, at: str | None, as_json: bool) -> None:
    from seas_data.cli import terminal
    from seas_data.review import merge

    merged = merge.merge_sheets(sheets)
    version = open_version(workspace, at) if merged.of_responses and (at or workspace.exists()) else None
    tables = merge.describe_agreement(merged, version)
    merged.write(output)
    if as_json:
        counts = {"agreed": merged.agreed, "open": merged.open_rows, "single": merged.single}
        print_json({"path": str(output), **counts, **{name: table.to_dicts() for name, table in tables.items()}})
        return
    for title, table in merge.display(tables).items():
        echo(title)
        terminal.print_records(table.to_dicts())
        echo()
    echo(
        f"Wrote {output}: {merged.agreed:,} rows on which people agree, {merged.single:,} that one person decided, "
        f"{merged.open_rows:,} to settle."
    )
    if merged.open_rows:
        echo(f"Settle them with: seas-data review --settle {output} --serve --who NAME")


def _import(export: Path, who: str | None, output: Path) -> None:
    from seas_data.review.importing import read_export

    found = read_export(export, who)
    found.write(output)
    echo(
        f"Wrote {output}: {found.decided:,} of {len(found.rows):,} rows decided by {found.who}. Merge it with sheets "
        "of others, or name it as overrides in the recipe (of responses: judge --gold)."
    )


def _write_project(version: "Version", responses: bool, size: int | None, chosen: dict[str, Any], folder: Path) -> None:
    from seas_data.review import label_studio

    rows = _sample(version, responses, size, chosen)
    label_studio.write_project(folder, rows, _form(version, responses))
    echo(
        f"Wrote {rows.height:,} tasks of {version.name} to {folder}. In Label Studio, paste {label_studio.INTERFACE} "
        f"as the labelling interface and import {label_studio.TASKS}. Export as JSON, then run: "
        "seas-data review import EXPORT.json -o FILE"
    )


def _write_records(version: "Version", responses: bool, size: int | None, chosen: dict[str, Any], folder: Path) -> None:
    from seas_data.review import argilla

    rows = _sample(version, responses, size, chosen)
    argilla.write_records(folder, rows, _form(version, responses))
    echo(
        f"Wrote {rows.height:,} records of {version.name} to {folder / argilla.RECORDS}. Load them with "
        "dataset.records.from_json, write the answers with to_json, then run: seas-data review import FILE -o SHEET"
    )


def _form(version: "Version", responses: bool) -> "Form":
    from seas_data.recipe.taxonomy import taxonomy_of
    from seas_data.review.page import forms

    return forms.response_form() if responses else forms.prompt_form(taxonomy_of(version.manifest.recipe).types)


def _preview(version: "Version", path: Path, as_json: bool) -> None:
    from seas_data.cli import terminal
    from seas_data.review.preview import preview

    found = preview(version, path)
    if as_json:
        print_json({"decisions": found.decisions, **{name: table.to_dicts() for name, table in found.tables().items()}})
        return
    if not found.decisions:
        echo(f"The decisions of {path} change nothing in {version.name}: they are recorded already, or there are none.")
        return
    echo(f"A build after {version.name} with {path} would record {found.decisions:,} decisions and labels.\n")
    for name, table in found.tables().items():
        if table.height:
            echo(_PREVIEWED[name])
            terminal.print_records(table.head(_LISTED).to_dicts())
            echo(f"... and {table.height - _LISTED:,} more\n" if table.height > _LISTED else "")
    echo(f"No version was built. To build it, run: seas-data build RECIPE --set overrides={path}")


_LISTED = 20  # rows of a table
_PREVIEWED = {
    "added": "Kept in addition",
    "removed": "No longer among the prompts",
    "dropped": "Dropped",
    "reasons": "Drop reasons of new rows",
    "relabelled": "Relabelled",
    "splits": "Splits of kept prompts (empty: not kept)",
    "pairs": "Existing pairs that rest on dropped prompts, which no build takes back",
    "figures": "Figures",
}


def _is_of_responses(path: Path) -> bool:
    from seas_data.sources.sheets import read_sheet

    if not path.is_file():
        raise SeasDataError(f"there is no sheet at {path}; make one with: seas-data review merge A.csv B.csv -o FILE")
    return "response_id" in read_sheet(path, "review sheet")[0]


def _write_sample(version: "Version", responses: bool, size: int | None, chosen: dict[str, Any], path: Path) -> int:
    from seas_data.review import sheet
    from seas_data.sources.sheet_journal import journal_path

    if journal_path(path).exists():
        raise SeasDataError(f"{path} has decisions in {journal_path(path)}; pass another sheet with -o")
    sheet.require_unfilled(path)
    rows = _sample(version, responses, size, chosen)
    if responses:
        sheet.write_sheet(rows, path, sheet.RESPONSE_COLUMNS, sheet.RESPONSE_INPUTS)
    else:
        sheet.write_sheet(rows, path)
    return rows.height


def _sample(version: "Version", responses: bool, size: int | None, chosen: dict[str, Any]) -> "pl.DataFrame":
    from seas_data.review import sheet

    rows = sheet.sample_responses(version, size or _SAMPLE) if responses else _choose(version, size, chosen)
    if rows.is_empty():
        raise SeasDataError(f"{version.name} has no {'judged responses' if responses else 'kept prompts'} to review")
    return rows


def _choose(version: "Version", size: int | None, chosen: dict[str, Any]) -> "pl.DataFrame":
    """Return the prompts to review: a sample of the kept ones, or of those that an option chooses."""
    from seas_data.review import choice, sheet

    strata: tuple[str, ...] = sheet.PROMPT_STRATA
    if "cluster" in chosen:
        rows = choice.choose_cluster(version, chosen["cluster"])
    elif "query" in chosen:
        rows = choice.choose_query(version, chosen["query"])
    elif "selection" in chosen:
        rows = choice.choose_selection(version, chosen["selection"])
    elif "uncertain" in chosen:
        rows, strata, size = choice.choose_uncertain(version), ("why",), size or _SAMPLE
    else:
        rows, size = version.table("kept"), size or _SAMPLE
    return sheet.sample_prompts(rows, size or rows.height, strata=strata)


def _require_page() -> None:
    for name in ("starlette", "uvicorn"):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as problem:
            raise SeasDataError(
                f"review --serve needs {problem.name}; install it with: pip install 'seas-data[review]'"
            ) from problem


def _reviewer(who: str | None) -> str:
    from seas_data.text import printable

    name = " ".join((who or "").split())
    if not name:
        raise SeasDataError("--serve needs the name of the reviewer: add --who NAME")
    if printable(name) != name or len(name) > 100:
        raise SeasDataError("--who should be a name of at most 100 visible characters")
    return name


def _serve(version: "Version", path: Path, responses: bool, who: str, port: int, *, settle: bool = False) -> None:
    from seas_data.review.page import app, items, serve, session

    form = _form(version, responses)
    reason = "settled" if settle else f"review of {version.name}"
    work = session.Session(path, form, who, reason, settle=settle)
    try:
        shown = (items.ResponseItems if responses else items.PromptItems)(version, work.ids, path)
        review_page = app.ReviewPage(work, shown, f"{path.name}, {version.name}")
        start = work.decided

        def announce(address: str) -> None:
            echo(
                f"{len(work.ids):,} {form.noun}s of {version.name} {'to settle ' * settle}in {path}, {start:,} done. "
                f"Open this address, which is good for one visit; stop with Ctrl+C:\n\n  {address}\n"
            )
            sys.stdout.flush()

        with serve.Server(review_page.app(), port) as server:
            server.run(announce)
    finally:
        work.close()
    use = f"run: seas-data judge --gold {path}" if responses else _next_steps(path)
    echo(f"{path} has {work.decided:,} of {len(work.ids):,} {'settled' if settle else 'decided'}; {use}.")


def _next_steps(path: Path) -> str:
    return f"see what it changes: seas-data review --apply {path}; build: seas-data build RECIPE --set overrides={path}"
