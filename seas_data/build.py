"""A build: a recipe in, the next version out. This file is the way of the data; each step is a room of its own.

    sources -> prompts -> invalid -> contamination -> templates -> edges -> selection -> labels -> requests
            -> clusters -> split -> checks -> shards and manifest

Rows of earlier versions are a frozen reference: a build adds rows and decisions and changes none. Everything that is
computed depends only on the rows, the recipe, the parent version and the program, so the same build gives the same
digest wherever it was interrupted.
"""

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path

import polars as pl

from seas_data import incoming
from seas_data.curation import curate
from seas_data.recipe import Recipe
from seas_data.stages import Stages
from seas_data.store import Manifest, Workspace, open_workspace
from seas_data.version import Version

_TOOLS = ("seas-data", "polars", "pyarrow", "torch", "sentence-transformers", "scikit-learn", "scipy")


@dataclass(frozen=True)
class Built:
    """A build's result: the newest version, whether this build made it, and what to know if it did not."""

    version: Version
    new: bool
    remark: str = ""


def build(recipe: Recipe, root: Path) -> Built:
    """Build the next version of the workspace at ``root`` from ``recipe``, or find that there is nothing to build.

    Raises SeasDataError when a source, an embedder or the workspace cannot be had, or a check fails; then no version
    is made, and what was computed serves the next try.
    """
    workspace = open_workspace(root, create=True)
    with workspace.lock():
        parent = Version(workspace, workspace.manifest()) if workspace.versions() else None
        if parent is not None:
            workspace.require_whole(parent.manifest)
        known = incoming.earlier(parent)
        new = incoming.read(recipe, known)
        if parent is not None and new.nothing():
            workspace.forget_stages()
            return Built(parent, False, _remark(recipe, parent.manifest))
        name = "v0" if parent is None else f"v{int(parent.name[1:]) + 1}"
        stages = Stages(workspace.root / "stages", _key(recipe, parent, new))
        made = curate(recipe, new, known, stages, workspace.root / "vectors")
        with stages.timed("write", sum(frame.height for frame in made.values())):
            manifest = _manifest(workspace, recipe, parent, name, made)
        tools = json.dumps({tool: installed(tool) for tool in _TOOLS})
        built = Version(workspace, workspace.commit(manifest, stages.runs(name, tools)))
        workspace.forget_stages()
        return Built(built, True)


def _key(recipe: Recipe, parent: Version | None, new: incoming.Incoming) -> str:
    """Return what the stages depend on, as one name."""
    parts = [recipe.digest(), parent.digest if parent else None, new.digest(), installed("seas-data")]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def _manifest(
    workspace: Workspace, recipe: Recipe, parent: Version | None, name: str, made: dict[str, pl.DataFrame]
) -> Manifest:
    """Write the new rows of each table as shards behind the parent's, and return the manifest of them all."""
    shards = dict(parent.manifest.tables) if parent else {}
    for table, frame in made.items():
        rows = frame.with_columns(version=pl.lit(name)) if "version" in frame.columns else frame
        shards[table] = [*shards.get(table, []), *([workspace.write_shard(table, rows)] if rows.height else [])]
    return Manifest(
        version=name,
        iteration=0,
        parent=parent.name if parent else None,
        parent_digest=parent.digest if parent else None,
        recipe=recipe.canonical(),
        recipe_digest=recipe.digest(),
        tables=shards,
    )


def _remark(recipe: Recipe, parent: Manifest) -> str:
    if recipe.digest() == parent.recipe_digest:
        return ""
    return (
        "The recipe's settings differ from those it was built with, but they apply to new rows only and there are "
        "none; to apply them to every row, build into a new workspace."
    )
