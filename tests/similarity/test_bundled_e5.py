"""The weights of the extra `multilingual`: a small file of the same format becomes an ordinary model."""

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from seas_data.errors import SeasDataError
from seas_data.recipe import Embedder
from seas_data.similarity import bundled_e5, embedder_folder, encoder
from seas_data.similarity.embedder_folder import E5_FILE, E5_NAME

PIECES = ["<s>", "<pad>", "</s>", "<unk>", "\u2581query", ":", "\u2581bread", "\u2581lamp", "s", "\u2581", "\u2581Brot"]
HIDDEN, INNER, POSITIONS = 32, 64, 16
MATRICES = {"q": (HIDDEN, HIDDEN), "k": (HIDDEN, HIDDEN), "v": (HIDDEN, HIDDEN), "ao": (HIDDEN, HIDDEN)} | {
    "fi": (INNER, HIDDEN),
    "fo": (HIDDEN, INNER),
}


def quantised(rows: int, columns: int, lot: np.random.Generator) -> tuple[bytes, NDArray[np.float32]]:
    """Return a matrix in the blocks of the format, and its values."""
    numbers = lot.integers(0, 16, (rows * columns // 32, 32))
    scales = lot.uniform(0.01, 0.1, len(numbers)).astype("<f2")
    blocks = [
        scale.tobytes() + (low | (high << 4)).astype(np.uint8).tobytes()
        for scale, low, high in zip(scales, numbers[:, :16], numbers[:, 16:], strict=True)
    ]
    values = (numbers - 8).astype(np.float32) * scales.astype(np.float32)[:, None]
    return b"".join(blocks), values.reshape(rows, columns)


@pytest.fixture
def made(tmp_path: Path) -> tuple[Path, dict[str, NDArray[np.float32]]]:
    """A folder with a file of one layer, and the values of its matrices by the format's names."""
    lot = np.random.default_rng(0)
    tensors = {"emb.pos": lot.standard_normal((POSITIONS, HIDDEN)), "emb.type": np.zeros((2, HIDDEN))}
    tensors |= {name: np.ones(HIDDEN) for name in ("emb.ln.w", "l0.aln.w", "l0.oln.w")}
    tensors |= {name: np.zeros(HIDDEN) for name in ("emb.ln.b", "l0.aln.b", "l0.oln.b")}
    tensors |= {f"l0.{name}.b": np.zeros(rows) for name, (rows, _) in MATRICES.items()}
    contents = {name: np.asarray(values, "<f4").tobytes() for name, values in tensors.items()}
    matrices = {}
    shapes = {"emb.word": (len(PIECES), HIDDEN)} | {f"l0.{name}.w": shape for name, shape in MATRICES.items()}
    for name, shape in shapes.items():
        contents[name], matrices[name] = quantised(*shape, lot)
    head = struct.pack("<4sI7ifi", b"E5S1", 1, HIDDEN, 1, 2, INNER, len(PIECES), POSITIONS, 2, 1e-12, 32)
    text = [piece.encode() for piece in PIECES]
    head += struct.pack("<5iQ", len(text), 0, 2, 1, 3, sum(map(len, text)))
    head += np.cumsum([0, *map(len, text)]).astype("<u4").tobytes()
    head += np.asarray([0, 0, 0, 0, -2, -2, -3, -3, -4, -5, -3], "<f4").tobytes() + b"".join(text)
    head += struct.pack("<iI", 1, 9) + struct.pack("<IB", 0x2126, 1) + struct.pack("<I", 0x3A9)
    head += struct.pack("<i", len(contents))
    at = len(head) + sum(2 + len(name) + 21 for name in contents)
    for name, content in contents.items():
        head += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", 0, 0, at, len(content))
        at += len(content)
    (tmp_path / E5_FILE).write_bytes(head + b"".join(contents.values()))
    return tmp_path, matrices


def test_the_weights_are_those_of_the_file(made: tuple[Path, dict[str, NDArray[np.float32]]], tmp_path: Path) -> None:
    folder, matrices = made
    (tmp_path / "model").mkdir()
    bundled_e5.write_model(folder / E5_FILE, tmp_path / "model")
    written = load_file(tmp_path / "model" / "model.safetensors")
    for name, values in matrices.items():
        np.testing.assert_array_equal(written[bundled_e5._rename(name)], values)
    assert written["embeddings.position_embeddings.weight"].shape == (POSITIONS, HIDDEN)


def test_it_is_loaded_as_a_model_with_its_prompt_and_length(made: tuple[Path, dict[str, NDArray[np.float32]]]) -> None:
    located = encoder.locate_model(Embedder(model=str(made[0]), precision="fp32"))
    loaded = encoder.load_encoder(located)
    assert (loaded.prompt, loaded.max_tokens, loaded.head, loaded.tail) == ("query: ", POSITIONS, 3, 1)
    texts = ["bread lamps", "Brot", " bread  lamp ", "stone"]
    tokens = encoder.tokenise(loaded, texts)
    first = tokens.ids[: tokens.starts[1]].tolist()
    assert [PIECES[number] for number in first] == ["<s>", "\u2581query", ":", "\u2581bread", "\u2581lamp", "s", "</s>"]
    assert encoder.count_tokens(loaded, tokens)[1].tolist()[:3] == [0, 0, 0]
    assert encoder.count_tokens(loaded, tokens)[1][3] > 0.1
    ((rows, vectors), *_) = encoder.encode(loaded, tokens, np.arange(1))
    assert (vectors * loaded.network.encode(texts[:1])).sum() > 0.999999 and rows.tolist() == [0]
    (made[0] / "README.md").write_text("about it")
    assert encoder.locate_model(Embedder(model=str(made[0]), precision="fp32")).key == located.key


@pytest.mark.parametrize("content", [b"", b"E5S1" + b"\0" * 60, b"E5S1\1\0\0\0 \0\0\0"])
def test_another_file_gets_a_clear_message(tmp_path: Path, content: bytes) -> None:
    (tmp_path / E5_FILE).write_bytes(content)
    located = encoder.locate_model(Embedder(model=str(tmp_path), precision="fp32"))
    with pytest.raises(SeasDataError, match=r"cannot be read as the weights of .* install `seas-data\[multilingual\]`"):
        encoder.load_encoder(located)


def test_a_missing_package_and_a_revision_get_a_clear_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedder_folder, "find_package_file", lambda package, file: None)
    with pytest.raises(SeasDataError, match=r"is not installed, so 7 texts cannot be compared .*multilingual\]`"):
        encoder.locate_model(Embedder(model=E5_NAME), "7 texts")
    with pytest.raises(SeasDataError, match=r"comes in a package, .* set no revision"):
        encoder.locate_model(Embedder(model=E5_NAME, revision="0" * 40))
