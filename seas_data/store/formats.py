"""The numbers of the formats on disk, in one place.

A number is raised when files of the earlier one cannot be read any more; ``seas_data.migrate`` then gets a step from
the earlier number to the new one.
"""

import json
from typing import Final

from seas_data.errors import SeasDataError

WORKSPACE: Final = 2
"""Format of a workspace and of the manifests of its versions."""
RELEASE: Final = 2
"""Format of a release and of its manifest."""
STAGES: Final = 3
"""Format of an unfinished build's stages. Stages of another format are computed again."""


def require_format(name: str, found: object, current: int) -> None:
    """Raise SeasDataError, with what to do, unless ``found`` is the ``current`` number; ``name`` says of what."""
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise SeasDataError(f"{name} has no valid format number; restore it from a copy")
    if found < current:
        raise SeasDataError(
            f"{name} has format {found}, which is older than format {current} of this program; convert it with: "
            "seas-data migrate OLD NEW"
        )
    if found > current:
        raise SeasDataError(
            f"{name} has format {found}, which is newer than format {current} of this program; upgrade seas-data"
        )


def format_of(content: bytes) -> object:
    """Return the value of ``format`` in a JSON object; None if there is none."""
    try:
        return json.loads(content)["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
