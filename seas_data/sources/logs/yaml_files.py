"""YAML files of tools, read without constructing anything but plain values."""

from pathlib import Path
from typing import Any, Final

import yaml

from seas_data.errors import SeasDataError

MAX_BYTES: Final = 64 << 20
"""A file with more bytes than this is refused: YAML is read as a whole, and slowly."""


class _Plain(yaml.SafeLoader):
    """A safe loader without merge keys, with which a small file can become a huge mapping."""

    def flatten_mapping(self, node: Any) -> None:
        """Leave a merge key as it is."""


def read_yaml(path: Path, what: str) -> Any:
    """Return the value of the file. Raises SeasDataError if it is too large or no YAML; ``what`` it should hold."""
    if path.stat().st_size > MAX_BYTES:
        raise SeasDataError(f"{path} has more than {MAX_BYTES:,} bytes, and YAML is read as a whole; write it as JSON")
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Plain)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError, TypeError, AttributeError) as problem:
        reason = " ".join(str(problem).split())[:200] or type(problem).__name__
        raise SeasDataError(f"{path} has no {what}: it is no YAML ({reason}); correct the file") from problem
