"""The stages of the loop, each alone: on a folder of tables, with a recipe's settings."""

from pathlib import Path
from typing import Annotated, Any

import typer

from seas_data.cli.shared import WORKSPACE, ChangeOption, JsonOption, VersionOption, WorkspaceOption, print_json
from seas_data.errors import SeasDataError

commands = typer.Typer()

RecipeArgument = Annotated[str, typer.Argument(help="A recipe with a loop, such as pipelines/seas-llama3.yaml.")]
FolderArgument = Annotated[Path, typer.Argument(help="A folder of tables, one Parquet file each.")]
RedOption = Annotated[str | None, typer.Option("--red", help="The red team's checkpoint, in place of the recipe's.")]
TargetOption = Annotated[
    str | None, typer.Option("--target", help="The target's checkpoint, in place of the recipe's.")
]


@commands.command()
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


@commands.command()
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
    from seas_data import version as versions
    from seas_data.cli import terminal
    from seas_data.people import gold

    opened = versions.open(workspace).version(version)
    found = gold.report(opened, path)
    if output is not None:
        gold.write(found.metrics, opened.name, output)
    if as_json:
        tables = {name: getattr(found, name).to_dicts() for name in ("agreement", "refusals", "corrected")}
        print_json({"version": opened.name, "gold": found.name, "strangers": found.strangers, **tables})
        return
    print(f"{opened.name} beside the gold set {found.name}")
    if found.strangers:
        print(f"{found.strangers} responses of the gold set are left out: no judge of {opened.name} has judged them.")
    for title, table in found.shown().items():
        print(f"\n{title}")
        terminal.records(table.to_dicts())


@commands.command()
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
            print_json(told)
        else:
            print(told["statement"])
        return
    if recipe is None or folder is None:
        raise SeasDataError("name a recipe and a folder of tables, or a file with --from")
    from seas_data.loop import alone

    made = alone.make_pairs(_scene(recipe, change, folder), folder)
    print_json({name: frame.height for name, frame in made.items()})


@commands.command()
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


@commands.command()
def evaluate(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Measure the attacks of a folder of tables, with intervals that know of seeds: table metrics.

    \b
    seas-data evaluate round
    """
    from seas_data.cli import terminal
    from seas_data.loop import alone

    found = alone.metrics(folder).drop("version")
    if as_json:
        print_json(found.to_dicts())
    else:
        terminal.records(found.to_dicts())


def _scene(
    recipe: str, change: list[str] | None, folder: Path, red: str | None = None, target: str | None = None
) -> Any:
    from seas_data import recipe as recipes
    from seas_data.loop import alone

    return alone.scene(recipes.load(recipes.shipped(recipe), change), folder, red, target)
