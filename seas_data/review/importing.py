"""Read what people answered in Label Studio or Argilla, whichever an export is of."""

import json
from pathlib import Path
from typing import Final

from seas_data.errors import SeasDataError
from seas_data.review import argilla, label_studio
from seas_data.review.exported import Export, select_person
from seas_data.store.files import read_text

_LARGEST: Final = 500_000_000  # bytes of an export


def read_export(path: Path, who: str | None = None) -> Export:
    """Return the answers of ``who`` in the export at ``path``; of the only person by default.

    Raises SeasDataError if the file is no export of a review, or has several people and ``who`` is none of them.
    """
    if not path.is_file():
        raise SeasDataError(f"there is no export at {path}; export the project of Label Studio or Argilla as JSON")
    if path.stat().st_size > _LARGEST:
        raise SeasDataError(f"{path} is larger than {_LARGEST:,} bytes, so it is no export of a review; check its name")
    try:
        rows = json.loads(read_text(path))
    except (ValueError, RecursionError):
        rows = None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise SeasDataError(f"{path} is no export of Label Studio or Argilla; export it as JSON")
    if "fields" in rows[0]:
        key, tasks = argilla.read_records(path, rows)
        return select_person(path, key, tasks, who, argilla.REASON)
    key, tasks = label_studio.read_tasks(path, rows)
    return select_person(path, key, tasks, who, label_studio.REASON)
