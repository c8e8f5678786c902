"""Turns: the texts by which prompts with several turns are compared.

A prompt is compared by its flat text without the system turn (``as_compared``), so copies under different system turns
are the same text: they share a group and a request, and are dropped only if ``curation.drop_other_system_turns`` says
so. Besides, every turn is compared by itself (``turn_texts``), because a request may stand in any turn.

Some turns *ask*: the last turn of the user, and every other one with at least ``MIN_ASKING_CHARACTERS`` characters
("hello" opens a thousand conversations). A prompt may not be in training if one of its turns, whoever it is by, is what
a held-out prompt asks.
"""

import polars as pl

from seas_data.conversation import as_messages, compared_text, mark_asking
from seas_data.folding import leak_digest
from seas_data.text import text_digest

_TURNS = {
    "prompt_id": pl.String(),
    "role": pl.String(),
    "text": pl.String(),
    "asks": pl.Boolean(),
    "last": pl.Boolean(),
}
_TEXTS = ("text", "text_digest", "leak_digest")


def as_compared(prompts: pl.DataFrame) -> pl.DataFrame:
    """Return ``prompts`` with the texts, and their digests, by which they are compared.

    Input columns: ``prompt_id``, ``text``, ``text_digest``, ``leak_digest``, ``messages``.
    Output columns: the input's and ``system_digest`` (of the system turn, or null).
    """
    turns = prompts.filter(pl.col("messages").is_not_null()).select("prompt_id", "messages")
    systems: list[str | None] = []
    texts: list[tuple[str, str, str]] = []
    for messages in turns["messages"]:
        text = compared_text(messages)
        texts.append((text, text_digest(text), leak_digest(text)))
        first = as_messages(messages)[0]
        systems.append(text_digest(first.content) if first.role == "system" else None)
    changed = turns.select("prompt_id").with_columns(
        pl.DataFrame(texts, schema=dict.fromkeys(_TEXTS, pl.String), orient="row"),
        system_digest=pl.Series(systems, dtype=pl.String),
    )
    both = prompts.with_columns(system_digest=pl.lit(None, pl.String))
    return both if changed.is_empty() else both.update(changed, on="prompt_id", maintain_order="left")


def turn_texts(prompts: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each turn of the prompts that have ``messages``; plain prompts have none.

    Input columns: ``prompt_id`` and, if there are conversations, ``messages``.
    Output columns: ``prompt_id``, ``role``, ``text``, ``asks``, ``last`` (whether it is the last turn).
    """
    rows: list[tuple[str, str, str, bool, bool]] = []
    if "messages" in prompts.columns:
        turns = prompts.filter(pl.col("messages").is_not_null()).select("prompt_id", "messages")
        for prompt_id, messages in turns.iter_rows():
            asked = mark_asking(as_messages(messages))
            rows += [(prompt_id, *turn, asks, number == len(asked)) for number, (turn, asks) in enumerate(asked, 1)]
    return pl.DataFrame(rows, schema=_TURNS, orient="row")
