"""Training rows as the token ids that the trainer gets.

Control tokens of the chat template in prompts and sides (``<|im_end|>`` in a response) are read as plain text: they
neither end a turn nor begin one. The trainer itself would read them as control tokens. Only the tags of thinking
count, in a side that begins with it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from seas_data.models import control_tokens
from seas_data.models.control_tokens import TokenIds
from seas_data.models.protocol import PromptFormat
from seas_data.models.thinking import starts_with_thinking


@dataclass(frozen=True)
class RowTokens:
    """The token ids of training rows."""

    prompts: list[TokenIds]
    """Each prompt, up to where an answer would start."""
    whole: dict[str, list[TokenIds]]
    """For each side: each prompt with that side."""
    control_tokens: int
    """Rows whose texts hold control tokens."""

    def to_trainer_rows(self) -> pl.DataFrame:
        """Return the columns that TRL's trainers train on.

        Output columns: for one side (SFT) ``input_ids`` and ``completion_mask`` (1 for a token of the side, 0 for one
        of the prompt); for two (DPO) ``prompt_ids``, ``chosen_ids`` and ``rejected_ids``. A side starts where prompt
        and prompt with side diverge.
        """
        starts = [
            min(_common_prefix(prompt, whole) for whole in sides)
            for prompt, *sides in zip(self.prompts, *self.whole.values(), strict=True)
        ]
        if len(self.whole) == 1:
            (ids,) = self.whole.values()
            masks = [np.arange(len(each)) >= start for each, start in zip(ids, starts, strict=True)]
            return pl.DataFrame({"input_ids": _to_lists(ids), "completion_mask": _to_lists(masks)})
        columns = {"prompt_ids": _to_lists([ids[:start] for ids, start in zip(self.prompts, starts, strict=True)])}
        for side, whole in self.whole.items():
            columns[f"{side}_ids"] = _to_lists([ids[start:] for ids, start in zip(whole, starts, strict=True)])
        return pl.DataFrame(columns)


def tokenize_rows(tokenizer: Any, rows: pl.DataFrame, sides: Sequence[str]) -> RowTokens:
    """Return the token ids of ``rows``: prompt and each of ``sides``, as lists of messages."""
    prompts = rows["prompt"].to_list()
    read = control_tokens.tokenize_as_text(tokenizer, prompts, PromptFormat())
    found = np.array([each.control_tokens for each in read], bool)
    whole = {}
    for side in sides:
        conversations = [prompt + answer for prompt, answer in zip(prompts, rows[side].to_list(), strict=True)]
        thoughts = {each["content"] for answer in rows[side].to_list() for each in answer}
        thoughts = {content for content in thoughts if starts_with_thinking(content)}
        form = PromptFormat(generation_prompt=False)
        both = control_tokens.tokenize_as_text(tokenizer, conversations, form, thoughts)
        whole[side] = [each.ids for each in both]
        found |= np.array([each.control_tokens for each in both], bool)
    return RowTokens([each.ids for each in read], whole, int(found.sum()))


def _common_prefix(one: TokenIds, other: TokenIds) -> int:
    shorter = min(len(one), len(other))
    different = np.flatnonzero(one[:shorter] != other[:shorter])
    return int(different[0]) if len(different) else shorter


def _to_lists(arrays: Sequence[Any]) -> pl.Series:
    return pl.Series([each.astype(np.int64) for each in arrays], dtype=pl.List(pl.Int64))
