"""A build: a recipe in, the next version out. This file is the way of the data; each step is a room of its own.

    sources -> prompts -> invalid -> contamination -> templates -> edges -> requests -> selection -> conflicts
            -> labels -> clusters -> split -> checks -> shards and manifest

A recipe with a ``loop`` goes on from there: each iteration makes a version of its own (``seas_data.loop``).

Rows of earlier versions are a frozen reference: a build adds rows and decisions and changes none. Everything that is
computed depends only on the rows, the recipe, the parent version and the program, so the same build gives the same
digest wherever it was interrupted.
"""

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import polars as pl

from seas_data import plan
from seas_data import recipe as recipes
from seas_data.curate import incoming
from seas_data.curate.pipeline import curate
from seas_data.errors import SeasDataError
from seas_data.recipe import Recipe, Release
from seas_data.store import Manifest, Workspace, open_workspace
from seas_data.store.stages import Stages
from seas_data.store.version import Version

_TOOLS = ("seas-data", "polars", "pyarrow", "torch", "sentence-transformers", "scikit-learn", "scipy")
_LOOP_TOOLS = ("transformers", "trl", "accelerate")


@dataclass(frozen=True)
class Built:
    """A build's result: the newest version, whether this build made it, and what to know if it did not."""

    version: Version
    new: bool
    remark: str = ""


def build(recipe: Recipe, root: Path) -> Built:
    """Build the next version of the workspace at ``root`` from ``recipe``, or find that there is nothing to build.

    With a loop: one version from what is new in the sources, and one for each iteration that is yet to be played.

    Raises SeasDataError when a source, an embedder or the workspace cannot be had, or a check fails; then no version
    is made, and what was computed serves the next try.
    """
    recipes.require_trust(recipe)
    plan.check(recipe)
    workspace = open_workspace(root, create=True)
    with workspace.lock():
        if recipe.sandbox is not None:
            recipe = _in_sandbox(recipe, workspace)
        parent = Version(workspace, workspace.manifest()) if workspace.versions() else None
        if parent is not None:
            workspace.require_whole(parent.manifest)
            _require_all_texts(parent)
        version = _from_sources(recipe, workspace, parent)
        while recipe.loop is not None and version.manifest.iteration < recipe.loop.iterations:
            version = _next_iteration(recipe, workspace, version)
        workspace.forget_stages()
        if parent is not None and version.digest == parent.digest:
            return Built(version, False, _remark(recipe, version.manifest))
        return Built(version, True)


def _require_all_texts(parent: Version) -> None:
    """Raise SeasDataError for a release that withholds something: new rows could not be compared with its texts."""
    if parent.manifest.withheld:
        raise SeasDataError(
            f"{parent.name} is a {parent.manifest.profile} release, which withholds texts that new rows have to be "
            "compared with; build on the gated release, or build its sources into a new workspace"
        )


def _in_sandbox(recipe: Recipe, workspace: Workspace) -> Recipe:
    """Write the sandbox's files and models, and return the recipe with their places in it."""
    from seas_data import sandbox

    assert recipe.sandbox is not None
    folder = workspace.root / "sandbox"
    sandbox.write(folder, recipe.sandbox)
    return recipes.in_sandbox(recipe, folder)


def _from_sources(recipe: Recipe, workspace: Workspace, parent: Version | None) -> Version:
    """Build the version that what is new in the sources makes, or return ``parent`` if nothing is."""
    known = incoming.earlier(parent)
    new = incoming.read(recipe, known)
    if parent is not None and new.nothing():
        if not _says_anew(recipe.canonical(), parent.manifest.recipe):
            return parent
        stages = Stages(workspace.root / "stages", _key(recipe, parent, []))
        return _commit(recipe, workspace, parent, {}, stages, parent.manifest.iteration)
    stages = Stages(workspace.root / "stages", _key(recipe, parent, [new.digest()]))
    made = curate(recipe, new, known, stages, workspace.root / "vectors")
    return _commit(recipe, workspace, parent, made, stages, parent.manifest.iteration if parent else 0)


def _says_anew(recipe: dict[str, Any], earlier: dict[str, Any]) -> bool:
    """Return whether a recipe says other than an earlier one of a licence, or of releases.

    That alone makes a new version too, of the same rows: else a licence could not be stated once rows are there.
    """
    both = [(recipe.get(part, {}), earlier.get(part, {})) for part in ("sources", "models")]
    return Release.model_validate(recipe.get("release", {})) != Release.model_validate(
        earlier.get("release", {})
    ) or any(
        now[name].get("licence") != then[name].get("licence") for now, then in both for name in now.keys() & then.keys()
    )


def _next_iteration(recipe: Recipe, workspace: Workspace, parent: Version) -> Version:
    """Play an iteration of the loop after ``parent`` and commit its version."""
    from seas_data import loop

    stages = Stages(workspace.root / "stages", _key(recipe, parent, loop.inputs(recipe)))
    made = loop.iterate(recipe, workspace, parent, stages)
    version = _commit(recipe, workspace, parent, made, stages, parent.manifest.iteration + 1)
    workspace.forget_stages()
    return version


def _commit(
    recipe: Recipe,
    workspace: Workspace,
    parent: Version | None,
    made: dict[str, pl.DataFrame],
    stages: Stages,
    iteration: int,
) -> Version:
    name = "v0" if parent is None else f"v{int(parent.name[1:]) + 1}"
    with stages.timed("write", sum(frame.height for frame in made.values())):
        manifest = _manifest(workspace, recipe, parent, name, made, iteration)
    tools = json.dumps({tool: installed(tool) for tool in (*_TOOLS, *(_LOOP_TOOLS if iteration else ()))})
    return Version(workspace, workspace.commit(manifest, stages.runs(name, tools)))


def _key(recipe: Recipe, parent: Version | None, inputs: list[str]) -> str:
    """Return what the stages depend on, as one name; ``inputs`` are digests of what they read."""
    parts = [_deciding(recipe), parent.digest if parent else None, *inputs, installed("seas-data")]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


_OF_THE_LINE = ("url", "key_variable", "concurrency", "timeout", "patience")


def _deciding(recipe: Recipe) -> dict[str, Any]:
    """Return of the recipe's data what may change a row: not what it is called, nor how long a server is waited for."""
    content = {name: value for name, value in recipe.canonical().items() if name != "description"}
    models = content.get("models", {}).items()
    plain = {name: {key: each for key, each in model.items() if key not in _OF_THE_LINE} for name, model in models}
    return content | {"models": plain}


def _manifest(
    workspace: Workspace,
    recipe: Recipe,
    parent: Version | None,
    name: str,
    made: dict[str, pl.DataFrame],
    iteration: int,
) -> Manifest:
    """Write the new rows of each table as shards behind the parent's, and return the manifest of them all."""
    shards = dict(parent.manifest.tables) if parent else {}
    for table, frame in made.items():
        rows = frame.with_columns(version=pl.lit(name)) if "version" in frame.columns else frame
        shards[table] = [*shards.get(table, []), *([workspace.write_shard(table, rows)] if rows.height else [])]
    return Manifest(
        version=name,
        iteration=iteration,
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
