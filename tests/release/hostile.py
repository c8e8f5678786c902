"""A generated workspace in which every text that a card can print is an attack on the page.

Each name (of a source, model, judge, licence, cluster ...) has the payload behind it in every table where it stands, so
all joins hold and the card's figures stay what they were.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from seas_data.query.version import Version
from seas_data.query.version import open as open_versions
from seas_data.store import Manifest

# The columns that hold names which people or other sets chose. What is of a closed list cannot be anything else.
_COLUMNS: dict[str, tuple[str, ...]] = {
    "prompts": ("source", "repository", "licence", "language", "model", "label_source", "text", "source_risk"),
    "set_aside": ("source", "detail", "location"),
    "decisions": ("detail",),
    "relabels": ("label_source", "because"),
    "clusters": ("label",),
    "checkpoints": ("model", "parent", "statement"),
    "settings": ("model",),
    "attacks": ("model", "text"),
    "responses": ("model",),
    "verdicts": ("judge", "raw"),
    "pairs": ("judge", "source"),
    "demonstrations": ("judge", "source"),
    "metrics": (),
}
_FACETS = ("red_team", "target", "judge", "against", "source", "from_red_team", "from_target")
_SETS = ("train", "test", "harmless", "general", "evaluation")  # the package's own names


def workspace(made: Path, folder: Path, payload: str) -> Version:
    """Copy the workspace ``made`` to ``folder`` and write a version into it that says ``payload`` everywhere."""
    shutil.copytree(made, folder)
    version = open_versions(folder).version()

    def bad(value: str) -> str:
        return f"{value}{payload}"

    tables = dict(version.manifest.tables)
    for name, columns in _COLUMNS.items():
        shards = []
        for path in version.paths()[name]:
            frame = pl.read_parquet(path)
            changed = [_mapped(frame[column], bad).alias(column) for column in columns]
            if name == "metrics":
                changed.append(_mapped(frame["facets"], lambda told: _facets(told, bad)).alias("facets"))
            if name == "settings":
                sampling = json.dumps({"temperature": bad("0.8"), "top_p": bad("0.9"), "max_new_tokens": bad("9")})
                changed.append(pl.Series("sampling", [sampling] * frame.height, pl.String))
            shards.append(version.workspace.write_shard(name, frame.with_columns(changed)))
        tables[name] = shards
    recipe = json.loads(json.dumps(version.manifest.recipe))
    recipe["description"] = bad(recipe["description"])
    for model in recipe["models"].values():
        model |= {"model": bad(model["model"]), "licence": bad("mine"), "revision": bad("main")}
    for judge in recipe["judges"]:
        judge["name"] = bad(judge["name"])
    recipe["pairs"]["judge"] = bad(recipe["pairs"]["judge"])
    recipe["loop"]["harmless"]["judge"] = bad(recipe["loop"]["harmless"]["judge"])
    content = version.manifest.model_dump() | {"recipe": recipe, "tables": tables}
    # An iteration more: of models, judges and settings the recipes of what was played are told.
    content |= {
        "version": f"v{int(version.name[1:]) + 1}",
        "parent": version.name,
        "iteration": content["iteration"] + 1,
    }
    manifest = Manifest.model_validate(content)
    runs = pl.read_parquet(folder / "runs" / f"{version.name}.parquet")
    return Version(version.workspace, version.workspace.commit(manifest, runs))


def _mapped(column: pl.Series, change: Callable[[str], str]) -> pl.Series:
    values = column.unique().drop_nulls().to_list()
    return column.replace_strict(values, [change(value) for value in values], default=None, return_dtype=pl.String)


def _facets(told: str, bad: Callable[[str], str]) -> str:
    facets: dict[str, Any] = json.loads(told)
    for key in _FACETS:
        if isinstance(facets.get(key), str):
            facets[key] = bad(facets[key])
    if facets.get("set") not in (None, *_SETS):
        facets["set"] = bad(facets["set"])
    return json.dumps(facets)
