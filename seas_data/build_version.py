"""Build pipeline: read sources, curate, run the loop, commit a version.

    sources -> prompts -> invalid -> contamination -> templates -> edges -> requests -> selection -> conflicts
            -> labels -> clusters -> split -> checks -> shards and manifest

A recipe with a ``loop`` continues from there: each iteration makes one more version.

Rows of earlier versions are a frozen reference: a build adds rows and decisions and changes none. The result depends
only on the rows, the recipe, the parent version and the code, so a build that was interrupted and resumed gives the
same digest. The loop and the sandbox need models and judges, which the core does not know; ``seas_data.run`` passes
them in as ``LoopSteps``.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, Generic, TypeVar

import polars as pl

from seas_data import folding
from seas_data import recipe as recipes
from seas_data.curate import incoming
from seas_data.curate.pipeline import Frames, curate
from seas_data.errors import SeasDataError
from seas_data.recipe import Recipe, Release
from seas_data.sources.account import Account, not_embeddable_reasons, semantic_recalls
from seas_data.store import Manifest, Workspace, formats, open_workspace
from seas_data.store.code import code_digest
from seas_data.store.parts import LOCAL, Engine
from seas_data.store.stages import Stages
from seas_data.store.version import Version
from seas_data.store.workspace import Rows, next_version

_TOOLS = ("seas-data", "polars", "pyarrow", "py3langid", "torch", "sentence-transformers", "scikit-learn", "scipy")
_LOOP_TOOLS = ("transformers", "trl", "accelerate")


@dataclass(frozen=True)
class LoopSteps:
    """The functions of the loop and the sandbox that ``build`` calls."""

    write_sandbox: Callable[[Recipe, Path], Recipe]
    """Write the sandbox's files and models to a folder; return the recipe with their paths."""
    digest_inputs: Callable[[Recipe], list[str]]
    """Return digests of all that an iteration depends on besides the recipe and the parent version: files, code."""
    run_iteration: Callable[[Recipe, Version, Stages], Frames]
    """Run one iteration after a version; return the rows that its version adds to each table."""
    pair_answers: Callable[[Recipe, Version | None, Frames], Frames]
    """Return the pairs of the answers that sources brought, for a version that adds these rows to its parent."""


AnyVersion = TypeVar("AnyVersion", bound=Version)


@dataclass(frozen=True)
class Built(Generic[AnyVersion]):
    """The result of a build: the newest version, whether this build made it, and a message if it did not."""

    version: AnyVersion
    new: bool
    message: str = ""
    account: Account | None = None
    """What became of the rows of the sources."""


def build(recipe: Recipe, root: Path, loop: LoopSteps, engine: Engine = LOCAL) -> Built[Version]:
    """Build the next version of the workspace at ``root`` from ``recipe``; return the newest one if nothing is new.

    With a loop: one version from what is new in the sources, and one for each iteration that is still to run.
    ``engine`` computes the parts of slow stages and changes no result.

    Raises SeasDataError if a source, an embedder or the workspace cannot be read, or a check fails. Then no version is
    made, and the next build resumes from the finished stages.
    """
    recipes.require_trust(recipe)
    workspace = open_workspace(root, create=True)
    with workspace.lock():
        if recipe.sandbox is not None:
            recipe = loop.write_sandbox(recipe, workspace.root / "sandbox")
        parent = Version(workspace, workspace.manifest()) if workspace.versions() else None
        if parent is not None:
            workspace.require_intact(parent.manifest)
            _require_all_texts(parent)
        version, account = _build_from_sources(recipe, workspace, parent, loop, engine)
        while recipe.loop is not None and version.manifest.iteration < recipe.loop.iterations:
            version = _build_iteration(recipe, version, loop)
        workspace.remove_stages()
        if parent is not None and version.digest == parent.digest:
            return Built(version, False, _settings_message(recipe, version.manifest), account)
        return Built(version, True, account=account)


def _build_from_sources(
    recipe: Recipe, workspace: Workspace, parent: Version | None, loop: LoopSteps, engine: Engine
) -> tuple[Version, Account]:
    """Build a version from the new rows of the sources; return ``parent`` if nothing is new. Return the account too."""
    earlier = incoming.read_earlier(parent)
    incoming.require_same_taxonomy(recipe.taxonomy, parent)
    new = incoming.read_incoming(recipe, earlier)
    if parent is not None and new.is_empty():
        if not metadata_changed(recipe.canonical(), parent.manifest.recipe):
            return parent, new.account
        stages = Stages(workspace.root / "stages", _key(recipe, parent, []))
        return _commit(recipe, workspace, parent, {}, stages, parent.manifest.iteration), new.account
    key = _key(recipe, parent, [new.digest(), code_digest("curate")])
    stages = Stages(workspace.root / "stages", key, engine, recipe.ray.store)
    compared = new.prompts.height
    new = new.put_aside(stages.folder / "incoming.parquet")
    curated = curate(recipe, new, earlier, stages, workspace.root / "vectors")
    frames = {**curated.frames, "taxonomy": incoming.new_categories(recipe.taxonomy, parent)}
    if recipe.pairs_from_sources:
        with stages.timed("pairs", frames["verdicts"].height):
            frames |= loop.pair_answers(recipe, parent, {"prompts": curated.prompts.to_frame(), **frames})
    account = replace(
        new.account,
        compared=compared,
        not_embeddable=not_embeddable_reasons(frames["decisions"]),
        semantic_recall=semantic_recalls(frames["metrics"]),
    )
    rows: dict[str, Rows] = {"prompts": curated.prompts, **frames, "embeddings": curated.embeddings}
    version = _commit(recipe, workspace, parent, rows, stages, parent.manifest.iteration if parent else 0)
    stages.remove_parts()
    return version, account


def _build_iteration(recipe: Recipe, parent: Version, loop: LoopSteps) -> Version:
    """Run an iteration of the loop after ``parent`` and commit its version."""
    workspace = parent.workspace
    stages = Stages(workspace.root / "stages", _key(recipe, parent, loop.digest_inputs(recipe)))
    frames = loop.run_iteration(recipe, parent, stages)
    version = _commit(recipe, workspace, parent, frames, stages, parent.manifest.iteration + 1)
    workspace.remove_stages()
    return version


def _commit(
    recipe: Recipe,
    workspace: Workspace,
    parent: Version | None,
    rows: Mapping[str, Rows],
    stages: Stages,
    iteration: int,
) -> Version:
    name = next_version(parent.name if parent else None)
    with stages.timed("write", sum(each.height for each in rows.values())):
        manifest = write_shards(workspace, recipe, parent, name, rows, iteration)
    names = (*_TOOLS, *(_LOOP_TOOLS if iteration else ()))
    tools = json.dumps({"folding": folding.version()} | {tool: installed(tool) for tool in names})
    return Version(workspace, workspace.commit(manifest, stages.runs(name, tools)))


def write_shards(
    workspace: Workspace, recipe: Recipe, parent: Version | None, name: str, rows: Mapping[str, Rows], iteration: int
) -> Manifest:
    """Write the new rows of each table as shards after the parent's; return the manifest of version ``name``.

    A column ``version`` is set to ``name``. The version exists once the manifest is committed.
    """
    shards = dict(parent.manifest.tables) if parent else {}
    for table, new in rows.items():
        if isinstance(new, pl.DataFrame) and "version" in new.columns:
            new = new.with_columns(version=pl.lit(name))
        shards[table] = [*shards.get(table, []), *workspace.write_shards(table, new)]
    return Manifest(
        version=name,
        iteration=iteration,
        parent=parent.name if parent else None,
        parent_digest=parent.digest if parent else None,
        recipe=recipe.canonical(),
        recipe_digest=recipe.digest(),
        tables=shards,
        folding=folding.version(),
    )


def metadata_changed(recipe: dict[str, Any], earlier: dict[str, Any]) -> bool:
    """Return whether two canonical recipes differ in a licence or in ``release``.

    Such a change alone makes a new version of the same rows; otherwise a licence could not be added to built rows.
    """
    both = [(recipe.get(part, {}), earlier.get(part, {})) for part in ("sources", "models")]
    return Release.model_validate(recipe.get("release", {})) != Release.model_validate(
        earlier.get("release", {})
    ) or any(
        now[name].get("licence") != then[name].get("licence") for now, then in both for name in now.keys() & then.keys()
    )


def _require_all_texts(parent: Version) -> None:
    """Raise SeasDataError if ``parent`` is a release that withholds texts, which new rows are compared with."""
    if parent.manifest.withheld:
        raise SeasDataError(
            f"{parent.name} is a {parent.manifest.profile} release, which withholds texts that new rows have to be "
            "compared with; build on the gated release, or build its sources into a new workspace"
        )


def _key(recipe: Recipe, parent: Version | None, inputs: list[str]) -> str:
    """Return one name for everything that the stages depend on; ``inputs`` are digests of their inputs and code."""
    parts = [formats.STAGES, folding.version(), _row_settings(recipe), parent.digest if parent else None, *inputs]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:24]


CONNECTION_KEYS = frozenset({"url", "api_key_env", "concurrency", "timeout_seconds", "max_wait_seconds"})
"""Fields of ``recipe.ModelHttp`` that cannot change an answer; a build continues after a change of them."""


def _row_settings(recipe: Recipe) -> dict[str, Any]:
    """Return the settings that can change a row: all but the description and how servers are reached."""
    content = {name: value for name, value in recipe.canonical().items() if name != "description"}
    models = content.get("models", {}).items()
    plain = {name: {key: each for key, each in model.items() if key not in CONNECTION_KEYS} for name, model in models}
    return content | {"models": plain}


def _settings_message(recipe: Recipe, parent: Manifest) -> str:
    if recipe.digest() == parent.recipe_digest:
        return ""
    return (
        "The recipe's settings differ from those of the version, but settings apply to new rows only and there are "
        "none; to apply them to every row, build into a new workspace."
    )
