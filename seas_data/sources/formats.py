"""Registry of source formats: how each kind of file, folder or Hub dataset is read into raw rows.

A format is a ``SourceFormat`` in a module of its own, named by an entry point of the group ``seas_data.formats``
(`pyproject.toml`). Another distribution can add one in the same way. A recipe may name the format of a source; if it
does not, the format follows from the ending of the file name.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from seas_data.errors import SeasDataError
from seas_data.recipe import Source
from seas_data.registry import Registry
from seas_data.sources.compression import file_name
from seas_data.sources.raw_rows import RawRows

FOLDER: Final = "folder"
"""The input of a format that reads folders."""
HUB: Final = "hub"
"""The input of a format that reads datasets of the Hugging Face Hub."""


@dataclass(frozen=True)
class SourceFormat:
    """A format that a source can have.

    ``inputs``: what the format reads: endings of file names such as ``.jsonl`` (lower case, with the dot), ``FOLDER``
    or ``HUB``. ``read``: reads the source at a path into raw rows; the path is the local file or folder, or for ``HUB``
    the name of the dataset. It uses ``columns`` and, where they apply, ``encoding`` and ``split`` of the source, and
    raises SeasDataError if the source as a whole cannot be read.
    """

    inputs: tuple[str, ...]
    read: Callable[[Path, Source], RawRows]


FORMATS: Final = Registry("seas_data.formats", "source format", SourceFormat)


def select_format(path: Path, source: Source) -> SourceFormat:
    """Return the format that the source names, or the one that reads files with the ending of ``path``.

    Raises SeasDataError if there is no such format, if several formats read that ending, or if the format named reads
    files and ``path`` is a folder, or the other way round.
    """
    kind = HUB if source.hub is not None and source.file is None else FOLDER if path.is_dir() else "file"
    if source.format is not None:
        chosen = FORMATS.load(source.format)
        if kind not in {each if each in (FOLDER, HUB) else "file" for each in chosen.inputs}:
            raise SeasDataError(
                f"{path} is a {_KIND_NOUNS[kind]}, but format {source.format} reads {', '.join(chosen.inputs)}; "
                f"set format to another one ({', '.join(FORMATS.names())})"
            )
        return chosen
    known = FORMATS.all()
    found = [name for name, each in known.items() if any(_reads(entry, path, kind) for entry in each.inputs)]
    if not found:
        endings = sorted({entry for each in known.values() for entry in each.inputs} - {FOLDER, HUB})
        raise SeasDataError(
            f"the format of {path} is unknown; set format to one of {', '.join(known)}, or give a file with one of the "
            f"endings {', '.join(endings)}"
        )
    if len(found) > 1:
        raise SeasDataError(f"several formats read {path}; set format to one of {', '.join(found)}")
    return known[found[0]]


_KIND_NOUNS = {"file": "file", FOLDER: "folder", HUB: "dataset of the Hub"}


def _reads(entry: str, path: Path, kind: str) -> bool:
    return file_name(path).endswith(entry) if kind == "file" and entry.startswith(".") else entry == kind
