"""Batches without padding: texts of any lengths one after another in one row of a fixed number of tokens.

Most of a model works on each token alone. Only attention and pooling need to know where texts begin, so attention is
computed for each group of equally long texts, and pooling by sentence-transformers, which knows such rows from flash
attention. The row always has as many tokens, so a token's matrix products do not depend on the other texts.
"""

from collections.abc import Iterator
from contextvars import ContextVar
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

_NAME = "seas_data_packed"
_PROBE_LENGTHS = (512, 40, 7, 7, 3)
_FILLER_TOKENS = 32
# What models with another kind of attention pass to it.
_UNSUPPORTED = ("position_bias", "sliding_window", "softcap")
# Softmax is several times as slow per key if their number is not a multiple of the vector size.
_KEYS_STEP = {torch.bfloat16: 32}
_lengths: ContextVar[list[int] | None] = ContextVar("lengths of the texts in the row", default=None)


def plan_rows(lengths: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    """Yield the texts of each row: the longest first, at most ``size`` tokens, or one text that is longer."""
    order = np.argsort(-lengths, kind="stable")
    start, used = 0, 0
    for at, length in enumerate(lengths[order].tolist()):
        if at > start and used + length > size:
            yield order[start:at]
            start, used = at, 0
        used += length
    if start < len(order):
        yield order[start:]


def prepare(network: Any, max_tokens: int) -> bool:
    """Prepare ``network`` for rows and return whether it gives the same vectors for them as for single texts.

    It does not if tokens of different texts affect each other, as in models with an attention of their own.
    """
    from sentence_transformers.models import Normalize, Pooling, Transformer

    # The result of other modules, such as dense layers, could depend on the number of texts in the row.
    kinds = (Transformer, Pooling, Normalize)
    if len(network) not in (2, 3) or not all(map(isinstance, network, kinds)):
        return False
    model = network[0].auto_model
    if not getattr(model, "is_backend_compatible", lambda: False)():
        return False
    original = model.config._attn_implementation
    _register()
    try:
        model.set_attn_implementation(_NAME)
        if _gives_equal_vectors(network, max_tokens):
            return True
    except (RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError):
        pass  # it cannot do without padding
    model.set_attn_implementation(original)
    return False


def _gives_equal_vectors(network: Any, max_tokens: int) -> bool:
    lengths = np.minimum(_PROBE_LENGTHS, max_tokens)
    ids = np.random.default_rng(0).integers(0, len(network.tokenizer), lengths.sum())
    ids[ids == network.tokenizer.pad_token_id] += 1
    with torch.inference_mode():
        together = embed_row(network, ids, lengths, len(ids))
        alone = []
        for text in np.split(ids, np.cumsum(lengths)[:-1]):
            row = torch.from_numpy(text[None])
            alone.append(network({"input_ids": row, "attention_mask": torch.ones_like(row)})["sentence_embedding"][0])
    difference = (together - torch.stack(alone)).norm(dim=1) / together.norm(dim=1)
    return bool((difference < 1e-4).all())


def embed_row(
    network: Any, ids: NDArray[Any], lengths: NDArray[np.int64], size: int, prompt_length: int | None = None
) -> torch.Tensor:
    """Return the vectors of the texts in one row: text i has the next ``lengths[i]`` of ``ids``.

    A row of less than ``size`` tokens is filled up with short texts that are not returned.
    """
    filler = min(_FILLER_TOKENS, int(network.max_seq_length))
    fill, rest = divmod(max(size - len(ids), 0), filler)
    counts = np.array([*lengths, *[filler] * fill, *[rest] * (rest > 0)])
    bounds = np.concatenate([[0], np.cumsum(counts)])
    row = np.zeros(bounds[-1], np.int64)
    row[: len(ids)] = ids
    places = np.arange(len(row)) - np.repeat(bounds[:-1], counts)
    features: dict[str, Any] = {
        "input_ids": torch.from_numpy(row[None]),
        "position_ids": torch.from_numpy(places[None] + _first_position(network[0].auto_model)),
        "cu_seq_lens_q": torch.from_numpy(bounds),
        "seq_idx": torch.from_numpy(np.repeat(np.arange(len(counts)), counts)[None]),
    }
    if prompt_length is not None:
        features["prompt_length"] = prompt_length
    token = _lengths.set(counts.tolist())
    try:
        vectors: torch.Tensor = network(features)["sentence_embedding"][: len(lengths)]
    finally:
        _lengths.reset(token)
    return vectors


def _first_position(model: Any) -> int:
    """Return the number of the first position: models of RoBERTa's kind count from behind that of padding."""
    positions = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = getattr(positions, "padding_idx", None)
    return 0 if padding is None else padding + 1


def _register() -> None:
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(_NAME, _attend)
    AttentionMaskInterface.register(_NAME, _make_mask)


def _make_mask(*args: Any, **options: Any) -> Any:
    """Make no mask for a row, and that of torch's attention otherwise."""
    from transformers.masking_utils import sdpa_mask

    return sdpa_mask(*args, **options) if _lengths.get() is None else None


def _attend(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None, **options: Any
) -> tuple[torch.Tensor, None]:
    """Compute the attention of each text of a row, or torch's attention if there is none."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    lengths = _lengths.get()
    if lengths is None:
        attended: tuple[torch.Tensor, None] = sdpa_attention_forward(module, query, key, value, mask, **options)
        return attended
    is_causal = options.get("is_causal")
    if (getattr(module, "is_causal", True) if is_causal is None else is_causal) or key.shape != query.shape:
        raise ValueError("only encoders without grouped heads attend within rows")
    if any(options.get(name) is not None for name in _UNSUPPORTED):
        raise ValueError("this kind of attention does not work within rows")
    query, key, value = (part[0].transpose(0, 1) for part in (query, key, value))
    out = torch.empty(query.shape, dtype=query.dtype)
    start = 0
    for length, group in groupby(lengths):
        stop = start + length * len(list(group))
        each, shape = slice(start, stop), (-1, length, *query.shape[1:])
        texts = [part[each].view(shape).transpose(1, 2) for part in (query, key, value)]
        found = _attend_equal_lengths(texts[0], texts[1], texts[2], options.get("scaling"))
        out[each].view(shape).copy_(found.transpose(1, 2))
        start = stop
    return out[None], None


def _attend_equal_lengths(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float | None
) -> torch.Tensor:
    length = key.shape[2]
    more = -length % _KEYS_STEP.get(key.dtype, 1)
    bias = None
    if more:
        key, value = (torch.nn.functional.pad(part, (0, 0, 0, more)) for part in (key, value))
        bias = query.new_zeros(1, 1, 1, length + more)
        bias[..., length:] = -torch.inf
    return torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=scale)
