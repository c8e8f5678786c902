"""Reward model: a sequence classifier that rates an answer with one number.

The conversation (all turns of the prompt, and the response as the assistant's last message) is rendered by the model's
own chat template. Batches depend only on the texts, so the same answers get the same rewards.
"""

from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.conversation import Message, turns_of
from seas_data.errors import SeasDataError
from seas_data.models import chat_template, control_tokens, generation_cache, model_folder, transformers_backend
from seas_data.models.checkpoint_files import require_loadable
from seas_data.models.loading import require_vocabulary
from seas_data.models.protocol import PromptFormat
from seas_data.progress import bar
from seas_data.recipe import ModelInProcess

REWARDS: Final = {"response_id": pl.String(), "reward": pl.Float64()}


def compute_rewards(settings: ModelInProcess, answers: pl.DataFrame) -> pl.DataFrame:
    """Return the reward of each answer.

    Input columns: ``response_id``, ``prompt``, ``response``; optional ``messages``, the turns of a conversation.
    Output columns: ``response_id``, ``reward`` (null if the conversation exceeds the model's length or its turns cannot
    be rendered by the chat template), sorted by id.

    Raises SeasDataError if the model cannot be loaded, has no chat template, or has more than one output.
    """
    if answers.is_empty():
        return pl.DataFrame(schema=REWARDS)
    texts = answers.unique(["prompt", "response"]).sort("prompt", "response")
    rewards = pl.Series("reward", _rate(settings, texts), pl.Float64).fill_nan(None)
    transformers_backend.free_memory()
    rated = texts.select("prompt", "response").with_columns(rewards)
    rated = answers.join(rated, on=["prompt", "response"], how="left")
    return rated.select(REWARDS.keys()).sort("response_id")


def _tokenize(tokenizer: Any, texts: pl.DataFrame) -> list[control_tokens.TokenIds]:
    """Return the token ids of each prompt and response; none where the chat template cannot render the turns."""
    chat_template.require_template(tokenizer)
    turns = texts["messages"].to_list() if "messages" in texts.columns else [None] * texts.height
    conversations = [
        [turn._asdict() for turn in (*turns_of(prompt, messages), Message("assistant", response))]
        for (prompt, response), messages in zip(texts.select("prompt", "response").rows(), turns, strict=True)
    ]
    prompt_format = PromptFormat(generation_prompt=False)
    refusals = chat_template.find_refusals(tokenizer, conversations, prompt_format)
    shown = [each for each, why in zip(conversations, refusals, strict=True) if why is None]
    read = iter(control_tokens.tokenize_as_text(tokenizer, shown, prompt_format))
    return [next(read).ids if why is None else np.array([], np.int64) for why in refusals]


def _rate(settings: ModelInProcess, texts: pl.DataFrame) -> NDArray[np.float64]:
    """Return the reward of each row of ``texts`` (prompt, response, optional messages), NaN for those without one."""
    import torch
    from transformers import AutoModelForSequenceClassification

    folder = model_folder.resolve_folder(settings.model, settings.revision)
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
    tokens = _tokenize(tokenizer, texts)
    lengths = np.array([len(ids) for ids in tokens], np.int64)
    fitting = np.flatnonzero((lengths <= longest) & (lengths > 0))
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
