"""A reward model: how good an answer is, as the one number that a sequence classifier gives to a conversation.

It is asked with its own chat template: the prompt as the user's turn, the response as the assistant's. Texts are put in
batches by length, in an order that hangs on them alone, so that the same answers get the same rewards.
"""

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seas_data.errors import SeasDataError
from seas_data.models import chat, checkpoint, in_process
from seas_data.models import generation_cache as parts
from seas_data.models.protocol import Asking
from seas_data.progress import bar
from seas_data.recipe import ModelInProcess

REWARDS: Final = {"response_id": pl.String(), "reward": pl.Float64()}


def rewards(settings: ModelInProcess, answers: pl.DataFrame) -> pl.DataFrame:
    """Return response_id and reward of ``answers`` (response_id, prompt, response), sorted by id.

    The reward is null where the two texts are longer than the model can read. Raises SeasDataError if the model cannot
    be loaded, has no chat template, or gives more than one number.
    """
    if answers.is_empty():
        return pl.DataFrame(schema=REWARDS)
    texts = answers.unique(["prompt", "response"]).sort("prompt", "response").select("prompt", "response")
    scores = pl.Series("reward", _scores(settings, texts), pl.Float64).fill_nan(None)
    in_process.free_memory()
    found = answers.join(texts.with_columns(scores), on=["prompt", "response"], how="left")
    return found.select(REWARDS.keys()).sort("response_id")


def _scores(settings: ModelInProcess, texts: pl.DataFrame) -> NDArray[np.float64]:
    """Return the reward of each of ``texts`` (prompt, response), NaN where they are too long."""
    import torch
    from transformers import AutoModelForSequenceClassification

    folder = checkpoint.place(settings.model, settings.revision)
    tokenizer = chat.load_tokenizer(str(folder), template=settings.chat_template)
    model = in_process.load(folder, settings, AutoModelForSequenceClassification)
    if model.config.num_labels != 1:
        raise SeasDataError(f"{settings.model} gives {model.config.num_labels} numbers to an answer; a reward is one")
    model.config.pad_token_id = tokenizer.pad_token_id  # by it the model finds where a text ends
    longest = getattr(model.config.get_text_config(), "max_position_embeddings", None) or 1 << 30
    said = [
        [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]
        for prompt, response in texts.rows()
    ]
    written = chat.render(tokenizer, said, Asking(generation_prompt=False))
    tokens = [np.asarray(ids, np.int64) for ids in tokenizer(written, add_special_tokens=False)["input_ids"]]
    lengths = np.array([len(ids) for ids in tokens], np.int64)
    fitting = np.flatnonzero(lengths <= longest)
    scores = np.full(len(tokens), np.nan)
    with bar(len(fitting), "rewards", "answers") as progress, torch.inference_mode():
        for batch in parts.plan(lengths[fitting], 0, settings.batch_tokens, settings.batch_rows):
            rows = fitting[batch]
            ids = np.full((len(rows), int(lengths[rows].max())), tokenizer.pad_token_id, np.int64)
            for place, row in enumerate(rows):
                ids[place, : lengths[row]] = tokens[row]
            mask = np.arange(ids.shape[1]) < lengths[rows][:, None]
            given = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask.astype(np.int64))}
            logits = model(**{name: part.to(model.device) for name, part in given.items()}).logits
            scores[rows] = logits[:, 0].double().cpu().numpy()
            progress.update(len(rows))
    return scores
