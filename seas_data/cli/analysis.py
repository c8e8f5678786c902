"""Commands that analyse a version: sql, report, explore."""

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
    echo,
    open_version,
    print_json,
)
from seas_data.console import say
from seas_data.errors import SeasDataError

commands = typer.Typer()


@commands.command()
def sql(
    name: Annotated[str | None, typer.Argument(help="Name of a library query; see --list.")] = None,
    query: Annotated[str | None, typer.Option("-q", "--query", help="A SELECT statement.")] = None,
    file: Annotated[Path | None, typer.Option("-f", "--file", help="A file with one SELECT statement.")] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--param", metavar="NAME=VALUE", help="Set a parameter of the query; may be repeated."),
    ] = None,
    output: Annotated[
        str, typer.Option("--format", help="Output format: table, csv, json, parquet or markdown.")
    ] = "table",
    list_them: Annotated[
        bool, typer.Option("--list", help="List the library queries with their questions and parameters.")
    ] = False,
    as_json: JsonOption = False,
    reveal: RevealOption = False,
    workspace: WorkspaceOption = WORKSPACE,
    version: VersionOption = None,
) -> None:
    """Query a version: run a query of the library, or one SELECT over its tables. Queries are read-only.

    \b
    seas-data sql --list
    seas-data sql drop-reasons-by-source
    seas-data sql -q "select type, count(*) from kept group by 1" --format json
    """
    from seas_data.query import library, listing, output_formats
    from seas_data.resources import folder

    output = "json" if as_json else output
    queries = library.load(folder("sql"))
    if list_them:
        output_formats.write_frame(listing.queries_frame(queries), output, sys.stdout, reveal=True)
        return
    if sum(given is not None for given in (name, query, file)) != 1:
        raise SeasDataError("pass one of: the name of a query (see: seas-data sql --list), -q SELECT or -f FILE")
    if name is not None:
        chosen = library.get(queries, name)
        text, values = chosen.sql, chosen.values(parameter or [])
    else:
        text = query if query is not None else _read_query(Path(str(file)))
        values = library.parse_parameters(parameter or [])
    result = open_version(workspace, version).sql(text, values, exact=True)
    output_formats.write_frame(result, output, sys.stdout, reveal=reveal)
    if name is not None and result.is_empty():
        given = ", ".join(f"{key}={value}" for key, value in values.items())
        say(f"{name} has no rows{f' with {given}; another value is set with --param KEY=VALUE' if given else ''}.")


def _read_query(path: Path) -> str:
    from seas_data.store import files

    if path.exists() and not path.is_file():
        raise SeasDataError(f"{path} is not a regular file; write the SELECT to a file, or pass it with -q")
    if path.is_file() and path.stat().st_size > _LONGEST_QUERY:
        raise SeasDataError(f"{path} is larger than {_LONGEST_QUERY:,} bytes, so it is no query; check its name")
    return files.read_text(path)


_LONGEST_QUERY = 1_000_000  # bytes


@commands.command()
def report(
    version: VersionArgument = None,
    against: Annotated[
        str | None, typer.Option("--against", help="Version to compare with; the parent by default.")
    ] = None,
    with_text: Annotated[
        bool, typer.Option("--with-text", help="Embed the texts of prompts, hidden until clicked.")
    ] = False,
    output: Annotated[Path, typer.Option("-o", "--output", help="HTML file to write.")] = Path("report.html"),
    workspace: WorkspaceOption = WORKSPACE,
    at: VersionOption = None,
) -> None:
    """Write the report of a version: one HTML file with charts and tables that works offline. It has ids, not texts.

    \b
    seas-data report v3 -o report.html
    seas-data report v3 --against v1 -o report.html
    """
    from seas_data.report import write_report

    opened = open_version(workspace, version, at)
    write_report(opened, output, against=open_version(workspace, against) if against else None, with_text=with_text)
    warning = "; it contains prompt texts, so do not publish it" if with_text else ""
    echo(f"Wrote the report of {opened.name} to {output} ({output.stat().st_size / 1e6:.1f} MB){warning}.")


@commands.command()
def explore(
    version: VersionArgument = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write.")] = Path("map"),
    workspace: WorkspaceOption = WORKSPACE,
    at: VersionOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export the kept prompts as a map for embedding-atlas and print the command that opens it.

    \b
    seas-data explore v3 -o map
    """
    from seas_data.report.explore import write_atlas

    opened = open_version(workspace, version, at)
    atlas = write_atlas(opened, output)
    if as_json:
        print_json(
            {
                "path": str(atlas.path),
                "rows": atlas.rows,
                "with_coordinates": atlas.with_coordinates,
                "without_coordinates": atlas.without_coordinates,
                "command": atlas.command,
            }
        )
        return
    rest = f"; {atlas.without_coordinates:,} have no vector and are left out" if atlas.without_coordinates else ""
    sampled = atlas.rows < atlas.with_coordinates
    of = f" of {atlas.with_coordinates:,} (the same proportion of each cluster)" if sampled else ""
    echo(f"Wrote {atlas.rows:,}{of} kept prompts of {opened.name}, with their texts, to {atlas.path}{rest}.")
    echo("Open it with:\n")
    echo(f"  {atlas.command}")
