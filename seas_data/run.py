"""Build with the plan's checks, the sandbox, and the loop with its models and judges attached.

``build_version.py`` is the pipeline and imports none of these; this module passes them in.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from seas_data import build_version as pipeline
from seas_data import missing, plan
from seas_data.build_version import Built
from seas_data.console import say
from seas_data.curate.pipeline import Frames
from seas_data.query.version import Version
from seas_data.recipe import Recipe, require_trust, resolve_sandbox
from seas_data.store import version as store
from seas_data.store.code import code_digest
from seas_data.store.parts import LOCAL, Engine
from seas_data.store.stages import Stages

EngineName = Literal["local", "ray"]


def build(recipe: Recipe, root: Path, engine: EngineName = "local") -> Built[Version]:
    """Build the next version of the workspace at ``root`` from ``recipe``; return the newest one if nothing is new.

    With a loop: one version from what is new in the sources, and one for each iteration that is still to run.
    ``engine``: where slow steps over many rows run, in this process or on a Ray cluster; the result is the same.

    Raises SeasDataError if the recipe cannot be built to its end, if a source, a model or the workspace cannot be read,
    or if a check fails. Then no version is made, and the next build resumes from the finished stages.
    """
    require_trust(recipe)
    plan.check(recipe)
    missing.require_for_loop(recipe)
    steps = pipeline.LoopSteps(_write_sandbox, _digest_inputs, _run_iteration, _pair_answers)
    with _engine(engine, recipe, root) as opened:
        built = pipeline.build(recipe, root, steps, opened)
    return Built(Version.of(built.version), built.new, built.message, built.account)


@contextmanager
def _engine(name: EngineName, recipe: Recipe, root: Path) -> Iterator[Engine]:
    if name == "local":
        yield LOCAL
        return
    from seas_data.engine_ray import RayEngine

    opened = RayEngine(root, recipe.ray.address, recipe.ray.store)
    try:
        yield opened
    finally:
        opened.close()


def _write_sandbox(recipe: Recipe, folder: Path) -> Recipe:
    from seas_data import sandbox

    assert recipe.sandbox is not None
    sandbox.write_sandbox(folder, recipe.sandbox)
    return resolve_sandbox(recipe, folder)


def _digest_inputs(recipe: Recipe) -> list[str]:
    from seas_data import loop

    return [*loop.hash_inputs(recipe), code_digest("loop")]


def _run_iteration(recipe: Recipe, parent: store.Version, stages: Stages) -> Frames:
    from seas_data import loop

    return loop.run_iteration(recipe, parent.workspace, Version.of(parent), stages)


def _pair_answers(recipe: Recipe, parent: store.Version | None, new: Frames) -> Frames:
    from seas_data import pairs

    built = pairs.pair_version(recipe.pairs, parent, new)
    for line in pairs.describe(built):
        say(line)
    return built
