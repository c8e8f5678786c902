"""Sources: read the sources of a recipe into prompts and set-aside rows. Every row ends up in one of the two.

``formats`` is the registry of source formats; ``jsonl``, ``csv``, ``parquet``, ``datasets_folder`` and ``hub`` are the
formats of this package, one file each. A format reads a source into ``raw`` rows; ``prompts`` turns raw rows into
prompts. ``logs`` has the readers of the logs of red-team tools; ``answer_columns`` reads answers from plain files and
``answers`` turns both into responses and verdicts. A problem with a row becomes a row of ``set_aside``; a problem with
a whole source raises SeasDataError.
"""

from dataclasses import replace
from pathlib import Path

from seas_data.errors import SeasDataError
from seas_data.recipe import Labelling, Source
from seas_data.sources import hub
from seas_data.sources.answer_columns import read_answers, require_columns
from seas_data.sources.answers import AnswerRows, build_answers
from seas_data.sources.formats import select_format
from seas_data.sources.logs.attempts import collect_records
from seas_data.sources.logs.formats import LOG_FORMATS
from seas_data.sources.logs.records import LogOptions
from seas_data.sources.prompts import SourceRows, build_prompts
from seas_data.sources.raw_rows import MissingColumnError, RawRows

__all__ = ["MAX_CHARACTERS", "SourceRows", "read_source"]

MAX_CHARACTERS = 100_000
"""Longer rows are set aside unless the recipe allows longer prompts: most likely a whole file was read as one row."""


def read_source(
    name: str, source: Source, *, labelling: Labelling | None = None, max_characters: int = MAX_CHARACTERS
) -> SourceRows:
    """Read the source called ``name``. Every row of it is in ``prompts`` or in ``set_aside`` of the result.

    ``labelling`` maps the source's labels; without one they are mapped to the default taxonomy. Rows longer than
    ``max_characters`` characters are set aside. Raises SeasDataError, with the source's name, if the
    source is missing, lacks a column that the recipe names, or cannot be read as a whole.
    """
    try:
        path = _location(source)
        labelling = labelling or Labelling()
        if source.log is not None:
            raw, answers = _read_log(path, source, source.log)
            return _with_answers(name, source, build_prompts(name, source, raw, max_characters, labelling), answers)
        raw = select_format(path, source).read(path, source)
        require_columns(source, raw)
        found = build_prompts(name, source, raw, max_characters, labelling)
        if source.answers is None:
            return found
        return _with_answers(name, source, found, read_answers(source.answers, source, raw, found.ordinals))
    except MissingColumnError as problem:
        raise problem.of_source(name) from problem
    except (SeasDataError, OSError) as problem:
        raise SeasDataError(f"source {name}: {problem}") from problem


def _read_log(path: Path, source: Source, name: str) -> tuple[RawRows, AnswerRows]:
    """Read a log. Raises SeasDataError if the source gives an option that its reader does not use."""
    log, given = LOG_FORMATS.load(name), source.log_options
    if unused := sorted(given.model_fields_set - set(log.options)):
        used = f"it uses {', '.join(log.options)}" if log.options else "it uses none"
        raise SeasDataError(f"log_options has {unused[0]}, which the reader of {name} logs does not use; {used}")
    options = LogOptions(
        scorers=tuple(given.scorers),
        unsafe_values={judge: tuple(values) for judge, values in given.unsafe_values.items()},
        safe_values={judge: tuple(values) for judge, values in given.safe_values.items()},
        threshold=given.threshold,
        metadata={str(name): key for name, key in given.metadata.items()},
    )
    return collect_records(log.read(path, options), path.name)


def _with_answers(name: str, source: Source, found: SourceRows, answers: AnswerRows) -> SourceRows:
    return replace(found, answers=build_answers(name, source, found.ordinals, answers))


def _location(source: Source) -> Path:
    """Return the local path of the source, or the name of the Hub dataset if it is read through `datasets`."""
    if source.hub is not None:
        return hub.download_file(source) if source.file is not None else Path(source.hub)
    path = Path(str(source.path))
    if not path.exists():
        raise SeasDataError(f"there is no {path}; set path to the file or folder of the source")
    return path
