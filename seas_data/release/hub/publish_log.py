"""What a workspace remembers of what was published: ``published.json``, in the order in which it came about.

An entry for each push and pull, and for each other tag that a repository had when something was pulled from it. It is
outside every digest. ``forget`` reads it to say which published tags still hold what is to be forgotten. Who writes it,
or makes a release inside the workspace, holds ``alone``; a build may be at work at the same time.
"""

import json
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from seas_data.errors import SeasDataError
from seas_data.store import files


class Published(BaseModel):
    """One push or pull: where to or from, which commit and tag it was, and which version of this workspace.

    A tag that was ``seen`` beside what was pulled may be of any version: those of its fields that are not known are
    empty.
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
    """Of the profile's manifest; of a model, its checkpoint's."""
    full_digest: str
    public: bool
    allowed: dict[str, str] = {}
    """What a person let pass, and why."""
    at: str


_LIST = TypeAdapter(list[Published])


def read(root: Path) -> list[Published]:
    """Return what the workspace at ``root`` has pushed and pulled, oldest first."""
    path = root / "published.json"
    if not path.exists():
        return []
    try:
        return _LIST.validate_json(path.read_bytes())
    except ValidationError:
        raise SeasDataError(
            f"{path} is damaged; restore it from a copy, or move it away: then it is not known what was published"
        ) from None


def record(root: Path, *entries: Published) -> None:
    """Add ``entries``, each in place of what was known of the same commit under no tag or the same one."""
    known = read(root)
    for entry in entries:
        before = [each for each in known if _about(each) == _about(entry) and each.tag in (None, entry.tag)]
        if any(each.model_copy(update={"at": entry.at}) == entry for each in before):
            continue
        known = [*(each for each in known if each not in before), entry]
    text = json.dumps([each.model_dump(mode="json") for each in known], indent=1, ensure_ascii=False)
    files.write_text(root / "published.json", text + "\n")


def _about(entry: Published) -> tuple[str, ...]:
    return entry.way, entry.kind, entry.repository, entry.commit, entry.version


def now() -> str:
    """Return the time (UTC) as entries hold it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def alone(root: Path) -> AbstractContextManager[None]:
    """Hold the workspace for one push, pull or forgetting. Raises SeasDataError when another process is at one."""
    return files.alone(root / "push.lock", f"another push, pull or forget is at work in {root}; wait for it to end")
