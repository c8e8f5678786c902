"""Whether a model folder can be loaded, checked before any weights are read.

Pickles (``.bin``) are never loaded, and code that comes with a checkpoint is never run.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from seas_data.errors import SeasDataError
from seas_data.text import printable

_MAX_JSON_BYTES: Final = 64 << 20
_SETTINGS: Final = ("generation_config.json", "tokenizer_config.json", "special_tokens_map.json")
INDEX: Final = "model.safetensors.index.json"
WEIGHTS: Final = "model.safetensors"


def require_loadable(folder: Path) -> None:
    """Raise SeasDataError, with what to do, if ``folder`` has no checkpoint that transformers can load.

    Checks the settings and the architecture that they name, the headers of the weights and the shapes in them, and the
    tokenizer's file. The weights themselves are not read.
    """
    config = _read_config(folder)
    for name in _SETTINGS:  # transformers ignores one that it cannot read, and with it the tokens that end an answer
        if (folder / name).is_file():
            _read_json(folder, name)
    shapes: dict[str, tuple[int, ...]] = {}
    for path in _weight_files(folder):
        shapes |= _read_shapes(folder, path)
    _require_tokenizer(folder)
    if not (folder / "adapter_config.json").is_file():
        _require_shapes(folder, config, shapes)


def _refuse(folder: Path, fault: str, advice: str) -> SeasDataError:
    return SeasDataError(f"the model {printable(str(folder))} cannot be loaded: {fault}; {advice}")


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    path = folder / name
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise ValueError
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise _refuse(folder, f"its {name} is not a JSON object that can be read", "copy the model again")
    return content


def _read_config(folder: Path) -> dict[str, Any]:
    if not (folder / "config.json").is_file():
        if (folder / "adapter_config.json").is_file():
            raise _refuse(folder, "it is an adapter, not a whole model", "merge it into its base model")
        raise _refuse(folder, "it is not a model: it has no config.json", "give the folder of a checkpoint")
    return _read_json(folder, "config.json")


def _weight_files(folder: Path) -> Iterator[Path]:
    """Yield the files of the weights, whose names the index lists if the model is in parts."""
    if (folder / WEIGHTS).is_file() or (folder / "adapter_model.safetensors").is_file():
        yield from sorted(folder.glob("*model.safetensors"))
        return
    if not (folder / INDEX).is_file():
        if [*folder.glob("*.bin"), *folder.glob("*.pt"), *folder.glob("*.pth")]:
            raise _refuse(
                folder,
                "its weights are pickles (.bin), which can hold code and are never loaded",
                "save it with save_pretrained, which writes .safetensors",
            )
        raise _refuse(folder, f"it has no weights ({WEIGHTS})", "copy the model again")
    listed = _read_json(folder, INDEX).get("weight_map")
    if not isinstance(listed, dict) or not listed or not all(isinstance(name, str) for name in listed.values()):
        raise _refuse(folder, f"its {INDEX} lists no weights", "copy the model again")
    for name in sorted(set(listed.values())):
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise _refuse(folder, f"its {INDEX} names the file {printable(name)[:200]!r}", "copy the model again")
        if not (folder / name).is_file():
            raise _refuse(folder, f"its weights {printable(name)} are missing", "copy the model again")
        yield folder / name


def _read_shapes(folder: Path, path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of each tensor in a file of weights, from its header."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as problem:
        reason = printable(" ".join(str(problem).split()))[:200]
        raise _refuse(folder, f"{path.name} is damaged or cut off ({reason})", "copy the model again") from problem


def _require_tokenizer(folder: Path) -> None:
    if not (folder / "tokenizer.json").is_file():
        return
    from tokenizers import Tokenizer

    _read_json(folder, "tokenizer.json")
    try:
        Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as problem:  # the library raises no narrower class
        reason = printable(" ".join(str(problem).split()))[:200]
        raise _refuse(folder, f"its tokenizer.json is not a tokenizer ({reason})", "copy the model again") from problem


def _require_shapes(folder: Path, config: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> None:
    """Raise SeasDataError if the model that ``config`` describes is unknown, or has weights of other shapes."""
    import torch
    from transformers import AutoConfig

    from seas_data.models.loading import build_empty

    named = printable(str(config.get("model_type")))[:100]
    try:
        settings = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        with torch.device("meta"):
            model = build_empty(settings)
    except Exception as problem:  # the code of each architecture raises what it likes
        fault = f"transformers has no architecture {named!r} with the settings of its config.json"
        if "auto_map" in config:
            fault = "it needs code of its own (auto_map), which is never run"
        reason = printable(" ".join(str(problem).split()))[:200]
        raise _refuse(folder, f"{fault} ({reason})", "choose a model that transformers has") from problem
    if "quantization_config" in config:
        return  # packed weights have shapes of their own
    for name, tensor in model.state_dict().items():
        if name in shapes and shapes[name] != tuple(tensor.shape):
            raise _refuse(
                folder,
                f"the weights {name} have the shape {list(shapes[name])}, and config.json says {list(tensor.shape)}",
                "use the config.json that belongs to the weights",
            )
