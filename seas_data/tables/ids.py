"""Columns that several tables have: content ids, and texts as lists of messages."""

import polars as pl

from seas_data.text import content_id


def row_ids(kind: str, rows: pl.DataFrame, *columns: str) -> pl.Series:
    """Return the content id of each row's ``columns``."""
    return pl.Series([content_id(kind, *values) for values in rows.select(columns).iter_rows()], dtype=pl.String)


def messages(role: str, content: str) -> pl.Expr:
    """Return the column ``content`` as lists of one message from ``role``, as TRL reads them."""
    return pl.concat_list(pl.struct(pl.lit(role).alias("role"), pl.col(content).alias("content")))


def with_system(messages: pl.Expr, system: str | None) -> pl.Expr:
    """Return ``messages`` after the system prompt ``system``; those that begin with a system turn stay as they are."""
    if system is None:
        return messages
    turn = pl.struct(pl.lit("system").alias("role"), pl.lit(system).alias("content"))
    has_own = messages.list.first().struct.field("role") == "system"
    return pl.when(has_own).then(messages).otherwise(pl.concat_list(turn, messages))
