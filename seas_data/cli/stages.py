"""The stages of the loop, each alone: on a folder of tables, with a recipe's settings."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from seas_data.cli.shared import (
    WORKSPACE,
    ChangeOption,
    JsonOption,
    TrustOption,
    VersionOption,
    changes,
    command_listing,
    opened,
    print_json,
)
from seas_data.errors import SeasDataError

commands = typer.Typer()

RecipeArgument = Annotated[str, typer.Argument(help="A recipe with a loop, such as pipelines/seas-llama3.yaml.")]
FolderArgument = Annotated[Path, typer.Argument(help="A folder of tables, one Parquet file each.")]
Role = Literal["red", "target"]
RedOption = Annotated[str | None, typer.Option("--red", help="The red team's checkpoint, in place of the recipe's.")]
TargetOption = Annotated[
    str | None, typer.Option("--target", help="The target's checkpoint, in place of the recipe's.")
]


@commands.command()
def attack(
    recipe: RecipeArgument,
    folder: FolderArgument,
    prompts: Annotated[Path, typer.Option("--prompts", help="A JSONL or Parquet file: text, type and maybe kind.")],
    red: RedOption = None,
    target: TargetOption = None,
    change: ChangeOption = None,
    trust: TrustOption = False,
) -> None:
    """Draw seeds, have the red team write attacks and the target answer them: tables seeds, attacks, responses.

    \b
    seas-data attack pipelines/seas-llama3.yaml round --prompts attacks.jsonl --red models/R0 --target models/T0
    """
    from seas_data.loop import standalone

    found = standalone.run_attack(_open_context(recipe, changes(change, trust), folder, red, target), folder, prompts)
    asked = found["attacks"]["reason"].null_count()
    print(
        f"{found['attacks'].height} attacks, {asked} of them asked; {found['responses'].height} responses in {folder}."
    )


@commands.command(cls=command_listing("Guards", "seas_data.guards"))
def judge(
    recipe: Annotated[str | None, typer.Argument(help="A recipe with a loop; none with --gold.")] = None,
    folder: Annotated[Path | None, typer.Argument(help="A folder of tables, one Parquet file each.")] = None,
    change: ChangeOption = None,
    trust: TrustOption = False,
    gold: Annotated[
        Path | None, typer.Option("--gold", help="What people said: the sheet of review --responses, filled in.")
    ] = None,
    workspace: Annotated[
        Path | None, typer.Option("--workspace", help="With --gold: the folder that holds the versions.")
    ] = None,
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
        _refuse("--gold", {"RECIPE": recipe, "FOLDER": folder, "--set": change, "--trust": trust})
        _judge_judges(gold, workspace or WORKSPACE, version, output, as_json)
        return
    if recipe is None or folder is None:
        raise SeasDataError("name a recipe and a folder of tables, or a gold file with --gold")
    _refuse("RECIPE FOLDER", {"--workspace": workspace, "--version": version, "--output": output})
    from seas_data.loop import standalone

    found = standalone.run_judges(_open_context(recipe, changes(change, trust), folder), folder)["verdicts"]
    counts = found.group_by("judge", "verdict").len("rows").sort("judge", "verdict")
    if as_json:
        print_json(counts.to_dicts())
        return
    for name, verdict, count in counts.iter_rows():
        print(f"{name}: {count} {verdict or 'without a verdict'}")


def _judge_judges(path: Path, workspace: Path, version: str | None, output: Path | None, as_json: bool) -> None:
    from seas_data.cli import terminal
    from seas_data.review import gold

    judged = opened(workspace, version)
    found = gold.report(judged, path)
    if output is not None:
        gold.write(found.metrics, judged.name, output)
    if as_json:
        tables = {name: getattr(found, name).to_dicts() for name in ("agreement", "refusals", "corrected")}
        print_json({"version": judged.name, "gold": found.name, "strangers": found.strangers, **tables})
        return
    print(f"{judged.name} beside the gold set {found.name}")
    if found.strangers:
        print(f"{found.strangers} responses of the gold set are left out: no judge of {judged.name} has judged them.")
    for title, table in found.shown().items():
        print(f"\n{title}")
        terminal.print_records(table.to_dicts())


@commands.command()
def pairs(
    recipe: Annotated[str | None, typer.Argument(help="A recipe with a loop; none with --from.")] = None,
    folder: Annotated[Path | None, typer.Argument(help="A folder of tables, one Parquet file each.")] = None,
    reference: Annotated[
        Path | None, typer.Option("--from", help="Rows of the SEAS reference code: JSONL or Parquet.")
    ] = None,
    role: Annotated[Role | None, typer.Option("--role", help="With --from: of whom; target without it.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="With --from: the file to write; pairs.jsonl without it.")
    ] = None,
    change: ChangeOption = None,
    trust: TrustOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make preference pairs of a folder of tables, or of a file that the SEAS reference code wrote.

    \b
    seas-data pairs pipelines/seas-llama3.yaml round
    seas-data pairs --from reference.jsonl --role red -o pairs.jsonl
    """
    if reference is not None:
        _refuse("--from", {"RECIPE": recipe, "FOLDER": folder, "--set": change, "--trust": trust})
        from seas_data.pairs.convert_reference import convert_file

        told = convert_file(reference, role or "target", output or Path("pairs.jsonl"))
        if as_json:
            print_json(told)
        else:
            print(told["statement"])
        return
    if recipe is None or folder is None:
        raise SeasDataError("name a recipe and a folder of tables, or a file with --from")
    _refuse("RECIPE FOLDER", {"--role": role, "--output": output})
    from seas_data.loop import standalone

    made = standalone.run_pairs(_open_context(recipe, changes(change, trust), folder), folder)
    if as_json:
        print_json({name: frame.height for name, frame in made.items()})
        return
    for name, frame in made.items():
        print(f"{name}: {frame.height} rows in {folder}")


@commands.command()
def train(
    recipe: RecipeArgument,
    folder: FolderArgument,
    role: Annotated[Role, typer.Option("--role", help="Whose model.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The model folder to write.")],
    red: RedOption = None,
    target: TargetOption = None,
    change: ChangeOption = None,
    trust: TrustOption = False,
) -> None:
    """Train the red team or the target on the pairs of a folder of tables.

    \b
    seas-data train pipelines/seas-llama3.yaml round --role target --target models/T0 -o models/T1
    """
    from seas_data.loop import standalone

    standalone.run_training(_open_context(recipe, changes(change, trust), folder, red, target), folder, role, output)
    print(f"The model is in {output}.")


@commands.command()
def evaluate(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Measure the attacks of a folder of tables, with intervals that know of seeds: table metrics.

    \b
    seas-data evaluate round
    """
    from seas_data.cli import terminal
    from seas_data.loop import standalone

    found = standalone.run_evaluation(folder).drop("version")
    if as_json:
        print_json(found.to_dicts())
    else:
        terminal.print_records(found.to_dicts())


def _refuse(mode: str, others: dict[str, object]) -> None:
    """Raise SeasDataError if an option is given that does not go with ``mode``."""
    if given := [name for name, value in others.items() if value]:
        raise SeasDataError(f"{mode} takes no {', '.join(given)}; leave out one or the other")


def _open_context(
    recipe: str, change: list[str], folder: Path, red: str | None = None, target: str | None = None
) -> Any:
    from seas_data import recipe as recipes
    from seas_data.loop import standalone

    return standalone.open_context(recipes.load(recipes.shipped(recipe), change), folder, red, target)
