"""Checkpoint files: where a model's files are, and a digest of those that determine its output."""

import hashlib
import re
from functools import cache
from pathlib import Path

from seas_data.errors import SeasDataError
from seas_data.hub_token import check_hub_token
from seas_data.recipe.paths import is_local_path
from seas_data.store.files import sha256
from seas_data.text import printable

FILE_PATTERNS = (
    "*.safetensors",
    "pytorch_model*.bin",
    "*.index.json",
    "config.json",
    "generation_config.json",
    "adapter_config.json",
    "tokenizer*",
    "vocab*",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template*",
)
"""Glob patterns of the files that make up a checkpoint."""


def model_path(models: Path, name: str) -> Path:
    """Return the folder of the model ``name`` in the folder ``models`` of a workspace.

    Raises SeasDataError unless ``name`` is a plain name such as R2: a path would lead out of the workspace.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise SeasDataError(f"{printable(name)!r} is not the name of a model; use one such as R2 or T3")
    return models / name


def compute_digest(folder: Path) -> str:
    """Return the SHA-256 over the names and bytes of the checkpoint's files (weights, settings, tokenizer, template).

    Other files in the folder (optimizer state, a card) are ignored. In the Hub's cache a weight file is a link whose
    target is named by its SHA-256, which is used as is. A process reads each file once, unless it changes. Raises
    SeasDataError if the folder has no ``config.json``.
    """
    files = sorted({path for pattern in FILE_PATTERNS for path in folder.glob(pattern) if path.is_file()})
    if not (folder / "config.json").is_file():
        raise SeasDataError(f"{folder} is not a model: it has no config.json; give the folder of a checkpoint")
    total = hashlib.sha256()
    for path in files:
        target = path.readlink().name if path.is_symlink() else ""
        file_digest = target if re.fullmatch("[0-9a-f]{64}", target) else _file_digest(path)
        total.update(f"{path.name} {file_digest}\n".encode())
    return total.hexdigest()


def _file_digest(path: Path) -> str:
    state = path.stat()
    return _cached_digest(path.absolute(), state.st_ino, state.st_size, state.st_mtime_ns)


@cache
def _cached_digest(path: Path, *state: int) -> str:
    return sha256(path)


def resolve_folder(model: str, revision: str | None) -> Path:
    """Return the folder of ``model``: the path itself, that of a bundled model (made if needed), or the Hub's files of
    ``revision``, downloaded if needed.

    Raises SeasDataError if the folder does not exist or the model could not be made or downloaded.
    """
    from seas_data.models.bundled import BUNDLED, resolve_bundled

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
