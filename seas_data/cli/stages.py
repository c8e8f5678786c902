"""Commands that run one stage of the loop on a folder of tables: attack, judge, pairs, train, evaluate."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from seas_data.cli.shared import (
    WORKSPACE,
    ChangeOption,
    JsonOption,
    TrustOption,
    VersionOption,
    WorkspaceOption,
    command_listing,
    echo,
    open_version,
    print_json,
    recipe_changes,
)
from seas_data.errors import SeasDataError

commands = typer.Typer()

RecipeArgument = Annotated[str, typer.Argument(help="Recipe with a loop, such as pipelines/seas-llama3.yaml.")]
FolderArgument = Annotated[Path, typer.Argument(help="Folder of tables, one Parquet file each.")]
Role = Literal["red", "target"]
RedOption = Annotated[str | None, typer.Option("--red", help="Checkpoint of the red team; the recipe's by default.")]
TargetOption = Annotated[
    str | None, typer.Option("--target", help="Checkpoint of the target; the recipe's by default.")
]


@commands.command()
def attack(
    recipe: RecipeArgument,
    folder: FolderArgument,
    prompts: Annotated[
        Path,
        typer.Option(
            "--prompts", help="JSONL or Parquet file with columns text, type and optionally kind and messages."
        ),
    ],
    red: RedOption = None,
    target: TargetOption = None,
    change: ChangeOption = None,
    trust: TrustOption = False,
) -> None:
    """Draw seeds, generate attacks with the red team, and generate responses with the target.

    \b
    seas-data attack pipelines/seas-llama3.yaml round --prompts attacks.jsonl --red models/R0 --target models/T0
    """
    from seas_data.loop import standalone

    found = standalone.run_attack(
        _open_context(recipe, recipe_changes(change, trust), folder, red, target), folder, prompts
    )
    sent = found["attacks"]["reason"].null_count()
    echo(
        f"Wrote {found['attacks'].height} attacks, {sent} of them sent to the target, and "
        f"{found['responses'].height} responses to {folder}."
    )


@commands.command(cls=command_listing("Guards", "seas_data.guards"))
def judge(
    recipe: Annotated[str | None, typer.Argument(help="Recipe with a loop; omit with --gold.")] = None,
    folder: Annotated[Path | None, typer.Argument(help="Folder of tables, one Parquet file each.")] = None,
    change: ChangeOption = None,
    trust: TrustOption = False,
    gold: Annotated[
        Path | None, typer.Option("--gold", help="Gold verdicts: the filled-in sheet of review --responses.")
    ] = None,
    workspace: Annotated[Path | None, typer.Option("--workspace", help="With --gold: workspace folder.")] = None,
    version: VersionOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="With --gold: write the figures as metrics rows to this .parquet or .json file."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge the responses in a folder of tables; or, with --gold, measure a version's judges against gold verdicts.

    \b
    seas-data judge pipelines/seas-llama3.yaml round
    seas-data judge --gold review.csv --version v3
    """
    if gold is not None:
        _reject_options("--gold", {"RECIPE": recipe, "FOLDER": folder, "--set": change, "--trust": trust})
        _measure_judges(gold, workspace or WORKSPACE, version, output, as_json)
        return
    if recipe is None or folder is None:
        raise SeasDataError("pass a recipe and a folder of tables, or a gold file with --gold")
    _reject_options("RECIPE FOLDER", {"--workspace": workspace, "--version": version, "--output": output})
    from seas_data.judges.run import count_classes
    from seas_data.loop import standalone

    context = _open_context(recipe, recipe_changes(change, trust), folder)
    counts = count_classes(standalone.run_judges(context, folder)["verdicts"], context.recipe.judges)
    if as_json:
        print_json(counts.to_dicts())
        return
    for (name, measure), rows in counts.group_by("judge", "measure", maintain_order=True):
        echo(f"{name}, {measure}: {', '.join(f'{n} {each}' for each, n in rows.select('class', 'rows').iter_rows())}")


def _measure_judges(path: Path, workspace: Path, version: str | None, output: Path | None, as_json: bool) -> None:
    from seas_data.cli import terminal
    from seas_data.review import gold

    judged = open_version(workspace, version)
    found = gold.compare_with_gold(judged, path)
    if output is not None:
        gold.write_metrics(found.metrics, judged.name, output)
    if as_json:
        frames = {
            "agreement": found.agreement,
            "refusals": found.refusal_agreement,
            "people": found.people,
            "corrected": found.corrected_rates,
        }
        tables = {name: frame.to_dicts() for name, frame in frames.items()}
        print_json({"version": judged.name, "gold": found.name, "unknown_responses": found.unknown_responses, **tables})
        return
    echo(f"{judged.name} compared with the gold set {found.name}")
    if found.unknown_responses:
        echo(
            f"{found.unknown_responses} responses of the gold set are left out because no judge of {judged.name} "
            "judged them."
        )
    for title, table in found.tables().items():
        echo(f"\n{title}")
        terminal.print_records(table.to_dicts())


@commands.command()
def pairs(
    recipe: Annotated[str | None, typer.Argument(help="Recipe with a loop; omit with --from.")] = None,
    folder: Annotated[Path | None, typer.Argument(help="Folder of tables, one Parquet file each.")] = None,
    reference: Annotated[
        Path | None, typer.Option("--from", help="JSONL or Parquet file written by the SEAS reference code.")
    ] = None,
    role: Annotated[
        Role | None, typer.Option("--role", help="With --from: role of the pairs; target by default.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="With --from: file to write; pairs.jsonl by default.")
    ] = None,
    change: ChangeOption = None,
    trust: TrustOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make preference pairs from a folder of tables, or from a file written by the SEAS reference code.

    \b
    seas-data pairs pipelines/seas-llama3.yaml round
    seas-data pairs --from reference.jsonl --role red -o pairs.jsonl
    """
    if reference is not None:
        _reject_options("--from", {"RECIPE": recipe, "FOLDER": folder, "--set": change, "--trust": trust})
        from seas_data.pairs.convert_reference import convert_file

        told = convert_file(reference, role or "target", output or Path("pairs.jsonl"))
        if as_json:
            print_json(told)
        else:
            echo(told["statement"])
        return
    if recipe is None or folder is None:
        raise SeasDataError("pass a recipe and a folder of tables, or a file with --from")
    _reject_options("RECIPE FOLDER", {"--role": role, "--output": output})
    from seas_data.loop import standalone

    made = standalone.run_pairs(_open_context(recipe, recipe_changes(change, trust), folder), folder)
    if as_json:
        print_json({name: frame.height for name, frame in made.items()})
        return
    for name, frame in made.items():
        echo(f"Wrote {frame.height} rows of {name} to {folder}.")


@commands.command()
def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE|VERSION", help="Recipe with a loop, or a version or tag.")],
    folder: Annotated[
        Path | None, typer.Argument(help="With a recipe: folder of tables, one Parquet file each.")
    ] = None,
    *,
    role: Annotated[Role, typer.Option("--role", help="Role of the model to train.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Model folder to write.")],
    model: Annotated[str | None, typer.Option("--model", help="With a version: the model to train.")] = None,
    red: RedOption = None,
    target: TargetOption = None,
    change: ChangeOption = None,
    trust: TrustOption = False,
    workspace: WorkspaceOption = WORKSPACE,
) -> None:
    """Train the red team or the target on the pairs of a folder of tables, or of a version.

    \b
    seas-data train pipelines/seas-llama3.yaml round --role target --target models/T0 -o models/T1
    seas-data train v0 --role target --model ./my-model -o models/T1
    """
    if model is not None:
        _reject_options("--model", {"FOLDER": folder, "--red": red, "--target": target, "--trust": trust})
        from seas_data import recipe as recipes
        from seas_data.train import train_on_version

        version = open_version(workspace, recipe)
        settings = recipes.stored_training(version.manifest.recipe, change)
        train_on_version(version, role, model, settings, output)
    elif folder is None:
        raise SeasDataError("pass a recipe and a folder of tables, or a version and the model to train with --model")
    else:
        from seas_data.loop import standalone

        standalone.run_training(
            _open_context(recipe, recipe_changes(change, trust), folder, red, target), folder, role, output
        )
    echo(f"Wrote the model to {output}.")


@commands.command()
def evaluate(folder: FolderArgument, as_json: JsonOption = False) -> None:
    """Compute metrics of the attacks in a folder of tables, with intervals that account for shared seeds.

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


def _reject_options(mode: str, others: dict[str, object]) -> None:
    """Raise SeasDataError if an option is given that cannot be combined with ``mode``."""
    if given := [name for name, value in others.items() if value]:
        raise SeasDataError(f"{mode} cannot be combined with {', '.join(given)}; remove one of them")


def _open_context(
    recipe: str, change: list[str], folder: Path, red: str | None = None, target: str | None = None
) -> Any:
    from seas_data import recipe as recipes
    from seas_data.loop import standalone

    return standalone.open_context(recipes.load(recipes.find_recipe(recipe), change), folder, red, target)
