"""Columns that several tables have: content ids, and texts as lists of one message."""

import polars as pl

from seas_data.text import content_id


def row_ids(kind: str, rows: pl.DataFrame, *columns: str) -> pl.Series:
    """Return the content id of each row's ``columns``."""
    return pl.Series([content_id(kind, *values) for values in rows.select(columns).iter_rows()], dtype=pl.String)


def messages(role: str, content: str) -> pl.Expr:
    """Return the column ``content`` as lists of one message from ``role``, as TRL reads them."""
    return pl.concat_list(pl.struct(pl.lit(role).alias("role"), pl.col(content).alias("content")))
