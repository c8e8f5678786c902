"""What a build needs and this machine lacks: packages, programs, and models if the Hub is not to be called.

Nothing is downloaded, started or loaded to find that out.
"""

import shutil
from collections.abc import Callable, Iterator
from functools import partial

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

from seas_data import plan
from seas_data.engine_ray import require_ray
from seas_data.errors import SeasDataError
from seas_data.models.bundled import BUNDLED
from seas_data.models.checkpoint import FILE_PATTERNS
from seas_data.recipe import ModelHttp, ModelInProcess, Recipe
from seas_data.recipe.paths import is_local_path
from seas_data.similarity.embedder_folder import find_folder
from seas_data.store.part_folder import require_client
from seas_data.text import printable
from seas_data.train.packages import require_packages

Check = Callable[[], object]


def require_for_loop(recipe: Recipe) -> None:
    """Raise SeasDataError, with what to install, if the loop of ``recipe`` would stop on this machine."""
    for check in _checks_of_loop(recipe):
        check()


def find_missing(recipe: Recipe, engine: str) -> list[str]:
    """Return a sentence for each thing without which a build of ``recipe`` with ``engine`` would stop.

    Embedders are among them even if the sources have no text in their languages.
    """
    found = []
    for check in (*_checks_of_embedders(recipe), *_checks_of_engine(recipe, engine), *_checks_of_loop(recipe)):
        try:
            check()
        except SeasDataError as problem:
            found.append(str(problem))
    return found


def _checks_of_embedders(recipe: Recipe) -> Iterator[Check]:
    for embedder in recipe.embedders:
        yield partial(find_folder, embedder, f"texts in {embedder.named_languages}", download=False)


def _checks_of_engine(recipe: Recipe, engine: str) -> Iterator[Check]:
    if engine == "ray":
        yield require_ray
    if recipe.ray.store is not None:
        yield partial(require_client, recipe.ray.store)


def _checks_of_loop(recipe: Recipe) -> Iterator[Check]:
    if recipe.loop is None:
        return
    trainings = (recipe.training.red_sft, recipe.training.target_sft, recipe.training.red, recipe.training.target)
    yield partial(require_packages, lora=any(each.lora is not None for each in trainings))
    for name in plan.list_models(recipe, recipe.loop):
        yield partial(_require_model, name, recipe.models[name])


def _require_model(name: str, model: ModelInProcess | ModelHttp) -> None:
    """Raise SeasDataError if a server's program is missing, or a model of the Hub is and the Hub is not to be called.

    Local and bundled models are checked by ``plan``.
    """
    if isinstance(model, ModelHttp):
        if model.serve is not None and shutil.which(model.serve[0]) is None:
            raise SeasDataError(
                f"models.{name} is served by {printable(model.serve[0])}, which is not a program on this machine; "
                "install it, or correct serve"
            )
        return
    if model.model in BUNDLED or is_local_path(model.model) or not constants.HF_HUB_OFFLINE:
        return
    try:
        snapshot_download(model.model, revision=model.revision, allow_patterns=[*FILE_PATTERNS], local_files_only=True)
    except (LocalEntryNotFoundError, HFValidationError, OSError, ValueError) as problem:
        raise SeasDataError(
            f"models.{name}: {printable(model.model)} is not in the Hub's cache on this machine, and HF_HUB_OFFLINE is "
            "set; download it once with a connection, or set its folder"
        ) from problem
