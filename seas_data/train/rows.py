"""What is checked before a training starts, because the trainer would pass over it in silence.

A row whose prompt alone fills ``max_length`` is dropped by the trainer without a word: here it is left out and counted.
A pair whose two sides are the same teaches nothing and is refused. A model without a chat template, or one whose
template does not end an answer with a token at which generation stops, would learn to talk for ever.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from seas_data.errors import SeasDataError
from seas_data.models import chat
from seas_data.models.protocol import Asking
from seas_data.recipe import TrainingSettings
from seas_data.store import files
from seas_data.tables.ids import messages

SIDES = {"sft": ("completion",), "dpo": ("chosen", "rejected")}
_MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))


class NotEnoughPairsError(SeasDataError):
    """Too few rows to learn from: the end of an iteration, not of the program."""


@dataclass(frozen=True)
class Checked:
    """``rows`` to train on, and ``counts``: rows, too_long, cut_off, and mean tokens of the prompt and each side."""

    rows: pl.DataFrame
    counts: dict[str, float]


def check(table: pl.DataFrame, method: str, model: str, settings: TrainingSettings) -> Checked:
    """Return the rows of ``table`` that can be trained on; raise if they, or the model's template, do not fit."""
    rows = messages_only(table, method)
    if method == "dpo":
        _refuse_equal_sides(rows)
    _require(rows.height, settings.min_rows, left_out=0)
    teller = tokenizer(model, settings)
    prompts = rows["prompt"].to_list()
    prompt_tokens = _lengths(teller, prompts, open_end=True)
    whole = {side: _lengths(teller, _joined(prompts, rows[side].to_list())) for side in SIDES[method]}
    _require_end(teller, model, prompts[0] + rows[SIDES[method][0]][0].to_list())
    fits = prompt_tokens < settings.max_length
    _require(int(fits.sum()), settings.min_rows, left_out=int((~fits).sum()))
    longest = np.max(list(whole.values()), axis=0)
    counts: dict[str, float] = {
        "rows": int(fits.sum()),
        "too_long": int((~fits).sum()),
        "cut_off": int((fits & (longest > settings.max_length)).sum()),
        "tokens_prompt": float(prompt_tokens[fits].mean()),
        **{f"tokens_{side}": float((tokens - prompt_tokens)[fits].mean()) for side, tokens in whole.items()},
    }
    return Checked(rows.filter(pl.Series(fits)), counts)


def messages_only(table: pl.DataFrame, method: str) -> pl.DataFrame:
    """Return prompt and sides as lists of messages, which texts become; raise SeasDataError for other columns."""
    columns = ("prompt", *SIDES[method])
    missing = [name for name in columns if name not in table.columns]
    if missing:
        raise SeasDataError(f"the rows to train on lack the columns {', '.join(missing)}")
    roles = {"prompt": "user"} | dict.fromkeys(SIDES[method], "assistant")
    chosen = [
        messages(roles[name], name).alias(name) if table.schema[name] == pl.String else pl.col(name) for name in columns
    ]
    rows = table.select(chosen)
    try:
        rows = rows.cast(dict.fromkeys(columns, _MESSAGES))
    except pl.exceptions.PolarsError as problem:
        raise SeasDataError("prompt and answers should be texts, or lists of messages (role, content)") from problem
    for name in columns:
        silent = pl.col(name).list.eval(pl.element().struct.field("content").is_null()).list.any()
        blank = rows.select(silent.fill_null(True) | (pl.col(name).list.len() == 0)).to_series()
        if blank.any():
            raise SeasDataError(f"row {blank.arg_true()[0] + 1} to train on has no {name}")
    return rows


def write(path: Path, rows: pl.DataFrame) -> None:
    """Write ``rows`` as an Arrow stream, which `datasets` maps into memory and which all processes share."""
    content = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    with (
        files.replacing(path) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_stream(sink, content.schema) as writer,
    ):
        writer.write_table(content)


def tokenizer(model: str, settings: TrainingSettings) -> Any:
    """Return the model's tokenizer with the chat template of the settings, if they give one."""
    return chat.load_tokenizer(model, template=settings.chat_template)


def _require(count: int, least: int, *, left_out: int) -> None:
    if count < least:
        longer = f"; {left_out} more have prompts that fill max_length" if left_out else ""
        raise NotEnoughPairsError(f"there are {count} rows to train on, and at least {least} are needed{longer}")


def _refuse_equal_sides(rows: pl.DataFrame) -> None:
    same = (rows["chosen"] == rows["rejected"]).arg_true()
    if len(same):
        raise SeasDataError(
            f"{len(same)} of {rows.height} pairs have the same text chosen and rejected, the first of them row "
            f"{same[0] + 1}; such pairs say nothing, so leave them out"
        )


def _joined(prompts: list[list[Any]], answers: list[list[Any]]) -> list[list[Any]]:
    return [prompt + answer for prompt, answer in zip(prompts, answers, strict=True)]


def _lengths(teller: Any, conversations: list[list[Any]], *, open_end: bool = False) -> NDArray[np.int64]:
    """Return the tokens of each conversation; with ``open_end`` up to where an answer would begin."""
    texts = chat.render(teller, conversations, Asking(generation_prompt=open_end))
    lengths: list[int] = []
    for start in range(0, len(texts), 4096):
        ids = teller(texts[start : start + 4096], add_special_tokens=False)["input_ids"]
        lengths += [len(tokens) for tokens in ids]
    return np.array(lengths, dtype=np.int64)


def _require_end(teller: Any, model: str, conversation: list[Any]) -> None:
    """Raise SeasDataError if an answer, as the template writes it, does not end where generation would stop."""
    from transformers import GenerationConfig

    try:
        configured = GenerationConfig.from_pretrained(model).eos_token_id
    except OSError:
        configured = None
    stops = chat.end_marks(teller, configured)
    text = chat.render(teller, [conversation], Asking(generation_prompt=False))[0]
    if not set(stops) & set(teller(text, add_special_tokens=False)["input_ids"][-3:]):
        raise SeasDataError(
            f"the chat template of {model} ends an answer with none of the tokens at which generation stops, so the "
            "model would not learn to end; set a chat_template that closes the answer with the EOS token"
        )
