"""Prompt cache: samples of one request are generated together, and the model reads their common request once.

A batch of four samples each of sixteen requests has 64 rows and sixteen requests. ``generate`` would read 64.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def read_requests_once(model: Any, ids: NDArray[np.int64], mask: NDArray[np.int64]) -> Any:
    """Return the cache of all tokens of ``ids`` but the last, of which equal rows are computed once.

    ``ids`` and ``mask``: tokens, padded on the left, and which of them are no padding; (rows, width).

    It is what ``generate`` takes as ``past_key_values``. Returns None if no rows are equal, if a row has a single
    token, and for models that prepare their inputs in a way of their own or whose cache cannot be repeated, such as
    those with a recurrent state.
    """
    import torch
    from transformers import GenerationMixin
    from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

    requests, row_of = np.unique(np.concatenate([mask, ids], 1), axis=0, return_index=True, return_inverse=True)[1:]
    own_inputs = type(model).prepare_inputs_for_generation is not GenerationMixin.prepare_inputs_for_generation
    if len(requests) == len(ids) or int(mask.sum(1).min()) < 2 or own_inputs:
        return None
    read_ids, read_mask = (torch.from_numpy(part[requests, :-1]).to(model.device) for part in (ids, mask))
    positions = (read_mask.cumsum(1) - 1).clamp(min=0)
    cache = model.base_model(
        input_ids=read_ids, attention_mask=read_mask, position_ids=positions, use_cache=True
    ).past_key_values
    if type(cache) is not DynamicCache or any(
        type(layer) not in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers
    ):
        return None
    cache.batch_select_indices(torch.from_numpy(row_of.reshape(-1)).to(model.device))
    return cache
