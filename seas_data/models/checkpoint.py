"""Which model it was: a digest of the files that make a checkpoint answer as it does."""

import hashlib
import re
from functools import cache
from pathlib import Path

from seas_data.errors import SeasDataError
from seas_data.recipe.paths import is_path
from seas_data.store.files import sha256

PARTS = (
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


def digest(folder: Path) -> str:
    """Return the SHA-256 over the names and bytes of the checkpoint's files (weights, settings, tokenizer, template).

    What else lies there (a training's state, a card) does not count. In the Hub's cache a weight file is a link to one
    named by its SHA-256, which is taken for it. A process reads a file once, unless it changes. Raises SeasDataError if
    there is no checkpoint.
    """
    files = sorted({path for pattern in PARTS for path in folder.glob(pattern) if path.is_file()})
    if not (folder / "config.json").is_file():
        raise SeasDataError(f"{folder} is no model: it has no config.json")
    total = hashlib.sha256()
    for path in files:
        target = path.readlink().name if path.is_symlink() else ""
        known = target if re.fullmatch("[0-9a-f]{64}", target) else _known(path)
        total.update(f"{path.name} {known}\n".encode())
    return total.hexdigest()


def _known(path: Path) -> str:
    state = path.stat()
    return _hashed(path.absolute(), state.st_ino, state.st_size, state.st_mtime_ns)


@cache
def _hashed(path: Path, *state: int) -> str:
    return sha256(path)


def place(model: str, revision: str | None) -> Path:
    """Return the folder of ``model``: itself, or where the Hub's files of ``revision`` are after they were fetched.

    Raises SeasDataError if there is no such folder, or no such model of the Hub can be had.
    """
    if is_path(model):
        if not Path(model).is_dir():
            raise SeasDataError(f"there is no model at {model}")
        return Path(model)
    from huggingface_hub import snapshot_download

    try:
        found = snapshot_download(model, revision=revision, allow_patterns=list(PARTS))
    except Exception as problem:  # the client raises its own, httpx's and the system's
        reason = str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
        raise SeasDataError(
            f"the Hub does not give the model {model}: {reason} (the name of a folder begins with ./, /, ~ or $)"
        ) from problem
    return Path(found)
