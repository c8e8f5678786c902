"""What a workspace remembers of its pushes and pulls: ``published.json``, one entry a push, in their order.

It is outside every digest. ``forget`` reads it to say which published tags still hold what is to be forgotten.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import filelock
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from seas_data import files
from seas_data.errors import SeasDataError


class Published(BaseModel):
    """One push or pull: where to or from, which commit and tag it was, and which version of this workspace."""

    model_config = ConfigDict(frozen=True)
    way: Literal["push", "pull"]
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


def record(root: Path, entry: Published) -> None:
    """Add ``entry``, unless the newest one of that repository says the same."""
    known = read(root)
    same = {"at"}
    before = [each for each in known if (each.kind, each.repository) == (entry.kind, entry.repository)]
    if before and before[-1].model_dump(exclude=same) == entry.model_dump(exclude=same):
        return
    text = json.dumps([each.model_dump(mode="json") for each in [*known, entry]], indent=1, ensure_ascii=False)
    files.write_text(root / "published.json", text + "\n")


def now() -> str:
    """Return the time (UTC) as entries hold it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Hold the workspace for one push. Raises SeasDataError when another process pushes from it."""
    lock = filelock.FileLock(root / "push.lock")
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise SeasDataError(f"another push from {root} is at work; wait for it to end") from None
    try:
        yield
    finally:
        lock.release()
