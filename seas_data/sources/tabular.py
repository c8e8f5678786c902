"""Parquet files, folders written by `datasets`, and data sets of the Hub that its card lays out: tables already typed.

Here no row is broken by itself: the table can be read or it cannot. A row's place is its number.
"""

from pathlib import Path
from typing import Any

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.recipe import Columns
from seas_data.sources.raw import FAULT_SCHEMA, FIELDS, ROW_SCHEMA, Raw, as_label, check_columns, wanted


def read_parquet(path: Path, columns: Columns) -> Raw:
    """Read the columns named; raise SeasDataError if one is missing or the file is damaged."""
    try:
        check_columns(columns, pl.read_parquet_schema(path))
        return from_frame(pl.read_parquet(path, columns=_names(columns)), columns, path.name)
    except (pl.exceptions.PolarsError, OSError) as problem:
        raise SeasDataError(f"{path} cannot be read as Parquet: {_first_line(problem)}") from problem


def read_folder(path: Path, columns: Columns, split: str | None) -> Raw:
    """Read a folder written by `Dataset.save_to_disk` or `DatasetDict.save_to_disk`."""
    import datasets

    try:
        data = datasets.load_from_disk(str(path))
    except Exception as problem:  # whatever Arrow and datasets make of a damaged folder
        raise SeasDataError(f"{path} is not a folder written by datasets: {_first_line(problem)}") from problem
    return from_dataset(data, columns, split, path.name)


def from_dataset(data: Any, columns: Columns, split: str | None, place: str) -> Raw:
    """Read a `datasets.Dataset`, or ``split`` of a `DatasetDict` (needless if it has but one)."""
    import datasets

    if isinstance(data, datasets.DatasetDict):
        splits = sorted(map(str, data))
        if split is None and len(splits) == 1:
            split = splits[0]
        if split not in data:
            raise SeasDataError(f"set split to one of its splits: {', '.join(splits)} (it is {split!r})")
        data = data[split]
        place = f"{place}/{split}"
    check_columns(columns, data.column_names)
    names = _names(columns)
    frame = pl.DataFrame(pl.from_arrow(data.select_columns(names).with_format("arrow")[:]))
    classes = {name: data.features[name] for name in names if isinstance(data.features[name], datasets.ClassLabel)}
    frame = frame.with_columns(
        pl.col(name).replace_strict(dict(enumerate(label.names)), default=None, return_dtype=pl.String)
        for name, label in classes.items()
    )
    return from_frame(frame, columns, place)


def from_frame(frame: pl.DataFrame, columns: Columns, place: str) -> Raw:
    """Take a table's columns for the fields of its rows; the text must be text, the others become it."""
    names = wanted(columns)
    texts = frame[names["text"]]
    if texts.dtype not in (pl.String, pl.Categorical, pl.Enum, pl.Null):
        raise SeasDataError(
            f"column {names['text']!r} holds {texts.dtype}, not text; set columns.text to one that does"
        )
    number = pl.int_range(1, pl.len() + 1, dtype=pl.Int64)
    fields = [_as_text(frame[names[field]]).alias(field) for field in names]
    missing = [pl.lit(None, pl.String).alias(field) for field in FIELDS if field not in names]
    rows = pl.DataFrame(fields).with_columns(number.alias("ordinal"), number.alias("line"), *missing)
    return Raw(place, rows.select(*ROW_SCHEMA), pl.DataFrame(schema=FAULT_SCHEMA))


def _as_text(column: pl.Series) -> pl.Series:
    if column.dtype.is_nested():
        return pl.Series([as_label(value) for value in column.to_list()], dtype=pl.String)
    return column.cast(pl.String)


def _names(columns: Columns) -> list[str]:
    return list(dict.fromkeys(wanted(columns).values()))


def _first_line(problem: Exception) -> str:
    return (str(problem).splitlines() or [type(problem).__name__])[0]
