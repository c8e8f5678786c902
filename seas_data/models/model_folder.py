"""Where the files of a model are: a folder, a bundled model or a download from the Hub."""

from pathlib import Path

from seas_data.errors import SeasDataError
from seas_data.hub_token import check_hub_token
from seas_data.models.bundled import BUNDLED, resolve_bundled
from seas_data.models.checkpoint import FILE_PATTERNS
from seas_data.recipe.paths import is_local_path


def resolve_folder(model: str, revision: str | None) -> Path:
    """Return the folder of ``model``: the path itself, that of a bundled model (made if needed), or the Hub's files of
    ``revision``, downloaded if needed.

    Raises SeasDataError if the folder does not exist or the model could not be made or downloaded.
    """
    if model in BUNDLED:
        return resolve_bundled(model, revision)
    if is_local_path(model):
        if not Path(model).is_dir():
            raise SeasDataError(f"there is no model at {model}; check the path")
        return Path(model)
    from huggingface_hub import snapshot_download

    check_hub_token()
    try:
        folder = snapshot_download(model, revision=revision, allow_patterns=list(FILE_PATTERNS))
    except Exception as problem:  # the client raises its own errors, httpx's and the system's
        reason = str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
        raise SeasDataError(
            f"the model {model} could not be downloaded from the Hub: {reason}; check the name (a folder's begins with "
            f"./, /, ~ or $; bundled models: {', '.join(BUNDLED)})"
        ) from problem
    return Path(folder)
