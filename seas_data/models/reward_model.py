"""Reward model: a sequence classifier that rates an answer with one number.

The conversation (prompt as the user's message, response as the assistant's) is rendered by the model's own chat
template. Batches depend only on the texts, so the same answers get the same rewards.
"""

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.errors import SeasDataError
from seas_data.models import chat_template, checkpoint, control_tokens, generation_cache, transformers_backend
from seas_data.models.checkpoint_files import require_loadable
from seas_data.models.loading import require_vocabulary
from seas_data.models.protocol import PromptFormat
from seas_data.progress import bar
from seas_data.recipe import ModelInProcess

REWARDS: Final = {"response_id": pl.String(), "reward": pl.Float64()}


def compute_rewards(settings: ModelInProcess, answers: pl.DataFrame) -> pl.DataFrame:
    """Return the reward of each answer.

    Input columns: ``response_id``, ``prompt``, ``response``.
    Output columns: ``response_id``, ``reward`` (null if the conversation exceeds the model's length), sorted by id.

    Raises SeasDataError if the model cannot be loaded, has no chat template, or has more than one output.
    """
    if answers.is_empty():
        return pl.DataFrame(schema=REWARDS)
    texts = answers.unique(["prompt", "response"]).sort("prompt", "response").select("prompt", "response")
    rewards = pl.Series("reward", _rate(settings, texts), pl.Float64).fill_nan(None)
    transformers_backend.free_memory()
    rated = answers.join(texts.with_columns(rewards), on=["prompt", "response"], how="left")
    return rated.select(REWARDS.keys()).sort("response_id")


def _rate(settings: ModelInProcess, texts: pl.DataFrame) -> NDArray[np.float64]:
    """Return the reward of each row of ``texts`` (prompt, response), NaN for those that are too long."""
    import torch
    from transformers import AutoModelForSequenceClassification

    folder = checkpoint.resolve_folder(settings.model, settings.revision)
    require_loadable(folder)
    tokenizer = chat_template.load_tokenizer(str(folder), template=settings.chat_template)
    model = transformers_backend.load(folder, settings, AutoModelForSequenceClassification)
    require_vocabulary(model, tokenizer, settings.model)
    if model.config.num_labels != 1:
        raise SeasDataError(
            f"{settings.model} has {model.config.num_labels} outputs, and a reward model has one; name another model"
        )
    model.config.pad_token_id = tokenizer.pad_token_id  # the model uses it to locate the end of each text
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", None) or 1 << 30
    conversations = [
        [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
        for prompt, response in texts.rows()
    ]
    prompt_format = PromptFormat(generation_prompt=False)
    tokens = [each.ids for each in control_tokens.tokenize_as_text(tokenizer, conversations, prompt_format)]
    lengths = np.array([len(ids) for ids in tokens], np.int64)
    fitting = np.flatnonzero(lengths <= longest)
    rewards = np.full(len(tokens), np.nan)
    with bar(len(fitting), "rewards", "answers") as progress, torch.inference_mode():
        for batch in generation_cache.plan_batches(
            lengths[fitting], 0, settings.max_batch_tokens, settings.max_batch_rows
        ):
            rows = fitting[batch]
            ids = np.full((len(rows), int(lengths[rows].max())), tokenizer.pad_token_id, np.int64)
            for position, row in enumerate(rows):
                ids[position, : lengths[row]] = tokens[row]
            mask = np.arange(ids.shape[1]) < lengths[rows][:, None]
            inputs = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask.astype(np.int64))}
            logits = model(**{name: tensor.to(model.device) for name, tensor in inputs.items()}).logits
            rewards[rows] = logits[:, 0].double().cpu().numpy()
            progress.update(len(rows))
    return rewards
