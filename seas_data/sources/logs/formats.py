"""Registry of log formats: the readers of the logs of red-team tools.

A format is a ``LogFormat`` in a module of its own, named by an entry point of the group ``seas_data.logs``
(`pyproject.toml`). Another distribution can add one in the same way. A recipe names the format of a source with the
key ``log``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from seas_data.registry import Registry
from seas_data.sources.logs.records import LogOptions, LogRecord


@dataclass(frozen=True)
class LogFormat:
    """A format that the log of a red-team tool can have.

    ``read``: yields the records of the log at a path, one at a time, in an order that is the same whenever the log is
    read. Memory is bounded by the largest record, not by the file. Raises SeasDataError if the log as a whole cannot
    be read. ``options``: the fields of ``LogOptions`` that the reader uses.
    """

    read: Callable[[Path, LogOptions], Iterator[LogRecord]]
    options: tuple[str, ...] = ()


LOG_FORMATS: Final = Registry("seas_data.logs", "log format", LogFormat)
