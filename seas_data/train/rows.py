"""Checks of training rows before the trainer starts, for problems that the trainer ignores.

Rows are tokenised here, so that control tokens in their texts are read as text (``tokens``). The trainer silently drops
a row whose prompt fills ``max_length``: here it is left out and counted, and so is a pair whose sides differ only after
``max_length``, where the trainer cuts them off, and so is a row with turns that the chat template cannot render. Pairs
with equal sides are refused, because they teach nothing. A model without a chat template is refused, and so is one
whose template does not end an answer with a stop token, because it would never learn to stop.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from seas_data.errors import SeasDataError
from seas_data.models import chat_template
from seas_data.models.protocol import PromptFormat
from seas_data.recipe import TrainingSettings
from seas_data.store import files
from seas_data.tables.ids import messages
from seas_data.train.tokens import tokenize_rows

SIDES = {"sft": ("completion",), "dpo": ("chosen", "rejected")}
_MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))


class NotEnoughPairsError(SeasDataError):
    """Too few rows to train on. The loop handles it: the model stays unchanged in this iteration."""


@dataclass(frozen=True)
class CheckedRows:
    """Rows to train on, and counts.

    Attributes:
        rows: prompt and each side, as lists of messages.
        tokens: the same rows as the trainer gets them; see ``RowTokens.to_trainer_rows``.
        counts: rows, too_long, same_cut_off and refused_turns (left out: the prompt fills max_length; the sides are
            equal within it; the chat template cannot render the turns), cut_off (longer than max_length), the mean
            number of tokens of the prompt and each side, and control_tokens (rows with control tokens in their texts,
            left out or not). same_cut_off, refused_turns and control_tokens only if there are any.
        refusal: why the chat template cannot render the turns of the first such row.
    """

    rows: pl.DataFrame
    tokens: pl.DataFrame
    counts: dict[str, float]
    refusal: str | None = None


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
    rows, refusals = _drop_refused(tokenizer, rows, SIDES[method])
    _require_rows(rows.height, settings.min_rows, left_out=0, refusals=refusals)
    tokens = tokenize_rows(tokenizer, rows, SIDES[method])
    prompt_tokens = np.array([len(ids) for ids in tokens.prompts], np.int64)
    whole = {side: np.array([len(ids) for ids in each], np.int64) for side, each in tokens.whole.items()}
    _require_stop_token(tokenizer, model, rows["prompt"][0].to_list() + rows[SIDES[method][0]][0].to_list())
    fits = prompt_tokens < settings.max_length
    too_long = int((~fits).sum())
    same = np.zeros_like(fits)
    if method == "dpo":
        cut = slice(settings.max_length)
        sides = zip(tokens.whole["chosen"], tokens.whole["rejected"], strict=True)
        same = fits & np.array([np.array_equal(one[cut], other[cut]) for one, other in sides], dtype=bool)
        fits &= ~same
    _require_rows(int(fits.sum()), settings.min_rows, left_out=too_long, same=int(same.sum()), refusals=refusals)
    longest = np.max(list(whole.values()), axis=0)
    counts: dict[str, float] = {
        "rows": int(fits.sum()),
        "too_long": too_long,
        **({"same_cut_off": int(same.sum())} if same.any() else {}),
        **({"refused_turns": len(refusals)} if refusals else {}),
        "cut_off": int((fits & (longest > settings.max_length)).sum()),
        "tokens_prompt": float(prompt_tokens[fits].mean()),
        **{f"tokens_{side}": float((lengths - prompt_tokens)[fits].mean()) for side, lengths in whole.items()},
        **({"control_tokens": tokens.control_tokens} if tokens.control_tokens else {}),
    }
    kept = pl.Series(fits)
    refusal = refusals[0] if refusals else None
    return CheckedRows(rows.filter(kept), tokens.to_trainer_rows().filter(kept), counts, refusal)


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


def _drop_refused(tokenizer: Any, rows: pl.DataFrame, sides: Sequence[str]) -> tuple[pl.DataFrame, list[str]]:
    """Return the rows whose turns the chat template can render, and why it cannot render each of the others."""
    chat_template.require_template(tokenizer)
    prompts = rows["prompt"].to_list()
    found = [chat_template.find_refusals(tokenizer, prompts, PromptFormat())]
    for side in sides:
        conversations = [prompt + answer for prompt, answer in zip(prompts, rows[side].to_list(), strict=True)]
        found.append(chat_template.find_refusals(tokenizer, conversations, PromptFormat(generation_prompt=False)))
    reasons = [next((each for each in row if each is not None), None) for row in zip(*found, strict=True)]
    return rows.filter(pl.Series(reasons, dtype=pl.String).is_null()), [each for each in reasons if each is not None]


def _require_rows(count: int, least: int, *, left_out: int, same: int = 0, refusals: Sequence[str] = ()) -> None:
    if count < least:
        longer = f"; {left_out} more have prompts that fill max_length" if left_out else ""
        longer += f"; {same} more have sides that are equal up to max_length" if same else ""
        longer += f"; {len(refusals)} more cannot be rendered: {refusals[0]}" if refusals else ""
        raise NotEnoughPairsError(f"there are {count} training rows, fewer than min_rows ({least}){longer}")


def _refuse_equal_sides(rows: pl.DataFrame) -> None:
    same = (rows["chosen"] == rows["rejected"]).arg_true()
    if len(same):
        raise SeasDataError(
            f"{len(same)} of {rows.height} pairs have equal chosen and rejected texts, the first in row "
            f"{same[0] + 1}; remove them"
        )


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
