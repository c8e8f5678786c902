"""A damaged or foreign model folder is refused by one sentence before anything long starts."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seas_data import plan
from seas_data import recipe as recipes
from seas_data.errors import SeasDataError
from seas_data.models import open_model
from seas_data.models.checkpoint_files import require_loadable
from seas_data.recipe import ModelInProcess
from tests.conftest import CHECKOUT

INDEX = "model.safetensors.index.json"


def edit_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def cut(name: str, size: int) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def write(name: str, content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(content)


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def config(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit_config(folder, **changes)


def pickle_only(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def adapter_only(folder: Path) -> None:
    (folder / "config.json").rename(folder / "adapter_config.json")


def index(weight_map: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
        (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))

    return change


def header(content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(content)) + content)


def drop_tensor(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    path = folder / "model.safetensors"
    tensors = load_file(path)
    del tensors["model.norm.weight"]
    save_file(tensors, path, metadata={"format": "pt"})


def add_words(folder: Path) -> None:
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["vocab"] |= {f"word{number}": 21 + number for number in range(50)}
    path.write_text(json.dumps(content))


CASES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no config": (remove("config.json"), "has no config.json; give the folder of a checkpoint"),
    "empty config": (write("config.json", ""), "its config.json is not a JSON object"),
    "config of a list": (write("config.json", "[]"), "its config.json is not a JSON object"),
    "config nested deep": (write("config.json", "[" * 99_999 + "]" * 99_999), "its config.json is not a JSON object"),
    "config with bytes that are not UTF-8": (
        lambda folder: (folder / "config.json").write_bytes(b'{"a": "\xff"}'),
        "its config.json is not a JSON object",
    ),
    "unknown architecture": (config(model_type="nobody"), "no architecture 'nobody'"),
    "no architecture": (config(model_type=None), "no architecture 'None'"),
    "architecture of a number": (config(model_type=7), "no architecture '7'"),
    "code of its own": (
        config(model_type="nobody", auto_map={"AutoConfig": "a.B", "AutoModelForCausalLM": "a.C"}),
        r"needs code of its own \(auto_map\), which is never run",
    ),
    "setting of another type": (config(hidden_size="wide"), "no architecture 'llama' with the settings"),
    "layers beyond memory": (config(num_hidden_layers=-1, hidden_size=-32), "cannot be loaded"),
    "other width": (config(hidden_size=48, intermediate_size=80), r"have the shape \[.*\], and config.json says \["),
    "more layers": (config(num_hidden_layers=3), "lacks 18 of its weights, such as model.layers.1"),
    "no weights": (remove("model.safetensors"), "it has no weights"),
    "pickle": (pickle_only, r"its weights are pickles \(.bin\).*save_pretrained"),
    "adapter": (adapter_only, "it is an adapter, not a whole model; merge it"),
    "empty weights": (cut("model.safetensors", 0), "model.safetensors is damaged or cut off"),
    "weights cut off in the header": (cut("model.safetensors", 100), "model.safetensors is damaged or cut off"),
    "weights cut off": (cut("model.safetensors", 20_000), "model.safetensors is damaged or cut off"),
    "weights of text": (write("model.safetensors", "version https://git-lfs"), "model.safetensors is damaged or cut"),
    "header of a list": (header(b"[]"), "model.safetensors is damaged or cut off"),
    "header of a petabyte": (
        lambda folder: (folder / "model.safetensors").write_bytes(struct.pack("<Q", 1 << 50)),
        "model.safetensors is damaged or cut off",
    ),
    "tensor missing": (drop_tensor, "lacks 1 of its weights, such as model.norm.weight"),
    "index without weights": (index([]), f"its {INDEX} lists no weights"),
    "index of a missing file": (
        index({"model.norm.weight": "model-00002-of-00002.safetensors"}),
        "its weights model-00002-of-00002.safetensors are missing",
    ),
    "index outside the folder": (index({"a": "../../x.safetensors"}), "names the file '../../x.safetensors'"),
    "tokenizer of another shape": (write("tokenizer.json", '{"a": 1}'), "its tokenizer.json is not a tokenizer"),
    "tokenizer cut off": (cut("tokenizer.json", 300), "its tokenizer.json is not a JSON object"),
    "no tokenizer": (
        lambda folder: [(folder / name).unlink() for name in ("tokenizer.json", "tokenizer_config.json")],
        "the tokenizer of .* cannot be loaded",
    ),
    "tokenizer settings of a list": (
        write("tokenizer_config.json", "[]"),
        "its tokenizer_config.json is not a JSON object",
    ),
    "vocabulary beyond the embeddings": (add_words, r"token ids up to 70, and the model has 21 embeddings"),
    "generation settings of text": (
        write("generation_config.json", "{"),
        "its generation_config.json is not a JSON object",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_damaged_model_folder_is_one_sentence(tiny: Path, tmp_path: Path, name: str) -> None:
    change, message = CASES[name]
    folder = Path(shutil.copytree(tiny, tmp_path / "model"))
    change(folder)
    with (
        pytest.raises(SeasDataError, match=message) as caught,
        open_model("T0", ModelInProcess(model=str(folder), device="cpu"), tmp_path),
    ):
        pass
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 900


def test_weights_in_parts_are_loaded(tiny: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    folder = Path(shutil.copytree(tiny, tmp_path / "model"))
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = {name: f"model-0000{1 + (number % 2)}-of-00002.safetensors" for number, name in enumerate(sorted(tensors))}
    for part in sorted(set(names.values())):
        chosen = {name: tensors[name] for name in tensors if names[name] == part}
        save_file(chosen, folder / part, metadata={"format": "pt"})
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": names}))
    with open_model("T0", ModelInProcess(model=str(folder), device="cpu"), tmp_path) as model:
        assert model.name == "T0"


def test_a_damaged_folder_stops_a_build_before_its_sources_are_read(tiny: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny, tmp_path / "model"))
    smoke = CHECKOUT / "pipelines" / "sandbox-smoke.yaml"
    loaded = recipes.load(smoke, [f"models.target.model={folder}"])
    plan.check(loaded)
    cut("model.safetensors", 20_000)(folder)
    with pytest.raises(SeasDataError, match="damaged or cut off"):
        plan.check(loaded)
    with pytest.raises(SeasDataError, match="there is no model at"):
        plan.check(recipes.load(smoke, [f"models.target.model={folder}x"]))


def test_a_whole_folder_is_loadable(tiny: Path) -> None:
    require_loadable(tiny)
