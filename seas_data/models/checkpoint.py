"""Checkpoint files: which of a folder's files make up a model, and a digest of them."""

import hashlib
import re
from functools import cache
from pathlib import Path

from seas_data.errors import SeasDataError
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
