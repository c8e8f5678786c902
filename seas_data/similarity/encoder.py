"""Batched encoding of texts with a sentence-transformers model, several times as fast as ``encode``.

On a CPU, four things make it fast: batches hold texts of any lengths one after another, without padding
(``packed_batches``); they are neither so small that overhead counts, nor so large that they leave the cache; matrices
are multiplied in bfloat16 where that is native; and batches run at the same time on worker threads of their own, so
none waits for a core that another process uses (``ordered_workers``). On a GPU, and for models that cannot do without
padding, texts of equal length share a batch, so there is hardly any padding.

One property makes it reproducible: **a text's vector depends on the text only**. The last bits of a vector change
with the shape of its batch, but not with its position in the batch or with the other texts in it. So all batches
without padding have one number of tokens, and otherwise a text's number of tokens determines the shape of its batch; a
batch that is not full is filled up. A build that was killed and is resumed with the missing texts produces the same
bytes, and a vector does not depend on what else was embedded. A batch runs on one thread, so a vector does not depend
on the number of cores either. (Transformers drops an attention mask without gaps and may then run another kernel.
Texts are therefore either never padded or padded by at least one token, independent of the other texts.)
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seas_data.errors import SeasDataError
from seas_data.progress import bar
from seas_data.recipe import Embedder
from seas_data.recipe.paths import is_local_path
from seas_data.similarity import bundled_e5, packed_batches
from seas_data.similarity.bfloat16 import has_native_bf16
from seas_data.similarity.embedder_folder import find_folder, list_files
from seas_data.similarity.ordered_workers import count_workers, run_in_order
from seas_data.store.files import sha256

BATCH_SHAPE_RULE = 2
"""Version of the rule that shapes batches. A new rule changes the last bits of vectors, and so the model keys."""
# Measured: larger batches than 512 tokens (fp32) or 1,024 tokens (bf16) are no faster per token. The overhead is the
# padding of the last batch of each shape: 14 and 30 % of the work at 4,000 texts, 3 and 4 % at 69,000.
BATCH_TOKENS = {("cpu", False): 512, ("cpu", True): 1_024, ("cuda", False): 16_384, ("cuda", True): 16_384}
# Measured for batches without padding: in bf16, 2,048 tokens are 6 and 8 % faster per token than 1,024 and 4,096; in
# fp32, 2 and 6 % faster than 1,024 and 512.
ROW_TOKENS = 2_048
_MAX_UNPADDED_TOKENS = 32


@dataclass(frozen=True)
class Model:
    """A located model.

    ``key``: its name, the digest of its files and prompt, and the precision; vectors are stored under it. ``prompt``:
    the recipe's.
    """

    key: str
    folder: Path
    bf16: bool
    prompt: str | None = None


@dataclass(frozen=True)
class Tokens:
    """Tokens of a list of texts, concatenated: text i has ``ids[starts[i]:starts[i + 1]]``, special tokens included."""

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]


@dataclass(frozen=True)
class Encoder:
    """A loaded model. ``max_tokens``: the number of tokens it reads of a text, special tokens included.

    ``prompt``: text that the model expects before each text. ``head`` and ``tail``: the number of tokens at either end
    of each text that are not its own (special tokens and the prompt). ``prompt_length``: the tokens at the beginning
    that the model's pooling leaves out, or None. ``packs``: whether its batches are rows without padding.
    """

    network: Any
    tokenizer: Any
    max_tokens: int
    dimensions: int
    bf16: bool
    device: torch.device
    prompt: str
    head: int
    tail: int
    prompt_length: int | None = None
    packs: bool = False


def locate_model(embedder: Embedder, unseen: str = "its texts") -> Model:
    """Return the folder and key of ``embedder``, downloading its files from the Hub if needed.

    Raises SeasDataError if the files are missing or could not be downloaded; it names the texts ``unseen`` without it.
    """
    folder = find_folder(embedder, unseen)
    assert folder is not None, "it is downloaded"
    digest = hashlib.sha256()
    for path in list_files(folder):
        digest.update(f"{path.relative_to(folder).as_posix()} {sha256(path)}\n".encode())
    digest.update(f"shapes {BATCH_SHAPE_RULE}\n".encode())
    if embedder.prompt is not None:
        digest.update(f"prompt {embedder.prompt!r}\n".encode())
    bf16 = has_native_bf16() if embedder.precision == "auto" else embedder.precision == "bf16"
    name = folder.resolve().name if is_local_path(embedder.model) else embedder.model.rpartition("/")[2]
    return Model(f"{name}@{digest.hexdigest()[:12]}-{'bf16' if bf16 else 'fp32'}", folder, bf16, embedder.prompt)


def load_encoder(model: Model) -> Encoder:
    """Load ``model`` onto the GPU if there is one; code shipped with a model is never run.

    Raises SeasDataError if the folder is not a text encoder with a fast tokenizer.
    """
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer
    from transformers.utils import logging

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bars_enabled = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with bundled_e5.as_model_folder(model.folder) as folder:
            network = SentenceTransformer(
                str(folder), device=str(device), trust_remote_code=False, local_files_only=True
            ).eval()
        tokenizer = Tokenizer.from_str(network.tokenizer.backend_tokenizer.to_str())
        tokenizer.no_padding()
        tokenizer.no_truncation()
        max_tokens = int(network.max_seq_length)
        chosen = network.default_prompt_name
        own = network.prompts.get(chosen, "") if chosen else ""
        prompt = own if model.prompt is None else model.prompt
        # Some models pool the tokens after the prompt only.
        prompt_length = network.preprocess(["a"], prompt=prompt).get("prompt_length") if prompt else None
        is_special = tokenizer.encode("a").special_tokens_mask
        head, tail = is_special.index(0), is_special[::-1].index(0)
        head += len(tokenizer.encode(prompt.rstrip(), add_special_tokens=False).ids)
        packs = device.type == "cpu" and packed_batches.prepare(network, max_tokens)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SeasDataError(
            f"{model.folder} could not be loaded as a sentence-transformers text encoder ({reason}); use a model with "
            "a fast tokenizer and without custom code"
        ) from error
    finally:
        if bars_enabled:
            logging.enable_progress_bar()
    if model.bf16:
        # Otherwise autocast converts the weights again for every batch.
        for module in network.modules():
            if isinstance(module, torch.nn.Linear):
                module.to(torch.bfloat16)
            if all(isinstance(getattr(module, name, None), torch.nn.Linear) for name in ("query", "key", "value")):
                module.register_forward_pre_hook(_convert_once)
    dimensions = int(network.get_embedding_dimension())
    return Encoder(
        network, tokenizer, max_tokens, dimensions, model.bf16, device, prompt, head, tail, prompt_length, packs
    )


def _convert_once(module: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Convert the input of attention to bfloat16, instead of once each for queries, keys and values."""
    if arguments and isinstance(arguments[0], torch.Tensor) and arguments[0].dtype == torch.float32:
        return arguments[0].bfloat16(), *arguments[1:]
    return arguments


def tokenise(encoder: Encoder, texts: Sequence[str]) -> Tokens:
    """Return the tokens of ``texts``, not truncated, each after the model's default prompt if it has one."""
    parts, lengths = [np.empty(0, np.int32)], []
    with bar(len(texts), "tokenising", "texts") as progress:
        for start in range(0, len(texts), 4_096):
            batch = [encoder.prompt + text for text in texts[start : start + 4_096]]
            encoded = [np.array(one.ids, dtype=np.int32) for one in encoder.tokenizer.encode_batch_fast(batch)]
            lengths += [len(ids) for ids in encoded]
            parts.append(np.concatenate(encoded))
            progress.update(len(batch))
    return Tokens(np.concatenate(parts), np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))


def count_tokens(encoder: Encoder, tokens: Tokens) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each text's number of tokens and the proportion of them (without special tokens) unknown to the model."""
    lengths = np.diff(tokens.starts)
    unknown = np.concatenate([[0], np.cumsum(tokens.ids == _unknown_id(encoder))])
    content_tokens = lengths - encoder.tokenizer.num_special_tokens_to_add(is_pair=False)
    # A text of special tokens only (an empty text) counts as unknown.
    proportion = np.where(content_tokens > 0, np.diff(unknown[tokens.starts]) / np.maximum(content_tokens, 1), 1.0)
    return lengths, proportion


def _unknown_id(encoder: Encoder) -> int:
    unknown_id = encoder.network.tokenizer.unk_token_id
    return -1 if unknown_id is None else int(unknown_id)


def cut_windows(encoder: Encoder, text: str, starts: Sequence[int]) -> list[tuple[str, float]]:
    """Return the text of each window of a long ``text``, and the proportion of its tokens unknown to the model."""
    encoded = encoder.tokenizer.encode(encoder.prompt + text)
    ids, offsets = np.array(encoded.ids), encoded.offsets
    unknown = ids == _unknown_id(encoder)
    size = encoder.max_tokens - encoder.head - encoder.tail
    first = [encoder.head + start for start in starts]
    return [
        ((encoder.prompt + text)[offsets[at][0] : offsets[at + size - 1][1]], float(unknown[at : at + size].mean()))
        for at in first
    ]


@dataclass(frozen=True)
class Windows:
    """Windows of texts: the text of each, and its first token, not counting those every text begins with."""

    texts: NDArray[np.int64]
    starts: NDArray[np.int64]


def find_first_equal(
    encoder: Encoder, tokens: Tokens, texts: NDArray[np.int64], starts: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the index of the first equal window of a long text for each window (see ``encode``), or its own.

    Prompts in one wrapper begin with equal windows.
    """
    first, seen = np.arange(len(texts)), dict[bytes, int]()
    size = encoder.max_tokens - encoder.head - encoder.tail
    for at in np.flatnonzero(np.diff(tokens.starts)[texts] > encoder.max_tokens).tolist():
        begin = tokens.starts[texts[at]] + encoder.head + starts[at]
        first[at] = seen.setdefault(tokens.ids[begin : begin + size].tobytes(), at)
    return first


Batch = tuple[NDArray[np.int64], NDArray[np.float32]]


def encode(
    encoder: Encoder, tokens: Tokens, texts: NDArray[np.int64], starts: NDArray[np.int64] | None = None
) -> Iterator[Batch]:
    """Yield (indices of ``texts``, unit vectors) of windows of the given ``texts``, batch by batch.

    A window is a whole text, or ``max_tokens`` of one: those from the one in ``starts`` on (0 by default), between the
    tokens that every text begins and ends with. The longest texts come first, so peak memory shows at once and the
    remaining time is never underestimated. The order of the batches does not depend on the number of workers.
    """
    windows = Windows(texts, np.zeros_like(texts) if starts is None else starts)
    lengths = np.minimum(np.diff(tokens.starts)[texts], encoder.max_tokens)
    if encoder.packs:
        rows_of_texts = packed_batches.plan_rows(lengths, ROW_TOKENS)
        jobs = (partial(_run_row, encoder, tokens, windows, chosen) for chosen in rows_of_texts)
    else:
        jobs = (partial(_run_batch, encoder, tokens, windows, *batch) for batch in _plan_batches(encoder, lengths))
    with bar(int(lengths.sum()), "embedding", "tokens") as progress:
        for rows, vectors in run_in_order(jobs, count_workers(encoder.device), encoder.device):
            yield rows, vectors
            progress.update(int(lengths[rows].sum()))


def _plan_batches(encoder: Encoder, lengths: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], int, int]]:
    """Yield the windows of each batch, the number of them it is filled up to, and the number of tokens of each."""
    padded = choose_batch_lengths(lengths, encoder.max_tokens)
    budget = BATCH_TOKENS[encoder.device.type, encoder.bf16]
    order = np.argsort(-padded, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(padded[order])) + 1) if len(order) else ():
        width = min(int(padded[group[0]]), encoder.max_tokens)
        size = max(1, budget // width)
        for start in range(0, len(group), size):
            yield group[start : start + size], size, width


def choose_batch_lengths(lengths: NDArray[np.int64], max_tokens: int) -> NDArray[np.int64]:
    """Return, for each length in tokens, the padded length of its batch.

    Short texts and texts of exactly ``max_tokens`` are not padded; other lengths round up to steps a sixteenth apart.
    Texts of exactly ``max_tokens`` get ``max_tokens + 1``, which keeps them in batches of their own.
    """
    steps = [_MAX_UNPADDED_TOKENS + 1]
    while steps[-1] < max_tokens:
        steps.append(min(max_tokens, steps[-1] + steps[-1] // 16))
    grid = np.array([*steps, max_tokens + 1])
    return np.where(lengths <= _MAX_UNPADDED_TOKENS, lengths, grid[np.searchsorted(grid[:-1], lengths, side="right")])


def _run_batch(
    encoder: Encoder, tokens: Tokens, windows: Windows, chosen: NDArray[np.int64], size: int, width: int
) -> Batch:
    """Return ``chosen`` and the unit vectors of these windows.

    The batch is filled up to ``size`` windows, each padded to ``width`` tokens on the tokenizer's padding side.
    """
    rows = np.resize(chosen, size)
    first, last = tokens.starts[windows.texts[rows]][:, None], tokens.starts[windows.texts[rows] + 1][:, None]
    lengths = np.minimum(last - first, encoder.max_tokens)
    columns = np.arange(width)
    if encoder.network.tokenizer.padding_side == "left":
        columns = columns - (width - lengths)
    else:
        columns = np.broadcast_to(columns, (len(rows), width))
    mask = (columns >= 0) & (columns < lengths)
    positions = _find_tokens(encoder, first, last, lengths, windows.starts[rows][:, None], columns)
    ids = np.where(mask, tokens.ids[np.where(mask, positions, 0)], encoder.network.tokenizer.pad_token_id or 0)
    features = {"input_ids": ids.astype(np.int64), "attention_mask": mask.astype(np.int64)}
    with torch.inference_mode(), _autocast(encoder):
        inputs: dict[str, Any] = {name: _to_device(part, encoder.device) for name, part in features.items()}
        if encoder.prompt_length is not None:
            inputs["prompt_length"] = encoder.prompt_length
        output = encoder.network(inputs)
        # Only the batch's own texts are copied back, on the worker's own stream.
        vectors = output["sentence_embedding"][: len(chosen)].double().cpu().numpy()
    return chosen, _normalise(vectors)


def _run_row(encoder: Encoder, tokens: Tokens, windows: Windows, chosen: NDArray[np.int64]) -> Batch:
    """Return ``chosen`` and the unit vectors of these windows, which fill one row of ``ROW_TOKENS`` or less."""
    first, last = tokens.starts[windows.texts[chosen]], tokens.starts[windows.texts[chosen] + 1]
    lengths = np.minimum(last - first, encoder.max_tokens)
    columns = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    text = np.repeat(np.arange(len(chosen)), lengths)
    positions = _find_tokens(encoder, first[text], last[text], lengths[text], windows.starts[chosen][text], columns)
    with torch.inference_mode(), _autocast(encoder):
        ids = tokens.ids[positions]
        output = packed_batches.embed_row(encoder.network, ids, lengths, ROW_TOKENS, encoder.prompt_length)
        vectors = output.double().numpy()
    return chosen, _normalise(vectors)


def _find_tokens(
    encoder: Encoder,
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    lengths: NDArray[np.int64],
    starts: NDArray[np.int64],
    columns: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Return where in all tokens those of the given columns of windows are.

    The text's tokens are from ``first`` to ``last``. The window has ``lengths`` of them: those that every text begins
    and ends with and, between them, those from ``starts`` on.
    """
    positions = first + columns + np.where(columns >= encoder.head, starts, 0)
    return np.where(columns >= lengths - encoder.tail, last - lengths + columns, positions)


def _autocast(encoder: Encoder) -> torch.autocast:
    return torch.autocast(encoder.device.type, torch.bfloat16, enabled=encoder.bf16)


def _normalise(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit


def _to_device(values: NDArray[np.int64], device: torch.device) -> torch.Tensor:
    tensor = torch.from_numpy(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
