"""The publish log of a workspace, ``published.json``: its pushes and pulls, oldest first.

It has an entry for each push and pull, and one for each other tag that a repository had when a version was pulled from
it. No digest covers it. ``forget`` reads it to name the published tags that still contain what was taken down. Code
that writes the log, or renders a release inside the workspace, holds ``publish_lock``; a build may run at the same
time.
"""

import json
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from seas_data.errors import SeasDataError
from seas_data.store import files


class PublishLogEntry(BaseModel):
    """A push or pull: the repository, commit and tag, and the version of this workspace.

    A tag that was ``seen`` at a pull may be of any version, so its unknown fields are empty.
    """

    model_config = ConfigDict(frozen=True)
    way: Literal["push", "pull", "seen"]
    kind: Literal["dataset", "model"]
    repository: str
    tag: str | None
    commit: str
    version: str
    profile: str
    digest: str
    """The digest of the profile's manifest; for a model, of its checkpoint."""
    full_digest: str
    public: bool
    allowed: dict[str, str] = {}
    """The waived checks, with the reason for each."""
    at: str


_ENTRIES = TypeAdapter(list[PublishLogEntry])


def read(root: Path) -> list[PublishLogEntry]:
    """Return the entries of the workspace at ``root``, oldest first."""
    path = root / "published.json"
    if not path.exists():
        return []
    try:
        return _ENTRIES.validate_json(path.read_bytes())
    except ValidationError:
        raise SeasDataError(
            f"{path} is damaged; restore it from a copy, or move it away and lose the record of what was published"
        ) from None


def record(root: Path, *entries: PublishLogEntry) -> None:
    """Append ``entries``; each replaces earlier ones of the same commit with the same tag or none."""
    known = read(root)
    for entry in entries:
        replaced = [each for each in known if _key(each) == _key(entry) and each.tag in (None, entry.tag)]
        if any(each.model_copy(update={"at": entry.at}) == entry for each in replaced):
            continue
        known = [*(each for each in known if each not in replaced), entry]
    text = json.dumps([each.model_dump(mode="json") for each in known], indent=1, ensure_ascii=False)
    files.write_text(root / "published.json", text + "\n")


def _key(entry: PublishLogEntry) -> tuple[str, ...]:
    return entry.way, entry.kind, entry.repository, entry.commit, entry.version


def now() -> str:
    """Return the current time (UTC) in the form of entries."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def publish_lock(root: Path) -> AbstractContextManager[None]:
    """Lock the workspace for one push, pull or takedown. Raises SeasDataError if another process holds the lock."""
    message = f"another push, pull or forget is running in {root}; wait until it ends"
    return files.exclusive_lock(root / "push.lock", message)
