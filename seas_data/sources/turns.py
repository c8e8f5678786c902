"""Turns of raw rows: strip the wrapper, and give each prompt its flat text and the turns that the text alone lacks."""

from dataclasses import replace

import polars as pl

from seas_data.conversation import MESSAGES, Message, as_messages, plain_columns, render, stored_messages
from seas_data.recipe import Source, Strip
from seas_data.sources.messages import turns_of_json
from seas_data.sources.raw_rows import RawRows


def read_turns(source: Source, raw: RawRows) -> RawRows:
    """Return ``raw`` with the flat rendering of each prompt in ``text`` and its turns in ``messages``.

    ``messages`` is null where the prompt is the user turn ``text``. The wrapper is stripped from the last turn.

    Input columns: ``raw.ROW_SCHEMA``; ``text`` as the reader gives it: of a source with ``turn: all`` the turns as
    JSON; of a log also ``messages``, null of a single turn. Output columns: the input's and ``messages``.
    """
    rows = raw.rows
    if source.turn == "all":
        given = [None if text is None else turns_of_json(text) for text in rows["text"]]
    elif "messages" in rows.columns:
        given = [None if turns is None else as_messages(turns) for turns in rows["messages"]]
    else:
        given = []
    texts, stored = plain_columns(rows.select(_strip_wrapper(source.strip)).to_series())
    if any(turns is not None for turns in given):
        last = [None if turns is None else _strip_last(turns, source.strip) for turns in given]
        texts = pl.Series(
            "text",
            [text if turns is None else render(turns) for text, turns in zip(texts, last, strict=True)],
            dtype=pl.String,
        )
        stored = pl.Series(
            "messages",
            [plain if turns is None else stored_messages(turns) for plain, turns in zip(stored, last, strict=True)],
            dtype=MESSAGES,
        )
    return replace(raw, rows=rows.with_columns(texts, stored))


def _strip_wrapper(wrapper: Strip | None) -> pl.Expr:
    if wrapper is None:
        return pl.col("text")
    return pl.col("text").str.strip_prefix(wrapper.prefix).str.strip_suffix(wrapper.suffix)


def _strip_last(turns: list[Message], wrapper: Strip | None) -> list[Message]:
    if wrapper is None:
        return turns
    last = turns[-1].content.removeprefix(wrapper.prefix).removesuffix(wrapper.suffix)
    return [*turns[:-1], Message("user", last)]
