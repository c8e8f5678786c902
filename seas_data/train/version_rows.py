"""Train a model on the pairs or demonstrations of a version."""

from pathlib import Path
from typing import Literal

import polars as pl

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.models import model_folder
from seas_data.recipe import Training
from seas_data.store.version import Version
from seas_data.train.dpo import dpo
from seas_data.train.rows import NotEnoughPairsError
from seas_data.train.sft import sft

Role = Literal["red", "target"]


def train_on_version(version: Version, role: Role, model: str, settings: Training, output: Path) -> pl.DataFrame:
    """Train ``model`` (a folder or a Hub name) with DPO on the pairs of ``version``, write it, return its metrics.

    A version without pairs for the role is trained on by fine-tuning on its demonstrations. Raises SeasDataError if it
    has neither, and NotEnoughPairsError if there are fewer than ``min_rows``.
    """
    table, rows = select_rows(version, role)
    update = settings.red if role == "red" else settings.target
    informative = rows.filter(pl.col("role") != "general").height
    if informative < update.min_rows:
        raise NotEnoughPairsError(
            f"{version.name} has {informative} rows in {table} for {role}, fewer than training.{role}.min_rows "
            f"({update.min_rows}); set that to a lower number or build a version with more"
        )
    folder = model_folder.resolve_folder(model, None)
    facets: dict[str, str | int] = {"role": role, "version": version.name}
    if table == "pairs":
        return dpo(folder, rows, update, output, facets=facets)
    return sft(folder, rows, update.as_sft(), output, facets=facets)


def select_rows(version: Version, role: Role) -> tuple[str, pl.DataFrame]:
    """Return the name and the rows of the table that a role is trained on.

    Rows of a source's prompt that is not kept any more are left out. Raises SeasDataError if there are none.
    """
    gone = version.table("prompts", ["prompt_id"]).join(
        version.table("kept", ["prompt_id"]), on="prompt_id", how="anti"
    )
    for table in ("pairs", "demonstrations"):
        rows = version.table(table).filter(pl.col("role").is_in(tables.PAIR_ROLES_OF[role]))
        rows = rows.filter(~pl.col("prompt_id").is_in(gone["prompt_id"].implode()).fill_null(False))
        if rows.height:
            return table, rows
    raise SeasDataError(
        f"{version.name} has no pairs and no demonstrations for {role}; build it with a recipe that has a loop, or "
        "pairs and sources with answers"
    )
