"""Checks of training rows before the trainer starts, for problems that the trainer ignores.

The trainer silently drops a row whose prompt fills ``max_length``: here it is left out and counted, and so is a pair
whose sides differ only after ``max_length``, where the trainer cuts them off. Pairs with equal sides are refused,
because they teach nothing. A model without a chat template is refused, and so is one whose template
does not end an answer with a stop token, because it would never learn to stop.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from seas_data.errors import SeasDataError
from seas_data.models import chat_template
from seas_data.models.protocol import PromptFormat
from seas_data.recipe import TrainingSettings
from seas_data.store import files
from seas_data.tables.ids import messages

SIDES = {"sft": ("completion",), "dpo": ("chosen", "rejected")}
_MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))


class NotEnoughPairsError(SeasDataError):
    """Too few rows to train on. The loop handles it: the model stays unchanged in this iteration."""


@dataclass(frozen=True)
class CheckedRows:
    """Rows to train on, and counts.

    Attributes:
        rows: prompt and each side, as lists of messages.
        counts: rows, too_long and same_cut_off (left out: the prompt fills max_length; the sides are equal within it),
            cut_off (longer than max_length), and the mean number of tokens of the prompt and each side. same_cut_off
            only if there are any.
    """

    rows: pl.DataFrame
    counts: dict[str, float]


def check_rows(table: pl.DataFrame, method: str, model: str, settings: TrainingSettings) -> CheckedRows:
    """Return the rows of ``table`` that can be trained on.

    Raises NotEnoughPairsError with fewer than ``min_rows`` rows, and SeasDataError if a row or the model's chat
    template cannot be used.
    """
    rows = as_message_rows(table, method)
    if method == "dpo":
        _refuse_equal_sides(rows)
    _require_rows(rows.height, settings.min_rows, left_out=0)
    tokenizer = load_tokenizer(model, settings)
    prompts = rows["prompt"].to_list()
    prompt_tokens, _ = _count_tokens(tokenizer, prompts, settings.max_length, open_end=True)
    counted = {
        side: _count_tokens(tokenizer, _join_messages(prompts, rows[side].to_list()), settings.max_length)
        for side in SIDES[method]
    }
    whole = {side: lengths for side, (lengths, _) in counted.items()}
    _require_stop_token(tokenizer, model, prompts[0] + rows[SIDES[method][0]][0].to_list())
    fits = prompt_tokens < settings.max_length
    too_long = int((~fits).sum())
    same = np.zeros_like(fits)
    if method == "dpo":
        (_, chosen), (_, rejected) = counted["chosen"], counted["rejected"]
        same = fits & np.array([one == other for one, other in zip(chosen, rejected, strict=True)], dtype=bool)
        fits &= ~same
    _require_rows(int(fits.sum()), settings.min_rows, left_out=too_long, same=int(same.sum()))
    longest = np.max(list(whole.values()), axis=0)
    counts: dict[str, float] = {
        "rows": int(fits.sum()),
        "too_long": too_long,
        **({"same_cut_off": int(same.sum())} if same.any() else {}),
        "cut_off": int((fits & (longest > settings.max_length)).sum()),
        "tokens_prompt": float(prompt_tokens[fits].mean()),
        **{f"tokens_{side}": float((tokens - prompt_tokens)[fits].mean()) for side, tokens in whole.items()},
    }
    return CheckedRows(rows.filter(pl.Series(fits)), counts)


def as_message_rows(table: pl.DataFrame, method: str) -> pl.DataFrame:
    """Return prompt and sides as lists of messages; texts are converted. Raises SeasDataError for other columns."""
    columns = ("prompt", *SIDES[method])
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise SeasDataError(f"the training rows lack the columns {', '.join(missing)}")
    roles = {"prompt": "user"} | dict.fromkeys(SIDES[method], "assistant")
    chosen = [
        messages(roles[name], name).alias(name) if table.schema[name] == pl.String else pl.col(name) for name in columns
    ]
    rows = table.select(chosen)
    try:
        rows = rows.cast(dict.fromkeys(columns, _MESSAGES))
    except pl.exceptions.PolarsError as problem:
        raise SeasDataError("prompt and sides must be texts or lists of messages (role, content)") from problem
    for name in columns:
        silent = pl.col(name).list.eval(pl.element().struct.field("content").is_null()).list.any()
        blank = rows.select(silent.fill_null(True) | (pl.col(name).list.len() == 0)).to_series()
        if blank.any():
            raise SeasDataError(f"training row {blank.arg_true()[0] + 1} has no {name}")
    return rows


def write_arrow(path: Path, rows: pl.DataFrame) -> None:
    """Write ``rows`` as an Arrow stream, which `datasets` memory-maps, so that all processes share it."""
    content = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    with (
        files.atomic_write(path) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_stream(sink, content.schema) as writer,
    ):
        writer.write_table(content)


def load_tokenizer(model: str, settings: TrainingSettings) -> Any:
    """Return the model's tokenizer, with the chat template of ``settings`` if there is one."""
    return chat_template.load_tokenizer(model, template=settings.chat_template)


def _require_rows(count: int, least: int, *, left_out: int, same: int = 0) -> None:
    if count < least:
        longer = f"; {left_out} more have prompts that fill max_length" if left_out else ""
        longer += f"; {same} more have sides that are equal up to max_length" if same else ""
        raise NotEnoughPairsError(f"there are {count} training rows, fewer than min_rows ({least}){longer}")


def _refuse_equal_sides(rows: pl.DataFrame) -> None:
    same = (rows["chosen"] == rows["rejected"]).arg_true()
    if len(same):
        raise SeasDataError(
            f"{len(same)} of {rows.height} pairs have equal chosen and rejected texts, the first in row "
            f"{same[0] + 1}; remove them"
        )


def _join_messages(prompts: list[list[Any]], answers: list[list[Any]]) -> list[list[Any]]:
    return [prompt + answer for prompt, answer in zip(prompts, answers, strict=True)]


def _count_tokens(
    tokenizer: Any, conversations: list[list[Any]], max_length: int, *, open_end: bool = False
) -> tuple[NDArray[np.int64], list[bytes]]:
    """Return the number of tokens of each conversation, and a digest of its first ``max_length`` tokens.

    With ``open_end``, the conversation ends where an answer would start.
    """
    texts = chat_template.render_conversations(tokenizer, conversations, PromptFormat(generation_prompt=open_end))
    lengths: list[int] = []
    digests: list[bytes] = []
    for start in range(0, len(texts), 4096):
        ids = tokenizer(texts[start : start + 4096], add_special_tokens=False)["input_ids"]
        lengths += [len(tokens) for tokens in ids]
        digests += [hashlib.sha256(np.array(tokens[:max_length], np.int64).tobytes()).digest() for tokens in ids]
    return np.array(lengths, dtype=np.int64), digests


def _require_stop_token(tokenizer: Any, model: str, conversation: list[Any]) -> None:
    """Raise SeasDataError if the chat template does not end an answer with a token at which generation stops."""
    from transformers import GenerationConfig

    try:
        configured = GenerationConfig.from_pretrained(model).eos_token_id
    except OSError:
        configured = None
    stops = chat_template.end_token_ids(tokenizer, configured)
    text = chat_template.render_conversations(tokenizer, [conversation], PromptFormat(generation_prompt=False))[0]
    if not set(stops) & set(tokenizer(text, add_special_tokens=False)["input_ids"][-3:]):
        raise SeasDataError(
            f"the chat template of {model} does not end an answer with a stop token, so the model would never learn to "
            "stop; set a chat_template that ends the answer with the EOS token"
        )
