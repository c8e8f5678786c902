"""Folders written by `Dataset.save_to_disk` or `DatasetDict.save_to_disk` of the `datasets` library."""

from pathlib import Path
from typing import Any

import polars as pl

from seas_data.errors import SeasDataError
from seas_data.recipe import Source
from seas_data.sources.arrow_rows import raw_from_arrow
from seas_data.sources.formats import FOLDER, SourceFormat
from seas_data.sources.raw_rows import RawRows, check_columns, columns_by_field, more_columns


def read_folder(path: Path, source: Source) -> RawRows:
    """Read the folder at ``path``, or one split of it. Raise SeasDataError if it was not written by `datasets`."""
    import datasets

    try:
        dataset = datasets.load_from_disk(str(path))
    except Exception as problem:  # a damaged folder raises errors of Arrow, datasets and the system
        reason = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise SeasDataError(f"{path} is not a folder written by datasets: {reason}") from problem
    return raw_from_dataset(dataset, source, path.name)


def raw_from_dataset(dataset: Any, source: Source, location: str) -> RawRows:
    """Return the rows of a `datasets.Dataset`, or of the source's split of a `DatasetDict` (optional if it has one).

    Raises SeasDataError if there is no such split, or a column that the source names is missing.
    """
    import datasets

    columns, split, more = source.columns, source.split, more_columns(source)

    if isinstance(dataset, datasets.DatasetDict):
        splits = sorted(map(str, dataset))
        if split is None and len(splits) == 1:
            split = splits[0]
        if split not in dataset:
            raise SeasDataError(f"set split to one of its splits: {', '.join(splits)} (it is {split!r})")
        dataset = dataset[split]
        location = f"{location}/{split}"
    check_columns(columns, dataset.column_names, more)
    names = list(dict.fromkeys([*columns_by_field(columns).values(), *more]))
    table = dataset.select_columns(names).with_format("arrow")[:]
    for name in names:
        if isinstance(label := dataset.features[name], datasets.ClassLabel):
            values = pl.Series(table[name].to_pylist(), dtype=pl.Int64)
            texts = values.replace_strict(dict(enumerate(label.names)), default=None, return_dtype=pl.String)
            table = table.set_column(table.column_names.index(name), name, texts.to_arrow())
    return raw_from_arrow(table, source, location, more)


DATASETS_FOLDER = SourceFormat(inputs=(FOLDER,), read=read_folder)
