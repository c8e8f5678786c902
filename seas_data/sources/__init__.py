"""Sources: read the sources of a recipe into prompts and set-aside rows. Every row ends up in one of the two.

``formats`` is the registry of source formats; ``jsonl``, ``csv``, ``parquet``, ``datasets_folder`` and ``hub`` are the
formats of this package, one file each. A format reads a source into ``raw`` rows; ``prompts`` turns raw rows into
prompts. A problem with a row becomes a row of ``set_aside``; a problem with a whole source raises SeasDataError.
"""

from pathlib import Path

from seas_data.errors import SeasDataError
from seas_data.recipe import Source
from seas_data.sources import hub
from seas_data.sources.formats import select_format
from seas_data.sources.prompts import SourceRows, build_prompts

__all__ = ["MAX_CHARACTERS", "SourceRows", "read_source"]

MAX_CHARACTERS = 100_000
"""Longer rows are set aside unless the recipe allows longer prompts: most likely a whole file was read as one row."""


def read_source(name: str, source: Source, *, max_characters: int = MAX_CHARACTERS) -> SourceRows:
    """Read the source called ``name``. Every row of it is in ``prompts`` or in ``set_aside`` of the result.

    Rows longer than ``max_characters`` characters are set aside. Raises SeasDataError, with the source's name, if the
    source is missing, lacks a column that the recipe names, or cannot be read as a whole.
    """
    try:
        path = _location(source)
        return build_prompts(name, source, select_format(path, source).read(path, source), max_characters)
    except (SeasDataError, OSError) as problem:
        raise SeasDataError(f"source {name}: {problem}") from problem


def _location(source: Source) -> Path:
    """Return the local path of the source, or the name of the Hub dataset if it is read through `datasets`."""
    if source.hub is not None:
        return hub.download_file(source) if source.file is not None else Path(source.hub)
    path = Path(str(source.path))
    if not path.exists():
        raise SeasDataError(f"there is no {path}; set path to the file or folder of the source")
    return path
