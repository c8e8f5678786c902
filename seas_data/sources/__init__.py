"""Readers: a source of a recipe in, prompts and set-aside rows out; no row is lost between the two.

``raw`` is what a reader hands over, ``jsonl``, ``delimited``, ``tabular`` and ``hub`` are the readers, ``assemble``
makes prompts of it. What goes wrong with a row is a row of ``set_aside``; what goes wrong with a source is a
SeasDataError that names it.
"""

from pathlib import Path

from seas_data.errors import SeasDataError
from seas_data.recipe import Source
from seas_data.sources import hub
from seas_data.sources.assemble import Read, assemble
from seas_data.sources.delimited import read_delimited
from seas_data.sources.jsonl import read_jsonl
from seas_data.sources.raw import Raw
from seas_data.sources.tabular import from_dataset, read_folder, read_parquet

__all__ = ["MOST_CHARACTERS", "Read", "read"]

MOST_CHARACTERS = 100_000
"""A row of more is no prompt but a file that was read as one, unless the recipe allows prompts that long."""


def read(name: str, source: Source, *, max_characters: int = MOST_CHARACTERS) -> Read:
    """Read the source called ``name``: every row of it is in ``prompts`` or in ``set_aside``.

    Rows of over ``max_characters`` characters are set aside. Raises SeasDataError, with the source's name, where it is
    missing, lacks a column that the recipe names, or is damaged as a whole.
    """
    try:
        return assemble(name, source, _raw(source), max_characters)
    except (SeasDataError, OSError) as problem:
        raise SeasDataError(f"source {name}: {problem}") from problem


def _raw(source: Source) -> Raw:
    if source.path is not None:
        path = Path(source.path)
    elif source.file is not None:
        path = hub.fetch(source)
    else:
        return from_dataset(hub.load(source), source.columns, source.split, str(source.hub))
    if not path.exists():
        raise SeasDataError(f"there is no {path}; set its path to where it is")
    if path.is_dir():
        return read_folder(path, source.columns, source.split)
    match path.suffix.casefold():
        case ".jsonl" | ".ndjson":
            return read_jsonl(path, source.columns, source.encoding)
        case ".csv" | ".tsv":
            return read_delimited(path, source.columns, source.encoding)
        case ".parquet":
            return read_parquet(path, source.columns)
    raise SeasDataError(f"{path} is of no known format; its name should end in .jsonl, .ndjson, .csv, .tsv or .parquet")
