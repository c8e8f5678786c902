"""Checkpoints: names of models, rows of the table ``checkpoints``, and the folder that holds a model's weights.

The weights of a trained model are in ``models/NAME`` of the workspace; the table ``checkpoints`` has their digest. A
model that an iteration could not train is *unchanged*: it has its own row and its parent's weights.
"""

from pathlib import Path
from typing import Any, Literal

import dataframely as dy
import polars as pl

from seas_data import tables
from seas_data.errors import SeasDataError
from seas_data.models import checkpoint as model_files
from seas_data.models.checkpoint import model_path
from seas_data.tables import schema
from seas_data.text import printable

Role = Literal["red", "target"]

_LETTER: dict[Role, str] = {"red": "R", "target": "T"}


def model_name(role: Role, iteration: int) -> str:
    """Return the name of a role's model after an iteration: R0, T0, R1 and so on."""
    return f"{_LETTER[role]}{iteration}"


def role_of(name: str) -> Role:
    """Return the role of the model ``name``."""
    return "red" if name.startswith(_LETTER["red"]) else "target"


def checkpoint_row(
    name: str,
    role: Role,
    iteration: int,
    digest: str,
    parent: str | None,
    method: str,
    rows: int,
    statement: str | None = None,
) -> dy.DataFrame[schema.Checkpoints]:
    """Return one row of the table ``checkpoints``."""
    row = {
        "model": name,
        "role": role,
        "iteration": iteration,
        "digest": digest,
        "parent": parent,
        "method": method,
        "rows": rows,
        "statement": statement,
    }
    return tables.cast("checkpoints", pl.DataFrame([row]))


def resolve_checkpoint(checkpoints: pl.DataFrame, models: Path, name: str) -> Path | None:
    """Return the folder below ``models`` with the weights of the model ``name``; None for the recipe's own model.

    ``checkpoints`` is the table of all models so far. Raises SeasDataError if the folder is missing or its files are
    not those that the version was made with, or if the rows of unchanged models lead nowhere or in a circle.
    """
    rows = {str(row["model"]): row for row in checkpoints.iter_rows(named=True)}
    row, passed = _require_row(rows, name), {name}
    while row["method"] == "unchanged":
        parent = str(row["parent"])
        if parent in passed:
            raise SeasDataError(
                f"the checkpoint {printable(name)} is unchanged from itself, through {printable(parent)}; build into a "
                "new workspace"
            )
        passed.add(parent)
        row = _require_row(rows, parent)
    if row["method"] == "given":
        return None
    folder = model_path(models, str(row["model"]))
    if not folder.is_dir() or model_files.compute_digest(folder) != row["digest"]:
        raise SeasDataError(
            f"{folder} does not hold the model {row['model']} that the version was made with; restore the folder from "
            "a copy, or build into a new workspace"
        )
    return folder


def _require_row(rows: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    if name not in rows:
        raise SeasDataError(f"there is no checkpoint {printable(name)}; build into a new workspace")
    return rows[name]
