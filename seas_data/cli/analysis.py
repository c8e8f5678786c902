"""Questions to a version: SQL, the report, the map, a sheet for people."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from seas_data.cli.shared import (
    WORKSPACE,
    JsonOption,
    RevealOption,
    VersionArgument,
    VersionOption,
    WorkspaceOption,
    opened,
    print_json,
)
from seas_data.errors import SeasDataError

commands = typer.Typer()


@commands.command()
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
    from seas_data.query import library, listing, output_formats
    from seas_data.resources import folder
    from seas_data.store import files

    output = "json" if as_json else output
    queries = library.load(folder("sql"))
    if list_them:
        output_formats.write_frame(listing.queries_frame(queries), output, sys.stdout, reveal=True)
        return
    asked = [given for given in (name, query, file) if given is not None]
    if len(asked) != 1:
        raise SeasDataError("ask one thing: the name of a query (see: seas-data sql --list), -q SELECT or -f FILE")
    if name is not None:
        chosen = library.get(queries, name)
        text, values = chosen.sql, chosen.values(parameter or [])
    else:
        text = query if query is not None else files.read_text(Path(str(file)))
        values = library.parse_parameters(parameter or [])
    output_formats.write_frame(opened(workspace, version).sql(text, values), output, sys.stdout, reveal=reveal)


@commands.command()
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
    from seas_data.report import write

    told = opened(workspace, version, at)
    write(told, output, against=opened(workspace, against) if against else None, with_text=with_text)
    marked = "; it holds prompts' texts, so do not publish it" if with_text else ""
    print(f"The report of {told.name} is in {output} ({output.stat().st_size / 1e6:.1f} MB){marked}.")


@commands.command()
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
    from seas_data.report.explore import write

    told = opened(workspace, version, at)
    made = write(told, output)
    if as_json:
        print_json({"path": str(made.path), "rows": made.rows, "without": made.without, "command": made.command})
        return
    left = f"; {made.without:,} more have no vector and so no place" if made.without else ""
    print(f"{made.rows:,} kept prompts of {told.name}, with their texts, are in {made.path}{left}.\nOpen it:\n")
    print(f"  {made.command}")


@commands.command()
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
    from seas_data.review import sheet as reviews

    told = opened(workspace, version, at)
    if responses:
        chosen = reviews.responses(told, sample)
        reviews.write(chosen, output, reviews.RESPONSE_GIVEN, reviews.RESPONSE_ASKED)
        print(f"{chosen.height} responses of {told.name} are in {output}; filled in: seas-data judge --gold {output}")
        return
    chosen = reviews.sample(told.table("kept"), sample)
    reviews.write(chosen, output)
    print(f"{chosen.height} prompts of {told.name} are in {output}; filled in, name it under overrides in the recipe.")
